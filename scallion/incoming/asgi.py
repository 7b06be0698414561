"""The middleware for ASGI applications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from .reading import Incoming, Settings

__all__ = ["DeadlineMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class DeadlineMiddleware(Settings):
    """Bound the calls that an ASGI application makes by the time that its caller waits.

    While a request is served, `current_deadline` holds the moment at which its caller gives up, and every call through
    a client with the layer `Deadlines` ends by then; so do those of the tasks and threads that it starts. Once the last
    piece of the response is sent, it does not count any more, for background work for example.

    `current_request_id` holds the request's id, if it brings one that is visible ASCII of at most 200 characters.

    A header that has not the form, or comes twice, is ignored, and one beyond `most` cut down to it; the observer is told
    `deadline.ignored` (`header`, `value`, `form`), `deadline.cut` (`header`, `asked`, `most`), `request_id.ignored`
    (`header`, `value`).

    Scopes other than "http" have no deadline. Any number of requests at once.

    Args:
        app: Version 3, called as `await app(scope, receive, send)`.
        header: Where the caller tells the time that it will wait.
        form: What it looks like: `"seconds"`, `"milliseconds"` or `"grpc"`. 0 is nothing left.
        most: Seconds that are believed at most.
        request_id: Where the caller tells the request's id; None to read none.
        observer: Called with the name and the fields of each event. By default they go to the logger "scallion.incoming".
        clock: That of the clients' runtime, monotonic.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind, or out of its range.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        incoming = self._read(scope["headers"])
        trailers = False

        async def watched(message: Message) -> None:
            nonlocal trailers
            await send(message)
            if message["type"] == "http.response.start":
                trailers = bool(message.get("trailers"))
            elif message["type"] == "http.response.body" and not (
                trailers or message.get("more_body")
            ):
                incoming.answered()

        try:
            with incoming:
                await self.app(scope, receive, watched)
        finally:
            incoming.answered()

    def _read(self, headers: Iterable[tuple[bytes, bytes]]) -> Incoming:
        wanted = {self.header.lower().encode("ascii"): "timeout"}
        if self.request_id is not None:
            wanted[self.request_id.lower().encode("ascii")] = "request_id"
        found: dict[str, list[str]] = {"timeout": [], "request_id": []}
        for name, value in headers:
            if name in wanted:
                found[wanted[name]].append(value.decode("latin-1"))
        return self._incoming(*(", ".join(values) or None for values in found.values()))
