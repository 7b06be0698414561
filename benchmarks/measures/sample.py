"""What a measurement is given and what it gives."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from machine import cpu_seconds

__all__ = ["Budget", "Sample", "Watch"]


@dataclass(frozen=True)
class Budget:
    """How long to measure: about so many seconds on the wall, and at least so many operations.

    Attributes:
        seconds: The time, warming up not included.
        least: The operations. Where few will do, as they are long, the first one is enough to warm up.
    """

    seconds: float = 0.3
    least: int = 20

    @property
    def warming(self) -> float:
        """Seconds to warm up, after the first operation."""
        return self.seconds / 4 if self.least > 2 else 0.0

    def operations(self, tried: int, took: float) -> int:
        """How many fill the time, when `tried` of them took `took` seconds."""
        return max(self.least, int(tried * self.seconds / max(took, 1e-9)))


@dataclass
class Sample:
    """What so many operations cost.

    Attributes:
        operations: How many were measured.
        cpu: CPU seconds of them all; 0 where something else is counted.
        wall: Seconds on the wall.
        value: What was counted, per operation, instead of CPU time.
        extra: Further figures by name.
    """

    operations: int
    cpu: float = 0.0
    wall: float = 0.0
    value: float | None = None
    extra: dict[str, float] = field(default_factory=dict)


class Watch:
    """CPU time and time on the wall, from its making until `sample`."""

    def __init__(self) -> None:
        self.cpu = cpu_seconds()
        self.wall = time.perf_counter()

    def sample(self, operations: int, **extra: float) -> Sample:
        cpu = cpu_seconds() - self.cpu
        wall = time.perf_counter() - self.wall
        return Sample(operations, cpu, wall, extra=extra)
