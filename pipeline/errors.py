"""Every exception that scallion raises: httpx's tree, and few of our own beneath it.

All of them pickle, notes and request included, so that they cross process boundaries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .request import Request
    from .response import Response

__all__ = [
    "AttemptTimeout",
    "BulkheadFull",
    "CircuitOpen",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "CookieConflict",
    "DecodingError",
    "HTTPError",
    "HTTPStatusError",
    "InvalidURL",
    "LocalProtocolError",
    "MiddlewareError",
    "NetworkError",
    "NoEndpoint",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "RateLimited",
    "ReadError",
    "ReadTimeout",
    "Rejected",
    "RemoteProtocolError",
    "RequestError",
    "RequestNotRead",
    "ResponseNotRead",
    "SSEError",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "TimeoutException",
    "TooManyRedirects",
    "TotalTimeout",
    "TransportError",
    "UnknownOption",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
]


def _rebuild(cls: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class _Picklable(Exception):
    """Pickles by its arguments and attributes, whatever its constructor demands."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class HTTPError(_Picklable):
    """Base of `RequestError` and `HTTPStatusError`: catch it around a call and `raise_for_status()`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._request: Request | None = None

    @property
    def request(self) -> Request:
        """The request that failed.

        Raises:
            RuntimeError: none was set; only clients set it.
        """
        if self._request is None:
            raise RuntimeError("The .request property has not been set.")
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request


class RequestError(HTTPError):
    """Something went wrong while a request was being sent or its response read."""

    def __init__(self, message: str, *, request: Request | None = None) -> None:
        super().__init__(message)
        self._request = request


class TransportError(RequestError):
    """The transport could not carry the request or its response."""


class TimeoutException(TransportError):
    """An operation took longer than allowed."""


class ConnectTimeout(TimeoutException):
    """No connection (TLS handshake included) within `Timeout.connect`."""


class ReadTimeout(TimeoutException):
    """No byte arrived within `Timeout.read`."""


class WriteTimeout(TimeoutException):
    """No byte could be sent within `Timeout.write`."""


class PoolTimeout(TimeoutException):
    """No connection came free within `Timeout.pool`."""


class TotalTimeout(TimeoutException):
    """The call as a whole, waits, redirects, retries and body included, outlasted `Timeout.total`."""


class AttemptTimeout(TimeoutException):
    """One attempt, up to its response's headers, outlasted `AttemptTimeouts.seconds`; retriable."""


class NetworkError(TransportError):
    """The network failed."""


class ConnectError(NetworkError):
    """No connection could be made: the name does not resolve, nobody listens, TLS refused."""


class ReadError(NetworkError):
    """Receiving failed."""


class WriteError(NetworkError):
    """Sending failed."""


class CloseError(NetworkError):
    """Closing failed."""


class ProtocolError(TransportError):
    """One side broke HTTP's rules."""


class LocalProtocolError(ProtocolError):
    """This side would have: for example a header with a line break."""


class RemoteProtocolError(ProtocolError):
    """The server did: for example an answer that is not HTTP."""


class ProxyError(TransportError):
    """The proxy refused or failed."""


class UnsupportedProtocol(TransportError):
    """The URL's scheme is missing, or no transport serves it."""


class SSEError(TransportError):
    """What was answered is no stream of server-sent events, or an event is larger than allowed."""


class Rejected(RequestError):
    """A layer refused to send the request: nothing of it left this program.

    Attributes:
        retry_after: Seconds after which it may be worth another try; None if nobody knows.
    """

    def __init__(
        self, message: str, *, request: Request | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, request=request)
        self.retry_after = retry_after


class CircuitOpen(Rejected):
    """The origin has failed too often of late, and is left alone for a while."""


class BulkheadFull(Rejected):
    """As many requests to the origin are under way, and waiting, as there may be."""


class RateLimited(Rejected):
    """More requests would exceed the rate that was set."""


class NoEndpoint(Rejected):
    """The service has no endpoint that could be asked."""


class DecodingError(RequestError):
    """The response's content coding is malformed, or inflates beyond the bound."""


class TooManyRedirects(RequestError):
    """More redirects than `max_redirects`."""


class HTTPStatusError(HTTPError):
    """`Response.raise_for_status()` met a status that is not 2xx.

    A body that was read and is text is shown in a note, and so in tracebacks, up to 500 characters of it. Copies and
    pickles hold the response, whole.

    Attributes:
        request: The request that was sent.
        response: The response, as received.
    """

    MAX_BODY = 8_192
    """Bytes in `body`, at most."""

    def __init__(self, message: str, *, request: Request, response: Response) -> None:
        super().__init__(message)
        self._request = request
        self.response = response
        if self.body:
            from .excerpt import excerpt

            note = excerpt(response, response.content)
            if note:
                self.add_note(note)

    @property
    def body(self) -> bytes:
        """The beginning of the response's body, `MAX_BODY` bytes at most; empty while it is an unread stream.

        `response.content` is all of it.
        """
        content = getattr(self.response, "_content", None)
        return content[: self.MAX_BODY] if isinstance(content, bytes) else b""


class InvalidURL(_Picklable):
    """A URL that RFC 3986 does not allow."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class CookieConflict(_Picklable):
    """Several cookies bear the name; give `domain` or `path` as well."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class UnknownOption(_Picklable, TypeError):
    """A request carries an option that no layer of this client's pipeline reads."""


class MiddlewareError(_Picklable, RuntimeError):
    """A middleware broke the onion's rules: what it returned, or a response it neither returned nor closed."""


class StreamError(_Picklable, RuntimeError):
    """A stream was used in a way that its state does not allow: a mistake in the calling code."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class StreamConsumed(StreamError):
    """The content was streamed already and cannot be streamed again."""

    def __init__(
        self,
        message: str = (
            "Attempted to read or stream some content, but the content has already been streamed. "
            "For requests, this could be due to passing a generator as request content, and then "
            "receiving a redirect response or a secondary request as part of an authentication "
            "flow. For responses, this could be due to attempting to stream the response content "
            "more than once."
        ),
    ) -> None:
        super().__init__(message)


class StreamClosed(StreamError):
    """The content's stream has been closed."""

    def __init__(
        self,
        message: str = "Attempted to read or stream content, but the stream has been closed.",
    ) -> None:
        super().__init__(message)


class ResponseNotRead(StreamError):
    """`.content` of a streaming response before `.read()`."""

    def __init__(
        self,
        message: str = (
            "Attempted to access streaming response content, without having called `read()`."
        ),
    ) -> None:
        super().__init__(message)


class RequestNotRead(StreamError):
    """`.content` of a streaming request before `.read()`."""

    def __init__(
        self,
        message: str = (
            "Attempted to access streaming request content, without having called `read()`."
        ),
    ) -> None:
        super().__init__(message)
