"""Idempotency keys: one name for each call, by which a server knows the second sending of it for what it is.

draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .per_origin import OriginKey
from .random_uuid import random_uuid

__all__ = ["IdempotencyKeys", "IdempotencyKeysOption", "has_idempotency_key"]

_OPTION = "scallion.IdempotencyKeys"
# Stands in the extensions of a request whose key has a header of another name: that name, in lower case.
_NAMED = "_scallion.idempotency_header"
_HEADER = "Idempotency-Key"
_STANDARD = b"idempotency-key"
_METHODS = frozenset({"PATCH", "POST"})
# RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VISIBLE = re.compile(r"[!-~]+(?: +[!-~]+)*")


def has_idempotency_key(request: Request) -> bool:
    """Whether a server can tell a repetition of `request` from a new one, so that it may be sent again."""
    named = request.extensions.get(_NAMED)
    return request.headers.has(_STANDARD) or (named is not None and request.headers.has(named))


@dataclass(frozen=True, slots=True)
class IdempotencyKeysOption:
    """What one request asks of `IdempotencyKeys`; see `IdempotencyKeys.option_for`."""

    key: str | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        if self.key is not None:
            _check_key(self.key)


@dataclass(frozen=True)
class IdempotencyKeys(Layer):
    """Put a key on requests that are not idempotent by their method, so that they may be sent again.

    A call has one key over all its attempts, and over redirects within its origin. A request that brings a key keeps
    it. The key stays on the request, `response.request` or `error.request`: a program that sends the very same `Request`
    again, after an error for example, repeats the call and begins no new one. `Retries` and `Hedging` repeat what has a
    key. That it helps is the server's promise: one that ignores keys does the work twice.

    Observers are told `idempotency_key.made` for each key; the key is not in it.

    Attributes:
        header: The name of the header.
        methods: Those of requests that get a key.
        make: Makes a key: text of visible ASCII. By default 32 random hexadecimal digits, as most servers take them; the
            draft's form is quoted, `lambda: f'"{uuid4()}"'`.

    Request extension `"scallion.IdempotencyKeys"`: an `IdempotencyKeysOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind; or, from a call, what `make` made is no key.

    Order: outside retries and hedging, for inside them each attempt might be another call to the server; inside
    redirects, so that another origin is given a key of its own. Outside redirects it gets the first one's.
    """

    option: ClassVar[str | None] = _OPTION

    header: str = _HEADER
    methods: Collection[str] = _METHODS
    make: Callable[[], str] = random_uuid

    def __post_init__(self) -> None:
        _check_header(self.header)
        _check_methods(self.methods)
        object.__setattr__(self, "methods", frozenset(name.upper() for name in self.methods))
        if not callable(self.make):
            raise TypeError(
                f"IdempotencyKeys make must be a function of no arguments: {self.make!r}"
            )

    @staticmethod
    def option_for(*, key: str | None = None, enabled: bool = True) -> dict[str, Any]:
        """The request extension for one request.

        Args:
            key: The key to send, whatever the method is; None for a new one.
            enabled: False for no key.

        Raises:
            TypeError, ValueError: `key` is no visible ASCII.
        """
        return {_OPTION: IdempotencyKeysOption(key, enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:  # noqa: ARG002  # nothing here waits
        methods = self.methods
        name = self.header.encode("ascii")
        lower_name = name.lower()

        def through(request: Request) -> Awaitable[Response]:
            # One whose method needs none may bear that of another origin, which a redirect left.
            if (
                request.method in methods
                or _OPTION in request.extensions
                or type(request.headers.get_raw(lower_name)) is _Made
            ):
                self._prepare(request, name, lower_name)
                if lower_name != _STANDARD and request.headers.has(lower_name):
                    return _marked(request, send, lower_name)
            return send(request)

        return through

    def _prepare(self, request: Request, name: bytes, lower_name: bytes) -> None:
        """Give `request` the key that it should have, if any."""
        option = request.extensions.get(_OPTION, _NOTHING)
        if not isinstance(option, IdempotencyKeysOption):
            raise TypeError(f"Expected IdempotencyKeys.option_for(...), not {option!r}")
        headers = request.headers
        borne = headers.get_raw(lower_name)
        if borne is not None:
            # Cases: the caller's own; one that was made for this call; for another origin.
            if type(borne) is not _Made or borne.origin == request.url.origin_key:
                return
            del headers[self.header]
        if not option.enabled:
            return
        if option.key is not None:
            headers.set_raw(name, lower_name, option.key.encode("ascii"))
        elif request.method in self.methods:
            headers.set_raw(name, lower_name, self._new(request))

    def _new(self, request: Request) -> _Made:
        make = self.make
        key = make()
        # Our own need no looking at.
        if make is not random_uuid:
            _check_key(key)
        made = _Made(key.encode("ascii"))
        made.origin = request.url.origin_key
        if request.observers:
            request.note("idempotency_key.made")
        return made

    def __repr__(self) -> str:
        parts = [
            f"header={self.header!r}",
            f"methods={{{', '.join(map(repr, sorted(self.methods)))}}}",
        ]
        if self.make is not random_uuid:
            parts.append(f"make={getattr(self.make, '__qualname__', None) or repr(self.make)}")
        return f"IdempotencyKeys({', '.join(parts)})"


_NOTHING = IdempotencyKeysOption()


class _Made(bytes):
    """A key that this layer made, and may replace; it is still one in a copy of the headers.

    Attributes:
        origin: Whom it was made for.
    """

    origin: OriginKey


async def _marked(request: Request, send: Bound, name: bytes) -> Response:
    """Send a request that says, for as long as it takes, where its key is."""
    extensions = request.extensions
    # A dict of its own: requests may share theirs.
    request.extensions = {**extensions, _NAMED: name}
    try:
        return await send(request)
    finally:
        request.extensions = extensions


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"An idempotency key is a str, not {type(key).__name__}")
    if not _VISIBLE.fullmatch(key):
        raise ValueError(f"An idempotency key is visible ASCII, and not empty: {key!r}")


def _check_header(header: object) -> None:
    if not isinstance(header, str) or not _TOKEN.fullmatch(header):
        raise ValueError(f"IdempotencyKeys header must be a header's name: {header!r}")


def _check_methods(methods: Any) -> None:
    if isinstance(methods, str) or not all(isinstance(name, str) for name in methods):
        raise TypeError(
            f"IdempotencyKeys methods must be a collection of method names: {methods!r}"
        )
