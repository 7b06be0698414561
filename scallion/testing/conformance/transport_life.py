"""Rules on a transport's life: reuse, cancellation, closing, several event loops."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import anyio
import anyio.lowlevel

from scallion.pipeline.errors import RequestError
from scallion.pipeline.request import Request

from .bench import Bench
from .cancelling import cancelled_everywhere
from .colours import aclosing_all, tasks
from .protocol import pattern
from .rules import Rules, holds, same

__all__ = ["rules"]

rules = Rules()

ASYNC = ("asyncio", "trio")


@rules("RFC 9112 section 9.3, RFC 9113 section 9.1", needs=["reuse"])
async def connections_are_reused(bench: Bench) -> None:
    """Requests one after the other share a connection, whatever the answer was, if its body was read."""
    for path in ("/told", "/size/70000", "/chunks/70000", "/status/204", "/status/500", "/size/0"):
        await bench.fetch(path=path)
    await bench.fetch("HEAD", "/size/10")
    await bench.fetch("POST", content=bench.iterator(b"one", b"two"))
    same(1, bench.reference.accepted, "connections for requests one after the other")


@rules("scallion: cancellation passes, at every suspension", colours=ASYNC)
async def cancelled_requests_leave_nothing(bench: Bench) -> None:
    """A request cancelled at any point where it waits ends there; nothing stays held, and the transport serves."""
    await bench.serves("the first request")

    async def exchange() -> None:
        response = await bench.open("POST", "/echo", content=b"body")
        await bench.read(response)

    async def check(number: int, returned: bool) -> None:
        holds(
            not returned, f"it went on to its end, although it was cancelled at suspension {number}"
        )
        await bench.serves(f"a request that was cancelled at suspension {number}")

    await cancelled_everywhere(bench.colour, exchange, check)


@rules("scallion: cancellation passes, at every suspension", colours=ASYNC)
async def cancelled_first_requests_leave_nothing(bench: Bench) -> None:
    """The same for a transport's first request, which may have to connect."""

    async def first() -> None:
        transport = bench.another()
        try:
            response = await bench.send(bench.request("POST", content=b"body"), transport)
            await bench.read(response)
        finally:
            with anyio.CancelScope(shield=True):
                await bench.close_transport(transport)

    async def check(number: int, returned: bool) -> None:
        holds(
            not returned, f"it went on to its end, although it was cancelled at suspension {number}"
        )
        await anyio.lowlevel.checkpoint()

    await cancelled_everywhere(bench.colour, first, check)
    await bench.close_transport()
    await bench.eventually(
        lambda: bench.reference.connections == 0,
        "requests that were cancelled while connecting left connections open",
    )


@rules("scallion: cancellation passes, at every suspension", colours=ASYNC, needs=["upload"])
async def cancelled_uploads_leave_nothing(bench: Bench) -> None:
    """A request cancelled while its body is being sent leaves nothing held."""

    async def upload() -> None:
        pause = anyio.lowlevel.checkpoint
        content = bench.iterator(b"one", pause, pattern(200_000), pause, b"three")
        await bench.read(await bench.open("POST", content=content))

    async def check(number: int, returned: bool) -> None:
        holds(
            not returned, f"it went on to its end, although it was cancelled at suspension {number}"
        )
        await bench.serves(f"an upload that was cancelled at suspension {number}")

    await cancelled_everywhere(bench.colour, upload, check)


@rules("scallion: cancellation passes, at every suspension", colours=ASYNC, needs=["streaming"])
async def cancelled_readers_can_close(bench: Bench) -> None:
    """A reader that is cancelled in the midst of a body can close the response, and the transport serves."""
    gate = bench.reference.gate()
    response = await bench.open(path="/steps", gate=gate)
    pieces = bench.pieces(response)
    await anext(pieces)
    with anyio.move_on_after(0.02) as scope:
        await anext(pieces)
    holds(scope.cancelled_caught, "a reader that waits for the server could not be cancelled")
    with anyio.CancelScope(shield=True):
        await bench.close(response)
    gate.open()
    await bench.serves("a reader that was cancelled")


@rules("scallion: BaseTransport.close()")
async def closing_twice_is_harmless(bench: Bench) -> None:
    """`close()` may be called twice, and before any request."""
    for requests in (0, 1):
        transport = bench.another()
        for _ in range(requests):
            await bench.read(await bench.send(bench.request(), transport))
        await bench.close_transport(transport)
        await bench.close_transport(transport)


@rules("scallion: BaseTransport is a context manager")
async def with_closes(bench: Bench) -> None:
    """`with`, or `async with`, gives the transport itself and closes it at the end."""
    transport = bench.another()
    if bench.blocking:
        with transport as entered:
            await bench.read(await bench.send(bench.request(), entered))
    else:
        async with transport as entered:
            await bench.read(await bench.send(bench.request(), entered))
    holds(entered is transport, "`with` gives something else than the transport")
    await bench.close_transport()
    await bench.eventually(
        lambda: bench.reference.connections == 0, "connections are open after the `with` has ended"
    )


@rules("scallion: BaseTransport.close()")
async def closing_releases_everything(bench: Bench) -> None:
    """After `close()` no connection is open, and no task or thread of the transport lives."""
    before = await tasks(bench.colour)
    transport = bench.another()
    for path in ("/told", "/size/100000", "/status/204"):
        await bench.read(await bench.send(bench.request("GET", path), transport))
    await bench.close_transport(transport)
    await bench.close_transport()
    await bench.eventually(
        lambda: bench.reference.connections == 0, "connections are open after close()"
    )
    if not bench.blocking:
        same(before, await tasks(bench.colour), "tasks that live after close()")


@rules("scallion: BaseTransport.close(); a closed transport is an error or opens anew")
async def use_after_close_is_defined(bench: Bench) -> None:
    """A request on a closed transport is served, or raises RuntimeError or an error of scallion's; it does not hang."""
    transport = bench.another()
    await bench.read(await bench.send(bench.request(), transport))
    await bench.close_transport(transport)
    try:
        await bench.read(await bench.send(bench.request(), transport))
    except (RuntimeError, RequestError):
        pass
    except Exception as error:
        raise AssertionError(f"a request on a closed transport raised {error!r}") from error


@rules("scallion: Response.close() after the transport's")
async def responses_survive_closing_safely(bench: Bench) -> None:
    """A response that is open when its transport is closed can be closed, or fails with an error of scallion's."""
    transport = bench.another()
    response = await bench.send(bench.request("GET", "/size/1000000"), transport)

    async def finish() -> None:
        try:
            await bench.read(response)
        except (RuntimeError, RequestError):
            pass

    await aclosing_all(
        [lambda: bench.close_transport(transport), finish, lambda: bench.close(response)]
    )


@rules(
    "scallion: an AsyncBaseTransport may be used from one event loop after the other", colours=ASYNC
)
async def another_loop_is_served(bench: Bench) -> None:
    """A transport that has served in one event loop serves in another, in another thread."""
    await bench.read(await bench.open())

    async def elsewhere() -> None:
        await bench.read(await bench.open())
        await bench.close_transport()

    await anyio.to_thread.run_sync(lambda: anyio.run(elsewhere, backend=bench.colour))
    await bench.read(await bench.open())


@rules("scallion: what is forgotten is cleaned up", needs=["network"])
async def forgotten_responses_are_no_leak(bench: Bench) -> None:
    """A response that nobody reads, closes or keeps does not hold its connection for ever."""
    if not hasattr(getattr(bench.transport, "pool", None), "active"):
        return
    with warnings.catch_warnings():
        # Whether it is told is the transport's business.
        warnings.simplefilter("ignore", ResourceWarning)
        response: Any = await bench.open(path="/size/1000000")
        del response
        gc.collect()
        await bench.serves("a response that was forgotten")


@rules("scallion: the wrong colour of a request's body is refused")
async def wrong_body_colour_is_refused(bench: Bench) -> None:
    """A body of the other colour is a RuntimeError or TypeError before anything is sent, and harms nothing."""

    class Other:
        def __aiter__(self) -> Other:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

    content: Any = Other() if bench.blocking else iter([b"x"])
    request = Request("POST", f"{bench.base}/told", content=content)
    request.extensions = bench.request().extensions
    try:
        await bench.read(await bench.send(request))
    except (RuntimeError, TypeError):
        pass
    else:
        raise AssertionError("a body of the other colour was taken without a word")
    await bench.serves("a body of the other colour")
