"""Authentication: which scheme a request gets, and the dialogue of a scheme's flow with the onion."""

from __future__ import annotations

import copy
import pickle
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest

from scallion.middlewares.auth import Authentication, BasicAuth, FunctionAuth, build_auth
from scallion.middlewares.redirects import Redirects
from scallion.pipeline.auth import Auth
from scallion.pipeline.bodies import AsyncIteratorByteStream, IteratorByteStream
from scallion.pipeline.errors import ConnectError
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import OpenStream, World, open_response, play

URL = "http://example.org/"


class Challenged(Auth):
    """Answers a 401 with a header that names what the server said."""

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"said {response.headers['x-nonce']}"
            yield request


class BodyReader(Challenged):
    requires_request_body = True
    requires_response_body = True

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        request.headers["x-length"] = str(len(request.content))
        response = yield request
        request.headers["Authorization"] = response.text
        yield request


class TokenFetcher(Auth):
    requires_response_body = True

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        response = yield Request("POST", "http://login.example.org/token")
        request.headers["Authorization"] = f"Token {response.text}"
        yield request


def streamed(drive: Drive, *chunks: bytes) -> Request:
    """A request whose body can be sent once."""
    if drive.blocking:
        return Request("POST", URL, stream=IteratorByteStream(iter(chunks)))

    async def pieces() -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            yield chunk

    return Request("POST", URL, stream=AsyncIteratorByteStream(pieces()))


def test_without_auth_the_request_goes_on_as_it_is() -> None:
    """
    The layer costs no coroutine of its own: what `call_next` returns is what it returns.
    """
    request, passed = Request("GET", URL), object()

    assert passed is Authentication()(request, lambda sent: passed)  # type: ignore[arg-type,comparison-overlap,return-value]
    assert "authorization" not in request.headers


def test_basic_credentials_are_those_of_httpx() -> None:
    """
    Names and passwords, as text or bytes, are encoded as UTF-8.
    """
    for pair in [("user", "pa:ss"), ("Jäsøn", "Ünïcode"), (b"user", b"\xff"), ("", "")]:
        theirs = httpx.Request("GET", URL)
        next(httpx.BasicAuth(*pair).auth_flow(theirs))
        ours = Request("GET", URL)
        next(BasicAuth(*pair).auth_flow(ours))

        assert theirs.headers["authorization"] == ours.headers["authorization"]


def test_basic_auth_goes_with_the_first_request(drive: Drive) -> None:
    """
    Basic credentials wait for no challenge, and a refusal of them is the answer.
    """
    world = World([Response(401)])

    response = play([Authentication(("user", "pass"))], Request("GET", URL), world, drive)

    assert 401 == response.status_code
    assert ["Basic dXNlcjpwYXNz"] == [sent.headers["authorization"] for sent in world.asked]


def test_a_colon_in_a_username_is_refused() -> None:
    """
    The server would take what follows the colon for the password.
    """
    with pytest.raises(ValueError, match="colon in the username") as caught:
        BasicAuth("us:er", "geheim")

    assert "geheim" not in str(caught.value)


def test_userinfo_in_the_url_is_basic_auth(drive: Drive) -> None:
    """
    As in httpx, a URL's user and password are used where no auth is given, unescaped.
    """
    world = World([Response(200)])

    play([Authentication()], Request("GET", "http://us%40er:p%3Aw@example.org/"), world, drive)

    expected = BasicAuth("us@er", "p:w")._credentials
    assert expected == world.asked[0].headers["authorization"]


def test_a_function_is_a_scheme(drive: Drive) -> None:
    """
    A callable receives the request and returns the one that is sent.
    """

    def sign(request: Request) -> Request:
        request.headers["x-signed"] = "yes"
        return request

    world = World([Response(200)])

    play([Authentication(sign)], Request("GET", URL), world, drive)

    assert "yes" == world.asked[0].headers["x-signed"]


def test_a_request_brings_its_own_auth_or_none(drive: Drive) -> None:
    """
    The extension wins over the layer's scheme, and None means no authentication.
    """
    layer = Authentication(("layer", "pw"))
    own = Request("GET", URL, extensions=Authentication.option_for(("own", "pw")))
    bare = Request("GET", URL, extensions=Authentication.option_for(None))
    world = World([Response(200), Response(200)])

    play([layer], own, world, drive)
    play([layer], bare, world, drive)

    assert BasicAuth("own", "pw")._credentials == own.headers["authorization"]
    assert "authorization" not in bare.headers


def test_the_kinds_of_auth_arguments() -> None:
    """
    None, a scheme, a pair and a function become what httpx makes of them.
    """
    scheme = Challenged()

    assert build_auth(None) is None
    assert scheme is build_auth(scheme)
    assert isinstance(build_auth(("user", "pass")), BasicAuth)
    assert isinstance(build_auth(lambda request: request), FunctionAuth)


@pytest.mark.parametrize("mistake", [["user", "geheim"], "geheim", 7, ("a", "b", "geheim")])
def test_other_auth_arguments_are_refused_unseen(mistake: Any) -> None:
    """
    The message names the type and what is expected; the value may be a secret.
    """
    with pytest.raises(TypeError, match=r'Invalid "auth" argument: \w+; expected') as caught:
        build_auth(mistake)

    assert "geheim" not in str(caught.value)


def test_a_class_is_not_taken_for_a_function() -> None:
    """
    An Auth class is callable, but an instance is meant.
    """
    with pytest.raises(TypeError, match="the class Challenged; give an instance"):
        build_auth(Challenged)  # type: ignore[arg-type]


def test_a_flow_receives_the_answer_and_sends_again(drive: Drive) -> None:
    """
    The challenge is read and closed before the second request, and becomes its history.
    """
    challenge = open_response(401, b"who are you?", headers={"x-nonce": "n1"})
    world = World([challenge, open_response(200, b"welcome")])

    response = play([Authentication(Challenged())], Request("GET", URL), world, drive)

    assert 200 == response.status_code
    assert "said n1" == world.asked[1].headers["authorization"]
    assert [challenge] == response.history
    assert (b"who are you?", True) == (challenge.content, challenge.is_closed)
    assert not response.is_closed


def test_bodies_are_read_for_the_flow(drive: Drive) -> None:
    """
    requires_request_body and requires_response_body give the flow contents, in both colours.
    """
    world = World([open_response(401, b"from the body"), Response(200)])
    request = streamed(drive, b"abc", b"def")

    play([Authentication(BodyReader())], request, world, drive)

    assert "6" == request.headers["x-length"]
    assert "from the body" == request.headers["authorization"]


def test_history_is_that_of_httpx(drive: Drive) -> None:
    """
    Redirects on the way to a challenge are dropped, those on the way to the answer follow it.
    """
    script = [401, 302, 200]

    def challenged(request: httpx.Request) -> httpx.Response:
        status = script.pop(0)
        return httpx.Response(status, headers={"location": "/login"})

    class Theirs(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            response = yield request
            if response.status_code == 401:
                yield request

    with httpx.Client(transport=httpx.MockTransport(challenged), follow_redirects=True) as client:
        theirs = client.get(URL, auth=Theirs())

    redirect = Response(302)
    answer = Response(200, history=[redirect])
    ours = play(
        [Authentication(Challenged())],
        Request("GET", URL),
        World([Response(401, headers={"x-nonce": "n"}, history=[Response(302)]), answer]),
        drive,
    )

    assert [401, 302] == [earlier.status_code for earlier in theirs.history]
    assert [401, 302] == [earlier.status_code for earlier in ours.history]
    assert theirs.history[0].history == ours.history[0].history
    assert [401] == [earlier.status_code for earlier in theirs.history[1].history]
    assert [401] == [earlier.status_code for earlier in ours.history[1].history]


def test_requests_of_the_flow_inherit_what_bounds_the_call(drive: Drive) -> None:
    """
    A token's request keeps the deadline, the observers and the timeouts, and its own settings.
    """
    seen: list[str] = []
    inherited = {"timeout": {"read": 1.0}, **Redirects.option_for(follow=True)}
    request = Request("GET", URL, extensions={**inherited, "target": b"*"})
    request.deadline = 2000.0
    request.observers = (lambda event, fields: seen.append(event),)
    request.progress = lambda event, fields: None
    world = World([Response(200, text="t1"), Response(200)])

    response = play([Authentication(TokenFetcher())], request, world, drive)

    fetched = world.asked[0]
    assert (request.deadline, request.observers) == (fetched.deadline, fetched.observers)
    assert request.progress is fetched.progress
    assert inherited == fetched.extensions
    assert "Token t1" == request.headers["authorization"]
    assert 1 == len(response.history)


def test_a_fetch_keeps_its_own_timeout(drive: Drive) -> None:
    """
    What the flow has set itself is not overwritten.
    """

    class Hasty(Auth):
        def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            hasty = Request("GET", URL, extensions={"timeout": {"read": 0.1}})
            hasty.deadline = 1001.0
            yield hasty

    request = Request("GET", URL, extensions={"timeout": {"read": 9.0}})
    request.deadline = 2000.0
    world = World([Response(200)])

    play([Authentication(Hasty())], request, world, drive)

    assert {"read": 0.1} == world.asked[0].extensions["timeout"]
    assert 1001.0 == world.asked[0].deadline


def test_a_body_that_cannot_be_sent_again_leaves_the_challenge_as_answer(drive: Drive) -> None:
    """
    The caller gets the open 401, and observers learn why there was no second try.
    """
    seen: list[str] = []
    request = streamed(drive, b"once")
    request.observers = (lambda event, fields: seen.append(event),)
    challenge = open_response(401, headers={"x-nonce": "n"})

    response = play([Authentication(Challenged())], request, World([challenge]), drive)

    assert challenge is response
    assert not response.is_closed
    assert ["auth.not_replayable"] == seen


def test_a_body_that_was_not_sent_yet_needs_no_replay(drive: Drive) -> None:
    """
    A token is fetched before the request, whose body is then sent for the first time.
    """
    world = World([Response(200, text="t1"), Response(200)])

    response = play([Authentication(TokenFetcher())], streamed(drive, b"once"), world, drive)

    assert 200 == response.status_code
    assert 2 == len(world.asked)


def test_the_flow_is_closed_when_sending_fails(drive: Drive) -> None:
    """
    The error of the inner onion goes to the caller; the flow only gets to clean up.
    """
    ended: list[str] = []

    class Careful(Auth):
        def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            try:
                yield request
            except BaseException as error:
                ended.append(type(error).__name__)
                raise

    with pytest.raises(ConnectError, match="nobody"):
        play(
            [Authentication(Careful())],
            Request("GET", URL),
            World([ConnectError("nobody")]),
            drive,
        )

    assert ["GeneratorExit"] == ended


def test_a_failing_flow_closes_the_response(drive: Drive) -> None:
    """
    What the flow raises goes to the caller, and no connection is lost.
    """

    class Broken(Auth):
        def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            yield request
            raise LookupError("no such key")

    response = open_response(200)

    with pytest.raises(LookupError, match="no such key"):
        play([Authentication(Broken())], Request("GET", URL), World([response]), drive)

    assert response.is_closed


def test_a_challenge_that_breaks_off_is_closed(drive: Drive) -> None:
    """
    An error in reading the challenge reaches the caller and leaves nothing open.
    """

    class Torn(OpenStream):
        async def __anext__(self) -> bytes:
            raise OSError("torn")

    challenge = Response(401, headers={"x-nonce": "n"}, stream=Torn())

    with pytest.raises(OSError, match="torn"):
        play([Authentication(Challenged())], Request("GET", URL), World([challenge]), drive)

    assert challenge.is_closed


def test_each_colour_drives_its_own_flow(drive: Drive) -> None:
    """
    Client drives sync_auth_flow, AsyncClient async_auth_flow; an async generator is closed at once.
    """
    ended: list[str] = []

    class Both(Auth):
        def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            request.headers["x-flow"] = "sync"
            try:
                yield request
            finally:
                ended.append("sync")

        async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
            request.headers["x-flow"] = "async"
            try:
                yield request
                raise AssertionError("the error ends the flow")
            finally:
                ended.append("async")

    request = Request("GET", URL)

    with pytest.raises(ConnectError):
        play([Authentication(Both())], request, World([ConnectError("nobody")]), drive)

    expected = "sync" if drive.blocking else "async"
    assert expected == request.headers["x-flow"]
    assert [expected] == ended


def test_a_flow_of_the_other_colour_is_not_used(drive: Drive) -> None:
    """
    Where only the other colour's flow is overridden, auth_flow serves, as in httpx.
    """

    class OnlySync(Challenged):
        def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            yield Request("GET", "http://sync.example.org/")

    class OnlyAsync(Challenged):
        async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
            yield Request("GET", "http://async.example.org/")

    other = OnlyAsync() if drive.blocking else OnlySync()
    world = World([Response(200)])

    play([Authentication(other)], Request("GET", URL), world, drive)

    assert URL == str(world.asked[0].url)


def test_a_scheme_may_be_a_layer(drive: Drive) -> None:
    """
    An Auth with `around` is given the request and the rest of the onion.
    """

    class Waiting(Auth):
        async def around(self, request: Request, call_next: Next) -> Response:
            await call_next.runtime.sleep(0.5)
            return await call_next(request)

    world = World([Response(200)])

    play([Authentication(Waiting())], Request("GET", URL), world, drive)

    assert [0.5] == world.slept


def test_a_subclass_with_a_flow_goes_before_an_inherited_around(drive: Drive) -> None:
    """
    BasicAuth has a shortcut; a flow that a subclass overrides is not bypassed by it.
    """

    class Marked(BasicAuth):
        def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            request.headers["x-marked"] = "yes"
            yield from super().auth_flow(request)

    request = Request("GET", URL)

    play([Authentication(Marked("user", "pass"))], request, World([Response(200)]), drive)

    assert "yes" == request.headers["x-marked"]
    assert "Basic dXNlcjpwYXNz" == request.headers["authorization"]


def test_schemes_written_for_httpx_work(drive: Drive) -> None:
    """
    A scheme of another library needs httpx's flows, not our base class.
    """

    class Theirs(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request: Any) -> Any:
            response = yield request
            request.headers["x-said"] = response.text
            yield request

    request = Request("GET", URL)
    world = World([open_response(401, b"hm"), Response(200)])

    play([Authentication(Theirs())], request, world, drive)  # type: ignore[arg-type]

    assert "hm" == request.headers["x-said"]


@pytest.mark.parametrize(
    ("yielded", "error", "message"),
    [
        ([], RuntimeError, "Odd yielded no request: nothing was sent"),
        (["x"], TypeError, "Odd yielded str, not a Request"),
    ],
)
def test_a_flow_that_yields_no_request_is_reported(
    drive: Drive, yielded: list[Any], error: type[Exception], message: str
) -> None:
    """
    The scheme's mistake is named, not swallowed.
    """

    class Odd(Auth):
        def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            yield from yielded

    with pytest.raises(error, match=message):
        play([Authentication(Odd())], Request("GET", URL), World(), drive)


def test_the_base_class_sends_the_request_once(drive: Drive) -> None:
    """
    Auth() itself authenticates nothing.
    """
    world = World([Response(401)])

    response = play([Authentication(Auth())], Request("GET", URL), world, drive)

    assert 401 == response.status_code
    assert 1 == len(world.asked)


def test_flows_can_be_driven_by_hand(drive: Drive) -> None:
    """
    sync_auth_flow and async_auth_flow are a generator and its async twin, for one's own tests.
    """
    request = Request("GET", URL)
    challenge = Response(401, headers={"x-nonce": "n"})

    async def scenario() -> list[str]:
        flow = Challenged().async_auth_flow(request)
        seen = [(await anext(flow)).method]
        seen.append((await flow.asend(challenge)).headers["authorization"])
        with pytest.raises(StopAsyncIteration):
            await flow.asend(Response(200))
        await flow.aclose()
        return seen

    assert ["GET", "said n"] == drive(scenario)

    stepped = Challenged().sync_auth_flow(request)
    assert request is next(stepped)
    assert request is stepped.send(challenge)
    with pytest.raises(StopIteration):
        stepped.send(Response(200))


def test_a_sync_flow_by_hand_reads_bodies() -> None:
    """
    sync_auth_flow gives auth_flow what it requires, without the layer.
    """
    request = Request("POST", URL, stream=IteratorByteStream(iter([b"abc"])))
    flow = BodyReader().sync_auth_flow(request)

    next(flow)
    flow.send(open_response(401, b"from the body"))

    assert ("3", "from the body") == (request.headers["x-length"], request.headers["authorization"])


def test_an_error_can_be_thrown_into_a_flow(drive: Drive) -> None:
    """
    athrow raises inside the generator, which may answer with another request.
    """

    class Second(Auth):
        def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
            try:
                yield request
            except LookupError:
                yield Request("GET", "http://second.example.org/")

    async def scenario() -> str:
        flow = Second().async_auth_flow(Request("GET", URL))
        await anext(flow)
        second = await flow.athrow(LookupError("gone"))
        with pytest.raises(ConnectError):
            await flow.athrow(ConnectError("gone too"))
        return str(second.url)

    assert "http://second.example.org/" == drive(scenario)


def test_nothing_secret_is_shown() -> None:
    """
    No repr contains a name or a password.
    """
    assert "Authentication()" == repr(Authentication())
    assert "Authentication(BasicAuth('****', '****'))" == repr(Authentication(("user", "geheim")))
    assert "FunctionAuth(len)" == repr(FunctionAuth(len))  # type: ignore[arg-type]


def test_the_layer_is_frozen() -> None:
    """
    It may be shared by clients; a subclass has what it likes beside it.
    """

    class Mine(Authentication):
        def __init__(self) -> None:
            super().__init__(("user", "geheim"))
            self.level = 3

    for layer in (Authentication(("user", "geheim")), Mine()):
        with pytest.raises(AttributeError, match="cannot be changed"):
            layer.auth = None
        with pytest.raises(AttributeError, match="cannot be changed"):
            del layer.auth
        assert isinstance(layer.auth, BasicAuth)
    plain: Any = Authentication()
    with pytest.raises(AttributeError, match="cannot be changed"):
        plain.more = 5
    assert 3 == copy.copy(Mine()).level
    pickled = pickle.loads(pickle.dumps(Authentication(("user", "geheim"))))
    assert isinstance(pickled.auth, BasicAuth)


def test_a_location_s_userinfo_is_no_credential(drive: Drive) -> None:
    """
    A server does not choose what another origin is told, not even in the URL of a redirect.
    """
    world = World(
        [Response(302, headers={"Location": "http://admin:admin@other/x"}), Response(200)]
    )
    layers = [Redirects(follow=True), Authentication(BasicAuth("user", "password"))]

    play(layers, Request("GET", "http://one/"), world, drive)

    assert "Authorization" in world.asked[0].headers
    assert "Authorization" not in world.asked[1].headers
