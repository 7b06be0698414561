"""A middleware's world without I/O: a clock that only sleeping moves, and answers from a script.

world = World([open_response(503), Response(200)], blocking=False)
send = compose([Retries(attempts=3)], world.transport, world, strict=True)
response = await send(Request("GET", "http://service.example/"))
assert [0.1] == world.slept
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import anyio.lowlevel

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime, Event
from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

__all__ = ["After", "OpenStream", "Step", "VirtualRuntime", "World", "open_response"]

T = TypeVar("T")
Answer: TypeAlias = Response | Exception

# Deadlines that bound what runs here, outermost first.
_deadlines: ContextVar[tuple[float, ...]] = ContextVar("deadlines", default=())


@dataclass(frozen=True)
class After:
    """A step that takes time: the clock moves by `seconds`, then comes `then`."""

    seconds: float
    then: Step


Step: TypeAlias = (
    Answer | After | Callable[[Request], Answer] | Callable[[Request], Awaitable[Answer]]
)


class _Expired(BaseException):
    """A deadline of `bounded` passed while time was passing; no layer may catch it, as with a cancellation."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


class VirtualRuntime:
    """A runtime with a clock of its own. Nothing waits in real time.

    Attributes:
        blocking: Whether it stands for a `Client`'s runtime.
        now: The clock, in seconds. Set it to let time pass between two steps.
        slept: Every sleep that was asked for, in seconds, in order.
        waited: Every timeout that was given to an event's `wait`.
        patient: Whether waiting for an event really waits; needed where threads or many tasks raise them.
            Otherwise a wait with a timeout lets the other tasks run, and then the timeout is over.
    """

    def __init__(
        self, *, blocking: bool = True, now: float = 1000.0, patient: bool = False
    ) -> None:
        self.blocking = blocking
        self.now = now
        self.slept: list[float] = []
        self.waited: list[float | None] = []
        self.patient = patient

    @property
    def key(self) -> Hashable:
        return self._real().key

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.pass_time(seconds)

    def event(self) -> Event:
        return _VirtualEvent(self, self._real().event())

    async def bounded(self, work: Awaitable[T], deadline: float) -> T:
        """As the real ones do it: blocking work goes on to its end, other work ends at the deadline."""
        if self.blocking:
            return await work
        token = _deadlines.set((*_deadlines.get(), deadline))
        try:
            return await work
        except _Expired as expired:
            if expired.deadline != deadline:
                raise
            raise TimeoutError from None
        finally:
            _deadlines.reset(token)

    async def offload(self, work: Callable[[], T], deadline: float | None = None) -> T:  # noqa: ARG002
        return work()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, at most to the nearest deadline, and let other tasks run."""
        end = self.now + max(0.0, seconds)
        nearest = min(_deadlines.get(), default=end)
        if nearest < end:
            self.now = max(self.now, nearest)
            raise _Expired(nearest)
        self.now = end
        if not self.blocking:
            await anyio.lowlevel.checkpoint()

    def _real(self) -> BlockingRuntime | AsyncRuntime:
        return BlockingRuntime() if self.blocking else AsyncRuntime()


class _VirtualEvent:
    def __init__(self, runtime: VirtualRuntime, event: Event) -> None:
        self._runtime = runtime
        self._event = event
        self.set = event.set
        self.is_set = event.is_set

    async def wait(self, timeout: float | None = None) -> bool:
        self._runtime.waited.append(timeout)
        if self._runtime.patient or timeout is None:
            return await self._event.wait(timeout)
        if not self._runtime.blocking:
            # More turns than any chain of tasks in a test is long.
            for _ in range(50):
                if self.is_set():
                    break
                await anyio.lowlevel.checkpoint()
        if not self.is_set():
            await self._runtime.pass_time(timeout)
        return self.is_set()


class World(VirtualRuntime):
    """A virtual runtime, and a transport that plays back a script.

    A step of the script is a response, an exception to raise, a callable that makes either from the
    request (`async` or not), or `After` to let time pass first.

    Attributes:
        asked: The requests that reached the transport, in order.
    """

    def __init__(self, script: Iterable[Step] = (), **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: list[Request] = []
        self._script = iter(script)

    async def transport(self, request: Request) -> Response:
        """What `compose` takes for the transport.

        Raises:
            AssertionError: the script has ended; nobody expected this request.
        """
        self.asked.append(request)
        for step in self._script:
            return await self._perform(step, request)
        raise AssertionError(f"Nobody expected request {len(self.asked)}: {request!r}")

    async def _perform(self, step: Any, request: Request) -> Response:
        if isinstance(step, After):
            await self.pass_time(step.seconds)
            return await self._perform(step.then, request)
        if callable(step):
            step = step(request)
            if inspect.isawaitable(step):
                step = await step
        if isinstance(step, Exception):
            raise step
        if not isinstance(step, Response):
            raise TypeError(f"{step!r} is no step of a script")
        step.request = request
        return step


class OpenStream(SyncByteStream, AsyncByteStream):
    """A body that is not read yet, and that remembers whether it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = iter(chunks)
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self.chunks:
            return chunk
        raise StopAsyncIteration

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def open_response(status_code: int, *chunks: bytes, headers: Any = None) -> Response:
    """A response as a transport returns it: head received, body (`chunks`) still to come."""
    return Response(status_code, headers=headers, stream=OpenStream(*chunks))
