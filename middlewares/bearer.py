"""Bearer tokens (RFC 6750), fetched once for all who need one, and renewed before they expire.

Rules:

- A token is fetched by one caller; who needs it waits for that one, by an event of its own runtime.
- The lock guards the fields below it and is held across no await and no provider's call.
- A fetch that fails gives its error to those who waited for it; one that is cancelled leaves the next
  of them to fetch. Every fetch ends by raising its event, whatever happened.
"""

from __future__ import annotations

import copy
import math
import re
import threading
from collections.abc import Awaitable, Callable, Generator, Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from scallion.pipeline.auth import Auth
from scallion.pipeline.errors import TotalTimeout
from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Event, Runtime

__all__ = ["BearerAuth", "Provided", "Token", "TokenProvider"]

# Printable ASCII without blanks: wider than RFC 6750 section 2.1, and still one word in a header.
_WORD = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Token:
    """What a provider returns.

    Attributes:
        value: The token itself, without "Bearer". It is in no repr.
        expires_in: Seconds from the provider's being called, or None for a token that lasts.

    Raises:
        TypeError, ValueError: the value is no single word of ASCII, or the lifetime is no number.
    """

    value: str = field(repr=False)
    expires_in: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            raise TypeError(f"A bearer token is a str, not {type(self.value).__name__}")
        if not _WORD.fullmatch(self.value):
            raise ValueError(
                "The bearer token (not shown) is empty or contains blanks or characters beyond ASCII: "
                "give the token alone, without 'Bearer' and without a line break"
            )
        if self.expires_in is None:
            return
        if not isinstance(self.expires_in, (int, float)):
            raise TypeError(f"expires_in is seconds, or None, not {type(self.expires_in).__name__}")
        if math.isnan(self.expires_in):
            raise ValueError("expires_in is seconds, or None, not NaN")


Provided: TypeAlias = str | Token | tuple[str, float | None]
TokenProvider: TypeAlias = Callable[[], Provided] | Callable[[], Awaitable[Provided]]


class BearerAuth(Auth):
    """Send a bearer token; fetch it when there is none, renew it before it expires or when it is refused.

    A provider is called by one request while the others wait for it, or, if the token in hand is
    still valid, go on with that. A 401 makes the request go out once more with a newer token: the one
    that another request has fetched meanwhile, else a fetched one. If the newer token is the same, or
    the body cannot be sent again (an `auth.not_replayable` tells observers), the 401 is the answer.

    The token goes to whatever origin the request goes to. One instance may serve several clients,
    threads and tasks at once; tasks of different event loops each fetch for their own loop.

    Args:
        token: The token, or a provider: a function without arguments that returns the token, a
            `Token`, or a pair of value and `expires_in`. An `async def` provider needs an
            `AsyncClient`; a plain one serves both clients, and blocks an event loop while it runs.
        refresh_skew: Seconds before its expiry from which on a token is renewed; at most half its
            lifetime. If that early renewal fails, the old token is used on (an `auth.refresh_failed`
            tells observers), and the next try waits for half the time that it still has.

    Raises:
        TypeError, ValueError: see `Token`; or the skew is negative.
        RuntimeError (while sending): the provider sends through the very client that it serves.
        TypeError (while sending): the provider is async and the client is not, or it returned
            something else than a token.
        TotalTimeout (while sending): the request's deadline passed in waiting for a token.
        Whatever a provider raises, to all requests that wait for that call.
    """

    def __init__(self, token: str | TokenProvider, *, refresh_skew: float = 30.0) -> None:
        if not refresh_skew >= 0:
            raise ValueError(f"refresh_skew must be at least 0 seconds: {refresh_skew!r}")
        self._provider: Callable[[], Any] | None = None
        self._fixed = ""
        if callable(token):
            self._provider = token
        else:
            self._fixed = _header(Token(token))
        self._skew = refresh_skew
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._fetches: dict[Hashable, _Fetch] = {}
        renewed_in_children(self)

    def renew(self) -> None:
        """After a fork, in the child; see `pipeline/forking.py`."""
        self._lock = threading.Lock()
        self._fetches = {}

    def __getstate__(self) -> dict[str, Any]:
        # A copy, here or in another process, asks for a token of its own.
        return {"_provider": self._provider, "_fixed": self._fixed, "_skew": self._skew}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__("copied", refresh_skew=state["_skew"])  # type: ignore[misc]
        self._provider, self._fixed = state["_provider"], state["_fixed"]

    def around(self, request: Request, call_next: Next) -> Awaitable[Response]:
        """Send with a token that is valid; after a 401 once more, with a fresh one."""
        if self._provider is None:
            request.headers["Authorization"] = self._fixed
            return call_next(request)
        return self._around(self._provider, request, call_next)

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """For a token that is given; a provider waits, which `Authentication` does by `around`."""
        if self._provider is not None:
            raise RuntimeError(f"{self!r} has no plain flow: send through an Authentication layer")
        request.headers["Authorization"] = self._fixed
        yield request

    async def _around(
        self, provider: Callable[[], Any], request: Request, call_next: Next
    ) -> Response:
        runtime = call_next.runtime
        used = self._held
        if used is None or runtime.clock() >= used.renew_at:
            used = await self._obtain(provider, request, runtime)
        request.headers["Authorization"] = used.header
        refused = await call_next(request)
        if refused.status_code != 401:
            return refused
        if not request.replayable:
            request.note("auth.not_replayable")
            return refused
        try:
            # The connection goes back to the pool before the provider is asked.
            await refused.aread()
        except BaseException:
            await refused.aclose()
            raise
        self._forget(used)
        newer = await self._obtain(provider, request, runtime)
        if newer.header == used.header:
            return refused
        request.headers["Authorization"] = newer.header
        response = await call_next(request)
        response.history = [refused, *response.history]
        return response

    def _forget(self, refused: _Held) -> None:
        """Let nobody use a refused token again, unless it has been replaced already."""
        with self._lock:
            if self._held is not None and self._held.header == refused.header:
                self._held = None

    async def _obtain(
        self, provider: Callable[[], Any], request: Request, runtime: Runtime
    ) -> _Held:
        """A valid token: the one in hand, or one that this caller or another fetches."""
        key = runtime.key
        while True:
            now = runtime.clock()
            with self._lock:
                held = self._held if self._held is not None and now < self._held.ends else None
                fetch = self._fetches.get(key)
                # Cases: it is valid and new enough, or being renewed; nobody fetches; somebody does.
                if held is not None and (fetch is not None or now < held.renew_at):
                    return held
                mine = fetch is None
                if fetch is None:
                    fetch = self._fetches[key] = _Fetch(key, runtime.event(), fallback=held)
            if mine:
                return await self._fetch(provider, request, runtime, fetch)
            await self._await(fetch, request, runtime)
            if fetch.error is not None:
                raise _twin(fetch.error) from fetch.error
            if fetch.held is not None:
                return fetch.held

    async def _await(self, fetch: _Fetch, request: Request, runtime: Runtime) -> None:
        if _FETCHING.get() is fetch:
            raise RuntimeError(
                f"{self!r} is asked for a token by its own provider, which would wait for itself: "
                "send the token's request with auth=None, or through another client"
            )
        if request.deadline is None:
            await fetch.event.wait()
        elif not await fetch.event.wait(max(0.0, request.deadline - runtime.clock())):
            raise TotalTimeout("The total timeout passed in waiting for a token", request=request)

    async def _fetch(
        self, provider: Callable[[], Any], request: Request, runtime: Runtime, fetch: _Fetch
    ) -> _Held:
        """Call the provider, for all who wait for `fetch`."""
        outer = _FETCHING.get()
        _FETCHING.set(fetch)
        try:
            fetch.held = await self._call(provider, runtime)
        except Exception as error:
            fetch.held = self._fallback(fetch, runtime.clock())
            if fetch.held is None:
                fetch.error = error
                raise
            request.note("auth.refresh_failed", error=type(error).__name__)
        finally:
            # A cancelled fetch ends with neither token nor error, and the next waiter takes over.
            _FETCHING.set(outer)
            with self._lock:
                if fetch.held is not None:
                    self._held = fetch.held
                self._fetches.pop(fetch.key, None)
            fetch.event.set()
        return fetch.held

    def _fallback(self, fetch: _Fetch, now: float) -> _Held | None:
        """The token whose early renewal failed, for half of its time; None if it is of no use any more."""
        held = fetch.fallback
        with self._lock:
            if held is None or self._held is not held or now >= held.ends:
                return None
        return _Held(held.header, held.ends, renew_at=now + (held.ends - now) / 2)

    async def _call(self, provider: Callable[[], Any], runtime: Runtime) -> _Held:
        began = runtime.clock()
        provided = provider()
        if hasattr(provided, "__await__"):
            if runtime.blocking:
                _discard(provided)
                raise TypeError(
                    f"The token provider {_name(provider)} is async, and this client is not: "
                    "give it a plain function, or use an AsyncClient"
                )
            provided = await provided
        token = _token(provider, provided)
        if token.expires_in is None:
            return _Held(_header(token), math.inf, math.inf)
        lifetime = max(0.0, token.expires_in)
        # A token that lives shorter than the skew would otherwise be renewed for each request.
        ends = began + lifetime
        return _Held(_header(token), ends, ends - min(self._skew, lifetime / 2))

    def __repr__(self) -> str:
        return f"BearerAuth({'****' if self._provider is None else _name(self._provider)})"


class _Held:
    """A token in hand, its times on the runtime's clock. It has no repr, as it is secret."""

    __slots__ = ("ends", "header", "renew_at")

    def __init__(self, header: str, ends: float, renew_at: float) -> None:
        self.header = header
        self.ends = ends
        self.renew_at = renew_at


class _Fetch:
    """One call of the provider, for the callers of one runtime; afterwards its outcome."""

    __slots__ = ("error", "event", "fallback", "held", "key")

    def __init__(self, key: Hashable, event: Event, *, fallback: _Held | None) -> None:
        self.key = key
        self.event = event
        self.fallback = fallback
        self.held: _Held | None = None
        self.error: Exception | None = None


# The fetch within which this code runs; see `BearerAuth._await`.
_FETCHING: ContextVar[_Fetch | None] = ContextVar("fetching", default=None)


def _header(token: Token) -> str:
    return f"Bearer {token.value}"


def _token(provider: Callable[[], Any], provided: object) -> Token:
    if isinstance(provided, Token):
        return provided
    if isinstance(provided, str):
        return Token(provided)
    if isinstance(provided, tuple) and len(provided) == 2:
        return Token(*provided)
    raise TypeError(
        f"The token provider {_name(provider)} returned {type(provided).__name__} instead of a str, "
        "a Token, or a pair of str and seconds"
    )


def _discard(awaitable: Any) -> None:
    # A coroutine that is dropped without this warns that it was never awaited.
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()


def _name(provider: Any) -> str:
    provider = getattr(provider, "func", provider)
    name: str = getattr(provider, "__qualname__", type(provider).__name__)
    return name


def _twin(error: Exception) -> Exception:
    """An error of its own for each waiter: tracebacks and notes are added to errors where they go."""
    try:
        twin = copy.copy(error)
    except Exception:  # noqa: BLE001  # its constructor wants something else than its `args`
        return error
    if hasattr(error, "__notes__"):
        twin.__notes__ = list(error.__notes__)
    return twin
