"""What goes wrong in stock on command, and the ledger: the script's hand in an otherwise honest service.

`PUT /trouble {"status": 503, "retry_after": 1}` lets it refuse from now on, `{"delay": 0.4}` be slow, `{}` be well.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .telemetry import Lines

__all__ = ["Trouble"]


class Trouble:
    """Writes down each request as it arrives; then does to it what the script has asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ledger = Lines(os.environ["LEDGER"])
        self._trouble: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Cases: the server's own messages; the script's; a call on a good day, on a slow one, on a bad one.
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not scope["path"].startswith("/stock/"):
            await self._script(scope, receive, send)
            return
        self._ledger.write(_entry(Headers(scope=scope)))
        await asyncio.sleep(self._trouble.get("delay", 0))
        if "status" in self._trouble:
            wait = str(self._trouble["retry_after"])
            refusal = JSONResponse({}, self._trouble["status"], headers={"Retry-After": wait})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _script(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PUT":
            self._trouble = await Request(scope, receive).json()
        await Response(status_code=204)(scope, receive, send)


def _entry(headers: Headers) -> dict[str, Any]:
    _, trace, span, _ = headers.get("traceparent", "---").split("-")
    return {
        "trace": trace,
        "span": span,
        "request_id": headers.get("x-request-id"),
        "attempt": int(headers.get("x-request-attempt", "1")),
        "left": float(headers.get("x-request-timeout", "inf")),
    }
