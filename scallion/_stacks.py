"""The built-in onions: which layers, in which order, and why each sits where it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.middlewares.auth import Authentication
from scallion.middlewares.cookies import CookiePersistence
from scallion.middlewares.hooks import EventHooks
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.timeouts import AttemptTimeouts, Deadlines
from scallion.pipeline.cookies import Cookies
from scallion.pipeline.pipeline import PER_ATTEMPT, PER_CALL, Pipeline
from scallion.pipeline.settings import DEFAULT_MAX_REDIRECTS

if TYPE_CHECKING:
    from scallion.pipeline.types import AuthTypes

__all__ = ["compatible", "service_stack"]


def compatible(
    *,
    follow_redirects: bool = False,
    max_redirects: int = DEFAULT_MAX_REDIRECTS,
    cookies: Cookies | None = None,
) -> Pipeline:
    """The default of `Client()`: what httpx 0.28 does.

    - `Deadlines` outermost: `Timeout(total=...)` bounds all that a call does, your own layers included.
    - your layers per call: they see each logical request once. `Retries()` belongs here.
    - `Authentication` outside redirects, as in httpx: one login covers a chain of redirects.
    - `Redirects`, off unless asked for, outside hooks and cookies, which concern single hops.
    - `EventHooks` see each request that goes on the wire.
    - `CookiePersistence` innermost: it keeps what each hop sets.
    - your layers per attempt, next to the transport.
    """
    jar = Cookies() if cookies is None else cookies
    return Pipeline(
        Deadlines(),
        PER_CALL,
        Authentication(),
        Redirects(follow_redirects, max_redirects, cookies=jar),
        EventHooks(),
        CookiePersistence(jar),
        PER_ATTEMPT,
    )


def service_stack(
    *,
    total: float | None = 30.0,
    attempt: float | None = 10.0,
    attempts: int = 3,
    auth: AuthTypes | None = None,
    follow_redirects: bool = False,
) -> Pipeline:
    """For calls between services: `Client(pipeline=service_stack(), timeout=...)`.

    - `Tracing` and `Logging` outermost: one span and one event tell the whole call, its waits included.
    - `Deadlines`: the caller's patience bounds everything below.
    - your layers per call.
    - `Redirects`, off unless asked for, outside retries: a redirect is an answer, no failure.
    - `Retries` inside the deadline, so that waiting counts; outside authentication, so that every attempt
      carries fresh credentials.
    - `Authentication` per attempt.
    - `AttemptTimeouts`: an attempt that hangs is given up while there is time for another.
    - `AttemptTracing`: a client span for each attempt, its context injected into the request.
    - your layers per attempt. There is no cookie layer: services keep no session.

    Args:
        total: Seconds for a whole call; None for no limit.
        attempt: Seconds for one attempt, up to its response's headers; None for no limit.
        attempts: Tries in all, the first included.
        auth: Whatever `Client(auth=...)` takes.
        follow_redirects: Whether redirects are followed.
    """
    from scallion.middlewares.logging import Logging
    from scallion.middlewares.retries import Retries
    from scallion.middlewares.tracing import AttemptTracing, Tracing

    layers = Pipeline(
        Tracing(),
        Logging(),
        Deadlines(total),
        PER_CALL,
        Redirects(follow_redirects),
        Retries(attempts=attempts),
        Authentication(auth),
        AttemptTracing(),
        PER_ATTEMPT,
    )
    return layers if attempt is None else layers.before(AttemptTracing, AttemptTimeouts(attempt))
