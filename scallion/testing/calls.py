"""What was asked of a router, and what came of it; and the assertions about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .seen import Seen
from .showing import count, show_url

if TYPE_CHECKING:
    from .routes import Route

__all__ = ["Call", "Called", "Calls"]


@dataclass(eq=False)
class Call:
    """One request that arrived.

    Attributes:
        request: As it was when it arrived, its body read: what layers change later is not seen here.
        route: The one that took it; None if none did.
        values: What the holes in the route's URL stood for.
        response: What was answered; None if nothing was, or not yet. Its body is the caller's to read.
        error: What was raised instead, or None.
    """

    request: Request
    route: Route | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    response: Response | None = None
    error: BaseException | None = None

    @property
    def content(self) -> bytes:
        """The request's body."""
        return self.request.content

    @property
    def json(self) -> Any:
        """The request's body as JSON.

        Raises:
            ValueError: it is none.
        """
        return Seen(self.request).json

    @property
    def form(self) -> dict[str, list[str | bytes]]:
        """The fields of the form that the request's body is; empty if it is none. Files are bytes."""
        return Seen(self.request).form

    def outcome(self) -> str:
        """In a word or two."""
        if self.response is not None:
            return str(self.response.status_code)
        return "no answer yet" if self.error is None else type(self.error).__name__

    def __repr__(self) -> str:
        return f"<Call {self.request.method} {show_url(self.request.url)} -> {self.outcome()}>"


class Calls(Sequence[Call]):
    """Calls in the order in which they arrived. It grows as they come."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    @property
    def first(self) -> Call:
        """Raises: IndexError: there is none."""
        return self[0]

    @property
    def last(self) -> Call:
        """Raises: IndexError: there is none."""
        return self[-1]

    @property
    def requests(self) -> list[Request]:
        """Their requests."""
        return [call.request for call in self._calls]

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        try:
            return self._calls[index]
        except IndexError:
            raise IndexError(f"There is no call {index}: there were {len(self)}") from None

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls[:])

    def lines(self) -> Iterator[str]:
        """One for each, numbered, for messages."""
        for number, call in enumerate(self, 1):
            unforeseen = "" if call.route is not None else " (no route)"
            yield f"{number}. {repr(call)[6:-1]}{unforeseen}"

    def __repr__(self) -> str:
        return f"<{len(self)} calls>" if len(self) != 1 else f"<1 call: {repr(self[0])[6:-1]}>"

    # For the router.

    def add(self, call: Call) -> None:
        self._calls.append(call)

    def clear(self) -> None:
        self._calls.clear()


class Called:
    """What routes and routers can be asked about their calls.

    Attributes:
        calls: All of them so far.
    """

    calls: Calls

    @property
    def called(self) -> bool:
        """Whether there was a call."""
        return bool(self.calls)

    @property
    def call_count(self) -> int:
        """How many calls there were."""
        return len(self.calls)

    def assert_called(self) -> None:
        """Raises: AssertionError: it was not."""
        if not self.calls:
            raise AssertionError(f"{self!r} was not called")

    def assert_not_called(self) -> None:
        """Raises: AssertionError: it was."""
        self.assert_call_count(0)

    def assert_called_once(self) -> None:
        """Raises: AssertionError: it was not, or more often."""
        self.assert_call_count(1)

    def assert_call_count(self, expected: int) -> None:
        """Raises: AssertionError: there were more calls or fewer."""
        calls = len(self.calls)
        if calls != expected:
            told = f"{self!r} was called {count(calls)}, expected {count(expected)}"
            lines = [f"    {line}" for line in self.calls.lines()]
            raise AssertionError("\n".join([f"{told}:" if lines else told, *lines]))
