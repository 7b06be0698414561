"""Virtual time: an asyncio event loop that never waits, and the runtime that lets layers run on its clock.

Rules:

- The loop's clock stands still while callbacks run. When none is left it jumps to the next timer.
- Timers ring in the order of their times. Nothing depends on how fast the machine is, so that the same program does the
  same again.
- There is nothing outside: no sockets, no threads. Where no callback and no timer is left, nothing will ever happen
  again, and that is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from scallion.pipeline.runtime import AsyncRuntime

__all__ = ["Deadlock", "VirtualLoop", "VirtualTime", "run"]

T = TypeVar("T")

BEGINNING = 1000.0
"""What the clock shows at first, in seconds: not 0, which a layer could take for "never"."""


class Deadlock(RuntimeError):
    """Every task waits for something that no timer and no other task will bring about."""


class _Jumps:
    """In the place of a selector: where that waits for sockets, this moves the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            waiting = len(asyncio.all_tasks(self._loop))
            raise Deadlock(
                f"Nothing will happen any more, and {waiting} tasks wait: each needs a timer, or another task that wakes it"
            )
        self._loop.now += timeout
        return []

    def close(self) -> None:
        pass


class VirtualLoop(asyncio.BaseEventLoop):
    """Attributes:
    now: The clock, in seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING
        self._selector = _Jumps(self)

    def time(self) -> float:
        return self.now

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        # Who calls from another thread wakes the loop by this. There is no other thread, and it never sleeps.
        pass


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:  # noqa: ARG001  # whatever it is given
        raise RuntimeError(f"There is no {name} in virtual time: nothing real may be waited for")

    return refuse


for _name in (
    "add_reader",
    "add_writer",
    "connect_read_pipe",
    "connect_write_pipe",
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "getaddrinfo",
    "getnameinfo",
    "run_in_executor",
    "sock_accept",
    "sock_connect",
    "sock_recv",
    "sock_recv_into",
    "sock_sendall",
    "subprocess_exec",
    "subprocess_shell",
):
    setattr(VirtualLoop, _name, _refusing(_name))


class VirtualTime(AsyncRuntime):
    """What layers know of the world: the runtime of `AsyncClient`, but for all that asks the real clock.

    Each simulated process has one of its own, and with it an alarm of its own, as real ones do.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        # The loop's is the one that all its timers are set by.
        self.clock = loop.time

    async def sleep(self, seconds: float) -> None:
        # anyio's asks the loop likewise, at several times the price.
        await asyncio.sleep(seconds)


def run(program: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `program` from the beginning of time until it returns.

    Raises:
        Deadlock: it waits for what cannot come.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop: Any = runner.get_loop()
        return runner.run(program(loop))
