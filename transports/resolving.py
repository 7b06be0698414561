"""Which addresses a name has: a resolver of your own, or the operating system's with a small cache.

A resolver is consulted when a connection is opened, and changes nothing but where it leads: the Host header, cookies,
and the name that a certificate is checked for remain those of the URL.
"""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from scallion.pipeline.errors import ConnectError
from scallion.pipeline.hosts import encode_host
from scallion.pipeline.runtime import Event, Runtime

from .network.base import Network
from .network.faults import connect_timed_out, place, unresolved

__all__ = [
    "Address",
    "CachedResolver",
    "Lookup",
    "Resolver",
    "ResolverTypes",
    "as_resolver",
    "find",
]

Address: TypeAlias = str | tuple[str, int]
"""An IP address, IPv6 without brackets, at the port that was asked for or at another one."""


class Lookup:
    """The operating system's resolver, as a resolver may ask it; and the clock of the request that is waiting.

    Attributes:
        runtime: What a resolver may wait through, so that it serves clients of both colours.
    """

    __slots__ = ("_left", "_network", "runtime")

    def __init__(
        self, network: Network, runtime: Runtime, left: Callable[[], float | None]
    ) -> None:
        self._network = network
        self._left = left
        self.runtime = runtime

    def left(self) -> float | None:
        """Seconds until the request gives up connecting; None for any number.

        Raises:
            TotalTimeout: the call's deadline has passed.
        """
        return self._left()

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name, best first.

        Raises:
            ConnectError: the name does not resolve.
            ConnectTimeout: not in time.
        """
        return await self._network.resolve(host, port, self._left())


class Resolver(Protocol):
    """Tells the addresses of names. It may also have `forget(host, port)`: connecting to all of them has failed."""

    async def resolve(self, host: str, port: int, system: Lookup) -> Sequence[Address]:
        """The addresses of `host`, in the order in which they are to be tried; families take turns (RFC 8305).

        For a `Client` it must not suspend but through `system` and `system.runtime`. Under an event loop it is cancelled
        when the connect timeout is over.

        Args:
            host: A name, in lower case and ASCII; never an address.
            port: Where the connection is to lead.
            system: Asks the operating system: `await system(host, port)`.

        Raises:
            OSError: the name does not resolve; a ConnectError is raised from it. Other errors pass as they are.
        """


Told: TypeAlias = Address | Sequence[Address]
Asked: TypeAlias = Sequence[Address] | None
ResolverTypes: TypeAlias = (
    Resolver | Mapping[str, Told] | Callable[[str, int], Asked | Awaitable[Asked]]
)
"""A resolver, a table of names, or a function of name and port, plain or async; what the latter two do not know, the
system is asked."""


def as_resolver(resolver: ResolverTypes | None) -> Resolver:
    """What `resolver=` means; None is the operating system's, with a cache.

    Raises:
        TypeError, ValueError: it is nothing of the kind.
    """
    if resolver is None:
        return CachedResolver()
    if isinstance(resolver, Mapping):
        return _Table(resolver)
    if hasattr(resolver, "resolve"):
        return resolver
    if callable(resolver):
        return _Function(resolver)
    raise TypeError(
        "resolver= takes an object with `async def resolve(host, port, system)`, a mapping such as "
        f"{{'service.internal': '127.0.0.1'}}, or a function of host and port, not {resolver!r}"
    )


async def find(resolver: Resolver, host: str, port: int, system: Lookup) -> list[tuple[str, int]]:
    """Ask a resolver, and check what it says.

    Raises:
        ConnectError: the name does not resolve.
        ConnectTimeout: the resolver took too long.
        TypeError: it gave something else than addresses.
    """
    if isinstance(resolver, CachedResolver):
        # What is remembered needs no time, and so nobody who watches it.
        remembered = resolver.remembered(host, port, system.runtime)
        if remembered:
            return [_with_port(address, port, resolver) for address in remembered]
    where, limit = place(host, port), system.left()
    asking = resolver.resolve(host, port, system)
    try:
        if limit is None:
            found = await asking
        else:
            found = await system.runtime.bounded(asking, system.runtime.clock() + limit)
    except TimeoutError as exc:
        raise connect_timed_out(where, limit) from exc
    except (OSError, ValueError) as exc:
        raise unresolved(where, exc) from exc
    if not found:
        raise unresolved(where, OSError("its resolver gave no address"))
    return [_with_port(address, port, resolver) for address in found]


def _with_port(address: Any, port: int, resolver: Resolver) -> tuple[str, int]:
    match address:
        case str():
            return address, port
        case (str() as host, int() as other):
            return host, other
    raise TypeError(f"{resolver!r} gave {address!r}: expected '192.0.2.1' or ('192.0.2.1', 8080)")


class CachedResolver:
    """Remembers for a short time what another resolver said. Safe to share between threads, tasks and clients.

    Who asks for the same name at the same time shares one question. Of several addresses of a family each connection
    begins with the next, as it would if the name server was asked each time. Failures are not remembered.

    Args:
        resolver: Who is asked; the operating system by default.
        max_age: Seconds for which an answer is used again. The system does not tell how long a name server meant it to be
            valid, so it is short: 5 by default. 0 remembers nothing, and still shares questions.
        max_entries: Names that are remembered.

    Raises:
        TypeError, ValueError: one of them makes no sense.
    """

    def __init__(
        self,
        resolver: ResolverTypes | None = None,
        *,
        max_age: float = 5.0,
        max_entries: int = 256,
    ) -> None:
        if isinstance(max_age, bool) or not isinstance(max_age, (int, float)):
            raise TypeError(f"max_age must be seconds, not {max_age!r}")
        if not max_age >= 0:
            raise ValueError(f"max_age must be at least 0 seconds: {max_age!r}")
        if isinstance(max_entries, bool) or not isinstance(max_entries, int):
            raise TypeError(f"max_entries must be a whole number, not {max_entries!r}")
        if max_entries < 1:
            raise ValueError(f"max_entries must be at least 1: {max_entries!r}")
        self._inner = None if resolver is None else as_resolver(resolver)
        self._max_age = max_age
        self._max_entries = max_entries
        # No locks: each step on these is one operation of a dict, and a child process may go on with them.
        self._answers: dict[tuple[str, int], _Answer] = {}
        self._questions: dict[Hashable, _Question] = {}

    def remembered(self, host: str, port: int, runtime: Runtime) -> Sequence[Address] | None:
        """What was said before, if it is still good."""
        answer = self._answers.get((host, port))
        return answer.rotated() if answer is not None and runtime.clock() < answer.until else None

    async def resolve(self, host: str, port: int, system: Lookup) -> Sequence[Address]:
        """As `Resolver.resolve`."""
        runtime = system.runtime
        while True:
            remembered = self.remembered(host, port, runtime)
            if remembered is not None:
                return remembered
            # Events belong to one loop, and what a parent process asked is not answered to its child.
            key = (os.getpid(), runtime.key, host, port)
            mine = _Question()
            question = self._questions.setdefault(key, mine)
            if question is mine:
                return await self._ask(mine, key, host, port, system)
            if not await question.over(system):
                raise connect_timed_out(place(host, port), None)
            if question.error is not None:
                raise type(question.error)(str(question.error)) from question.error
            if question.answer is not None:
                return question.answer.rotated()
            # Who asked gave up before the answer came: the next one asks.

    async def _ask(
        self, question: _Question, key: Hashable, host: str, port: int, system: Lookup
    ) -> Sequence[Address]:
        try:
            if self._inner is None:
                found: Sequence[Address] = await system(host, port)
            else:
                found = await self._inner.resolve(host, port, system)
            question.answer = _Answer(found, system.runtime.clock() + self._max_age)
            if self._max_age and found:
                if len(self._answers) >= self._max_entries:
                    self._answers.clear()
                self._answers[host, port] = question.answer
        except (ConnectError, OSError) as error:
            # Running out of time is the asker's own affair.
            if not isinstance(error, TimeoutError):
                question.error = error
            raise
        finally:
            del self._questions[key]
            question.settle()
        return question.answer.rotated()

    def forget(self, host: str, port: int) -> None:
        """Ask anew when this name is next needed."""
        self._answers.pop((host, port), None)
        forget(self._inner, host, port)

    def __repr__(self) -> str:
        return f"<CachedResolver {len(self._answers)} names, for {self._max_age:g} s>"


def forget(resolver: object, host: str, port: int) -> None:
    """Tell a resolver that its addresses did not serve, if it cares."""
    told = getattr(resolver, "forget", None)
    if told is not None:
        told(host, port)


class _Answer:
    """What a resolver said, and until when it may be used."""

    __slots__ = ("_found", "_turns", "until")

    def __init__(self, found: Sequence[Address], until: float) -> None:
        self._found = found
        self._turns = itertools.count()
        self.until = until

    def rotated(self) -> list[Address]:
        """The addresses, those of each family beginning with another one each time. The families keep their places."""
        turn = next(self._turns)
        if len(self._found) < 2:
            return list(self._found)
        families: dict[bool, list[Address]] = {}
        for address in self._found:
            families.setdefault(_is_ipv6(address), []).append(address)
        turning = {
            family: itertools.islice(itertools.cycle(members), turn % len(members), None)
            for family, members in families.items()
        }
        return [next(turning[_is_ipv6(address)]) for address in self._found]


def _is_ipv6(address: Address) -> bool:
    return ":" in (address if isinstance(address, str) else address[0])


class _Question:
    """One that was put, and who waits for its answer."""

    __slots__ = ("_done", "_waiting", "answer", "error")

    def __init__(self) -> None:
        self.answer: _Answer | None = None
        self.error: Exception | None = None
        self._done = False
        self._waiting: list[Event] = []

    async def over(self, system: Lookup) -> bool:
        """Wait for the answer, or that nobody asks any longer; False once there is no more time."""
        event = system.runtime.event()
        self._waiting.append(event)
        # It is looked at after that, for another thread sets it before it wakes who waits.
        return self._done or await event.wait(system.left())

    def settle(self) -> None:
        self._done = True
        for event in self._waiting:
            event.set()


class _Function:
    """A function of name and port."""

    def __init__(self, function: Callable[[str, int], Any]) -> None:
        self._function = function

    async def resolve(self, host: str, port: int, system: Lookup) -> Sequence[Address]:
        found = self._function(host, port)
        if inspect.isawaitable(found):
            found = await found
        if found is None:
            return await system(host, port)
        return _several(found)

    def __repr__(self) -> str:
        return f"<resolver {self._function!r}>"


class _Table:
    """Names, or names with ports, and their addresses; or other names, for which the system is asked."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        from .network.connecting import is_address

        self._is_address = is_address
        self._table: dict[str, Sequence[Address]] = {}
        for given, told in table.items():
            name, colon, port = given.rpartition(":") if given.count(":") == 1 else (given, "", "")
            if is_address(given) or is_address(name) or given.startswith("["):
                raise ValueError(
                    f"resolver= has an address for the address {given!r}: only names are resolved"
                )
            if not name or (colon and not port.isdecimal()):
                raise ValueError(f"resolver= takes names, or names with a port, not {given!r}")
            self._table[f"{encode_host(name)}{colon}{port}"] = _several(told)

    async def resolve(self, host: str, port: int, system: Lookup) -> Sequence[Address]:
        told = self._table.get(f"{host}:{port}") or self._table.get(host)
        if not told:
            return await system(host, port)
        found: list[Address] = []
        for address in told:
            name, other = _with_port(address, port, self)
            addresses = [name] if self._is_address(name) else await system(name, other)
            found += [(each, other) for each in addresses]
        return found

    def __repr__(self) -> str:
        return f"<resolver of {', '.join(self._table)}>"


def _several(told: Any) -> Sequence[Address]:
    """One address, or several."""
    single = isinstance(told, str) or (
        isinstance(told, tuple) and len(told) == 2 and isinstance(told[1], int)
    )
    return [told] if single else list(told)
