"""The pipeline: which layers a client has, in which order. An immutable value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeAlias, TypeVar

from .onion import Middleware, Send, SyncMiddleware, check_middleware, compose, name_of
from .runtime import Runtime

__all__ = ["PER_ATTEMPT", "PER_CALL", "AnyMiddleware", "Pipeline", "Slot"]

AnyMiddleware = Middleware | SyncMiddleware
L = TypeVar("L")
_CALLABLES = (BuiltinFunctionType, FunctionType, MethodType, partial)


@dataclass(frozen=True, repr=False, eq=False)
class Slot:
    """A named place for a user's own layers; it sends nothing through itself."""

    name: str

    def __repr__(self) -> str:
        return f"<slot: {self.name}>"

    def __reduce__(self) -> str:
        # Copies and pickles are the slot itself.
        return "PER_CALL" if self is PER_CALL else "PER_ATTEMPT"


PER_CALL = Slot("per call")
PER_ATTEMPT = Slot("per attempt")


# What an edit is about: a class, a slot, or a layer itself, such as a function.
Target: TypeAlias = type[Any] | Slot | AnyMiddleware


class Pipeline:
    """An ordered tuple of layers, first = outermost, with two slots for layers of your own.

    Immutable: editing returns a new pipeline, and clients made before keep theirs. Two are equal if
    their layers are.

    Args:
        layers: The layers, and the slots `PER_CALL` and `PER_ATTEMPT` where they shall be. A slot that
            is not named is added: per call outermost, per attempt innermost.

    Attributes:
        layers: What was given, slots included.

    Raises:
        TypeError: a layer is a class, or cannot be called.
        ValueError: a slot stands there twice, or per attempt outside per call.
    """

    __slots__ = ("_strict", "layers")

    layers: tuple[AnyMiddleware | Slot, ...]
    _strict: bool

    def __init__(self, *layers: AnyMiddleware | Slot) -> None:
        slots = [layer for layer in layers if isinstance(layer, Slot)]
        for slot in slots:
            if slots.count(slot) > 1:
                raise ValueError(f"A pipeline has one slot {slot.name!r}, not several")
        if slots == [PER_ATTEMPT, PER_CALL]:
            raise ValueError(
                "The slot per call lies outside the slot per attempt: name PER_CALL first"
            )
        if PER_CALL not in slots:
            layers = (PER_CALL, *layers)
        if PER_ATTEMPT not in slots:
            layers = (*layers, PER_ATTEMPT)
        for layer in layers:
            if not isinstance(layer, Slot):
                check_middleware(layer)
        self._set(layers, strict=False)

    # Editing

    def per_call(self, *layers: AnyMiddleware) -> Pipeline:
        """Add layers outside redirects and retries: they see each logical request once.

        Layers added later lie further in.
        """
        return self.before(PER_CALL, *layers)

    def per_attempt(self, *layers: AnyMiddleware) -> Pipeline:
        """Add layers inside redirects, retries and auth: they see each request that goes on the wire."""
        return self.before(PER_ATTEMPT, *layers)

    def before(self, target: Target, *layers: AnyMiddleware) -> Pipeline:
        """Put layers just outside the outermost layer of class `target`, or the layer that is `target` itself.

        Raises:
            LookupError: the pipeline has no such layer.
        """
        at = self._index(target)
        return self._with((*self.layers[:at], *layers, *self.layers[at:]))

    def after(self, target: Target, *layers: AnyMiddleware) -> Pipeline:
        """Put layers just inside `target`; as `before`."""
        at = self._index(target) + 1
        return self._with((*self.layers[:at], *layers, *self.layers[at:]))

    def replace(self, target: Target, *layers: AnyMiddleware) -> Pipeline:
        """Put layers in the place of `target`; as `before`. Slots stay."""
        at = self._index(target)
        if isinstance(self.layers[at], Slot):
            raise TypeError(
                f"{self.layers[at]!r} stays: give before() or after() the slot, or a layer here"
            )
        return self._with((*self.layers[:at], *layers, *self.layers[at + 1 :]))

    def without(self, target: Target) -> Pipeline:
        """Leave out `target`; as `before`. Slots stay."""
        return self.replace(target)

    def strict(self) -> Pipeline:
        """The same pipeline, reporting each layer that loses a response. See `compose`."""
        strict = Pipeline(*self.layers)
        strict._set(self.layers, strict=True)
        return strict

    # Asking

    def find(self, target: type[L]) -> L | None:
        """The outermost layer of class `target`, or None."""
        for layer in self:
            if isinstance(layer, target):
                return layer
        return None

    @property
    def options(self) -> frozenset[str]:
        """The keys in `request.extensions` that this pipeline's layers read."""
        options = (getattr(layer, "option", None) for layer in self.layers)
        return frozenset(option for option in options if isinstance(option, str))

    def __iter__(self) -> Iterator[AnyMiddleware]:
        return (layer for layer in self.layers if not isinstance(layer, Slot))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, target: object) -> bool:
        if isinstance(target, type):
            return self.find(target) is not None
        return target in self.layers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and (self.layers, self._strict) == (
            other.layers,
            other._strict,
        )

    def __hash__(self) -> int:
        # Layers need not be hashable, and equal ones need not be the same.
        return hash((tuple(type(layer) for layer in self.layers), self._strict))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"A Pipeline cannot be changed ({name!r}): before(), after(), replace() and without() return new ones"
        )

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.layers, self._strict)

    def __repr__(self) -> str:
        return "\n".join(
            [
                "<Pipeline, outermost first:",
                *(f"  {_line(layer)}" for layer in self.layers),
                "  transport>",
            ]
        )

    # Using

    def compose(self, transport: Send, runtime: Runtime) -> Send:
        """The onion itself: what sends a request through all layers into `transport`."""
        return compose(self, transport, runtime, strict=self._strict)

    def _with(self, layers: tuple[AnyMiddleware | Slot, ...]) -> Pipeline:
        edited = Pipeline(*layers)
        return edited.strict() if self._strict else edited

    def _set(self, layers: tuple[AnyMiddleware | Slot, ...], *, strict: bool) -> None:
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "_strict", strict)

    def _index(self, target: Target) -> int:
        for index, layer in enumerate(self.layers):
            if layer is target or (isinstance(target, type) and isinstance(layer, target)):
                return index
        names = ", ".join(name_of(layer) for layer in self) or "none"
        wanted = getattr(target, "__name__", repr(target))
        raise LookupError(f"This pipeline has no {wanted}; it has: {names}")


def _rebuild(layers: tuple[AnyMiddleware | Slot, ...], strict: bool) -> Pipeline:
    pipeline = Pipeline(*layers)
    return pipeline.strict() if strict else pipeline


def _line(layer: object) -> str:
    if isinstance(layer, Slot):
        return f"-- {layer.name} --"
    # Reprs of functions, methods and partials tell addresses, and what they hold.
    if isinstance(layer, _CALLABLES) or type(layer).__repr__ is object.__repr__:
        return name_of(layer)
    return repr(layer)
