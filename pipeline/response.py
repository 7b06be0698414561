"""What a server answered: status, headers, and what they mean; its body lies in `response_body`."""

from __future__ import annotations

import re
from collections.abc import Callable
from json import loads
from typing import TYPE_CHECKING, Any

from .bodies import UnattachedStream, encode_response
from .codes import codes
from .cookies import Cookies
from .errors import HTTPStatusError
from .headers import Headers
from .response_body import ResponseBody
from .streams import AsyncByteStream, ByteStream, SyncByteStream
from .text import charset, is_known_encoding, parse_links

if TYPE_CHECKING:
    from datetime import timedelta

    from .request import Request
    from .timings import Timings
    from .types import HeaderTypes, ResponseContent, ResponseExtensions
    from .urls import URL

__all__ = ["Response"]

_KINDS = {
    1: "Informational response",
    3: "Redirect response",
    4: "Client error",
    5: "Server error",
}

# What cannot or must not travel: the stream, and extensions, which hold live connections.
_UNPICKLED = frozenset({"extensions", "is_closed", "stream"})

_USERINFO = r"\A((?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#:@]*):[^/?#]*@"


class Response(ResponseBody):
    """The answer to one request.

    With `content`, `text`, `html` or `json` the response is read already, and headers that describe
    the content are added unless given. With `stream` it is what a transport returns: nothing is
    added, and a `Headers` and a dict of extensions pass into its ownership, uncopied.

    Attributes:
        status_code: The status, RFC 9110 section 15.
        headers: The header fields.
        extensions: What the transport knows besides: "http_version", "reason_phrase",
            "network_stream", "connection", "trailers".
        history: The responses, redirects among them, that led to this one; oldest first.
        next_request: Where a redirect leads that was not followed, or None.
        stream: The body as it comes from the transport.
        is_closed: Whether the connection was released.
        is_stream_consumed: Whether somebody began to iterate over the stream.
        default_encoding: The encoding where Content-Type names none: a name, or a function from
            content to a name or None.
    """

    next_request: Request | None = None
    # Present once known only, as `_content` is.
    _text: str
    _encoding: str | None
    _cookies: Cookies
    _elapsed: float
    # The same of a response that had arrived as a whole, and that nobody needs to close.
    _whole_after: float
    # When it was asked for, on `time.perf_counter`'s clock.
    _started: float

    def __init__(
        self,
        status_code: int,
        *,
        headers: HeaderTypes | None = None,
        content: ResponseContent | None = None,
        text: str | None = None,
        html: str | None = None,
        json: Any = None,
        stream: SyncByteStream | AsyncByteStream | None = None,
        request: Request | None = None,
        extensions: ResponseExtensions | None = None,
        history: list[Response] | None = None,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
    ) -> None:
        self.status_code = status_code
        self._request = request
        self.history = [] if history is None else list(history)
        self.default_encoding = default_encoding
        if stream is not None:
            self.stream = stream
            self.headers = headers if type(headers) is Headers else Headers(headers)
            self.extensions = extensions if type(extensions) is dict else dict(extensions or ())
            return
        self.headers = Headers(headers)
        self.extensions = dict(extensions or ())
        described, self.stream = encode_response(content, text, html, json)
        for name, value in described.items():
            # A length that was given says how the content is framed.
            if name == "Transfer-Encoding" and "Content-Length" in self.headers:
                continue
            self.headers.setdefault(name, value)
        if isinstance(self.stream, ByteStream):
            self.read()
            self._num_bytes_downloaded = 0  # nothing came over a wire

    def __repr__(self) -> str:
        return f"<Response [{self.status_code} {self.reason_phrase}]>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _UNPICKLED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.is_closed = True
        self.extensions = {}
        self.stream = UnattachedStream()

    # The request, and how long it took.

    @property
    def request(self) -> Request:
        """The request that this answers.

        Raises:
            RuntimeError: none was set; clients set it.
        """
        if self._request is None:
            raise RuntimeError("The request instance has not been set on this response.")
        return self._request

    @request.setter
    def request(self, value: Request) -> None:
        self._request = value

    @property
    def url(self) -> URL:
        """The URL of the request."""
        return self.request.url

    @property
    def elapsed(self) -> timedelta:
        """From sending the request to the response's closing.

        Raises:
            RuntimeError: the response was not read or closed yet, or no client sent the request.
        """
        from datetime import timedelta

        seconds = self.__dict__.get("_elapsed")
        if seconds is None and self.is_closed:
            seconds = self.__dict__.get("_whole_after")
        if seconds is None:
            raise RuntimeError(
                "'.elapsed' may only be accessed after the response has been read or closed."
            )
        return timedelta(seconds=seconds)

    @elapsed.setter
    def elapsed(self, value: timedelta) -> None:
        self._elapsed = value.total_seconds()

    @property
    def timings(self) -> Timings:
        """How long each phase of this exchange took, in seconds; None for what did not happen, or has not yet.

        Transports that make no connections, such as `MockTransport`, tell only the total.
        """
        from .timings import timings_of

        known = self.__dict__
        steps = getattr(self.extensions.get("connection"), "steps", None)
        total = known.get("_elapsed", known.get("_whole_after"))
        return timings_of(steps, known.get("_started"), total)

    # The status line.

    @property
    def http_version(self) -> str:
        """As "HTTP/1.1"."""
        version: bytes = self.extensions.get("http_version", b"HTTP/1.1")
        return version.decode("ascii", "ignore")

    @property
    def reason_phrase(self) -> str:
        """As the server sent it, else the registered one; "" where neither is known."""
        phrase: bytes | None = self.extensions.get("reason_phrase")
        if phrase is None:
            return codes.get_reason_phrase(self.status_code)
        return phrase.decode("ascii", "ignore")

    @property
    def is_informational(self) -> bool:
        """1xx."""
        return 100 <= self.status_code <= 199

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status_code <= 299

    @property
    def is_redirect(self) -> bool:
        """3xx. Not each of them leads elsewhere: see `has_redirect_location`."""
        return 300 <= self.status_code <= 399

    @property
    def is_client_error(self) -> bool:
        """4xx."""
        return 400 <= self.status_code <= 499

    @property
    def is_server_error(self) -> bool:
        """5xx."""
        return 500 <= self.status_code <= 599

    @property
    def is_error(self) -> bool:
        """4xx or 5xx."""
        return 400 <= self.status_code <= 599

    @property
    def has_redirect_location(self) -> bool:
        """Whether this redirects: 301, 302, 303, 307 or 308, and a Location."""
        return self.status_code in (301, 302, 303, 307, 308) and "location" in self.headers

    def raise_for_status(self) -> Response:
        """Return this response if it is a 2xx.

        Raises:
            HTTPStatusError: it is not.
            RuntimeError: no request was set.
        """
        request = self._request
        if request is None:
            raise RuntimeError(
                "Cannot call `raise_for_status` as the request instance has not been set on this response."
            )
        status = self.status_code
        if 200 <= status <= 299:
            return self
        kind = _KINDS.get(status // 100, "Invalid status code")
        message = f"{kind} '{status} {self.reason_phrase}' for url '{_shown(str(request.url))}'\n"
        if self.has_redirect_location:
            message += f"Redirect location: '{_shown(self.headers['location'])}'\n"
        message += f"For more information check: https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/{status}"
        raise HTTPStatusError(message, request=request, response=self)

    # Header fields that mean more than text.

    @property
    def charset_encoding(self) -> str | None:
        """The charset that Content-Type names, known to Python or not; None if it names none."""
        content_type = self.headers.get("content-type")
        return None if content_type is None else charset(content_type)

    @property
    def encoding(self) -> str | None:
        """What turns the content into text: what was set, else the charset, else `default_encoding`."""
        if "_encoding" not in self.__dict__:
            encoding = self.charset_encoding
            if encoding is None or not is_known_encoding(encoding):
                encoding = self._default_encoding()
            self._encoding = encoding
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        if "_text" in self.__dict__:
            raise ValueError("Setting encoding after `text` has been accessed is not allowed.")
        self._encoding = value

    def _default_encoding(self) -> str:
        default = self.default_encoding
        if isinstance(default, str):
            return default or "utf-8"
        # A function judges by the content; text that is streamed has none yet.
        content = self.__dict__.get("_content")
        return (None if content is None else default(content)) or "utf-8"

    @property
    def cookies(self) -> Cookies:
        """The cookies that this response sets."""
        cookies: Cookies | None = self.__dict__.get("_cookies")
        if cookies is None:
            cookies = self._cookies = Cookies()
            if "set-cookie" in self.headers:
                cookies.extract_cookies(self)
        return cookies

    @property
    def links(self) -> dict[str | None, dict[str, str]]:
        """The Link header (RFC 8288): parameters and "url" of each, by its relation or else its URL."""
        header = self.headers.get("link")
        if header is None:
            return {}
        return {link.get("rel") or link["url"]: link for link in parse_links(header)}

    @property
    def trailers(self) -> Headers | None:
        """The fields that came after the body (RFC 9110 section 6.5); None before its end, or if none came.

        They are kept apart from `headers`: nothing vouches for them when the headers are acted upon.
        """
        trailers: Headers | None = self.extensions.get("trailers")
        return trailers

    # The content, read.

    @property
    def text(self) -> str:
        """The body as text; what is no text in its `encoding` becomes U+FFFD.

        Raises:
            ResponseNotRead: as `content`.
            LookupError: Python does not have the encoding that was set.
        """
        text: str | None = self.__dict__.get("_text")
        if text is None:
            content = self.content
            text = self._text = (
                content.decode(self.encoding or "utf-8", "replace") if content else ""
            )
        return text

    def json(self, **kwargs: Any) -> Any:
        """The body as JSON, in UTF-8, UTF-16 or UTF-32; arguments go to `json.loads`.

        Raises:
            ResponseNotRead: as `content`.
            ValueError: the body is no JSON (`json.JSONDecodeError`), or no Unicode.
        """
        return loads(self.content, **kwargs)


def _shown(url: str) -> str:
    """A URL as a message may show it: no password, no secret parameter."""
    from .redaction import redact_query

    return redact_query(_without_password(url))


def _without_password(url: str) -> str:
    return re.sub(_USERINFO, r"\1:[secure]@", url)
