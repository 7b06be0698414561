"""The clients that are compared: what each is able to do, and where its adapter lies."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from clients.job import Action, Adapter, Colour, Job, Unavailable

__all__ = [
    "CLIENTS",
    "Action",
    "Adapter",
    "Colour",
    "Facts",
    "Job",
    "Unavailable",
    "adapter",
    "facts_of",
]

_ALL: frozenset[Colour] = frozenset({"sync", "asyncio", "trio"})
_BOTH: frozenset[Colour] = frozenset({"sync", "asyncio"})
_SYNC: frozenset[Colour] = frozenset({"sync"})
_ASYNCIO: frozenset[Colour] = frozenset({"asyncio"})
_NONE: frozenset[Colour] = frozenset()


@dataclass(frozen=True)
class Facts:
    """What is known of a client without importing it.

    Attributes:
        module: The adapter's module below `clients`.
        package: What is installed; empty for what comes with Python.
        imports: What a user imports, by colour ("" stands for all).
        colours: Where it runs.
        http2: Where it speaks HTTP/2.
        multiplexes: Whether it has many requests at once on one connection.
        python: Whether its calls and collectable garbage say something: it is written in Python.
        floor: No client, but what one cannot be cheaper than.
    """

    module: str
    package: str
    imports: Mapping[str, str]
    colours: frozenset[Colour]
    http2: frozenset[Colour] = _NONE
    multiplexes: bool = True
    python: bool = True
    floor: bool = False
    threads: bool = True
    lacks: frozenset[str] = field(default_factory=frozenset)


def _httpx_like(package: str) -> Facts:
    imports = {"sync": f"{package}.Client", "asyncio": f"{package}.AsyncClient"}
    return Facts("httpx_like", package, imports, _ALL, _ALL)


CLIENTS: dict[str, Facts] = {
    "scallion": _httpx_like("scallion"),
    "scallion-speed": _httpx_like("scallion"),
    "httpx": _httpx_like("httpx"),
    "httpx2": _httpx_like("httpx2"),
    "aiohttp": Facts("with_aiohttp", "aiohttp", {"": "aiohttp.ClientSession"}, _ASYNCIO),
    "requests": Facts("with_requests", "requests", {"": "requests.Session"}, _SYNC),
    "urllib3": Facts("with_urllib3", "urllib3", {"": "urllib3.PoolManager"}, _SYNC),
    "niquests": Facts(
        "with_requests",
        "niquests",
        {"sync": "niquests.Session", "asyncio": "niquests.AsyncSession"},
        _BOTH,
        _BOTH,
        multiplexes=False,
    ),
    "zapros": Facts(
        "with_zapros",
        "zapros",
        {"sync": "zapros.Client", "asyncio": "zapros.AsyncClient"},
        _ALL,
        _ALL,
    ),
    "pyreqwest": Facts(
        "with_pyreqwest",
        "pyreqwest",
        {"": "pyreqwest.client.ClientBuilder"},
        _BOTH,
        _BOTH,
        python=False,
    ),
    "primp": Facts("with_primp", "primp", {"": "primp.Client"}, _BOTH, _BOTH, python=False),
    "httpr": Facts("with_primp", "httpr", {"": "httpr.Client"}, _SYNC, _SYNC, python=False),
    "pycurl": Facts(
        "with_pycurl", "pycurl", {"": "pycurl.Curl"}, _SYNC, _SYNC, python=False, threads=False
    ),
    "http.client": Facts(
        "with_http_client", "", {"": "http.client.HTTPConnection"}, _SYNC, threads=False
    ),
    "socket": Facts("bare_socket", "", {}, _SYNC, floor=True, threads=False),
    "asyncio": Facts("bare_asyncio", "", {}, _ASYNCIO, floor=True),
}


def facts_of(name: str) -> Facts:
    """What is known of `name`, which may be `client@PATH`, the client as it is in another source tree."""
    return CLIENTS[name.partition("@")[0]]


def adapter(name: str) -> Adapter:
    """The adapter of the client `name`, its package imported.

    Raises:
        Unavailable: it is not installed, or not what it should be.
    """
    client = name.partition("@")[0]
    if client in {"requests", "urllib3"}:
        _is_the_real_urllib3(client)
    if client not in {"scallion-speed", "niquests"}:
        # With jh2 hidden, a client does what it does where that is not installed.
        sys.modules["jh2"] = None  # type: ignore[assignment]
    try:
        made: Adapter = importlib.import_module(f"clients.{CLIENTS[client].module}").make(client)
    except ImportError as error:
        raise Unavailable(f"cannot be imported ({error})") from error
    return made


def _is_the_real_urllib3(client: str) -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("urllib3-future")
    except PackageNotFoundError:
        return
    raise Unavailable(f"cannot be measured where urllib3-future {found} replaces urllib3: {client}")
