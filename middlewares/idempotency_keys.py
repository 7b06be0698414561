"""Idempotency keys: one name for each call, by which a server knows the second sending of it for what it is.

draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .remade import remade

__all__ = ["IdempotencyKeys", "IdempotencyKeysOption", "has_idempotency_key", "random_key"]

_OPTION = "scallion.IdempotencyKeys"
# Stands in the extensions of a request whose key has a header of another name: that name, in lower case.
_NAMED = "_scallion.idempotency_header"
_HEADER = "Idempotency-Key"
_STANDARD = b"idempotency-key"
_METHODS = frozenset({"PATCH", "POST"})
# RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VISIBLE = re.compile(r"[!-~]+(?: +[!-~]+)*")


def random_key() -> str:
    """A UUID of version 4, 32 hexadecimal digits."""
    from uuid import uuid4

    return uuid4().hex


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
    make: Callable[[], str] = random_key
    # Which request had a key that was made last, for as long as anybody knows that request.
    _bearers: WeakValueDictionary[str, Request] = field(
        default_factory=WeakValueDictionary, init=False, compare=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, compare=False)

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
        methods, bearers = self.methods, self._bearers
        name = self.header.lower().encode("ascii")

        def through(request: Request) -> Awaitable[Response]:
            if (
                request.method in methods
                or _OPTION in request.extensions
                or (bearers and request.headers.has(name))
            ):
                self._prepare(request)
                if name != _STANDARD and request.headers.has(name):
                    return _marked(request, send, name)
            return send(request)

        return through

    def _prepare(self, request: Request) -> None:
        """Give `request` the key that it should have, if any."""
        option = request.extensions.get(_OPTION, _NOTHING)
        if not isinstance(option, IdempotencyKeysOption):
            raise TypeError(f"Expected IdempotencyKeys.option_for(...), not {option!r}")
        borne = request.headers.get(self.header)
        if borne is not None:
            with self._lock:
                bearer = self._bearers.get(borne)
                # Cases: the caller's own; one that was made for this call; for another origin, which a redirect left.
                if bearer is None:
                    return
                if bearer.url.origin_key == request.url.origin_key:
                    self._bearers[borne] = request
                    return
            del request.headers[self.header]
        if option.enabled and (request.method in self.methods or option.key is not None):
            request.headers[self.header] = option.key or self._new(request)

    def _new(self, request: Request) -> str:
        key = self.make()
        _check_key(key)
        with self._lock:
            self._bearers[key] = request
        if request.observers:
            request.note("idempotency_key.made")
        return key

    def __reduce__(self) -> tuple[Any, ...]:
        return remade(self)

    def __repr__(self) -> str:
        parts = [
            f"header={self.header!r}",
            f"methods={{{', '.join(map(repr, sorted(self.methods)))}}}",
        ]
        if self.make is not random_key:
            parts.append(f"make={getattr(self.make, '__qualname__', None) or repr(self.make)}")
        return f"IdempotencyKeys({', '.join(parts)})"


_NOTHING = IdempotencyKeysOption()


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
