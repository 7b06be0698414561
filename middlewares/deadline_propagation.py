"""DeadlinePropagation: tell who is asked how much time is left."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any, ClassVar

from scallion.pipeline.errors import TotalTimeout
from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.timeout_forms import TimeoutForm, check_form, check_header, writer_of

__all__ = ["DeadlinePropagation", "DeadlinePropagationOption"]

_OPTION = "scallion.DeadlinePropagation"


class _Told(bytes):
    """A header's value that this layer wrote, and may replace; it is still one in a copy of the headers."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DeadlinePropagationOption:
    """What one request asks of `DeadlinePropagation`; see `DeadlinePropagation.option_for`."""

    enabled: bool = True


@dataclass(frozen=True)
class DeadlinePropagation(Layer):
    """Send along, with each attempt, the seconds that are left until `request.deadline`, rounded down.

    A header that the caller set stands. Without a deadline none is sent. An attempt whose deadline has passed is not sent.

    Observers are told `deadline.sent`, with `header` and `value`, and `deadline.passed`, with `late`, the seconds since.

    Attributes:
        header: The name of the header.
        form: `"seconds"` (`12.5`), `"milliseconds"` (`12500`), or `"grpc"` (`12500m`: at most 8 digits and a unit).

    Request extension `"scallion.DeadlinePropagation"`, made by `option_for`.

    Raises:
        ValueError: `header` is no name of a header, or `form` none of these.
        TotalTimeout: from a call: nothing was left. Inside `AttemptTimeouts` that may be an `AttemptTimeout`.

    Order: inside retries, so that each attempt tells what is left then, and inside the attempt's timeout, so that
    nobody works on for an attempt that has been given up. Outside retries, all attempts would tell what was left before
    the first.
    """

    option: ClassVar[str | None] = _OPTION

    header: str = "X-Request-Timeout"
    form: TimeoutForm = "seconds"

    def __post_init__(self) -> None:
        check_header("DeadlinePropagation", "header", self.header)
        check_form("DeadlinePropagation", self.form)

    @staticmethod
    def option_for(*, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            enabled: False to send no header.
        """
        return {_OPTION: DeadlinePropagationOption(enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:
        name = self.header.encode("ascii")
        lower_name = name.lower()
        write = writer_of(self.form)
        clock = call_next.runtime.clock

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None and not isinstance(option, DeadlinePropagationOption):
                raise TypeError(f"Expected DeadlinePropagation.option_for(...), not {option!r}")
            deadline, headers = request.deadline, request.headers
            before = headers.get_raw(lower_name)
            # Cases: nothing to tell, or to take back; no time left; the caller's own; what is left.
            if deadline is None and before is None:
                return send(request)
            left = None if deadline is None else deadline - clock()
            if left is not None and left <= 0:
                raise _passed(request, left)
            if before is not None and type(before) is not _Told:
                return send(request)
            if left is None or left == inf or (option is not None and not option.enabled):
                if before is not None:
                    # What was left in an earlier call.
                    del headers[self.header]
                return send(request)
            value = write(left)
            headers.set_raw(name, lower_name, _told(value))
            if request.observers:
                request.note("deadline.sent", header=self.header, value=value)
            return send(request)

        return through


# Many requests are sent with about as much time left.
@lru_cache(maxsize=1024)
def _told(value: str) -> _Told:
    return _Told(value, "ascii")


def _passed(request: Request, left: float) -> TotalTimeout:
    if request.observers:
        request.note("deadline.passed", late=-left)
    return TotalTimeout(
        "The deadline had passed before this attempt could be sent, so it was not", request=request
    )
