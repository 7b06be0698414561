"""Fixtures of the tests below the seam: each network, small servers, and certificates made on the fly."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
import trustme

from support.channels import Loop, Servers


@pytest.fixture(params=["sync", "asyncio", "uvloop", "trio"])
def play(request: pytest.FixtureRequest) -> Loop:
    return Loop(request.param)


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def play_async(request: pytest.FixtureRequest) -> Loop:
    return Loop(request.param)


@pytest.fixture
def serve() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
