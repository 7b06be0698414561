"""Every layer of ours keeps every rule of `check_middleware`, in each colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from scallion import DigestAuth, compatible, middlewares
from scallion.middlewares import (
    AttemptTimeouts,
    AttemptTracing,
    Authentication,
    BasicAuth,
    BearerAuth,
    CookiePersistence,
    Deadlines,
    EventHooks,
    FunctionAuth,
    Logging,
    NetRCAuth,
    Redirects,
    Retries,
    Token,
    Tracing,
)
from scallion.pipeline.layer import Layer
from scallion.testing.conformance import ConformanceError, check_middleware, middleware_checks

SECRET = "open-sesame"


async def hook(message: Any) -> None:
    pass


def plain_hook(message: Any) -> None:
    pass


async def provider() -> Token:
    return Token(SECRET, 60)


def plain_provider() -> str:
    return SECRET


def plain(request: Any, call_next: Any) -> Any:
    return call_next(request)


async def asynchronous(request: Any, call_next: Any) -> Any:
    return await call_next(request)


# To make one takes longer than all rules together.
RECORDING = TracerProvider()

CASES: dict[str, Callable[[], Any]] = {
    "AttemptTimeouts": AttemptTimeouts,
    "AttemptTracing": AttemptTracing,
    "AttemptTracing recording": lambda: AttemptTracing(tracer_provider=RECORDING),
    "Authentication": Authentication,
    "Authentication basic": lambda: Authentication(BasicAuth("user", SECRET)),
    "Authentication bearer": lambda: Authentication(BearerAuth(SECRET)),
    "Authentication bearer provider": lambda: Authentication(BearerAuth(plain_provider)),
    "Authentication digest": lambda: Authentication(DigestAuth("user", SECRET)),
    "Authentication function": lambda: Authentication(FunctionAuth(lambda request: request)),
    "CookiePersistence": CookiePersistence,
    "Deadlines": Deadlines,
    "Deadlines with a total": lambda: Deadlines(30),
    "EventHooks": EventHooks,
    "Logging": Logging,
    "Logging with headers": lambda: Logging(headers=["X-Request-Id"]),
    "Redirects": Redirects,
    "Redirects followed": lambda: Redirects(follow=True, limit=3),
    "Retries": Retries,
    "Retries many": lambda: Retries(attempts=6, retry_after_cap=10),
    "Tracing": Tracing,
    "Tracing recording": lambda: Tracing(tracer_provider=RECORDING),
    "a coroutine function": lambda: asynchronous,
    "a plain function": lambda: plain,
}


@pytest.mark.parametrize("name", CASES)
def test_our_layers_conform(name: str) -> None:
    """
    Each layer keeps each rule, however it is set up.
    """
    check_middleware(CASES[name], secrets=[SECRET])


def test_layers_of_one_colour_conform() -> None:
    """
    Hooks and providers are of one colour, and conform in that.
    """
    plain_hooks = {"request": [plain_hook], "response": [plain_hook]}
    hooks = {"request": [hook], "response": [hook]}

    check_middleware(lambda: EventHooks(plain_hooks), colours=["sync"])
    check_middleware(lambda: EventHooks(hooks), colours=["asyncio", "trio"])
    check_middleware(
        lambda: Authentication(BearerAuth(provider)),
        colours=["asyncio", "trio"],
        secrets=[SECRET],
    )


def test_netrc_conforms(tmp_path: Any) -> None:
    """
    A login from a file is as good as another.
    """
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine service.example login user password {SECRET}\n")

    check_middleware(lambda: Authentication(NetRCAuth(str(netrc))), secrets=[SECRET])


def test_no_layer_is_forgotten() -> None:
    """
    A new layer has to be added to the table above.
    """
    offered = {name: getattr(middlewares, name) for name in middlewares.__all__}
    layers = {
        name
        for name, value in offered.items()
        if isinstance(value, type) and issubclass(value, Layer)
    }

    assert layers == {type(make()).__name__ for make in CASES.values()} & set(offered)
    assert {type(layer).__name__ for layer in compatible()} <= layers


@pytest.mark.parametrize("check", middleware_checks(), ids=str)
def test_rules_can_be_tests_of_their_own(check: Any) -> None:
    """
    `middleware_checks` gives what pytest parametrises by.
    """
    check(lambda: asynchronous)


def test_plain_functions_are_checked_in_their_colour() -> None:
    """
    A plain function is for a Client, so it is checked in sync alone.
    """
    report = check_middleware(lambda: plain)

    assert {"sync"} == {colour for _, colour in report.passed}
    with pytest.raises(ConformanceError, match="plain is a plain function"):
        check_middleware(lambda: plain, colours=["trio"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"skip": ["flying"]}, "skip names 'flying'"),
        ({"colours": ["blue"]}, "colours names 'blue'"),
        ({"secrets": "sesame"}, "secrets is a collection"),
    ],
)
def test_unknown_names_are_refused(wrong: dict[str, Any], message: str) -> None:
    """
    A misspelt colour or rule is an error, and not a check that never runs.
    """
    with pytest.raises(ValueError, match=message):
        check_middleware(lambda: plain, **wrong)
