"""Fault injection: what the other side's bad day would look like, on request."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any, ClassVar, Literal, TypeAlias

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    RequestError,
    TotalTimeout,
)
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime

from .remade import remade
from .validation import check_callable, check_count, check_number

__all__ = ["Fault", "FaultInjection", "FaultInjectionOption", "FaultName"]

_OPTION = "scallion.FaultInjection"

FaultName: TypeAlias = Literal["connect_timeout", "disconnected", "refused", "reset", "timeout"]

_ERRORS: dict[str, tuple[type[RequestError], str]] = {
    "connect_timeout": (ConnectTimeout, "no connection in the time allowed"),
    "disconnected": (RemoteProtocolError, "the server disconnected without sending a response"),
    "refused": (ConnectError, "connection refused"),
    "reset": (ReadError, "connection reset by peer"),
    "timeout": (ReadTimeout, "nothing arrived within the time allowed"),
}
# Those that take as long as the request's own timeout of that name says.
_LASTING = {"connect_timeout": "connect", "timeout": "read"}
# No connection, so the server has not seen the request.
_UNSENT = frozenset({"connect_timeout", "refused"})


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how often, and for which requests.

    A fault is a wait, a response or an error that the server never gave, or a wait and then one of these. With a wait
    alone the request is sent after it.

    Attributes:
        rate: The share of the requests it applies to, from 0 to 1.
        latency: Seconds before all else; or the least and the most of them, in between at random.
        status: Of a response to give, in the place of sending the request.
        headers: Of that response, a `Retry-After` for one.
        error: What to raise in the place of sending: "refused" (`ConnectError`), "connect_timeout"
            (`ConnectTimeout`), "reset" (`ReadError`), "timeout" (`ReadTimeout`), "disconnected"
            (`RemoteProtocolError`). Timeouts without a `latency` take as long as the request's own.
        after: True to send the request first and throw its response away: the server has done what was asked.
        methods: Those of the requests it applies to; None for all.
        host: Their host, as a pattern: "*.example".
        path: Their path, likewise: "/stock/*".
        match: Whether it applies to a request that all of these allow.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind, or out of its range, or contradicts another.
    """

    rate: float = 1.0
    latency: float | tuple[float, float] | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error: FaultName | None = None
    after: bool = False
    methods: Collection[str] | None = None
    host: str | None = None
    path: str | None = None
    match: Callable[[Request], bool] | None = None

    def __post_init__(self) -> None:
        check_number("Fault rate", self.rate, 0, 1)
        _check_latency(self.latency)
        if self.error is not None and self.error not in _ERRORS:
            raise ValueError(f"Fault error must be one of {', '.join(_ERRORS)}: {self.error!r}")
        if self.status is not None:
            check_count("Fault status", self.status, 200)
            check_number("Fault status", self.status, 200, 599)
        if self.status is not None and self.error is not None:
            raise ValueError(
                f"Fault takes a status or an error, not both: {self.status!r}, {self.error!r}"
            )
        if self.latency is None and self.status is None and self.error is None:
            raise ValueError("Fault needs a latency, a status or an error")
        if self.after and (self.error in _UNSENT or (self.status is None and self.error is None)):
            raise ValueError(
                "Fault after=True needs a status, or an error that comes after sending, not "
                f"{self.error!r}"
            )
        if self.headers and self.status is None:
            raise ValueError(f"Fault headers belong to a status: {self.headers!r}")
        if self.methods is not None:
            if isinstance(self.methods, str):
                raise TypeError(f"Fault methods must be a collection of names: {self.methods!r}")
            methods = frozenset(method.upper() for method in self.methods)
            object.__setattr__(self, "methods", methods)
        for name in ("host", "path"):
            pattern = getattr(self, name)
            if pattern is not None and not isinstance(pattern, str):
                raise TypeError(f"Fault {name} must be a pattern such as 'a*': {pattern!r}")
        if self.match is not None:
            check_callable("Fault match", self.match)

    @property
    def kind(self) -> str:
        """In a word: the error, the status, or "latency"."""
        return self.error or (str(self.status) if self.status is not None else "latency")

    def applies_to(self, request: Request) -> bool:
        """Whether this is one of the requests; the rate is another question."""
        url = request.url
        return (
            (self.methods is None or request.method in self.methods)
            and (self.host is None or fnmatchcase(url.host, self.host.lower()))
            and (self.path is None or fnmatchcase(url.path, self.path))
            and (self.match is None or bool(self.match(request)))
        )


@dataclass(frozen=True, slots=True)
class FaultInjectionOption:
    """What one request asks of `FaultInjection`; see `FaultInjection.option_for`."""

    fault: Fault | None = None

    def __post_init__(self) -> None:
        if self.fault is not None:
            _check_fault("FaultInjection.option_for", self.fault)


class _Dice:
    """One for each rule, so that a request or a rule more does not change what the others throw."""

    def __init__(self, seed: int | None, number: int) -> None:
        self._lock = threading.Lock()
        self._random = [
            Random() if seed is None else Random(f"{seed} {which}")  # noqa: S311  # it is no secret
            for which in range(number)
        ]

    def throw(self, which: int, fault: Fault) -> float | None:
        """None if nothing goes wrong this time, else the seconds of its latency."""
        random = self._random[which]
        # Always two numbers, so that one rule's rate does not change its latencies.
        with self._lock:
            chance, share = random.random(), random.random()
        if chance >= fault.rate:
            return None
        latency = fault.latency
        if latency is None:
            return 0.0
        if not isinstance(latency, tuple):
            return latency
        least, most = latency
        return least + share * (most - least)


@dataclass(frozen=True, repr=False)
class FaultInjection(Layer):
    """Make some requests go wrong: for tests, drills, and the question what the program would do.

    It is in no onion that is not given one, and without rules it does nothing. For each request the rules are gone
    through in order: the first one that applies to it, and whose die falls so, is what happens. Each rule has a die of
    its own; with a `seed` it falls the same way for the same sequence of requests that the rule applies to.

    Waits keep `request.deadline`: when it passes they end in `TotalTimeout`, as the transport's do.

    Observers are told `fault.injected`, with `kind` (the error, the status, or "latency"), `latency` in seconds,
    and `after`.

    Attributes:
        rules: What may go wrong.
        seed: Of the dice; None for others each time.

    Request extension `"scallion.FaultInjection"`: a `FaultInjectionOption`, made by `option_for`.

    Raises:
        TypeError: a rule is no `Fault`, or the seed no whole number.

    Order: innermost, in the place of the transport, so that all other layers take its faults for the network's. Outside
    retries it would fail whole calls, which no layer could do anything about.
    """

    option: ClassVar[str | None] = _OPTION

    rules: Iterable[Fault] = ()
    seed: int | None = None
    _dice: _Dice = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = tuple(self.rules)
        for rule in rules:
            _check_fault("FaultInjection rules", rule)
        if self.seed is not None and type(self.seed) is not int:
            raise TypeError(f"FaultInjection seed must be a whole number or None: {self.seed!r}")
        object.__setattr__(self, "rules", rules)
        # The last one is thrown for what single requests ask for.
        object.__setattr__(self, "_dice", _Dice(self.seed, len(rules) + 1))

    @staticmethod
    def option_for(fault: Fault | None = None) -> dict[str, Any]:
        """The request extension for one request: its fault, in the place of the rules; None for none at all."""
        return {_OPTION: FaultInjectionOption(fault)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        rules, dice, runtime = tuple(enumerate(self.rules)), self._dice, call_next.runtime

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, FaultInjectionOption):
                    raise TypeError(f"Expected FaultInjection.option_for(...), not {option!r}")
                asked = () if option.fault is None else ((len(rules), option.fault),)
            for which, fault in rules if option is None else asked:
                if fault.applies_to(request):
                    latency = dice.throw(which, fault)
                    if latency is not None:
                        return self._fail(fault, latency, request, send, runtime)
            return send(request)

        return through

    async def _fail(
        self, fault: Fault, latency: float, request: Request, send: Bound, runtime: Runtime
    ) -> Response:
        if fault.latency is None and fault.error in _LASTING:
            allowed = (request.extensions.get("timeout") or {}).get(_LASTING[fault.error])
            latency = allowed or 0.0
        request.note("fault.injected", kind=fault.kind, latency=latency, after=fault.after)
        await _wait(latency, request, runtime)
        if fault.status is None and fault.error is None:
            return await send(request)
        if fault.after:
            await (await send(request)).aclose()
        if fault.error is not None:
            kind, message = _ERRORS[fault.error]
            raise kind(f"{message} (an injected fault)", request=request)
        assert fault.status is not None
        return Response(fault.status, headers=fault.headers, content=b"", request=request)

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    def __repr__(self) -> str:
        return f"FaultInjection(rules=[{', '.join(map(_shown, self.rules))}], seed={self.seed})"


async def _wait(seconds: float, request: Request, runtime: Runtime) -> None:
    deadline = request.deadline
    if deadline is not None and runtime.clock() + seconds >= deadline:
        await runtime.sleep(max(0.0, deadline - runtime.clock()))
        raise TotalTimeout(
            "The call's deadline passed in an injected fault's latency", request=request
        )
    if seconds:
        await runtime.sleep(seconds)


def _shown(fault: Fault) -> str:
    parts = [f"rate={fault.rate:g}"]
    for name in ("latency", "status", "error", "host", "path"):
        value = getattr(fault, name)
        if value is not None:
            parts.append(f"{name}={value!r}")
    if fault.after:
        parts.append("after=True")
    if fault.methods is not None:
        parts.append(f"methods={{{', '.join(map(repr, sorted(fault.methods)))}}}")
    if fault.match is not None:
        parts.append(f"match={getattr(fault.match, '__name__', type(fault.match).__name__)}")
    return f"Fault({', '.join(parts)})"


def _check_fault(name: str, given: object) -> None:
    if not isinstance(given, Fault):
        raise TypeError(f"{name}: expected a Fault, not {given!r}")


def _check_latency(latency: object) -> None:
    if latency is None:
        return
    if not isinstance(latency, tuple):
        check_number("Fault latency", latency, 0)
        return
    if len(latency) != 2:
        raise ValueError(f"Fault latency takes the least and the most, in seconds: {latency!r}")
    check_number("Fault latency", latency[0], 0)
    check_number("Fault latency", latency[1], latency[0])
