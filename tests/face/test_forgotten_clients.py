"""Clients that nobody has any more: SDKs close theirs in `__del__`, and count on its being called at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from weakref import ref

import pytest

import scallion
from scallion.pipeline.onion import Next, SyncNext


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """What is gone now did not wait for the garbage collector."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("kind", [scallion.Client, scallion.AsyncClient])
def test_a_forgotten_client_is_gone_at_once(kind: type) -> None:
    """
    It stands in no circle of references, so its connections are closed when the last reference to it is dropped.
    """
    client = kind(
        mounts={"http://a.example": scallion.MockTransport(lambda _: scallion.Response(200))}
    )
    seen = [ref(client), ref(client._transport)]

    del client

    assert [None, None] == [one() for one in seen]


def test_a_client_that_has_sent_is_gone_as_well() -> None:
    """
    A request and its response do not hold the client that sent them.
    """
    client = scallion.Client(transport=scallion.MockTransport(lambda _: scallion.Response(200)))
    response = client.get("http://a.example/")
    seen = ref(client)

    del client

    assert seen() is None
    assert 200 == response.status_code


def test_an_unnamed_client_lives_while_it_sends() -> None:
    """
    `Client().get(...)` needs no variable.
    """
    mock = scallion.MockTransport(lambda _: scallion.Response(200, content=b"x"))

    assert b"x" == scallion.Client(transport=mock).get("http://a.example/").content
    with scallion.Client(transport=mock).stream("GET", "http://a.example/") as response:
        assert b"x" == response.read()


def test_a_layer_that_outlives_the_client_is_told() -> None:
    """
    Sending on behalf of a client that is gone is an error that says so, in both colours.
    """
    kept: list[SyncNext] = []

    def keep(request: scallion.Request, call_next: SyncNext) -> scallion.Response:
        kept.append(call_next)
        return call_next(request)

    mock = scallion.MockTransport(lambda _: scallion.Response(200))
    scallion.Client(transport=mock, middlewares=[keep]).get("http://a.example/")

    with pytest.raises(RuntimeError, match="client of this request is gone"):
        kept[0](scallion.Request("GET", "http://a.example/"))

    later: list[Next] = []

    async def keep_next(request: scallion.Request, call_next: Next) -> scallion.Response:
        later.append(call_next)
        return await call_next(request)

    async def main() -> None:
        client = scallion.AsyncClient(transport=mock, middlewares=[keep_next])
        await client.get("http://a.example/")
        del client
        with pytest.raises(RuntimeError, match="client of this request is gone"):
            await later[0](scallion.Request("GET", "http://a.example/"))

    asyncio.run(main())
