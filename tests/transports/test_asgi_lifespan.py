"""The lifespan of an ASGI app in process: its startup and shutdown around the requests, and what may go wrong."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import scallion
from scallion.pipeline.errors import TotalTimeout
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import AsyncRuntime
from scallion.transports.asgi import ASGITransport
from support.asgi_apps import URL, Receive, Send, answers, ask, body, start
from support.colours import Drive


@pytest.fixture(params=["asyncio", "trio"])
def go(request: pytest.FixtureRequest) -> Drive:
    """Runs a coroutine function in one of the loops."""
    return Drive(request.param)


class Service:
    """An app with a lifespan, and a log of its life."""

    def __init__(self, *, fails: str | None = None) -> None:
        self.log: list[str] = []
        self._fails = fails

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if "http" == scope["type"]:
            self.log.append(f"{scope['path']} {scope.get('state')}")
            if "state" in scope:
                scope["state"]["own"] = True
            await answers(start(), body(b"ok"))(scope, receive, send)
            return
        assert "lifespan" == scope["type"]
        assert {"version": "3.0"} == scope["asgi"]
        for phase in ("startup", "shutdown"):
            assert f"lifespan.{phase}" == (await receive())["type"]
            self.log.append(phase)
            await anyio.lowlevel.checkpoint()
            if phase == self._fails:
                await send({"type": f"lifespan.{phase}.failed", "message": "no database"})
                raise KeyError(phase)
            scope["state"]["database"] = "up"
            await send({"type": f"lifespan.{phase}.complete"})


def test_a_lifespan_embraces_the_requests(go: Drive) -> None:
    """
    Once, however many requests come first at the same time; each has a copy of the state.
    """

    async def scenario() -> None:
        service = Service()
        transport = ASGITransport(service, lifespan=True)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask, transport)
        state = "/ {'database': 'up'}"
        assert ["startup", state, state, state] == service.log
        await transport.aclose()
        assert ["startup", state, state, state, "shutdown"] == service.log
        await transport.aclose()

    go(scenario)


def test_entering_the_transport_starts_the_app(go: Drive) -> None:
    """
    And it may be entered again.
    """

    async def scenario() -> None:
        service = Service()
        transport = ASGITransport(service, lifespan=True)
        for _ in range(2):
            async with scallion.AsyncClient(transport=transport):
                assert "startup" == service.log[-1]
            assert "shutdown" == service.log[-1]

    go(scenario)


def test_without_being_asked_there_is_no_lifespan(go: Drive) -> None:
    async def scenario() -> None:
        service = Service()
        async with ASGITransport(service) as transport:
            await ask(transport)
        assert ["/ None"] == service.log

    go(scenario)


@pytest.mark.parametrize("raises", [True, False])
def test_apps_without_a_lifespan(go: Drive, raises: bool) -> None:
    """
    Those that raise at its scope, and those that return, get their requests, without a state.
    """

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        if "http" != scope["type"]:
            if raises:
                raise NotImplementedError(scope["type"])
            return
        assert "state" not in scope
        await answers(start(), body(b"ok"))(scope, receive, send)

    async def scenario() -> None:
        async with ASGITransport(app, lifespan=True) as transport:
            assert "ok" == (await ask(transport)).text

    go(scenario)


def test_a_startup_that_fails(go: Drive) -> None:
    """
    Every request says so, with the app's own reason, and so does entering.
    """

    async def scenario() -> None:
        service = Service(fails="startup")
        transport = ASGITransport(service, lifespan=True)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="startup failed: no database") as info:
                await ask(transport)
            assert isinstance(info.value.__cause__, KeyError)
        await transport.aclose()
        with pytest.raises(RuntimeError, match="startup failed"):
            async with transport:
                pass
        assert ["startup", "startup"] == service.log
        await transport.aclose()

    go(scenario)


def test_a_startup_that_is_interrupted(go: Drive) -> None:
    """
    What is no Exception says nothing about the app, and is not swallowed. Unknown messages are.
    """

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.unheard-of"})
        raise KeyboardInterrupt

    async def scenario() -> None:
        with pytest.raises(KeyboardInterrupt):
            await ask(ASGITransport(app, lifespan=True))

    go(scenario)


def test_a_shutdown_that_fails(go: Drive) -> None:
    async def scenario() -> None:
        transport = ASGITransport(Service(fails="shutdown"), lifespan=True)
        await ask(transport)
        with pytest.raises(RuntimeError, match="shutdown failed: no database") as info:
            await transport.aclose()
        assert isinstance(info.value.__cause__, KeyError)
        await transport.aclose()

    go(scenario)


def test_what_a_lifespan_raises_is_not_lost(go: Drive) -> None:
    """
    An app that breaks down after its startup goes on answering; closing raises it.
    """

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        if "http" == scope["type"]:
            await answers(start(), body(b"ok"))(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise KeyError("later")

    async def scenario() -> None:
        transport = ASGITransport(app, lifespan=True)
        assert "ok" == (await ask(transport)).text
        with pytest.raises(KeyError, match="later"):
            await transport.aclose()

    go(scenario)


def test_a_startup_may_take_no_longer_than_the_call(go: Drive) -> None:
    """
    The startup goes on for those who have more time.
    """

    async def scenario() -> None:
        go_on = anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            if "http" == scope["type"]:
                await answers(start(), body(b"ok"))(scope, receive, send)
                return
            await receive()
            await go_on.wait()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        transport = ASGITransport(app, lifespan=True)
        request = Request("GET", URL)
        request.deadline = AsyncRuntime().clock() + 0.01
        with pytest.raises(TotalTimeout, match="the app's startup"):
            await ask(transport, request)
        go_on.set()
        assert "ok" == (await ask(transport)).text
        await transport.aclose()

    go(scenario)


def test_each_event_loop_has_a_lifespan() -> None:
    """
    A loop's end ends the app there; the next begins anew.
    """
    service = Service()
    transport = ASGITransport(service, lifespan=True)
    for backend in ("asyncio", "trio", "asyncio"):
        assert "ok" == anyio.run(ask, transport, backend=backend).text
        assert ["startup", "/ {'database': 'up'}"] == service.log
        service.log.clear()
