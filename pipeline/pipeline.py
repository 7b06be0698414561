"""The pipeline: which layers a client has, in which order. An immutable value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from .layer import Layer
from .onion import Middleware, Send, SyncMiddleware, compose, name_of
from .runtime import Runtime

__all__ = ["AnyMiddleware", "PER_ATTEMPT", "PER_CALL", "Pipeline", "Slot"]

AnyMiddleware = Middleware | SyncMiddleware
L = TypeVar("L")


class Slot:
    """A named place for a user's own layers; it sends nothing through itself."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<slot: {self.name}>"

    def __reduce__(self) -> str:
        return "PER_CALL" if self is PER_CALL else "PER_ATTEMPT"


PER_CALL = Slot("per call")
PER_ATTEMPT = Slot("per attempt")


class Pipeline:
    """An ordered tuple of layers, first = outermost, with two slots for layers of your own.

    Editing returns a new pipeline; clients made before keep theirs.

    Args:
        layers: The layers, and the slots `PER_CALL` and `PER_ATTEMPT` where they shall be. A slot that
            is not named is added: per call outermost, per attempt innermost.

    Attributes:
        layers: What was given, slots included.
    """

    __slots__ = ("_strict", "layers")

    layers: tuple[AnyMiddleware | Slot, ...]

    def __init__(self, *layers: AnyMiddleware | Slot) -> None:
        for slot in (PER_CALL, PER_ATTEMPT):
            if layers.count(slot) > 1:
                raise ValueError(f"A pipeline has one slot {slot.name!r}, not several")
        if PER_CALL not in layers:
            layers = (PER_CALL, *layers)
        if PER_ATTEMPT not in layers:
            layers = (*layers, PER_ATTEMPT)
        self.layers = layers
        self._strict = False

    # Editing

    def per_call(self, *layers: AnyMiddleware) -> Pipeline:
        """Add layers outside redirects and retries: they see each logical request once.

        Layers added later lie further in.
        """
        return self.before(PER_CALL, *layers)

    def per_attempt(self, *layers: AnyMiddleware) -> Pipeline:
        """Add layers inside redirects, retries and auth: they see each request that goes on the wire."""
        return self.before(PER_ATTEMPT, *layers)

    def before(self, target: type[Any] | Slot, *layers: AnyMiddleware) -> Pipeline:
        """Put layers just outside the layer of class `target`.

        Raises:
            LookupError: the pipeline has no such layer.
        """
        at = self._index(target)
        return self._with((*self.layers[:at], *layers, *self.layers[at:]))

    def after(self, target: type[Any] | Slot, *layers: AnyMiddleware) -> Pipeline:
        """Put layers just inside the layer of class `target`; errors as `before`."""
        at = self._index(target) + 1
        return self._with((*self.layers[:at], *layers, *self.layers[at:]))

    def replace(self, target: type[Any], *layers: AnyMiddleware) -> Pipeline:
        """Put layers in the place of the layer of class `target`; errors as `before`."""
        at = self._index(target)
        return self._with((*self.layers[:at], *layers, *self.layers[at + 1 :]))

    def without(self, target: type[Any]) -> Pipeline:
        """Leave out the layer of class `target`; errors as `before`."""
        return self.replace(target)

    def strict(self) -> Pipeline:
        """The same pipeline, reporting each layer that loses a response. See `compose`."""
        strict = self._with(self.layers)
        strict._strict = True
        return strict

    # Asking

    def find(self, target: type[L]) -> L | None:
        """The outermost layer of class `target`, or None."""
        for layer in self.layers:
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
        return hash((tuple(id(layer) for layer in self.layers), self._strict))

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
        edited._strict = self._strict
        return edited

    def _index(self, target: type[Any] | Slot) -> int:
        for index, layer in enumerate(self.layers):
            if layer is target or (isinstance(target, type) and isinstance(layer, target)):
                return index
        names = ", ".join(name_of(layer) for layer in self) or "none"
        wanted = getattr(target, "__name__", repr(target))
        raise LookupError(f"This pipeline has no {wanted}; it has: {names}")


def _line(layer: object) -> str:
    if isinstance(layer, Slot):
        return f"-- {layer.name} --"
    if isinstance(layer, Layer) or type(layer).__repr__ is not object.__repr__:
        shown = repr(layer)
        return name_of(layer) if shown.startswith("<function") else shown
    return name_of(layer)
