"""What requests leave for the garbage collector: nothing, whatever becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.colours import COLOURS
from support.peers import Certificate

from .conftest import Measure
from .limits import GARBAGE, GARBAGE_OF_ASYNCIO

KINDS = (
    "get", "post", "stream", "redirect", "cookie", "chunked", "gzip", "status error", "dropped", "refused",
)  # fmt: skip
HTTP2_KINDS = ("get", "post", "stream", "redirect", "cookie", "gzip", "status error")


def check(found: dict[str, Any], what: str) -> None:
    kinds = found["kinds"]
    of_asyncio = any(kind.startswith("asyncio.") for kind in kinds)
    limit = GARBAGE_OF_ASYNCIO if of_asyncio else GARBAGE
    limit.check(f"Objects in circles per {what}", found["objects"], f"In all: {kinds}")
    assert not [kind for kind in kinds if kind.startswith("scallion.")], kinds


@pytest.mark.parametrize("colour", COLOURS)
def test_requests_leave_no_circles(colour: str, server: str, measure: Measure) -> None:
    """
    Requests, responses, errors and connections are gone when the last reference to them is.
    """
    found = measure("garbage", colour, server, kinds=KINDS)

    for kind in KINDS:
        check(found[kind], f"{kind}, {colour}")


@pytest.mark.parametrize("colour", COLOURS)
def test_requests_over_http2_leave_no_circles(colour: str, server: str, measure: Measure) -> None:
    """
    Likewise their streams.
    """
    found = measure("garbage", colour, server, kinds=HTTP2_KINDS, http1=False, http2=True)

    for kind in HTTP2_KINDS:
        check(found[kind], f"{kind}, {colour}, HTTP/2")


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
def test_requests_over_tls_leave_no_circles(
    colour: str,
    secure_server: str,
    certificate: tuple[Certificate, Path],
    http2: bool,
    measure: Measure,
) -> None:
    """
    Likewise what encrypts.
    """
    kinds = ("get", "stream", "status error")
    verify = str(certificate[1])

    found = measure("garbage", colour, secure_server, kinds=kinds, http2=http2, verify=verify)

    for kind in kinds:
        check(found[kind], f"{kind}, {colour}, TLS")
