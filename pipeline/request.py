"""The request: what every layer receives, may change, and passes on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from .bodies import EMPTY, UnattachedStream, encode_request
from .errors import LocalProtocolError, RequestNotRead
from .headers import Headers
from .streams import AsyncByteStream, ByteStream, SyncByteStream
from .urls import URL

if TYPE_CHECKING:
    from .types import (
        CookieTypes,
        HeaderTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        URLTypes,
    )

__all__ = ["Observer", "Request"]

Observer: TypeAlias = Callable[[str, dict[str, Any]], None]

_KNOWN_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
# RFC 9110 section 9.1: a method is a token (section 5.6.2).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# Methods whose requests say `Content-Length: 0` if they have no body (RFC 9110 section 8.6).
_EXPECT_A_BODY = frozenset({"PATCH", "POST", "PUT"})

# How the keys of what layers note in the extensions begin; a copy that they have made may still bear them.
_NOTES = "_scallion."

# What stays behind when a request is pickled: it belongs to the process that made it.
_NOT_PICKLED = frozenset({"_memory", "deadline", "extensions", "observers", "progress", "stream"})


class Request:
    """One request: a method, a URL, headers and a body.

    With `content`, `data`, `files` or `json` the headers `Host`, `Content-Length` or
    `Transfer-Encoding`, and `Content-Type` are added where they are missing; with `stream` none is.
    Layers may change the attributes; what is sent is what stands here in the end.

    Attributes:
        method: In capitals.
        url: An absolute URL, if the request is to be sent.
        headers: Sent in this order.
        stream: The body.
        extensions: Settings for layers and transports, for this request only.
        deadline: When the whole call must have ended, in seconds on the runtime's clock; None for never.
        observers: Called with the name and the fields of each event; they must not raise.
        progress: Called likewise: what remembers the last event, to tell what was under way when the deadline passed.
            Layers need not tell it what no call waits for, so they skip all that if there are no observers.
        credentials_allowed: Whether layers may add the client's credentials; False once a redirect has led
            to another origin.

    Raises:
        LocalProtocolError: the method is no token (RFC 9110 section 9.1).
        InvalidURL: the URL cannot be parsed.
        TypeError, ValueError: the body cannot be encoded; see `encode_request`.
    """

    method: str
    url: URL
    headers: Headers
    stream: SyncByteStream | AsyncByteStream
    extensions: dict[str, Any]
    deadline: float | None = None
    observers: tuple[Observer, ...] = ()
    progress: Observer | None = None
    credentials_allowed: bool = True

    # Unset until the body has been read.
    _content: bytes
    # None until a layer has something to remember.
    _memory: dict[str, Any] | None = None

    def __init__(
        self,
        method: str,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        stream: SyncByteStream | AsyncByteStream | None = None,
        extensions: RequestExtensions | None = None,
    ) -> None:
        self.method = method if method in _KNOWN_METHODS else _checked(method)
        self.url = URL(url) if params is None else URL(url, params=params)
        self.headers = Headers(headers)
        self.extensions = {} if extensions is None else dict(extensions)
        if cookies:
            from .cookies import Cookies

            Cookies(cookies).set_cookie_header(self)
        if stream is not None:
            self.stream = stream
            return
        if content is None and data is None and files is None and json is None:
            self.stream = EMPTY
            self._content = b""
            self._add_headers({})
            return
        boundary = None
        if files:
            from .multipart import boundary_of

            boundary = boundary_of(self.headers.get("content-type"))
        defaults, self.stream = encode_request(content, data, files, json, boundary)
        self._add_headers(defaults)
        if isinstance(self.stream, ByteStream):
            self._content = b"".join(self.stream)

    @classmethod
    def bodiless(
        cls, method: str, url: URL, headers: Headers, extensions: dict[str, Any]
    ) -> Request:
        """A request of parts that are its own from now on: nothing is checked, copied or added."""
        self = cls.__new__(cls)
        self.method = method
        self.url = url
        self.headers = headers
        self.extensions = extensions
        self.stream = EMPTY
        self._content = b""
        return self

    @property
    def content(self) -> bytes:
        """The body.

        Raises:
            RequestNotRead: it is a stream that has not been read.
        """
        try:
            return self._content
        except AttributeError:
            raise RequestNotRead from None

    @property
    def memory(self) -> dict[str, Any]:
        """What layers remember of this request over all its attempts and copies, each under a key of its own.

        A redirect's next request, one that a login adds, and one that is sent anew begin with none.
        """
        memory = self._memory
        if memory is None:
            memory = self._memory = {}
        return memory

    @memory.setter
    def memory(self, memory: dict[str, Any]) -> None:
        self._memory = memory

    def renew(self) -> None:
        """Begin another call: what layers remember of an earlier one, and have noted in the extensions, is gone."""
        self._memory = None
        noted = [key for key in self.extensions if str(key).startswith(_NOTES)]
        if noted:
            # A dict of its own: requests may share theirs.
            self.extensions = {
                key: value for key, value in self.extensions.items() if key not in noted
            }

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent again."""
        return bool(getattr(self.stream, "replayable", False))

    def read(self) -> bytes:
        """The body, read into memory; it can be sent any number of times from then on.

        Raises:
            RuntimeError: only `aread()` can read it.
            StreamConsumed: it has been sent, and cannot be read again.
            StreamClosed: the request was pickled before its body was read.
        """
        if not hasattr(self, "_content"):
            stream = self.stream
            if not isinstance(stream, Iterable):
                raise RuntimeError(
                    "An asynchronous body cannot be read by read(): use `await request.aread()`"
                )
            self._keep(b"".join(stream))
        return self._content

    async def aread(self) -> bytes:
        """The same for asynchronous bodies.

        Raises:
            RuntimeError: only `read()` can read it.
            StreamConsumed: it has been sent, and cannot be read again.
            StreamClosed: the request was pickled before its body was read.
        """
        if not hasattr(self, "_content"):
            stream = self.stream
            if not isinstance(stream, AsyncIterable):
                raise RuntimeError(
                    "A synchronous body cannot be read by aread(): use `request.read()`"
                )
            self._keep(b"".join([chunk async for chunk in stream]))
        return self._content

    def note(self, event: str, **fields: Any) -> None:
        """Tell the observers what happened to this request.

        One that raises an error harms neither the call nor what the layer that tells it is in the midst of: there is a
        `RuntimeWarning`.
        """
        if self.progress is not None:
            self.progress(event, fields)
        for observer in self.observers:
            try:
                observer(event, fields)
            except Exception as error:  # noqa: BLE001  # whatever it is, the call goes on
                _warn_of(observer, event, error)

    def inherit(self, other: Request) -> None:
        """Continue the call that `other` belongs to: its deadline, its observers, its very extensions; no memory."""
        if not other.credentials_allowed:
            self.credentials_allowed = False
        self.deadline = other.deadline
        self.observers = other.observers
        self.progress = other.progress
        self.extensions = other.extensions

    def __repr__(self) -> str:
        # The URL's own repr masks the password; its str does not.
        url = repr(self.url)[4:-1] if self.url.userinfo else repr(str(self.url))
        return f"<{type(self).__name__}({self.method!r}, {url})>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _NOT_PICKLED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.extensions = {}
        content = state.get("_content")
        self.stream = UnattachedStream() if content is None else ByteStream(content)

    def _keep(self, content: bytes) -> None:
        self._content = content
        if not isinstance(self.stream, ByteStream):
            # What has been read can be sent again, whatever it came from.
            self.stream = ByteStream(content)

    def _add_headers(self, defaults: dict[str, str]) -> None:
        """Add what every request needs at the front, and what the body needs at the end."""
        has = self.headers.has
        framed = has(b"content-length") or has(b"transfer-encoding")
        first: list[tuple[bytes, bytes]] = []
        last: list[tuple[bytes, bytes]] = []
        for name, value in defaults.items():
            # What the caller says about the framing stands, and excludes the other way of framing
            # (RFC 9112 section 6.2).
            if name == "Content-Type":
                missing = not has(b"content-type")
            else:
                missing, framed = not framed, True
            if missing:
                last.append((name.encode("ascii"), value.encode("ascii")))
        if not has(b"host") and self.url.host:
            first.append((b"Host", self.url.host_header))
        if not framed and self.method in _EXPECT_A_BODY:
            first.append((b"Content-Length", b"0"))
        if first or last:
            self.headers = Headers.from_raw([*first, *self.headers.raw, *last])


def _checked(method: str | bytes) -> str:
    # Before the capitals are made: some letters beyond ASCII become ASCII by it.
    if isinstance(method, bytes):
        method = method.decode("latin-1")
    if not _TOKEN.fullmatch(method):
        raise LocalProtocolError(
            f"Invalid method {method!r}: expected a token such as 'GET' (RFC 9110 section 9.1)"
        )
    return method.upper()


def _warn_of(observer: Observer, event: str, error: Exception) -> None:
    import warnings

    name = getattr(observer, "__qualname__", type(observer).__qualname__)
    warnings.warn(
        f"The observer {name} failed at {event!r}: {error!r}", RuntimeWarning, stacklevel=3
    )
