"""A bulkhead: what one origin may take of this program is bounded, so that its trouble does not sink the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scallion.pipeline.layer import Bound
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .gate import Gate, GateStats, hold, wait_in_line
from .gated import Gated, GateOption
from .per_origin import OriginKey, PerOrigin
from .validation import check_count, check_number

__all__ = ["Bulkhead", "BulkheadOption", "GateStats"]

_OPTION = "scallion.Bulkhead"


@dataclass(frozen=True, slots=True)
class BulkheadOption(GateOption):
    """What one request asks of `Bulkhead`; see `Bulkhead.option_for`."""

    layer = "Bulkhead"


@dataclass(frozen=True, repr=False)
class Bulkhead(Gated):
    """Let so many requests be under way to an origin, so many more wait for a place, and refuse the rest at once.

    A request is under way until its response's body has ended or was closed. Those who wait are served in the order
    in which they came; a place that comes free is handed to the first of them. One that gives up is out of the line.
    In a `Client` threads wait, elsewhere tasks.

    Who streams a response and asks the same origin for another holds two places: with a limit of 1 he waits for himself.

    Observers are told, with `origin`, a string: `bulkhead.queued` with `active`, `limit`, `waiting` and `queue`;
    `bulkhead.admitted` with `waited`, the seconds in line; `bulkhead.refused` with all of these.

    Attributes:
        limit: Requests under way to one origin at a time, at least 1.
        queue: Requests that wait for one of these places; 0 to refuse at once.
        patience: Seconds that one waits at most, 0 to refuse at once. The request's deadline bounds it too.

    Request extension `"scallion.Bulkhead"`: a `BulkheadOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range.
        BulkheadFull: from a call. Nothing was sent; the message has the numbers.
        TotalTimeout: from a call, as its deadline passed in line.

    Order: outside retries, so that a call keeps its place over its attempts, and a refused call costs nothing; what
    is refused is then the caller's to see, at once. Inside retries an attempt would give its place back before its
    wait, and stand in line anew with all others: more calls would be begun, and each would take longer.
    """

    option = _OPTION
    _option_class = BulkheadOption

    limit: int = 100
    queue: int = 100
    patience: float = 2.0
    _gates: PerOrigin[Gate] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        check_count("Bulkhead limit", self.limit, 1)
        check_count("Bulkhead queue", self.queue, 0)
        check_number("Bulkhead patience", self.patience, 0)
        gates = PerOrigin(
            lambda origin: Gate(self.limit, self.queue),  # noqa: ARG005
            in_use=lambda gate: gate.active > 0,
        )
        object.__setattr__(self, "_gates", gates)

    @staticmethod
    def option_for(*, patience: float | None = None, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            patience: In the place of the layer's.
            enabled: False to send it at once, and not to count it: a health check, say.

        Raises:
            ValueError: `patience` is negative.
        """
        return {_OPTION: BulkheadOption(patience, enabled)}

    async def _send(
        self, request: Request, send: Bound, runtime: Runtime, patience: float
    ) -> Response:
        gate = self._gates.of(request)
        if not gate.enter():
            await wait_in_line(gate, request, runtime, patience, "bulkhead")
        try:
            response = await send(request)
        except BaseException:
            gate.release()
            raise
        hold(response, gate, blocking=runtime.blocking)
        return response

    def _known_gates(self) -> Mapping[OriginKey, Gate]:
        return self._gates.known()

    def _new_gate(self) -> Gate:
        return Gate(self.limit, self.queue)

    def __repr__(self) -> str:
        return f"Bulkhead(limit={self.limit}, queue={self.queue}, patience={self.patience})"
