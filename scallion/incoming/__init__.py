"""The request that this program is serving: its deadline and its id, for the calls that it makes meanwhile.

`DeadlineMiddleware` (ASGI) and `WSGIDeadlineMiddleware` read them from the incoming request's headers. `within` bounds
other work: a message from a queue, a job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scallion.pipeline.incoming import IncomingDeadline, current_deadline, unbounded, within

from .asgi import DeadlineMiddleware
from .wsgi import WSGIDeadlineMiddleware

if TYPE_CHECKING:
    from scallion.middlewares.request_id import current_request_id

__all__ = [
    "DeadlineMiddleware",
    "IncomingDeadline",
    "WSGIDeadlineMiddleware",
    "current_deadline",
    "current_request_id",
    "unbounded",
    "within",
]


def __getattr__(name: str) -> Any:
    # It belongs to the layer that sends it on, which a service that makes no calls need not load.
    if name == "current_request_id":
        from scallion.middlewares.request_id import current_request_id

        return current_request_id
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
