"""What the retrying of one call knows: its tries so far, as waits, stops and predicates are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

if TYPE_CHECKING:
    from tenacity import Future

__all__ = ["Attempt", "FullJitter", "RetryState", "attempt_of"]

# Stands in the extensions of a request from its second try on, while it is inside `Retries`.
ATTEMPT_KEY = "_scallion.attempt"


def attempt_of(request: Request) -> int:
    """Which try of its call `request` is in, seen from inside `Retries`; the first is 1."""
    number: int = request.extensions.get(ATTEMPT_KEY, 1)
    return number


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a call, as told by `response.extensions["attempts"]`.

    Attributes:
        number: Of the try; the first is 1.
        status: The response's, or None if there was none.
        error: What happened instead of a response, or None.
        waited: Seconds between this try and the next; 0 for the last.
    """

    number: int
    status: int | None
    error: str | None
    waited: float

    def __str__(self) -> str:
        what = self.error if self.status is None else f"status {self.status}"
        return f"Attempt {self.number}: {what}; waited {self.waited:.3g} s"


@dataclass(frozen=True)
class FullJitter:
    """A wait anywhere between 0 and a bound that doubles with each try; usable wherever tenacity's are.

    Spreading over the whole range is what keeps many clients from coming back all at once.

    Attributes:
        base: Upper bound of the first wait, in seconds.
        cap: Upper bound of any wait, in seconds.
        random: Gives a number in [0, 1); `random.random` if None.

    Raises:
        ValueError: `base` or `cap` is negative, or `cap` less than `base`.
    """

    base: float = 0.1
    cap: float = 2.0
    random: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.base <= self.cap:
            raise ValueError(f"FullJitter expects 0 <= base <= cap, in seconds: {self!r}")

    def __call__(self, retry_state: Any) -> float:
        if self.random is None:
            from random import random
        else:
            random = self.random
        # The exponent is bounded, for a float would overflow after a thousand tries.
        doublings = min(retry_state.attempt_number - 1, 64)
        share: float = random()
        bound: float = min(self.cap, self.base * 2.0**doublings)
        return share * bound

    def __repr__(self) -> str:
        return f"FullJitter(base={self.base}, cap={self.cap})"


class RetryState:
    """What waits, stops and predicates are told: the attributes of `tenacity.RetryCallState`.

    It exists from the first failure on. Times are in seconds on the runtime's clock.

    Attributes:
        attempt_number: Of the try that has just ended; the first is 1.
        start_time: When the first try began.
        outcome_timestamp: When this one ended.
        idle_for: Waited so far.
        upcoming_sleep: The wait that is being decided on; stops are asked after it is known.
        args: The request, in a tuple.
        ended_with: The response or the error of this try; None between tries.
        resent_unsent: Whether a try was free, as the one before it never left.
    """

    next_action: None = None
    fn: None = None

    def __init__(self, retries: object, request: Request, start_time: float) -> None:
        self.retry_object = retries
        self.args = (request,)
        self.kwargs: dict[str, Any] = {}
        self.start_time = start_time
        self.attempt_number = 1
        self.outcome_timestamp = start_time
        self.idle_for = 0.0
        self.upcoming_sleep = 0.0
        self.ended_with: Any = None
        self.resent_unsent = False
        self._told: tuple[str, str | None] | None = None
        self._history: list[Attempt] = []

    @property
    def seconds_since_start(self) -> float:
        return self.outcome_timestamp - self.start_time

    @property
    def outcome(self) -> Future:
        """The response or the error, as tenacity's future."""
        from tenacity import Future

        failed = isinstance(self.ended_with, Exception)
        return Future.construct(self.attempt_number, self.ended_with, failed)

    def get_fn_name(self) -> str:
        return f"{self.args[0].method} request"

    def end(self, outcome: Response | Exception, at: float) -> None:
        """Note how the try ended."""
        self.ended_with = outcome
        self.outcome_timestamp = at
        self.upcoming_sleep = 0.0

    def waiting(self) -> None:
        """Note that the next try will come after `upcoming_sleep`."""
        self._remember(self.upcoming_sleep)
        self.idle_for += self.upcoming_sleep
        self.attempt_number += 1

    def tell(self, header: str) -> None:
        """Put the number of the coming try into a header."""
        headers = self.args[0].headers
        if self._told is None:
            self._told = header, headers.get(header)
        headers[header] = str(self.attempt_number)

    def untell(self) -> None:
        """Leave the header as the request brought it: sent anew, it would begin with the number of the last try."""
        if self._told is not None:
            header, before = self._told
            headers = self.args[0].headers
            if before is None:
                headers.pop(header, None)
            else:
                headers[header] = before

    def history(self) -> tuple[Attempt, ...]:
        """All tries, the one that has just ended included."""
        self._remember(0.0)
        return tuple(self._history)

    def cut_short(self) -> tuple[Attempt, ...]:
        """All tries of a call that is ended in the midst of one, or of the wait before it."""
        return (*self._history, Attempt(self.attempt_number, None, "it was cut short", 0.0))

    def what(self) -> str:
        """How the try ended, in a word: "503", "ConnectError"."""
        if isinstance(self.ended_with, Exception):
            return type(self.ended_with).__name__
        return str(self.ended_with.status_code)

    def _remember(self, waited: float) -> None:
        failed = isinstance(self.ended_with, Exception)
        error = f"{self.what()}: {self.ended_with}" if failed else None
        status = None if failed else self.ended_with.status_code
        self._history.append(Attempt(self.attempt_number, status, error, waited))
        # An error would keep its traceback, and that this very object, alive.
        self.ended_with = None
