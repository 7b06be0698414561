"""The built-in onions, as they print: what the documentation shows is compared with this."""

from __future__ import annotations

from typing import Any

import pytest

import scallion
from scallion import (
    PER_ATTEMPT,
    PER_CALL,
    Deadlines,
    Request,
    Response,
    Retries,
    compatible,
    service_stack,
)

COMPATIBLE = """\
<Pipeline, outermost first:
  Deadlines(total=None)
  -- per call --
  Authentication()
  Redirects(follow=False, limit=20)
  EventHooks(request=0, response=0)
  CookiePersistence()
  -- per attempt --
  transport>"""

SERVICE = """\
<Pipeline, outermost first:
  Tracing()
  Metrics()
  Logging()
  RequestId(header='X-Request-Id')
  Deadlines(total=30.0)
  Bulkhead(limit=100, queue=100, patience=2.0)
  -- per call --
  Redirects(follow=False, limit=20, sensitive={'authorization', 'proxy-authorization', 'x-api-key'})
  Retries(attempts=3, wait=FullJitter(base=0.1, cap=2.0), transient=Transient(statuses={429, 502, 503, 504}, also=idle_timeout), retry_after_cap=30.0, retry_unsent=True, budget=RetryBudget(share=0.2, window=10.0, floor=10.0), attempt_header='X-Request-Attempt')
  Authentication()
  CircuitBreaker(ratio=0.5, minimum=20, window=30.0, break_for=5.0, growth=2.0, longest=60.0, jitter=0.1, probes=1, statuses={429, 502, 503, 504}, deadline_counts_after=1.0)
  AttemptTimeouts(seconds=10.0)
  DeadlinePropagation(header='X-Request-Timeout', form='seconds')
  AttemptTracing()
  AttemptMetrics()
  -- per attempt --
  transport>"""


@pytest.mark.parametrize("client", [scallion.Client, scallion.AsyncClient])
def test_the_default_is_compatible(client: Any) -> None:
    """
    What a client without further ado does.
    """
    assert COMPATIBLE == repr(client().pipeline) == repr(compatible())


def test_settings_show() -> None:
    """
    A client's settings stand in the picture.
    """
    client = scallion.Client(
        follow_redirects=True,
        max_redirects=3,
        event_hooks={"request": [print]},
        auth=("u", "secret"),
    )

    assert COMPATIBLE.replace("follow=False, limit=20", "follow=True, limit=3").replace(
        "request=0", "request=1"
    ) == repr(client.pipeline)


def test_the_service_stack() -> None:
    """
    The onion for calls between services.
    """
    assert SERVICE == repr(service_stack())


def test_the_service_stack_takes_settings() -> None:
    """
    Each lands in its layer; None leaves one out.
    """
    stack = service_stack(
        total=5.0, attempt=None, attempts=5, auth=("user", "secret"), follow_redirects=True
    )

    assert "  Deadlines(total=5.0)" in repr(stack)
    assert "Redirects(follow=True, limit=20, sensitive=" in repr(stack)
    assert "Retries(attempts=5" in repr(stack)
    assert "Authentication(BasicAuth('****', '****'))" in repr(stack)
    assert scallion.AttemptTimeouts not in stack
    assert "secret" not in repr(stack)


def test_each_call_makes_layers_of_its_own() -> None:
    """
    Two clients never share a jar or hooks by accident.
    """
    one, other = compatible(), compatible()

    for layer in (scallion.CookiePersistence, scallion.EventHooks, scallion.Redirects):
        assert one.find(layer) is not other.find(layer)


def test_compatible_takes_settings() -> None:
    """
    The jar goes to redirects and cookies alike.
    """
    jar = scallion.Cookies()
    stack = compatible(follow_redirects=True, max_redirects=5, cookies=jar)

    redirects, cookies = stack.find(scallion.Redirects), stack.find(scallion.CookiePersistence)
    assert redirects is not None
    assert cookies is not None
    assert (True, 5) == (redirects.follow, redirects.limit)
    assert jar is redirects.cookies is cookies.cookies


def test_middlewares_of_a_client_fill_its_slot() -> None:
    """
    Per call, in order, after those that the pipeline has there.
    """

    async def first(request: Request, call_next: scallion.Next) -> Response:
        return await call_next(request)

    async def second(request: Request, call_next: scallion.Next) -> Response:
        return await call_next(request)

    client = scallion.Client(pipeline=compatible().per_call(first), middlewares=[second, Retries()])

    layers = [getattr(layer, "__name__", type(layer).__name__) for layer in client.pipeline.layers]
    assert ["Deadlines", "first", "second", "Retries", "Slot", "Authentication"] == layers[:6]


@pytest.mark.parametrize(
    ("stack", "outer"), [(compatible, Deadlines), (service_stack, scallion.Bulkhead)]
)
def test_stacks_have_both_slots(stack: Any, outer: type) -> None:
    """
    Per call inside the deadline and the bulkhead, and outside redirects and retries; per attempt innermost.
    """
    layers = stack().layers

    assert layers.index(PER_CALL) == 1 + [type(layer) for layer in layers].index(outer)
    assert PER_ATTEMPT is layers[-1]


@pytest.mark.parametrize("stack", [compatible, service_stack])
def test_stacks_serve(face: Any, stack: Any) -> None:
    """
    In both clients, in strict mode: no layer loses a response.
    """

    async def scenario(client: Any) -> list[int]:
        calls = [
            client.get("http://example.org/"),
            client.get("http://example.org/", follow_redirects=True),
        ]
        return [(await call).status_code for call in calls]

    def handler(request: Request) -> Response:
        return (
            Response(302, headers={"Location": "/end"})
            if request.url.path == "/"
            else Response(200)
        )

    assert [302, 200] == face(scenario, handler, pipeline=stack().strict())


def test_the_service_stack_takes_all_settings() -> None:
    """
    Those of a service, over which its own arguments are laid.
    """
    settings = {
        "timeouts": {"total": "5s"},
        "retries": {"attempts": 4},
        "hedging": True,
        "coalescing": True,
        "idempotency_keys": True,
        "concurrency": True,
        "rate_limit": {"rate": "10/second"},
        "endpoints": {"addresses": ["127.0.0.1:1"]},
        "faults": {"status": 503, "rate": 0.5},
        "base_url": "http://orders",
    }

    names = [type(layer).__name__ for layer in service_stack(settings, attempts=2)]
    stack = service_stack(settings, attempts=2, follow_redirects=True)

    assert [
        "Tracing",
        "Metrics",
        "Logging",
        "RequestId",
        "Deadlines",
        "Bulkhead",
        "Coalescing",
        "Redirects",
        "IdempotencyKeys",
        "Retries",
        "Hedging",
        "Authentication",
        "Endpoints",
        "CircuitBreaker",
        "RateLimit",
        "AdaptiveConcurrency",
        "AttemptTimeouts",
        "DeadlinePropagation",
        "AttemptTracing",
        "AttemptMetrics",
        "FaultInjection",
    ] == names
    assert Deadlines(5.0) == stack.find(Deadlines)
    assert "attempts=2" in repr(stack.find(Retries))
    assert "Redirects(follow=True, limit=20, sensitive=" in repr(stack)
    with pytest.raises(ValueError, match="endpoints need a base_url"):
        service_stack({**settings, "base_url": None})
