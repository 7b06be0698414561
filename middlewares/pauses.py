"""Whose pause a `Retry-After` asks for: what a layer that chooses among servers tells the layers that send again."""

from __future__ import annotations

from scallion.pipeline.response import Response

__all__ = ["PAUSE_KEY", "pause_after", "set_pause"]

PAUSE_KEY = "retry_pause"
"""Stands in the extensions of a response whose `Retry-After` was taken note of by a layer inside: `set_pause`."""


def set_pause(response: Response, seconds: float) -> None:
    """Say that the next attempt has `seconds` to wait, whatever the response's `Retry-After` asks for.

    Args:
        response: What one of several servers answered.
        seconds: 0 if another server will be asked; else until the first of them may be asked again.
    """
    response.extensions[PAUSE_KEY] = seconds


def pause_after(response: Response, asked: float) -> float:
    """Seconds for which nothing should be sent again after `response`.

    Args:
        response: The answer to the attempt.
        asked: What its `Retry-After` asks for, which counts unless a layer further in has said otherwise.
    """
    seconds: float = response.extensions.get(PAUSE_KEY, asked)
    return seconds
