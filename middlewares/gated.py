"""What the layers with a gate have in common, `Bulkhead` and `AdaptiveConcurrency`: what a request may say, and stats."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.urls import URL

from .gate import Gate, GateStats
from .per_origin import OriginKey, origin_name
from .remade import remade
from .validation import check_number

__all__ = ["GateOption", "Gated"]


@dataclass(frozen=True, slots=True)
class GateOption:
    """What one request asks of such a layer; see its `option_for`.

    Attributes:
        layer: The layer's name.
    """

    layer: ClassVar[str]

    patience: float | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        if self.patience is not None:
            check_number(f"{self.layer} patience", self.patience, 0)


class Gated(Layer):
    """A layer that lets so many requests to an origin be under way, by a `Gate` for each.

    It has the settings `queue` and `patience`.
    """

    option: ClassVar[str]
    _option_class: ClassVar[type[GateOption]]

    def bind(self, send: Bound, call_next: Next) -> Bound:
        runtime, key, option_class = call_next.runtime, self.option, self._option_class
        usual: float = vars(self)["patience"]

        def through(request: Request) -> Awaitable[Response]:
            patience = usual
            option = request.extensions.get(key)
            if option is not None:
                if not isinstance(option, option_class):
                    name = option_class.layer
                    raise TypeError(f"Expected {name}.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
                if option.patience is not None:
                    patience = option.patience
            return self._send(request, send, runtime, patience)

        return through

    async def _send(
        self, request: Request, send: Bound, runtime: Runtime, patience: float
    ) -> Response:
        raise NotImplementedError

    def _known_gates(self) -> Mapping[OriginKey, Gate]:
        raise NotImplementedError

    def _new_gate(self) -> Gate:
        """That of an origin that nobody has asked."""
        raise NotImplementedError

    def stats(self, url: URL | str) -> GateStats:
        """How many requests to the URL's origin are under way, how many may be, and how many wait."""
        gate = self._known_gates().get(URL(url).origin_key)
        return (self._new_gate() if gate is None else gate).stats()

    def known(self) -> dict[str, GateStats]:
        """The same for all origins that were asked, by their names."""
        return {origin_name(origin): gate.stats() for origin, gate in self._known_gates().items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)
