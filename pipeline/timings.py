"""What `response.timings` gives: how long each phase of one exchange took.

Whoever notes the moments does no more than that; the arithmetic is done here, when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

__all__ = ["Timings", "timings_of"]


@dataclass(frozen=True, slots=True, repr=False)
class Timings:
    """Seconds, phase by phase, in the order in which they happen; None for what did not happen, or has not yet.

    Attributes:
        queue: Waiting until the pool had a connection to give, or room for a new one; 0.0 if there was no need.
        dns: Resolving the name of the server, or of the proxy. None on a connection that was there already.
        connect: Until one of the name's addresses had answered, the slower ones aside, further tries and their
            pauses included; and until a proxy had made a tunnel. None on a connection that was there already.
        tls: The handshakes: the server's, and that of a proxy spoken to over TLS. None without them, and on a
            connection that was there already.
        sent: Writing the request, its body included, as far as the server let it be sent before it answered.
        first_byte: From then until the response's head was here: mostly what the server needed.
        body: From then until the body had arrived, or was closed early.
        total: From the client's transport being asked to the end of `body`: what `elapsed` says, and more than the sum
            of the above if a connection turned out to be stale and the request was sent again.
    """

    queue: float | None = None
    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    sent: float | None = None
    first_byte: float | None = None
    body: float | None = None
    total: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """By their names, in their order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        told = [
            f"{name.replace('_', ' ')} {seconds * 1000:.1f} ms"
            for name, seconds in self.as_dict().items()
            if seconds is not None
        ]
        return ", ".join(told) or "nothing measured"

    def __repr__(self) -> str:
        return f"<Timings {self}>"


class Opening(Protocol):
    """How long the parts of making a connection took, in seconds; None for what there was not."""

    @property
    def dns(self) -> float | None: ...
    @property
    def connect(self) -> float | None: ...
    @property
    def tls(self) -> float | None: ...


def timings_of(steps: Any, started: float | None, total: float | None) -> Timings:
    """The phases of one exchange.

    Args:
        steps: The moments that the transport noted, as `scallion.transports.connection_info.Steps` has them; None if
            it notes none.
        started: When the transport was asked, on the same clock.
        total: Seconds from then to the end of the body; None before that end.
    """
    if steps is None:
        return Timings(total=total)
    began: float | None = getattr(steps, "began", None)
    sent: float | None = getattr(steps, "sent", None)
    answered: float | None = getattr(steps, "answered", None)
    opening: Opening | None = getattr(steps, "opening", None)
    return Timings(
        queue=getattr(steps, "queued", 0.0),
        dns=None if opening is None else opening.dns,
        connect=None if opening is None else opening.connect,
        tls=None if opening is None else opening.tls,
        sent=_between(began, sent),
        first_byte=_between(sent, answered),
        body=None if started is None or total is None else _between(answered, started + total),
        total=total,
    )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)
