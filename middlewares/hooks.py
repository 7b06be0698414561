"""Event hooks: httpx's callbacks around each request that goes on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next, name_of
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

__all__ = ["EventHooks", "Hooks"]

Hooks = dict[str, list[Callable[..., Any]]]


class EventHooks(Layer):
    """Call each "request" hook with the request, and each "response" hook with the response.

    A hook may change what it is given. Under an `AsyncClient` hooks are `async def`, under a `Client` they
    are not. When a response hook raises, the response is closed.

    Attributes:
        hooks: Two lists, "request" and "response"; they may be changed between calls.

    Raises:
        TypeError: from a call, a hook is of the other colour.
        ValueError: there is no such event.

    Order: inside redirects and authentication, so that hooks see each hop and each leg of a login, as in httpx.
    """

    def __init__(self, hooks: Mapping[str, list[Callable[..., Any]]] | None = None) -> None:
        self.hooks: Hooks = {"request": [], "response": []}
        self.set(hooks or {})

    def set(self, hooks: Mapping[str, list[Callable[..., Any]]]) -> None:
        """Replace all hooks; errors as of the class."""
        for event, functions in hooks.items():
            if event not in ("request", "response"):
                raise ValueError(
                    f"There is no event {event!r}: hooks are for 'request' and 'response'"
                )
            if callable(functions):
                raise TypeError(
                    f"The {event} hooks are a list of functions: write [{name_of(functions)}]"
                )
        self.hooks["request"] = list(hooks.get("request", []))
        self.hooks["response"] = list(hooks.get("response", []))

    def bind(self, send: Bound, call_next: Next) -> Bound:
        def through(request: Request) -> Awaitable[Response]:
            hooks = self.hooks
            if hooks["request"] or hooks["response"]:
                return self._send(request, call_next)
            return send(request)

        return through

    async def _send(self, request: Request, call_next: Next) -> Response:
        blocking = call_next.runtime.blocking
        for hook in self.hooks["request"]:
            await _call(hook, request, blocking=blocking)
        response = await call_next(request)
        try:
            for hook in self.hooks["response"]:
                await _call(hook, response, blocking=blocking)
        except BaseException:
            await response.aclose()
            raise
        return response

    def __repr__(self) -> str:
        return f"EventHooks(request={len(self.hooks['request'])}, response={len(self.hooks['response'])})"


async def _call(hook: Callable[..., Any], message: Request | Response, *, blocking: bool) -> None:
    called = hook(message)
    if blocking:
        if hasattr(called, "__await__"):
            if hasattr(called, "close"):
                called.close()
            raise TypeError(
                f"The hook {name_of(hook)} is asynchronous: make it `def`, or use an AsyncClient"
            )
    elif hasattr(called, "__await__"):
        await called
    else:
        raise TypeError(
            f"The hook {name_of(hook)} is a plain function: make it `async def` for an AsyncClient"
        )
