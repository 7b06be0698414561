"""Sources: where the endpoints of a service are known from, and for how long what they say is good."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from scallion.pipeline.runtime import Runtime

from ..validation import check_callable, check_number  # noqa: TID252  (relative within a room)
from .endpoint import Endpoint, EndpointTypes, endpoints_of

__all__ = [
    "DNS",
    "SRV",
    "Asked",
    "Found",
    "Source",
    "SourceTypes",
    "Static",
    "WatchedFile",
    "source_of",
]


class Found(NamedTuple):
    """What a source said.

    Attributes:
        endpoints: As it knows them; never none at all.
        good_for: Seconds after which it is asked again; None for never.
    """

    endpoints: tuple[Endpoint, ...]
    good_for: float | None


class Source:
    """Knows the endpoints of services. One of your own derives from it; a function may be simpler.

    The answer is kept until it has served its time. Then it goes on being used while the source is asked again
    beside the requests, and also if that fails: endpoints that were good are better than none.
    """

    async def find(self, service: str, runtime: Runtime) -> Found:
        """The endpoints of `service`.

        What blocks goes through `runtime.offload`. For a `Client` nothing may suspend but through `runtime`.

        Raises:
            Exception: they cannot be told now; it is asked again a second later. No endpoints are such a failure.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Static(Source):
    """Always the same endpoints.

    Attributes:
        endpoints: At least one.
    """

    endpoints: Sequence[EndpointTypes]

    def __post_init__(self) -> None:
        found = endpoints_of(self.endpoints)
        if not found:
            raise ValueError("A service needs at least one endpoint, and the list is empty")
        object.__setattr__(self, "endpoints", found)

    async def find(self, service: str, runtime: Runtime) -> Found:  # noqa: ARG002
        return Found(self.endpoints, None)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"[{', '.join(map(str, self.endpoints))}]"


@dataclass(frozen=True)
class DNS(Source):
    """The addresses of a name, IPv4 and IPv6, from the operating system's resolver.

    Attributes:
        name: What is resolved; the service's name by default.
        port: Of all of them; None for the one of the request's URL.
        interval: Seconds between two questions, as the system tells no time to live.
        lookup: Takes the place of `socket.getaddrinfo`.
    """

    name: str | None = None
    port: int | None = None
    interval: float = 30.0
    lookup: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        check_number("DNS interval", self.interval, 0, above=True)
        Endpoint(self.name or "any", self.port)

    async def find(self, service: str, runtime: Runtime) -> Found:
        import socket

        lookup = self.lookup or socket.getaddrinfo
        name = self.name or service
        ask = partial(lookup, name, self.port, type=socket.SOCK_STREAM)
        found = await runtime.offload(ask)
        addresses = dict.fromkeys(str(address[4][0]) for address in found)
        return _found(f"The name {name!r}", tuple(addresses), self.interval, self.port)


@dataclass(frozen=True)
class SRV(Source):
    """The servers that SRV records name (RFC 2782), with ports, weights and priorities. Needs dnspython: `scallion[dns]`.

    Attributes:
        name: Of the records; `{service}` stands for the service's name.
        interval: Seconds between two questions; None for the records' own time to live, between 1 and 300.
        timeout: Seconds that an answer may take.
        resolver: A `dns.resolver.Resolver`; by default one set up as the system's.
    """

    name: str = "_http._tcp.{service}"
    interval: float | None = None
    timeout: float = 5.0
    resolver: Any = None

    def __post_init__(self) -> None:
        if self.interval is not None:
            check_number("SRV interval", self.interval, 0, above=True)
        check_number("SRV timeout", self.timeout, 0, above=True)

    async def find(self, service: str, runtime: Runtime) -> Found:
        name = self.name.replace("{service}", service)
        answer = await runtime.offload(partial(self._ask, name))
        endpoints = [
            Endpoint(
                str(record.target).rstrip("."),
                record.port,
                # A weight of 0 means: hardly ever, beside others that have one.
                weight=max(record.weight, 0.1),
                priority=record.priority,
            )
            # Of a server that is named twice the better priority counts, which is the last.
            for record in sorted(answer, key=lambda record: record.priority, reverse=True)
            if str(record.target) != "."
        ]
        lives: float = answer.rrset.ttl if answer.rrset is not None else 1.0
        good_for = min(300.0, max(1.0, lives)) if self.interval is None else self.interval
        return _found(f"The SRV records of {name!r}", endpoints, good_for)

    def _ask(self, name: str) -> Any:
        try:
            from dns.resolver import get_default_resolver
        except ImportError:
            raise ImportError("SRV records need dnspython: pip install 'scallion[dns]'") from None
        resolver = self.resolver or get_default_resolver()
        return resolver.resolve(name, "SRV", lifetime=self.timeout)


@dataclass(frozen=True)
class WatchedFile(Source):
    """A file that lists endpoints, read again when it has changed.

    It is JSON (a list of endpoints, or an object with such a list under the service's name; an endpoint is a
    text, or an object with `endpoint`, `weight` and `priority`) if it begins with a bracket or a brace, else one endpoint a line,
    with `#` for comments. A file that cannot be read, or that names none, leaves what was good in use.

    Attributes:
        path: Of the file.
        interval: Seconds between two looks at its date, at least.
    """

    path: str | os.PathLike[str]
    interval: float = 1.0
    _last: dict[str, tuple[object, Found | None]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_number("WatchedFile interval", self.interval, 0, above=True)
        object.__setattr__(self, "path", os.fspath(self.path))

    async def find(self, service: str, runtime: Runtime) -> Found:
        return await runtime.offload(partial(self._look, service))

    def _look(self, service: str) -> Found:
        path = Path(self.path)
        status = path.stat()
        # Editors replace files, and clocks are coarse: the date alone does not tell.
        print_of = (status.st_mtime_ns, status.st_size, status.st_ino)
        seen, good = self._last.get(service, (None, None))
        if seen == print_of and good is not None:
            return good
        # Noted first, so that what is broken is told once and not each second.
        self._last[service] = (print_of, good)
        entries = _entries(path.read_text("utf-8"), service)
        found = _found(f"The file {str(path)!r}", entries, self.interval)
        self._last[service] = (print_of, found)
        return found


@dataclass(frozen=True)
class Asked(Source):
    """A function of yours: `async def endpoints(service)`, or a plain one, which runs in a thread.

    Attributes:
        function: Given the service's name, gives its endpoints.
        interval: Seconds between two questions.
    """

    function: Callable[[str], Sequence[EndpointTypes] | Awaitable[Sequence[EndpointTypes]]]
    interval: float = 30.0

    def __post_init__(self) -> None:
        check_callable("Asked function", self.function)
        check_number("Asked interval", self.interval, 0, above=True)

    async def find(self, service: str, runtime: Runtime) -> Found:
        function = self.function
        if iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__):
            told: Any = function(service)
        else:
            # In a tuple, as trio takes offence at a coroutine that comes out of a thread.
            (told,) = await runtime.offload(lambda: (function(service),))
        if isawaitable(told):
            told = await told
        return _found("The function", told, self.interval)

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", None) or repr(self.function)
        return f"Asked({name}, interval={self.interval:g})"


SourceTypes: TypeAlias = (
    Source
    | Sequence[EndpointTypes]
    | EndpointTypes
    | os.PathLike[str]
    | Callable[[str], Sequence[EndpointTypes] | Awaitable[Sequence[EndpointTypes]]]
)
"""A source; endpoints, or one; a file's path (a `pathlib.Path`); a function of the service's name."""


def source_of(given: Any) -> Source:
    """`given` as a source.

    Raises:
        InvalidURL, TypeError, ValueError: it is none, or what it names are no endpoints.
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, type):
        raise TypeError(f"{given.__name__} is a class: write {given.__name__}(...)")
    if isinstance(given, os.PathLike):
        return WatchedFile(given)
    if callable(given):
        return Asked(given)
    return Static(given)


def _found(where: str, told: Any, good_for: float, port: int | None = None) -> Found:
    if port is not None:
        told = [Endpoint(host, port) for host in told]
    endpoints = endpoints_of(told)
    if not endpoints:
        raise ValueError(f"{where} gave no endpoints")
    return Found(endpoints, good_for)


def _entries(text: str, service: str) -> list[EndpointTypes]:
    if not text.lstrip().startswith(("[", "{")) or _is_ipv6_list(text):
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return [line for line in lines if line]
    import json

    told = json.loads(text)
    if isinstance(told, dict):
        told = told.get(service)
    if not isinstance(told, list):
        raise ValueError(f"Expected a list of endpoints, or an object with one for {service!r}")
    return [
        Endpoint(
            **_parts(each.get("endpoint")),
            weight=each.get("weight", 1.0),
            priority=each.get("priority", 0),
        )
        if isinstance(each, dict)
        else each
        for each in told
    ]


def _is_ipv6_list(text: str) -> bool:
    """Lines such as `[2001:db8::1]:80`, which begin like JSON."""
    first = text.lstrip().partition("\n")[0]
    return first.startswith("[") and "]:" in first and '"' not in first


def _parts(endpoint: Any) -> dict[str, Any]:
    (found,) = endpoints_of([endpoint])
    return {"host": found.host, "port": found.port, "scheme": found.scheme}
