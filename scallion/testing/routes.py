"""A route: which requests it takes, what it answers, how often it is to be called."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from scallion.pipeline.redaction import redact_url

from .answers import Answer, Delayed, check_answer
from .calls import Called, Calls
from .comparing import Difference
from .conditions import Condition, conditions_of
from .patterns import AnyURL, URLPattern
from .replies import Reply
from .seen import Seen
from .showing import called, count

if TYPE_CHECKING:
    from scallion.pipeline.types import HeaderTypes

    from .bodies import Chunks
    from .router import Router

__all__ = ["Pass", "Route", "Then"]

Then = Literal["repeat", "cycle", "refuse"]


class Pass:
    """The answer of routes that let requests pass; which transport they pass to, if not the router's."""

    def __init__(self, transport: Any = None) -> None:
        self.transport = transport


class Route(Called):
    """Made by a `Router`'s methods. Without an answer it answers 200 without a body.

    Attributes:
        calls: Those that it took, in order.
        name: What it was called, or None.
        text: What it takes, for people.
        times: How many calls it is to take, no fewer and no more; None for one or more.
        optional: Whether it need not be called.
    """

    def __init__(
        self,
        router: Router,
        method: str | Collection[str] | None,
        url: AnyURL,
        conditions: Mapping[str, Any],
        *,
        base: str,
        times: int | None,
        optional: bool,
        name: str | None,
    ) -> None:
        _check_times(times)
        self.pattern = URLPattern(url, base)
        self.conditions: tuple[Condition, ...] = conditions_of(method, self.pattern, conditions)
        self.name = name
        self.times = times
        self.optional = optional
        self.calls = Calls()
        self.text = self._describe(method)
        self._router = router
        self._answers: tuple[Any, ...] = (200,)
        self._then: Then = "repeat"
        self._given = 0

    # What it answers.

    def respond(
        self,
        status_code: int = 200,
        *,
        headers: HeaderTypes | None = None,
        content: bytes | str | None = None,
        text: str | None = None,
        html: str | None = None,
        json: Any = None,
        chunks: Chunks | None = None,
        extensions: Mapping[str, Any] | None = None,
        delay: float = 0,
    ) -> Self:
        """Answer each call with a response like this; arguments as of `Reply`.

        Args:
            delay: Seconds before it. More than the request's read timeout are a `ReadTimeout`.
        """
        reply = Reply(
            status_code,
            headers=headers,
            content=content,
            text=text,
            html=html,
            json=json,
            chunks=chunks,
            extensions=extensions,
        )
        return self.answer(Delayed(delay, reply) if delay else reply)

    def answer(self, *answers: Answer, then: Then = "repeat") -> Self:
        """Answer one call after the other with these, in the place of what was said before.

        Args:
            answers: A status, a `Reply`, a `Response`, a fault's name, an exception to raise, a function of the request
                that returns one of these, or a `Delayed` one.
            then: After the last: "repeat" it, "cycle" through all again, or "refuse" further calls.

        Raises:
            TypeError, ValueError: there is none, or one that is no answer.
        """
        if not answers:
            raise ValueError("answer() takes at least one answer")
        if then not in ("repeat", "cycle", "refuse"):
            raise ValueError(f"then= is 'repeat', 'cycle' or 'refuse', not {then!r}")
        for answer in answers:
            check_answer(answer, self.pattern.names)
        self._answers, self._then, self._given = answers, then, 0
        return self

    def pass_through(self, transport: Any = None) -> Self:
        """Let the requests pass to a transport, recorded like others. The route need then not be called.

        Args:
            transport: Of the client's colour. None for the router's own; or, where clients are intercepted and it has
                none, for the client's.
        """
        self._answers, self._then, self._given = (Pass(transport),), "repeat", 0
        self.optional = True
        return self

    def first(self) -> Self:
        """Put this route before all others, so that it takes what an earlier one would. For overriding in one test."""
        self._router._to_front(self)
        return self

    # For the router, under its lock.

    def take(self, seen: Seen) -> dict[str, Any] | None:
        """What the holes of the URL stand for, if all conditions hold; else None."""
        values = self.pattern.match(seen.url)
        if values is None or next(self.differences(seen), None) is not None:
            return None
        return values

    def differences(self, seen: Seen) -> Iterator[tuple[str, Difference]]:
        """Where the request is not what the route takes, each with its condition's name."""
        for condition in self.conditions:
            for difference in condition.differences(seen):
                yield condition.name, difference

    @property
    def used_up(self) -> bool:
        """Whether it takes no more calls, whatever they are."""
        if self.times is not None and len(self.calls) >= self.times:
            return True
        return self._then == "refuse" and self._given >= len(self._answers)

    def next_answer(self) -> Any:
        number, last = self._given, len(self._answers) - 1
        self._given += 1
        return self._answers[number % (last + 1) if self._then == "cycle" else min(number, last)]

    def reset(self) -> None:
        """Forget the calls, and begin with the first answer again."""
        self.calls.clear()
        self._given = 0

    def unmet(self) -> str | None:
        """What was expected of it and did not happen."""
        calls = len(self.calls)
        # Cases: a number is expected; it may be left out; one call at least.
        if self.times is not None:
            if calls == self.times or (self.optional and calls < self.times):
                return None
            return f"{self.text}: {called(calls)}, expected {count(self.times)}"
        if calls or self.optional:
            return None
        return f"{self.text}: {called(0)}"

    def _describe(self, method: str | Collection[str] | None) -> str:
        methods = (method,) if isinstance(method, str) else method
        named = "any method" if methods is None else "|".join(each.upper() for each in methods)
        others = [
            condition.name
            for condition in self.conditions
            if condition.name not in ("method", "url")
        ]
        text = f"{named} {redact_url(self.pattern.text)}"
        if others:
            text += f" with {', '.join(dict.fromkeys(others))}"
        return f"{self.name}: {text}" if self.name else text

    def __repr__(self) -> str:
        calls = len(self.calls)
        return f"<Route {self.text}, {calls} call{'' if calls == 1 else 's'}>"


def _check_times(times: object) -> None:
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 0):
        raise ValueError(f"times= of a route is a number, at least 0, or None: {times!r}")
