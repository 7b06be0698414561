"""BearerAuth: one fetch for all who need a token, renewal before expiry, one retry after a refusal."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from scallion.middlewares.auth import Authentication
from scallion.middlewares.bearer import _FETCHING, BearerAuth, Token
from scallion.pipeline.bodies import IteratorByteStream
from scallion.pipeline.errors import ConnectError, TotalTimeout
from scallion.pipeline.onion import Send, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from support.colours import Drive
from support.worlds import OpenStream, World, open_response, play

URL = "http://example.org/"


class Issuer:
    """A provider that hands out t1, t2, ... and counts its calls."""

    def __init__(self, *lifetimes: float | None) -> None:
        self.lifetimes = lifetimes
        self.calls = 0

    def __call__(self) -> Token:
        self.calls += 1
        lifetime = self.lifetimes[self.calls - 1] if self.lifetimes else None
        return Token(f"t{self.calls}", lifetime)


class Script:
    """A provider that plays back values and errors."""

    def __init__(self, *steps: Any) -> None:
        self.steps = iter(steps)

    def __call__(self) -> Any:
        step = next(self.steps)
        if isinstance(step, Exception):
            raise step
        return step


def sent(world: World) -> list[str]:
    return [request.headers["authorization"] for request in world.asked]


def send(auth: BearerAuth, world: World, drive: Drive, request: Request | None = None) -> Response:
    return play([Authentication(auth)], request or Request("GET", URL), world, drive)


def forever(world: World, auth: BearerAuth) -> Send:
    """The onion around a transport that always says 200."""

    async def ok(request: Request) -> Response:
        world.asked.append(request)
        return Response(200, request=request)

    return compose([Authentication(auth)], ok, world)


def test_a_given_token_is_sent(drive: Drive) -> None:
    """
    A token that nobody can renew is sent once; its refusal is the answer.
    """
    world = World([Response(401)])

    assert 401 == send(BearerAuth("abc"), world, drive).status_code
    assert ["Bearer abc"] == sent(world)


@pytest.mark.parametrize("provided", ["abc", ("abc", 60), ("abc", None), Token("abc", 60.0)])
def test_what_a_provider_may_return(drive: Drive, provided: Any) -> None:
    """
    A str, a pair with a lifetime, or a Token.
    """
    world = World([Response(200)])

    send(BearerAuth(Script(provided)), world, drive)

    assert ["Bearer abc"] == sent(world)


def test_a_token_that_lasts_is_fetched_once(drive: Drive) -> None:
    """
    Without a lifetime nothing but a refusal ends it.
    """
    issuer = Issuer()
    auth, world = BearerAuth(issuer), World([Response(200)] * 3)

    for _ in range(3):
        send(auth, world, drive)
        world.now += 1e6

    assert 1 == issuer.calls


def test_a_token_is_renewed_before_it_expires(drive: Drive) -> None:
    """
    From refresh_skew seconds before its end on, the next request brings a new one.
    """
    auth, world = BearerAuth(Issuer(100, 100), refresh_skew=30), World([Response(200)] * 3)

    for elapsed in (0, 69, 1):
        world.now += elapsed
        send(auth, world, drive)

    assert ["Bearer t1", "Bearer t1", "Bearer t2"] == sent(world)


def test_a_token_shorter_than_the_skew_serves_half_its_time(drive: Drive) -> None:
    """
    Otherwise each request would fetch one.
    """
    auth, world = BearerAuth(Issuer(10, 10), refresh_skew=30), World([Response(200)] * 3)

    for elapsed in (0, 4, 1):
        world.now += elapsed
        send(auth, world, drive)

    assert ["Bearer t1", "Bearer t1", "Bearer t2"] == sent(world)


@pytest.mark.parametrize("lifetime", [0, -5])
def test_a_token_born_expired_is_used_once(drive: Drive, lifetime: float) -> None:
    """
    Whoever fetched it tries it; the next request fetches anew.
    """
    auth, world = BearerAuth(Issuer(lifetime, lifetime)), World([Response(200)] * 2)

    send(auth, world, drive)
    send(auth, world, drive)

    assert ["Bearer t1", "Bearer t2"] == sent(world)


@pytest.mark.parametrize("drive", [Drive("asyncio"), Drive("trio")])
def test_an_async_provider_is_awaited(drive: Drive) -> None:
    """
    An AsyncClient takes both kinds of providers.
    """

    async def provider() -> str:
        await anyio.lowlevel.checkpoint()
        return "abc"

    world = World([Response(200)])

    send(BearerAuth(provider), world, drive)

    assert ["Bearer abc"] == sent(world)


def test_an_async_provider_in_a_client_is_named() -> None:
    """
    The error says which provider and what to do; no coroutine is left unawaited.
    """

    async def fetch_it() -> str:
        return "abc"

    with pytest.raises(TypeError, match=r"provider \S*fetch_it is async, and this client is not"):
        send(BearerAuth(fetch_it), World(), Drive("sync"))


def test_a_refused_token_is_replaced_once(drive: Drive) -> None:
    """
    A 401 is read and closed, the request goes out with a fresh token, and a second 401 is the answer.
    """
    first, second = open_response(401, b"expired"), open_response(401)
    world = World([first, second])

    response = send(BearerAuth(Issuer()), world, drive)

    assert second is response
    assert [first] == response.history
    assert (b"expired", True) == (first.content, first.is_closed)
    assert "Bearer t2" == world.asked[1].headers["authorization"]


def test_a_token_that_was_replaced_meanwhile_is_not_fetched_again(drive: Drive) -> None:
    """
    If another request has fetched a newer token by the time of the 401, that one is used.
    """
    issuer = Issuer()
    auth = BearerAuth(issuer)
    other = World([Response(401), Response(200)])

    async def meanwhile(request: Request) -> Response:
        other.blocking = drive.blocking
        await compose([Authentication(auth)], other.transport, other)(Request("GET", URL))
        return Response(401)

    world = World([meanwhile, Response(200)])

    assert 200 == send(auth, world, drive).status_code
    assert 2 == issuer.calls
    assert "Bearer t2" == world.asked[-1].headers["authorization"]


def test_the_same_token_again_is_not_tried_again(drive: Drive) -> None:
    """
    A provider with a cache of its own may have nothing newer; the 401 then stands.
    """
    refused = Response(401)

    assert refused is send(BearerAuth(lambda: "same"), World([refused]), drive)


def test_a_body_that_cannot_be_sent_again_leaves_the_refusal_as_answer(drive: Drive) -> None:
    """
    The open 401 is returned, and observers learn why.
    """
    seen: list[str] = []
    request = Request("POST", URL, stream=IteratorByteStream(iter([b"once"])))
    request.observers = (lambda event, fields: seen.append(event),)
    refused = open_response(401)

    assert refused is send(BearerAuth(Issuer()), World([refused]), drive, request)
    assert not refused.is_closed
    assert ["auth.not_replayable"] == seen


def test_a_providers_error_reaches_the_caller(drive: Drive) -> None:
    """
    Without any token there is nothing to send; the next request asks again.
    """
    auth, world = BearerAuth(Script(LookupError("no login"), "abc")), World([Response(200)])

    with pytest.raises(LookupError, match="no login"):
        send(auth, world, drive)
    send(auth, world, drive)

    assert ["Bearer abc"] == sent(world)


def test_an_error_after_a_refusal_leaves_nothing_open(drive: Drive) -> None:
    """
    The 401 is read before the provider is asked, and the provider's error is what the caller gets.
    """
    refused = open_response(401)

    with pytest.raises(LookupError, match="no login"):
        send(BearerAuth(Script("t1", LookupError("no login"))), World([refused]), drive)

    assert refused.is_closed


def test_a_refusal_that_breaks_off_is_closed(drive: Drive) -> None:
    """
    An error in reading the 401 reaches the caller and leaves nothing open.
    """

    class Torn(OpenStream):
        async def __anext__(self) -> bytes:
            raise OSError("torn")

    refused = Response(401, stream=Torn())

    with pytest.raises(OSError, match="torn"):
        send(BearerAuth(Issuer()), World([refused]), drive)

    assert refused.is_closed


def test_a_failed_renewal_keeps_the_old_token(drive: Drive) -> None:
    """
    While it is valid it is used on, and the provider is left alone for half of the time that is left.
    """
    seen: list[tuple[str, dict[str, Any]]] = []
    provider = Script(Token("t1", 100), LookupError("geheim"), Token("t2", 100))
    auth, world = BearerAuth(provider, refresh_skew=40), World([Response(200)] * 4)

    for elapsed in (0, 60, 19, 1):
        world.now += elapsed
        request = Request("GET", URL)
        request.observers = (lambda event, fields: seen.append((event, fields)),)
        send(auth, world, drive, request)

    assert ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2"] == sent(world)
    assert [("auth.refresh_failed", {"error": "LookupError"})] == seen


def test_no_token_is_kept_beyond_its_end(drive: Drive) -> None:
    """
    A renewal that fails after the expiry is an error.
    """
    auth = BearerAuth(Script(Token("t1", 100), LookupError("no login")))
    world = World([Response(200)])

    send(auth, world, drive)
    world.now += 100
    with pytest.raises(LookupError, match="no login"):
        send(auth, world, drive)


@pytest.mark.parametrize("provided", [None, b"abc", ("abc",), 7, ("geheim", "60")])
def test_a_provider_that_returns_no_token_is_named(drive: Drive, provided: Any) -> None:
    """
    The error names the provider or what is wrong, not the value.
    """
    with pytest.raises(TypeError, match=r"returned|expires_in") as caught:
        send(BearerAuth(lambda: provided), World(), drive)

    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "Bearer geheim", "geheim\n", "gehe\u00efm"])
def test_a_token_that_would_break_the_header_is_refused(token: str) -> None:
    """
    Empty, with blanks, line breaks or letters beyond ASCII; the message does not show it.
    """
    with pytest.raises(ValueError, match="give the token alone") as caught:
        BearerAuth(token)

    assert "geh" not in str(caught.value)


@pytest.mark.parametrize("mistake", [7, None, b"abc"])
def test_a_token_is_text_or_a_provider(mistake: Any) -> None:
    """
    Anything else is refused when the scheme is made.
    """
    with pytest.raises(TypeError, match="A bearer token is a str"):
        BearerAuth(mistake)


def test_settings_are_validated() -> None:
    """
    A negative skew and a lifetime that is no number are refused at once.
    """
    with pytest.raises(ValueError, match="refresh_skew must be at least 0 seconds: -1"):
        BearerAuth("abc", refresh_skew=-1)
    with pytest.raises(ValueError, match="not NaN"):
        Token("abc", float("nan"))


def test_nothing_secret_is_shown() -> None:
    """
    Neither a token nor what a provider fetched is in any repr.
    """

    def fetch() -> str:
        return "geheim"

    auth = BearerAuth(fetch)
    send(auth, World([Response(200)]), Drive("sync"))

    assert "BearerAuth(****)" == repr(BearerAuth("geheim"))
    assert repr(auth).endswith("fetch)")
    assert "geheim" not in repr([auth, vars(auth), Token("geheim", 3)])
    assert "BearerAuth(Issuer)" == repr(BearerAuth(Issuer()))


def test_a_plain_flow_exists_for_a_given_token_only() -> None:
    """
    A provider has to wait, which a plain generator cannot.
    """
    request = Request("GET", URL)

    next(BearerAuth("abc").auth_flow(request))

    assert "Bearer abc" == request.headers["authorization"]
    with pytest.raises(RuntimeError, match="no plain flow"):
        next(BearerAuth(Issuer()).auth_flow(request))


# Many at once.


def in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_tasks(colour: str, count: int, work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(work)

    anyio.run(main, backend=colour)


class Crowd:
    """Fifty callers at once, in a colour, with a provider that returns when all others wait for it.

    Attributes:
        outcomes: The status, or the error, that each caller got.
        calls: How often the provider was called.
    """

    size = 50

    def __init__(self, drive: Drive, *results: str | BaseException) -> None:
        self.drive = drive
        self.results = results
        self.calls = 0
        self.outcomes: list[Any] = []
        self.world = World(blocking=drive.blocking, patient=True)
        self.auth = BearerAuth(self.fetch if drive.blocking else self.afetch)

    def run(self, transport: Callable[[Request], Awaitable[Response]] | None = None) -> None:
        onion = forever(self.world, self.auth)
        if transport is not None:
            onion = compose([Authentication(self.auth)], transport, self.world)

        async def work() -> None:
            try:
                self.outcomes.append((await onion(Request("GET", URL))).status_code)
            except (Exception, KeyboardInterrupt) as error:
                self.outcomes.append(error)

        if self.drive.blocking:
            in_threads(self.size, lambda: run(work()))
        else:
            in_tasks(self.drive.colour, self.size, work)

    def fetch(self) -> str:
        while len(self.world.waited) < self.size - 1:
            time.sleep(0)
        return self._result()

    async def afetch(self) -> str:
        while len(self.world.waited) < self.size - 1:
            await anyio.lowlevel.checkpoint()
        return self._result()

    def _result(self) -> str:
        self.calls += 1
        result = self.results[self.calls - 1]
        if isinstance(result, BaseException):
            raise result
        return result


def test_fifty_callers_cause_one_fetch(drive: Drive) -> None:
    """
    One asks the provider, the others wait for it, and all send the same token.
    """
    crowd = Crowd(drive, "abc")

    crowd.run()

    assert 1 == crowd.calls
    assert [200] * 50 == crowd.outcomes
    assert {"Bearer abc"} == set(sent(crowd.world))


def test_fifty_waiters_share_one_failure(drive: Drive) -> None:
    """
    Nobody asks the failing provider again; each waiter gets an error of its own.
    """
    failure = ConnectError("login is down")
    failure.add_note("tried once")
    crowd = Crowd(drive, failure)

    crowd.run()

    assert 1 == crowd.calls
    assert ["login is down"] * 50 == [str(error) for error in crowd.outcomes]
    assert 50 == len({id(error) for error in crowd.outcomes})
    assert 50 == len({id(error.__notes__) for error in crowd.outcomes})


def test_fifty_refusals_cause_one_fetch(drive: Drive) -> None:
    """
    A token revoked under fifty requests is replaced once.
    """
    crowd = Crowd(drive, "new")
    crowd.auth._held = _held("old")
    arrived: list[Request] = []

    async def transport(request: Request) -> Response:
        if request.headers["authorization"] == "Bearer new":
            return Response(200, request=request)
        arrived.append(request)
        # The answers come when all have asked.
        while len(arrived) < crowd.size:
            if drive.blocking:
                time.sleep(0)
            else:
                await anyio.lowlevel.checkpoint()
        return Response(401, request=request)

    crowd.run(transport)

    assert 1 == crowd.calls
    assert [200] * 50 == crowd.outcomes


def _held(token: str) -> Any:
    auth = BearerAuth(lambda: token)
    send(auth, World([Response(200)]), Drive("sync"))
    return auth._held


def test_others_go_on_with_a_valid_token_while_one_renews_it(drive: Drive) -> None:
    """
    The early renewal costs one request's time only.
    """
    world = World(blocking=drive.blocking)
    seen: list[str] = []
    issued = iter([Token("t1", 100), Token("t2", 100)])

    def provider() -> Token:
        token = next(issued)
        if token.value == "t2":
            # Another request, while this one is at the provider.
            other = Request("GET", URL)
            thread = threading.Thread(target=lambda: run(_awaited(onion(other))))
            thread.start()
            thread.join()
            seen.append(other.headers["authorization"])
        return token

    async def aprovider() -> Token:
        token = next(issued)
        if token.value == "t2":
            other = Request("GET", URL)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_awaited, onion(other))
            seen.append(other.headers["authorization"])
        return token

    onion = forever(world, BearerAuth(provider if drive.blocking else aprovider))

    async def scenario() -> str:
        await onion(Request("GET", URL))
        world.now += 80
        renewing = Request("GET", URL)
        await onion(renewing)
        return renewing.headers["authorization"]

    assert "Bearer t2" == drive(scenario)
    assert ["Bearer t1"] == seen


async def _awaited(awaitable: Awaitable[Response]) -> None:
    await awaitable


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_fetch_is_taken_over(backend: str) -> None:
    """
    The next waiter asks the provider; the others go on waiting, and nobody hangs.
    """
    world = World(blocking=False, patient=True)
    calls = 0
    sent_by: list[str] = []

    async def provider() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            await anyio.sleep_forever()
        return f"t{calls}"

    onion = forever(world, BearerAuth(provider))

    async def work() -> None:
        request = Request("GET", URL)
        await onion(request)
        sent_by.append(request.headers["authorization"])

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            first = anyio.CancelScope()

            async def doomed() -> None:
                with first:
                    await work()

            tasks.start_soon(doomed)
            while calls < 1:
                await anyio.lowlevel.checkpoint()
            for _ in range(10):
                tasks.start_soon(work)
            while len(world.waited) < 10:
                await anyio.lowlevel.checkpoint()
            first.cancel()

    anyio.run(main, backend=backend)

    assert ["Bearer t2"] * 10 == sent_by
    assert 2 == calls


def test_an_interrupted_fetch_is_taken_over() -> None:
    """
    A thread that is stopped at the provider leaves the fetch to the next, and only that one.
    """
    crowd = Crowd(Drive("sync"), KeyboardInterrupt(), "abc")

    crowd.run()

    assert 2 == crowd.calls
    assert 49 == crowd.outcomes.count(200)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_waiter_harms_nobody(backend: str) -> None:
    """
    Who gives up waiting leaves the fetch to the others.
    """
    world = World(blocking=False, patient=True)
    go = False

    async def provider() -> str:
        while not go:
            await anyio.lowlevel.checkpoint()
        return "abc"

    onion = forever(world, BearerAuth(provider))

    async def main() -> None:
        nonlocal go
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_awaited, onion(Request("GET", URL)))
            impatient = anyio.CancelScope()

            async def waiter() -> None:
                with impatient:
                    await onion(Request("GET", URL))

            tasks.start_soon(waiter)
            while len(world.waited) < 1:
                await anyio.lowlevel.checkpoint()
            impatient.cancel()
            await anyio.lowlevel.checkpoint()
            go = True

    anyio.run(main, backend=backend)

    assert ["Bearer abc"] == sent(world)


def test_one_token_serves_all_event_loops() -> None:
    """
    Waiting is a matter of one loop; the token, once there, is everybody's, and no fetch is left over.
    """
    issuer = Issuer()
    auth = BearerAuth(issuer)

    for drive in (Drive("asyncio"), Drive("trio"), Drive("sync")):
        send(auth, World([Response(200)]), drive)

    assert 1 == issuer.calls
    assert {} == auth._fetches


def test_waiting_for_a_token_ends_at_the_deadline(drive: Drive) -> None:
    """
    Who waits for another's fetch keeps its own total timeout.
    """
    world = World(blocking=drive.blocking)
    hurried = Request("GET", URL)
    hurried.deadline = world.now + 3.0
    errors: list[Exception] = []

    async def wait() -> None:
        try:
            await onion(hurried)
        except Exception as error:
            errors.append(error)

    def provider() -> str:
        thread = threading.Thread(target=lambda: run(wait()))
        thread.start()
        thread.join()
        return "abc"

    async def aprovider() -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_outside, wait)
        return "abc"

    onion = forever(world, BearerAuth(provider if drive.blocking else aprovider))

    async def scenario() -> Response:
        return await onion(Request("GET", URL))

    assert 200 == drive(scenario).status_code
    assert [TotalTimeout] == [type(error) for error in errors]
    assert [3.0] == world.waited


async def _outside(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` as if the provider had not started it."""
    _FETCHING.set(None)
    await work()


def test_a_provider_that_waits_for_itself_is_reported(drive: Drive) -> None:
    """
    A token's request through the client that needs the token would hang; it is an error instead.
    """
    world = World(blocking=drive.blocking)

    def provider() -> str:
        run(_awaited(onion(Request("GET", URL))))
        return "never"

    async def aprovider() -> str:
        await onion(Request("GET", URL))
        return "never"

    onion = forever(world, BearerAuth(provider if drive.blocking else aprovider))

    async def scenario() -> Response:
        return await onion(Request("GET", URL))

    with pytest.raises(RuntimeError, match="asked for a token by its own provider"):
        drive(scenario)


def test_an_error_that_cannot_be_copied_is_shared(drive: Drive) -> None:
    """
    An exception with a constructor of its own still reaches every waiter.
    """

    class Odd(Exception):
        def __init__(self, *, code: int) -> None:
            super().__init__(f"code {code}")

    crowd = Crowd(drive, Odd(code=7))

    crowd.run()

    assert ["code 7"] * 50 == [str(error) for error in crowd.outcomes]


def token() -> str:
    return "fetched"


def test_a_copy_has_the_provider_and_no_token() -> None:
    """
    Copies and pickles ask for tokens of their own.
    """
    for auth, header in (
        (BearerAuth("fixed", refresh_skew=5), "Bearer fixed"),
        (BearerAuth(token), None),
    ):
        for copied in (copy.deepcopy(auth), pickle.loads(pickle.dumps(auth))):
            assert (copied._provider, copied._skew) == (auth._provider, auth._skew)
            if header is not None:
                request = Request("GET", URL)
                next(copied.auth_flow(request))
                assert header == request.headers["Authorization"]
