"""What a request may cost: each number that the gates hold, where a noisy machine cannot blur it.

All are for the default stack and a small JSON answer over keep-alive, on CPython; between its versions 3.11 to 3.14 calls
differ by a few in a hundred. A limit is a little above what is, so that no step back goes unseen; the goal stands beside it.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

__all__ = [
    "COLOURS",
    "CONNECTION_BYTES",
    "CONSTRUCTION_CALLS",
    "C_CALLS",
    "GARBAGE",
    "GARBAGE_OF_ASYNCIO",
    "IDLE_LAYER_CALLS",
    "LAYER_CALLS",
    "ONE_SHOT_CALLS",
    "PYTHON_CALLS",
    "PYTHON_CALLS_HTTP2",
    "PYTHON_CALLS_OF_MANY",
    "PYTHON_CALLS_TLS",
    "RESPONSE_OBJECTS",
    "START_UP_MODULES",
    "SYSTEM_CALLS",
    "THREADS",
    "Limit",
]


class Limit(NamedTuple):
    """What is allowed, and what is wished for."""

    most: float
    goal: float

    def check(self, what: str, measured: float, details: str = "") -> None:
        """Fail, naming the number, if it is more than the most."""
        assert measured <= self.most, (
            f"{what}: measured {measured:g}, allowed {self.most:g} (the goal is {self.goal:g}). {details}"
        )


# Function calls per request, as sys.setprofile sees them; a coroutine that is resumed counts as called.
PYTHON_CALLS = {
    "sync": Limit(85, goal=150),
    "asyncio": Limit(125, goal=200),
    "trio": Limit(150, goal=200),
}
C_CALLS = {
    "sync": Limit(70, goal=125),
    "asyncio": Limit(100, goal=160),
    "trio": Limit(95, goal=175),
}

# Likewise over HTTP/2, by a codec in pure Python; and over TLS.
PYTHON_CALLS_HTTP2 = {
    "sync": Limit(185, goal=165),
    "asyncio": Limit(225, goal=200),
    "trio": Limit(262, goal=210),
}
PYTHON_CALLS_TLS = {
    "sync": Limit(95, goal=95),
    "asyncio": Limit(135, goal=130),
    "trio": Limit(160, goal=150),
}

# System calls per request, of all threads. Before Python 3.12 each question for the running loop is one, getpid.
_ASKED_FOR_LOOP = 1 if sys.version_info < (3, 12) else 0
SYSTEM_CALLS = {
    "sync": Limit(4, goal=5),
    "asyncio": Limit(4 + _ASKED_FOR_LOOP, goal=4),
    "trio": Limit(7, goal=6),
}

# Objects per request that only the garbage collector frees.
GARBAGE = Limit(0, goal=0)

# Each connection of asyncio's that was closed: its transports refer to methods of their own.
GARBAGE_OF_ASYNCIO = Limit(8 if sys.version_info < (3, 13) else 10, goal=0)

# Python calls per request with 1,000 requests at once over 100 connections, of which 9 in 10 wait for one. The goal is
# 1.2 times those with 10 at once.
PYTHON_CALLS_OF_MANY = {"asyncio": Limit(170, goal=148), "trio": Limit(265, goal=175)}

# Python calls per request in each of 16 threads on one client, against those of one thread.
THREADS = Limit(1.02, goal=1)

# Python calls per request that each further layer makes, the layer's own included.
LAYER_CALLS = {"sync": Limit(3, goal=2), "asyncio": Limit(5.1, goal=4), "trio": Limit(5.1, goal=4)}

# Python calls per request of each layer of the stack for services, alone, working, with nothing special to do; in the
# order of `COLOURS`. The goal is what two microseconds are worth. What is dearer chooses an endpoint, is ready
# to send again, or makes trio's scopes.
COLOURS = ("sync", "asyncio", "trio")
_IDLE_LAYER = 12
IDLE_LAYER_CALLS = {
    name: dict(zip(COLOURS, (Limit(most, goal=_IDLE_LAYER) for most in mosts), strict=True))
    for name, mosts in {
        "Tracing": (3, 3, 3),
        "Metrics": (3, 3, 3),
        "Logging": (4, 4, 4),
        "RequestId": (6, 6, 6),
        "Bulkhead": (7, 8, 8),
        "Deadlines": (5, 11, 52),
        "Coalescing": (10, 14, 17),
        "Redirects": (2, 3, 3),
        "IdempotencyKeys": (3, 3, 3),
        "IdempotencyKeys, a key made": (8, 8, 8),
        "Retries": (3, 4, 4),
        "Retries with a budget": (6, 7, 7),
        "Hedging, what is sent once": (4, 4, 4),
        "Hedging, nothing known yet": (8, 9, 9),
        "Hedging, armed": (9, 20, 240),
        "Endpoints, another host": (3, 3, 3),
        "Endpoints, one chosen": (22, 24, 24),
        "CircuitBreaker": (6, 7, 7),
        "AdaptiveConcurrency, gradient": (9, 10, 10),
        "AdaptiveConcurrency, AIMD": (9, 10, 10),
        "RateLimit": (8, 8, 8),
        "Authentication": (2, 2, 2),
        "AttemptTimeouts": (3, 9, 50),
        "DeadlinePropagation": (5, 5, 5),
        "AttemptTracing": (5, 5, 5),
        "AttemptMetrics": (3, 3, 3),
        "FaultInjection": (4, 4, 4),
    }.items()
}

# Python calls: a client made and closed; `get()` over http, connection and all.
CONSTRUCTION_CALLS = {"sync": Limit(225, goal=150), "asyncio": Limit(215, goal=150)}
ONE_SHOT_CALLS = Limit(465, goal=400)

# Bytes that an idle connection keeps, its event loop's part included; buffers for reading are none of it.
CONNECTION_BYTES = {"asyncio": Limit(10_500, goal=10_500), "trio": Limit(4_500, goal=4_500)}

# Objects that the garbage collector has to visit, for each response that is kept; httpx has 43.
RESPONSE_OBJECTS = {
    "sync": Limit(14, goal=14),
    "asyncio": Limit(14, goal=14),
    "trio": Limit(14, goal=14),
}

# Modules that a program loads which imports scallion and sends one request over http.
START_UP_MODULES = {"sync": Limit(200, goal=170), "asyncio": Limit(255, goal=225)}
