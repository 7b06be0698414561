"""The built-in onions: which layers, in which order, and why each sits where it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scallion.middlewares.auth import Authentication
from scallion.middlewares.cookies import CookiePersistence
from scallion.middlewares.hooks import EventHooks
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.timeouts import Deadlines
from scallion.pipeline.cookies import Cookies
from scallion.pipeline.pipeline import PER_ATTEMPT, PER_CALL, Pipeline
from scallion.pipeline.settings import DEFAULT_MAX_REDIRECTS, UNSET, _Unset

if TYPE_CHECKING:
    from scallion.pipeline.types import AuthTypes

    from ._service_settings import ServiceSettings

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
    settings: ServiceSettings | Mapping[str, Any] | None = None,
    *,
    total: float | None | _Unset = UNSET,
    attempt: float | None | _Unset = UNSET,
    attempts: int | _Unset = UNSET,
    auth: AuthTypes | None = None,
    follow_redirects: bool | _Unset = UNSET,
) -> Pipeline:
    """For calls between services: `Client.for_service(name)`, or `Client(pipeline=service_stack(), timeout=...)`.

    - `Tracing`, `Metrics` and `Logging` outermost: they tell the whole call, its waits included.
    - `RequestId`: one id for all requests of the call.
    - `Deadlines`: the caller's patience bounds everything below.
    - `Bulkhead`: a refused call costs nothing; a call keeps its place over its attempts.
    - your layers per call.
    - `Coalescing`, off unless asked for: one exchange for identical requests, retries and all.
    - `Redirects`, off unless asked for, outside retries: a redirect is an answer, no failure.
    - `IdempotencyKeys`, off unless asked for, outside retries: one key for all attempts.
    - `Retries` inside the deadline, so that waiting counts; outside authentication, so that every attempt
      carries fresh credentials.
    - `Hedging`, off unless asked for, inside retries, which begin anew when all copies have failed.
    - `Authentication` per attempt, and outside all that is an endpoint's: a login belongs to the service.
    - `Endpoints`, off unless given, inside retries and hedging, so that each attempt may go elsewhere.
    - `CircuitBreaker`, `RateLimit` and `AdaptiveConcurrency`, the last two off unless asked for: each attempt counts, for
      the endpoint that it goes to; so does a token's request, for its own origin.
    - `AttemptTimeouts`: an attempt that hangs is given up while there is time for another.
    - `DeadlinePropagation`: each attempt tells the server how much time is left.
    - `AttemptTracing` and `AttemptMetrics`: a client span and a measurement for each attempt.
    - your layers per attempt. There is no cookie layer: services keep no session.
    - `FaultInjection`, off unless asked for, in the place of the transport.

    Args:
        settings: All numbers, as in `Client.for_service`; the service preset by default. The others win over it.
        total: Seconds for a whole call; None for no limit.
        attempt: Seconds for one attempt, up to its response's headers; None for no limit.
        attempts: Tries in all, the first included.
        auth: Whatever `Client(auth=...)` takes.
        follow_redirects: Whether redirects are followed.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range, or there is none of the name.
    """
    from ._service_layers import pipeline_of
    from ._service_settings import ServiceSettings

    if not isinstance(settings, ServiceSettings):
        settings = ServiceSettings.from_mapping(settings or {}, "settings")
    given: dict[str, dict[str, Any] | bool] = {}
    timeouts = {"total": total, "attempt": attempt}
    if timeouts := {name: value for name, value in timeouts.items() if value is not UNSET}:
        given["timeouts"] = timeouts
    if attempts is not UNSET:
        given["retries"] = {"attempts": attempts}
    if follow_redirects is not UNSET:
        given["redirects"] = bool(follow_redirects)
    return pipeline_of(settings.updated(given), auth)
