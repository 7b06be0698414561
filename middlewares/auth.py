"""Authentication: the layer that drives a scheme's flow, and the schemes that need no dialogue."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, ClassVar, cast

from scallion.pipeline.auth import Auth, AuthFlow, SteppedFlow
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

if TYPE_CHECKING:
    from scallion.pipeline.types import AuthTypes

__all__ = ["Authentication", "BasicAuth", "FunctionAuth", "basic_credentials", "build_auth"]

_OPTION = "scallion.Authentication"
# What a call says about all its requests; in httpx `follow_redirects=` is one of these.
_INHERITED = ("timeout", "scallion.Redirects")
_FLOWS = frozenset({"async_auth_flow", "auth_flow", "sync_auth_flow"})


class BasicAuth(Auth):
    """A user's name and password with every request (RFC 7617), encoded as UTF-8.

    The credentials go to whatever origin the request goes to.

    Raises:
        ValueError: the name contains a colon, which would end it (RFC 7617 section 2).
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._credentials = basic_credentials(username, password)

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        request.headers["Authorization"] = self._credentials
        yield request

    def around(self, request: Request, call_next: Next) -> Awaitable[Response]:
        """The same without a generator: there is no answer to wait for."""
        request.headers["Authorization"] = self._credentials
        return call_next(request)

    def __repr__(self) -> str:
        return "BasicAuth('****', '****')"


class FunctionAuth(Auth):
    """A plain function as a scheme: it receives the request and returns the one to send."""

    def __init__(self, func: Callable[[Request], Request]) -> None:
        self._func = func

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        yield self._func(request)

    def __repr__(self) -> str:
        return f"FunctionAuth({getattr(self._func, '__qualname__', type(self._func).__name__)})"


def basic_credentials(username: str | bytes, password: str | bytes) -> str:
    """The value of an `Authorization` header for a name and a password; errors as `BasicAuth`."""
    name, secret = (
        part.encode("utf-8") if isinstance(part, str) else part for part in (username, password)
    )
    if b":" in name:
        raise ValueError(
            "Basic authentication allows no colon in the username: all after it would be read as "
            "the password (RFC 7617 section 2)"
        )
    return f"Basic {b2a_base64(name + b':' + secret, newline=False).decode('ascii')}"


def build_auth(auth: AuthTypes | None) -> Auth | None:
    """What an `auth=` argument stands for: a pair, a function, a scheme, or None for no authentication.

    Objects of other libraries that have httpx's flows pass as they are.

    Raises:
        TypeError: it is none of these. The message shows its type, not its value.
        ValueError: see `BasicAuth`.
    """
    # Cases: nothing; a scheme; a class where an instance is meant; another library's scheme; a pair; a
    # function; a mistake.
    if auth is None or isinstance(auth, Auth):
        return auth
    if hasattr(auth, "auth_flow"):
        if isinstance(auth, type):
            raise TypeError(
                f'Invalid "auth" argument: the class {auth.__name__}; give an instance of it'
            )
        return cast("Auth", auth)
    if isinstance(auth, tuple) and len(auth) == 2:
        return BasicAuth(username=auth[0], password=auth[1])
    if callable(auth):
        return FunctionAuth(func=auth)
    raise TypeError(
        f'Invalid "auth" argument: {type(auth).__name__}; expected a (username, password) pair, '
        "a function that takes and returns a request, an Auth, or None"
    )


class Authentication(Layer):
    """Let a request carry credentials, and answer the server's challenges.

    An `Auth` with an `around` of its own is called as if it were this layer; any other has its flow
    driven: each response is read before the next request is sent, `response.history` lists the
    earlier ones, and what the flow raises goes to the caller. Requests that the flow adds, for a
    token say, inherit deadline, observers, timeouts and `follow_redirects` where they have none.

    A request whose body cannot be sent again is not: the caller receives the challenge (401, say) as
    its answer, and the request's observers an `auth.not_replayable`. httpx raises StreamConsumed.

    Once a redirect has led to another origin (`request.credentials_allowed`), no credentials are added.
    Without any auth, a user and password in the URL are sent as `BasicAuth`; without those the layer
    costs nothing.

    Attributes:
        auth: The scheme for requests that bring none, or None.

    Request extension `"scallion.Authentication"`: an `Auth` for one request, or None for no
    authentication. `option_for` makes it.

    Order: in a stack for services inside retries, so that every attempt carries fresh credentials, and outside the
    choice of an endpoint, whose address it would take for the origin; the compatible stack has it outside redirects,
    as httpx has, so that one login covers the whole chain. Inside redirects it logs in at each hop of the first
    request's origin, and at no other.
    """

    option: ClassVar[str | None] = _OPTION

    auth: Auth | None

    def __init__(self, auth: AuthTypes | None = None) -> None:
        object.__setattr__(self, "auth", build_auth(auth))

    # Frozen as a setting is, and no value as these are: schemes keep tokens, and no two are the same.
    def __setattr__(self, name: str, value: object) -> None:
        if type(self) is Authentication or name == "auth":
            raise AttributeError(
                f"An Authentication cannot be changed ({name!r}): make another one"
            )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)
        super().__delattr__(name)

    @staticmethod
    def option_for(auth: AuthTypes | None) -> dict[str, Any]:
        """The request extension for one request's own auth, or None for none; errors as `build_auth`."""
        return {_OPTION: build_auth(auth)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        def through(request: Request) -> Awaitable[Response]:
            if not request.credentials_allowed:
                # Not even those in the URL, which is another server's word.
                return send(request)
            auth: Any = request.extensions.get(_OPTION, self.auth)
            if auth is None:
                if not request.url.userinfo:
                    return send(request)
                auth = BasicAuth(request.url.username, request.url.password)
            if _goes_around(type(auth)):
                answer: Awaitable[Response] = auth.around(request, call_next)
                return answer
            return _drive(auth, request, call_next)

        return through

    def __repr__(self) -> str:
        return f"Authentication({'' if self.auth is None else repr(self.auth)})"


def _goes_around(kind: type) -> bool:
    """Whether `around` is at least as specific as any flow: a subclass's flow is not to be bypassed."""
    for base in kind.__mro__:
        if "around" in vars(base):
            return True
        if not _FLOWS.isdisjoint(vars(base)):
            return False
    return False


def _flow(auth: Any, request: Request, *, blocking: bool) -> AsyncGenerator[Request, Response]:
    if not hasattr(auth, "auth_flow"):
        # Its type alone is shown, as it may be a password.
        raise TypeError(f"Expected Authentication.option_for(...), not {type(auth).__name__}")
    # Cases: under an event loop; a blocking flow of the scheme's own; the flow that does no I/O.
    if not blocking:
        flow: AsyncGenerator[Request, Response] = auth.async_auth_flow(request)
        return flow
    if getattr(type(auth), "sync_auth_flow", None) is not Auth.sync_auth_flow:
        return SteppedFlow(auth.sync_auth_flow(request))
    return AuthFlow(auth, request, blocking=True)


async def _drive(auth: Any, request: Request, call_next: Next) -> Response:
    flow = _flow(auth, request, blocking=call_next.runtime.blocking)
    history: list[Response] = []
    sent: list[Request] = []
    try:
        outgoing = await _step(flow, None)
        if outgoing is None:
            raise RuntimeError(f"{type(auth).__name__} yielded no request: nothing was sent")
        while True:
            sent.append(_adopted(auth, outgoing, request))
            response = await call_next(outgoing)
            try:
                outgoing = await _step(flow, response)
                if outgoing is None or _is_spent(outgoing, sent):
                    if history:
                        # The redirects of this leg, too, come after the legs before.
                        for each in (*response.history, response):
                            each.history = [*history, *each.history]
                    return response
                response.history = list(history)
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
            history.append(response)
    finally:
        await flow.aclose()


async def _step(
    flow: AsyncGenerator[Request, Response], response: Response | None
) -> Request | None:
    """The next request of the flow, or None at its end."""
    try:
        return await flow.asend(response)  # type: ignore[arg-type]  # None starts a generator
    except StopAsyncIteration:
        return None


def _adopted(auth: object, outgoing: object, request: Request) -> Request:
    """`outgoing`, bound by what bounds `request` where nothing bounds it yet."""
    if not isinstance(outgoing, Request):
        raise TypeError(f"{type(auth).__name__} yielded {type(outgoing).__name__}, not a Request")
    if outgoing is not request:
        # Not all extensions: a `target` or a TLS server name may be wrong for a token's endpoint.
        if outgoing.deadline is None:
            outgoing.deadline = request.deadline
        if not outgoing.observers:
            outgoing.observers = request.observers
        if outgoing.progress is None:
            outgoing.progress = request.progress
        for option in _INHERITED:
            if option in request.extensions:
                outgoing.extensions.setdefault(option, request.extensions[option])
    return outgoing


def _is_spent(request: Request, sent: list[Request]) -> bool:
    """Whether `request` was sent and cannot be sent again."""
    if request.replayable or not any(request is earlier for earlier in sent):
        return False
    request.note("auth.not_replayable")
    return True
