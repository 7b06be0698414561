"""The server's `Keep-Alive` field: how long it keeps an idle connection (RFC 2068 section 19.7.1.1).

RFC 9112 only keeps the name, but servers send it: Node, Apache, nginx, gunicorn and others say `timeout=5`, and close the
connection that many seconds after a response. A request that is sent just then is lost.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import inf

__all__ = ["MARGIN", "idle_limit"]

MARGIN = 1.0
"""Seconds that a connection is given up before the server would close it: for the way there, and its clock."""

_TIMEOUT = re.compile(rb'(?:^|[,;\s])timeout\s*=\s*"?([0-9]{1,9})', re.IGNORECASE)
_USES = re.compile(rb'(?:^|[,;\s])max\s*=\s*"?([0-9]{1,9})', re.IGNORECASE)


@lru_cache(maxsize=256)
def idle_limit(value: bytes) -> float:
    """Seconds that a connection may be idle after a response with this field: 0 for not at all, inf if it says nothing.

    `max=` is the number of requests that may follow; none means that the server closes.
    """
    uses = _USES.search(value)
    if uses is not None and int(uses[1]) == 0:
        return 0.0
    timeout = _TIMEOUT.search(value)
    return inf if timeout is None else max(0.0, int(timeout[1]) - MARGIN)
