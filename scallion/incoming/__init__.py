"""The request that this program is serving: its deadline and its id, for the calls that it makes meanwhile.

`DeadlineMiddleware` (ASGI) and `WSGIDeadlineMiddleware` read them from the incoming request's headers. `within` bounds
other work: a message from a queue, a job.
"""

from __future__ import annotations

from scallion.pipeline.incoming import IncomingDeadline, current_deadline, unbounded, within

from .asgi import DeadlineMiddleware
from .wsgi import WSGIDeadlineMiddleware

__all__ = [
    "DeadlineMiddleware",
    "IncomingDeadline",
    "WSGIDeadlineMiddleware",
    "current_deadline",
    "unbounded",
    "within",
]
