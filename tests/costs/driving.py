"""Clients of either colour, driven alike; and requests of every kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Results = dict[str, Any]


class Face:
    """Either colour's client, driven alike."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def client(self, **settings: Any) -> Any:
        import scallion

        return scallion.Client(**settings) if self.sync else scallion.AsyncClient(**settings)

    @property
    def sync(self) -> bool:
        return self.colour == "sync"

    def run(self, body: Callable[[], Awaitable[Results]]) -> Results:
        """Run a coroutine function; what it awaits is of this colour, or ready."""
        if self.colour == "asyncio":
            import asyncio

            return asyncio.run(body())  # type: ignore[arg-type]
        if self.colour == "trio":
            import trio

            return trio.run(body)
        try:
            body().__await__().send(None)  # type: ignore[attr-defined]
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        raise AssertionError("it has suspended")


async def ready(value: Any) -> Any:
    """What a client's method returned, in either colour."""
    return await value if hasattr(value, "__await__") else value


async def close(client: Any) -> None:
    await (client.aclose() if hasattr(client, "aclose") else ready(client.close()))


async def sequence(client: Any, url: str, count: int) -> None:
    # Two loops, lest the measure adds calls of its own.
    if hasattr(client, "aclose"):
        for _ in range(count):
            await client.get(url)
    else:
        for _ in range(count):
            client.get(url)


async def at_once(colour: str, client: Any, url: str, count: int) -> None:
    if colour == "asyncio":
        import asyncio

        await asyncio.gather(*[client.get(url) for _ in range(count)])
        return
    import trio

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(client.get, url)


async def _get(client: Any, url: str) -> None:
    await ready(client.get(url))


async def _post(client: Any, url: str) -> None:
    await ready(client.post(url, json={"a": 1}, headers={"X-A": "b"}, params={"c": "d"}))


async def _follow(client: Any, url: str) -> None:
    await ready(client.get(url + "redirect", follow_redirects=True))


async def _raise(client: Any, url: str) -> None:
    import scallion

    try:
        (await ready(client.get(url + "500"))).raise_for_status()
    except scallion.HTTPStatusError:
        pass
    else:
        raise AssertionError("no error")


async def _fail(client: Any, url: str) -> None:
    import scallion

    try:
        await ready(client.get(url))
    except scallion.TransportError:
        pass
    else:
        raise AssertionError("no error")


async def _drop(client: Any, url: str) -> None:
    await _fail(client, url + "drop")


async def _refused(client: Any, url: str) -> None:
    # Nobody listens at the port of this name.
    await _fail(client, "http://127.0.0.1:1/")


async def _cookie(client: Any, url: str) -> None:
    await ready(client.get(url + "cookie"))


async def _chunked(client: Any, url: str) -> None:
    await ready(client.get(url + "chunked"))


async def _gzip(client: Any, url: str) -> None:
    await ready(client.get(url + "gzip"))


async def _stream(client: Any, url: str) -> None:
    if hasattr(client, "aclose"):
        async with client.stream("GET", url) as response:
            async for _ in response.aiter_bytes():
                pass
    else:
        with client.stream("GET", url) as response:
            for _ in response.iter_bytes():
                pass


KINDS = {
    "get": _get,
    "post": _post,
    "redirect": _follow,
    "status error": _raise,
    "dropped": _drop,
    "refused": _refused,
    "cookie": _cookie,
    "chunked": _chunked,
    "gzip": _gzip,
    "stream": _stream,
}
