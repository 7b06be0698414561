"""What a middleware meets: answers of every kind, errors of every kind, bodies that can be sent once only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from scallion.pipeline import errors
from scallion.pipeline.errors import RequestError

__all__ = ["ANSWERS", "ERRORS", "RESENT", "SCENARIOS", "Answer", "Scenario"]

Headers: TypeAlias = tuple[tuple[str, str], ...]
Body: TypeAlias = Literal["none", "bytes", "once"]

ELSEWHERE = "http://elsewhere.example/there"


@dataclass(frozen=True)
class Answer:
    """A response that the rest of the onion gives."""

    status: int
    headers: Headers = ()

    @property
    def body(self) -> bytes:
        return b"" if self.status in (204, 304) else b"answer %d" % self.status


GOOD = Answer(200)
Outcome: TypeAlias = Answer | type[BaseException]


@dataclass(frozen=True)
class Scenario:
    """A request and what the rest of the onion does with it.

    Attributes:
        outcomes: One for each sending; the last one for all further ones.
    """

    name: str
    outcomes: tuple[Outcome, ...]
    method: str = "GET"
    body: Body = "none"

    def __str__(self) -> str:
        return self.name

    def outcome(self, number: int) -> Outcome:
        """What the sending of that number, from 0, comes to."""
        return self.outcomes[min(number, len(self.outcomes) - 1)]


def _challenge(scheme: str) -> Headers:
    return (("WWW-Authenticate", scheme),)


ANSWERS: tuple[Answer, ...] = (
    GOOD,
    Answer(200, (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/"))),
    Answer(201),
    Answer(204),
    Answer(206),
    Answer(301, (("Location", "/there"),)),
    Answer(302, (("Location", ELSEWHERE),)),
    Answer(302),
    Answer(303, (("Location", "/there"),)),
    Answer(304),
    Answer(307, (("Location", "/there"),)),
    Answer(308, (("Location", ELSEWHERE),)),
    Answer(400),
    Answer(401),
    Answer(401, _challenge('Basic realm="here"')),
    Answer(401, _challenge('Digest realm="here", nonce="abc", qop="auth", algorithm=SHA-256')),
    Answer(401, _challenge('Bearer error="invalid_token"')),
    Answer(403),
    Answer(404),
    Answer(407, (("Proxy-Authenticate", 'Basic realm="proxy"'),)),
    Answer(408),
    Answer(425),
    Answer(429, (("Retry-After", "1"),)),
    Answer(500),
    Answer(502),
    Answer(503),
    Answer(503, (("Retry-After", "3600"),)),
    Answer(504),
)


def _concrete() -> Iterator[type[RequestError]]:
    for name in errors.__all__:
        kind: Any = getattr(errors, name)
        if issubclass(kind, RequestError):
            yield kind


ERRORS: tuple[type[RequestError], ...] = tuple(_concrete())
"""Every error that the rest of the onion may raise."""


def _title(outcome: Outcome) -> str:
    if isinstance(outcome, Answer):
        names = ", ".join(name for name, _ in outcome.headers)
        return f"{outcome.status} with {names}" if names else f"{outcome.status}"
    return outcome.__name__


_OUTCOMES: tuple[Outcome, ...] = (*ANSWERS, *ERRORS)


def _all() -> Iterator[Scenario]:
    for outcome in _OUTCOMES:
        title = _title(outcome)
        yield Scenario(f"a GET, always answered by {title}", (outcome,))
        if outcome is not GOOD:
            yield Scenario(f"a GET, answered by {title} and then by 200", (outcome, GOOD))
        if isinstance(outcome, Answer):
            yield Scenario(
                f"a POST, answered by {title} and then by 200", (outcome, GOOD), "POST", "bytes"
            )


SCENARIOS: tuple[Scenario, ...] = tuple(_all())

RESENT: tuple[Scenario, ...] = tuple(
    Scenario(
        f"a {method} whose body can be sent once, answered by {_title(outcome)}",
        (outcome, outcome, GOOD),
        method,
        "once",
    )
    for outcome in _OUTCOMES
    for method in ("POST", "PUT")
)
"""Requests that must not be sent a second time, whatever happens."""
