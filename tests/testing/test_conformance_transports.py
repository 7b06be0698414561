"""Every transport of ours keeps every rule of `check_transport`, in each colour it has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scallion import ASGITransport, AsyncHTTPTransport, HTTPTransport, MockTransport, WSGITransport
from scallion.testing import Recorder, Router
from scallion.testing.conformance import (
    HTTP1,
    HTTP2,
    IN_PROCESS,
    ConformanceError,
    Reference,
    check_transport,
    transport_checks,
)
from support import peers, servers


class Case(NamedTuple):
    factory: Any
    features: frozenset[str]


def http(reference: Reference, **settings: Any) -> HTTPTransport | AsyncHTTPTransport:
    kind = HTTPTransport if reference.colour == "sync" else AsyncHTTPTransport
    return kind(limits=reference.limits, **settings)


def https(reference: Reference, **settings: Any) -> tuple[Any, str]:
    return http(reference, verify=reference.ssl_context, **settings), reference.tls_url


# What lies in between answers for the origin, and has a connection of its own to it.
THROUGH = HTTP1 - {"direct"}
FORWARDED = THROUGH - {"faults", "header-case", "reason", "reuse", "timeouts", "trailers", "upload"}

CASES = {
    "HTTP/1.1": Case(http, HTTP1),
    "HTTP/1.1 over TLS": Case(https, HTTP1),
    "HTTP/2": Case(lambda reference: http(reference, http1=False, http2=True), HTTP2),
    "HTTP/2 over TLS": Case(lambda reference: https(reference, http2=True), HTTP2),
    "Unix socket": Case(
        lambda reference: http(reference, uds=reference.unix_socket), HTTP1 - {"direct"}
    ),
    "MockTransport": Case(
        lambda reference: MockTransport(reference.handler), IN_PROCESS | {"reason"}
    ),
    "ASGITransport": Case(
        lambda reference: ASGITransport(reference.asgi), IN_PROCESS | {"upload", "deadline"}
    ),
    "WSGITransport": Case(lambda reference: WSGITransport(reference.wsgi), IN_PROCESS | {"upload"}),
}


@pytest.mark.parametrize("name", CASES)
def test_our_transports_conform(name: str) -> None:
    """
    Each transport keeps each rule that its features ask for.
    """
    check_transport(CASES[name].factory, features=CASES[name].features)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_forward_proxy_conforms(stack: ExitStack) -> None:
    """
    Requests through squid keep what a proxy lets through, and the transport serves on.
    """
    proxy = stack.enter_context(peers.squid())
    address = f"http://127.0.0.1:{proxy.port}"

    def factory(reference: Reference) -> Any:
        return http(reference, proxy=address)

    # It keeps PURGE for itself, and lets no method pass that it does not know.
    check_transport(
        factory, features=FORWARDED, skip=["method_arrives", "any_method_may_have_a_body"]
    )


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_tunnels_conform(stack: ExitStack, http2: bool) -> None:
    """
    Through CONNECT, with TLS inside of it, a transport is as good as without.
    """
    proxy = stack.enter_context(servers.ProxyServer())

    def factory(reference: Reference) -> tuple[Any, str]:
        return https(reference, proxy=proxy.url, http2=http2)

    check_transport(factory, features=THROUGH & HTTP2 if http2 else THROUGH)


def test_socks_proxies_conform(stack: ExitStack, tmp_path: Path) -> None:
    """
    Through a SOCKS5 proxy a transport is as good as without.
    """
    proxy = stack.enter_context(peers.microsocks(tmp_path))
    address = f"socks5://127.0.0.1:{proxy.port}"

    check_transport(lambda reference: http(reference, proxy=address), features=THROUGH)


def test_the_router_conforms() -> None:
    """
    Answered by a route, or passed through, requests are what they are elsewhere; but their bodies are read before.
    """

    def answering(reference: Reference) -> Router:
        router = Router()
        router.route().answer(reference.handler)
        return router

    def passing(reference: Reference) -> Router:
        return Router(transport=http(reference), pass_through=True)

    check_transport(answering, features=IN_PROCESS)
    check_transport(passing, features=HTTP1 - {"upload"})


def test_the_recorder_conforms(tmp_path: Path) -> None:
    """
    While it records, it is as good as the transport that it records.
    """
    numbers = itertools.count()

    def factory(reference: Reference) -> Recorder:
        return Recorder(tmp_path / f"{next(numbers)}.har", "all", http(reference))

    check_transport(factory)


@pytest.mark.parametrize("check", transport_checks(features=IN_PROCESS), ids=str)
def test_rules_can_be_tests_of_their_own(check: Any) -> None:
    """
    `transport_checks` gives what pytest parametrises by.
    """
    check(CASES["MockTransport"].factory)


def test_http2_was_spoken() -> None:
    """
    The cases for HTTP/2 do not fall back to HTTP/1.1 unnoticed.
    """
    for name in ("HTTP/2", "HTTP/2 over TLS"):
        with Reference("sync") as reference:
            made = CASES[name].factory(reference)
            transport, url = made if isinstance(made, tuple) else (made, reference.url)
            with transport:
                from scallion import Request

                response = transport.handle_request(Request("GET", f"{url}/told"))
                response.read()

        assert "HTTP/2" == response.http_version


# The suite itself.


def test_the_report_tells_what_was_kept() -> None:
    """
    What was kept, and what did not apply, is told by name.
    """
    report = check_transport(
        CASES["MockTransport"].factory, colours=["sync"], features=(), skip=["status_arrives"]
    )

    assert ("method_arrives", "sync") in report.passed
    assert {"status_arrives", "read_timeout_is_kept"} <= set(report.skipped)
    assert str(report).startswith(f"{len(report.passed)} kept, 0 broken,")


def test_a_broken_rule_is_told_with_its_source() -> None:
    """
    The error names the rule, the colour, what was seen, and where the rule comes from.
    """
    with pytest.raises(ConformanceError) as caught:
        check_transport(
            lambda reference: MockTransport(
                lambda request: reference.handler(request).next_request
            ),
            colours=["sync"],
            features=(),
        )

    assert "method_arrives [sync]: TypeError" in str(caught.value)
    assert "(RFC 9110 section 9.1)" in str(caught.value)
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert [] == caught.value.report.passed


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"features": ["flying"]}, "features names 'flying'"),
        ({"skip": ["flying"]}, "skip names 'flying'"),
        ({"skip": "status_arrives"}, "skip is a collection"),
        ({"colours": ["blue"]}, "colours names 'blue'"),
        ({"colours": []}, "no colour to check"),
    ],
)
def test_unknown_names_are_refused(wrong: dict[str, Any], message: str) -> None:
    """
    A misspelt feature, colour or rule is an error, and not a check that never runs.
    """
    with pytest.raises(ValueError, match=message):
        check_transport(http, **wrong)


def test_what_is_no_transport_is_refused() -> None:
    """
    A factory of something without the two methods has nothing to check.
    """
    with pytest.raises(ValueError, match="nothing to check"):
        check_transport(lambda reference: object())


def test_only_the_colours_that_a_transport_has_are_checked() -> None:
    """
    A transport of one colour is checked in that one, unless more is asked for.
    """
    factory = CASES["WSGITransport"].factory

    report = check_transport(factory, features=(), skip=())
    assert {"sync"} == {colour for _, colour in report.passed}
    with pytest.raises(ConformanceError, match="has no handle_async_request"):
        check_transport(factory, colours=["asyncio"], features=())
