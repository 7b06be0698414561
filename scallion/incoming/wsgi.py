"""The middleware for WSGI applications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .reading import Incoming, Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["WSGIDeadlineMiddleware"]


class WSGIDeadlineMiddleware(Settings):
    """`DeadlineMiddleware` for a WSGI application (PEP 3333); the arguments are the same.

    The variables are set while the application runs, and while the pieces of its response are made; not for the
    server in between, whose thread it is. An application that returns a list has answered by then.
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        incoming = self._incoming(
            environ.get(_key(self.header)),
            None if self.request_id is None else environ.get(_key(self.request_id)),
        )
        try:
            with incoming:
                pieces: Iterable[bytes] = self.app(environ, start_response)
        except BaseException:
            incoming.answered()
            raise
        if _is_made(pieces, environ):
            incoming.answered()
            return pieces
        return _Pieces(pieces, incoming)


class _Pieces:
    """An application's iterable, each piece of which is made with the variables set."""

    def __init__(self, pieces: Iterable[bytes], incoming: Incoming) -> None:
        self._incoming = incoming
        self._close: Callable[[], object] | None = getattr(pieces, "close", None)
        with incoming:
            self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._incoming:
            return next(self._pieces)

    def close(self) -> None:
        # The server has sent all, or the client has gone.
        self._incoming.answered()
        if self._close is not None:
            self._close()


def _is_made(pieces: object, environ: dict[str, Any]) -> bool:
    """Whether nothing of the application's runs any more: servers treat such a response in ways of their own."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(pieces, (list, tuple, bytes)) or (
        isinstance(wrapper, type) and isinstance(pieces, wrapper)
    )


def _key(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"
