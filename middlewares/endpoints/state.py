"""What a service's endpoints look like at one moment. `print(endpoints.state("orders"))` makes a table of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EndpointState", "ServiceState"]

_HEADINGS = ("endpoint", "weight", "state", "pending", "latency", "sent", "failed")


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One endpoint.

    Attributes:
        endpoint: Which one.
        weight: As its source says.
        warm: How far its slow start has come; 1 if there is none.
        returns_in: Seconds until its ejection ends; None if it is in use.
        pending: Attempts under way, bodies included.
        latency: The average of the seconds until a response's head, as `PowerOfTwo` sees it.
        sent: Attempts in all.
        failed: Failed ones in all.
        failures: Failed ones in a row, up to now.
        ejections: That count for the length of the next one.
        priority: As its source says; 0 is the best.
        paused_for: Seconds for which it asked to be left alone; None if it did not.
        penalty: By what its failures of late make it look dearer than it is, to `PowerOfTwo` and `LeastPending`.
    """

    endpoint: str
    weight: float
    warm: float
    returns_in: float | None
    pending: int
    latency: float
    sent: int
    failed: int
    failures: int
    ejections: int
    priority: int = 0
    paused_for: float | None = None
    penalty: float = 1.0

    @property
    def condition(self) -> str:
        """In words: "in use", "warming up: 40 %", "paused for 0.8 s", "ejected for 12.5 s"."""
        if self.returns_in is not None:
            return f"ejected for {self.returns_in:.1f} s"
        if self.paused_for is not None:
            return f"paused for {self.paused_for:.1f} s"
        return "in use" if self.warm >= 1 else f"warming up: {self.warm:.0%}".replace("%", " %")

    def _cells(self) -> tuple[str, ...]:
        latency = f"{self.latency * 1000:.1f} ms"
        weight, counts = f"{self.weight:g}", (str(self.sent), str(self.failed))
        return (self.endpoint, weight, self.condition, str(self.pending), latency, *counts)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service's endpoints. `repr` is one line, `str` a table.

    Attributes:
        service: Its name.
        endpoints: As its source lists them.
        error: Why the source could not be asked, the last time; None if it could.
    """

    service: str
    endpoints: tuple[EndpointState, ...]
    error: str | None = None

    def __repr__(self) -> str:
        out = sum(each.returns_in is not None for each in self.endpoints)
        paused = sum(each.paused_for is not None for each in self.endpoints)
        pending = sum(each.pending for each in self.endpoints)
        failed = "" if self.error is None else f", {self.error}"
        out_of_use = f"{out} ejected, {paused} paused" if paused else f"{out} ejected"
        many = len(self.endpoints)
        return f"<Service {self.service} {many} endpoints, {out_of_use}, {pending} pending{failed}>"

    def __str__(self) -> str:
        rows = [_HEADINGS, *(each._cells() for each in self.endpoints)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([repr(self), *lines])
