"""Event hooks: httpx's callbacks around each request that goes on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scallion.pipeline.layer import Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

__all__ = ["EventHooks", "Hooks"]

Hooks = dict[str, list[Callable[..., Any]]]


class EventHooks(Layer):
    """Call each "request" hook with the request, and each "response" hook with the response.

    A hook may change what it is given. Under an `AsyncClient` hooks are `async def`. When a response hook
    raises, the response is closed.

    Attributes:
        hooks: Two lists, "request" and "response"; they may be changed between calls.

    Order: inside redirects and authentication, so that hooks see each hop and each leg of a login, as in httpx.
    """

    def __init__(self, hooks: Mapping[str, list[Callable[..., Any]]] | None = None) -> None:
        self.hooks: Hooks = {"request": [], "response": []}
        self.set(hooks or {})

    def set(self, hooks: Mapping[str, list[Callable[..., Any]]]) -> None:
        """Replace all hooks."""
        self.hooks["request"] = list(hooks.get("request", []))
        self.hooks["response"] = list(hooks.get("response", []))

    def __call__(self, request: Request, call_next: Next) -> Awaitable[Response]:
        if self.hooks["request"] or self.hooks["response"]:
            return self._send(request, call_next)
        return call_next(request)

    async def _send(self, request: Request, call_next: Next) -> Response:
        blocking = call_next.runtime.blocking
        for hook in self.hooks["request"]:
            called = hook(request)
            if not blocking:
                await called
        response = await call_next(request)
        try:
            for hook in self.hooks["response"]:
                called = hook(response)
                if not blocking:
                    await called
        except BaseException:
            await response.aclose()
            raise
        return response

    def __repr__(self) -> str:
        return f"EventHooks(request={len(self.hooks['request'])}, response={len(self.hooks['response'])})"
