"""What the end of an attempt says of the origin: the classifier of `Retries`, for layers that keep count of it."""

from __future__ import annotations

from scallion.pipeline.errors import PoolTimeout, Rejected, TotalTimeout
from scallion.pipeline.request import Request

from .transient import Classifier, is_final

__all__ = ["ended_in_line", "mark_ended_in_line", "speaks_against_origin"]

# They come before the origin has been asked for anything.
_UNASKED = (PoolTimeout, Rejected)
# Timers of event loops run on clocks of their own and may fire this much early, in seconds.
_EARLY = 0.05


def mark_ended_in_line(error: BaseException) -> None:
    """Note on `error`, a cancellation say, that it came while a layer let the request wait: nothing was sent."""
    vars(error)["_ended_in_line"] = True


def ended_in_line(error: BaseException) -> bool:
    """Whether that was noted."""
    return "_ended_in_line" in vars(error)


def speaks_against_origin(
    error: BaseException,
    request: Request,
    classify: Classifier,
    *,
    since: float,
    now: float,
    deadline_after: float | None,
) -> bool:
    """Whether an attempt that ended with `error` was failed by the origin; if not, it says nothing.

    Args:
        error: What the attempt raised, a cancellation included.
        request: What was sent.
        classify: Says whether an error is a failure.
        since: When the attempt began.
        now: When it ended.
        deadline_after: Seconds that the attempt must have had for the passing of the call's deadline to be the
            origin's failure; None if it never is.
    """
    # Cases: it was never asked; the call's deadline; the caller's cancellation; our own doing, and a certificate, which
    # no rest heals; the classifier's.
    if ended_in_line(error):
        return False
    if isinstance(error, TotalTimeout) or not isinstance(error, Exception):
        # Under an event loop the deadline ends what waits by cancelling it.
        deadline = request.deadline
        passed = deadline is not None and now >= deadline - _EARLY
        return passed and deadline_after is not None and now - since >= deadline_after
    if isinstance(error, _UNASKED) or is_final(error):
        return False
    return classify(error)
