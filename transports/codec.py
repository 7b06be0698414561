"""HTTP/1.1 as a sans-IO codec: requests become bytes, bytes become a response. h11 decides.

Rules that this file keeps, beyond what h11 does:

- A body of announced length that has not arrived with its head does not pass h11's buffer: it is counted here
  and handed on as it came (h11 copies each byte several times: 1.4 ms a megabyte). h11 has then not
  seen the message's end, so the next exchange starts with a fresh h11 connection.
- Interim responses (RFC 9110 section 15.2) are skipped, all but 101, and no more than `MAX_INTERIM` of them.
- h11's messages quote header values; ours name the header only, as a value may be a secret.
"""

from __future__ import annotations

import re
from collections import deque

import h11

from scallion.pipeline.errors import LocalProtocolError, RemoteProtocolError
from scallion.pipeline.headers import Headers

from .messages import END, MAX_HEAD, MAX_INTERIM, Head, RawHeaders, cut_short

__all__ = ["END", "MAX_HEAD", "MAX_INTERIM", "H11Codec", "Head"]

_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")  # RFC 9110 section 5.6.2, token
# RFC 9110 section 5.5, and without the control characters that h11 takes for blanks.
_BAD_VALUE = re.compile(rb"[\x00\n\v\f\r]")
_QUOTED = re.compile(r":? *(?:bytearray\()?b['\"].*", re.DOTALL)
_DISCONNECTED = "Server disconnected without sending a response."
_BEGIN = b"HTTP/"
_TARGET = re.compile(rb"[\x21-\x7e]+")  # RFC 9112 section 3.2: no blanks, no control characters


class H11Codec:
    """One connection's conversation: `start`, `data`, `finish`; meanwhile `feed`, `head`, `body`; then `reusable`.

    Attributes:
        trailers: The fields after a chunked body, once `body` has returned END; else None.
        received: Whether any byte of the current response has arrived.
    """

    __slots__ = (
        "_bodiless",
        "_doubtful",
        "_expected",
        "_h11",
        "_interim",
        "_keep",
        "_left",
        "_pieces",
        "received",
        "trailers",
    )

    def __init__(self) -> None:
        self._h11: h11.Connection | None = None
        self._bodiless = False
        # A counted body: how long it is to be (bytes), what is still to come, what is here; else -1.
        self._expected = 0
        self._left = -1
        self._pieces: deque[bytes] = deque()
        self._keep = False
        self._interim = 0
        # Whether the response's framing is such that nothing after it can be believed.
        self._doubtful = False
        self.received = False
        self.trailers: RawHeaders | None = None

    # Sending

    def start(self, method: bytes, target: bytes, headers: RawHeaders, body: bytes | None) -> bytes:
        """The request's head; with `body` (None: it follows by `data`) the whole request in one piece.

        Raises:
            LocalProtocolError: a header or the target holds what HTTP does not allow.
        """
        connection = self._h11
        if connection is None:
            connection = self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self.received = False
        self.trailers = None
        self._left = -1
        self._interim = 0
        self._bodiless = method in (b"HEAD", b"CONNECT")
        try:
            head = connection.send(h11.Request(method=method, target=target, headers=headers))
            assert head is not None
            if body is None:
                return head
            if body:
                head += connection.send(h11.Data(data=body)) or b""
            return head + (connection.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            message = _explain(method, target, headers) or f"HTTP/1.1 forbids this: {error}"
        # Raised outside the except block: h11's message, as a cause or context, would quote the value.
        raise LocalProtocolError(message)

    def resume(
        self, method: bytes, target: bytes, headers: RawHeaders, *, sent: int, complete: bool
    ) -> None:
        """Take over a request that was sent elsewhere: its head, `sent` bytes of body, and its end if `complete`."""
        self.start(method, target, headers, None)
        assert self._h11 is not None
        if sent:
            self._h11.send_with_data_passthrough(h11.Data(data=_Sent(sent)))  # type: ignore[arg-type]
        if complete:
            self.finish()

    def data(self, chunk: bytes) -> bytes:
        """A piece of the body, framed.

        Raises:
            LocalProtocolError: more than the announced Content-Length.
        """
        assert self._h11 is not None
        try:
            return self._h11.send(h11.Data(data=chunk)) or b""
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(
                f"The request's body does not fit its head: {error}"
            ) from error

    def finish(self) -> bytes:
        """The body's end.

        Raises:
            LocalProtocolError: less than the announced Content-Length.
        """
        assert self._h11 is not None
        try:
            return self._h11.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(
                f"The request's body does not fit its head: {error}"
            ) from error

    # Receiving

    @property
    def left(self) -> int:
        """Bytes of a counted body that are still to be given out; -1 where that is not known."""
        return self._left

    def feed(self, data: bytes) -> None:
        """Take what the network gave; END at the end of the stream."""
        if data:
            self.received = True
        if self._left >= 0:
            self._pieces.append(data)
            return
        assert self._h11 is not None
        message = ""
        try:
            self._h11.receive_data(data)
        except h11.RemoteProtocolError as error:
            _uncircle(error)
            message = _not_http(error)
        if message:
            raise RemoteProtocolError(message)

    def took(self, size: int) -> None:
        """So many of the bytes `left` came another way: the caller received them himself."""
        self._left -= size

    def head(self) -> Head | None:
        """The final response's head, or None while more bytes are needed.

        Raises:
            RemoteProtocolError: it is not HTTP, or the connection ended before it.
        """
        connection = self._h11
        assert connection is not None
        while True:
            event, message = None, ""
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                _uncircle(error)
                ended = connection.trailing_data == (b"", True)
                message = _DISCONNECTED if ended else _not_http(error)
            if event is None:
                # Raised outside the except block: h11's message, as a cause or context, quotes headers.
                raise RemoteProtocolError(message)
            if event is h11.NEED_DATA:
                begun = connection.trailing_data[0][: len(_BEGIN)]
                if begun != _BEGIN[: len(begun)]:
                    # h11 would wait for a blank line, which another protocol may never send.
                    raise RemoteProtocolError(_not_http(f"it begins with {bytes(begun)!r}"))
                return None
            if not isinstance(event, (h11.Response, h11.InformationalResponse)):
                raise RemoteProtocolError(_DISCONNECTED)
            if event.status_code >= 200:
                self._inspect(event)
            elif event.status_code != 101:
                self._interim += 1
                if self._interim > MAX_INTERIM:
                    raise RemoteProtocolError(
                        f"The server sent over {MAX_INTERIM} interim responses and no final one"
                    )
                continue
            return Head(
                event.status_code,
                bytes(event.reason),
                b"HTTP/" + bytes(event.http_version),
                Headers.from_raw(event.headers.raw_items()),
            )

    def body(self) -> bytes | None:
        """The next piece of the body; END when it is complete; None while more bytes are needed.

        Raises:
            RemoteProtocolError: the framing is broken, or the connection ended before the body did.
        """
        if self._left >= 0:
            return self._counted()
        assert self._h11 is not None
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            _uncircle(error)
            event, message = None, _short_body(error)
        if event is None:
            raise RemoteProtocolError(message)
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            if event.headers:
                self.trailers = event.headers.raw_items()
            return END
        if event is h11.NEED_DATA:
            return None
        # PAUSED: the protocol was switched, so what follows is no HTTP body.
        return END

    def _inspect(self, response: h11.Response | h11.InformationalResponse) -> None:
        """How the body is framed (RFC 9112 section 6.3)."""
        length, chunked = -1, False
        for name, value in response.headers:
            if name == b"transfer-encoding":
                chunked = True
            elif name == b"content-length":
                length = int(value)  # h11 has seen to it that this is one number
        if chunked:
            # Both may be an attack: the chunks count, and what follows them is nobody's answer.
            self._doubtful = length >= 0
        elif not self._bodiless and response.status_code not in (204, 304):
            self._count(length)

    def _count(self, length: int) -> None:
        """Take the rest of a body of announced length past h11, if it has not arrived with the head."""
        connection = self._h11
        assert connection is not None
        if connection.our_state not in (h11.DONE, h11.MUST_CLOSE):
            return
        buffered, ended = connection.trailing_data
        if len(buffered) >= length:
            return
        self._expected = self._left = length
        self._pieces = deque([bytes(buffered)] if buffered else [])
        if ended:
            self._pieces.append(END)
        self._keep = connection.our_state is h11.DONE
        self._h11 = None

    def _counted(self) -> bytes | None:
        if self._left == 0:
            return END
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        if not piece:
            raise RemoteProtocolError(cut_short(self._expected - self._left, self._expected))
        if len(piece) > self._left:
            # Bytes after the message: the connection cannot be trusted with another exchange.
            self._keep = False
            piece = piece[: self._left]
        self._left -= len(piece)
        return piece

    # Afterwards

    def reusable(self) -> bool:
        """Whether another exchange may follow; called once, after END, and it starts the next cycle."""
        connection = self._h11
        if self._doubtful:
            return False
        if connection is None:
            return self._keep and self._left == 0 and not self._pieces
        if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
            if connection.trailing_data != (b"", False):
                return False
            connection.start_next_cycle()
            return True
        return False

    def leftover(self) -> bytes:
        """What came after the head of a switched protocol (101, or 2xx to CONNECT)."""
        return self._h11.trailing_data[0] if self._h11 is not None else b""


class _Sent:
    """Bytes that are gone already; h11 only asks how many they are."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


def _explain(method: bytes, target: bytes, headers: RawHeaders) -> str | None:
    """Which part of a request h11 refused, without quoting what may be a secret."""
    if not _NAME.fullmatch(method):
        return f"{method!r} is no HTTP method: it may hold letters, digits and !#$%&'*+-.^_`|~ only"
    if not _TARGET.fullmatch(target):
        return "The request target holds a blank, a control character or a non-ASCII one: percent-encode it"
    for name, value in headers:
        if not _NAME.fullmatch(name):
            return (
                f"{name!r} is no header name: it may hold letters, digits and !#$%&'*+-.^_`|~ only"
            )
        shown = name.decode("ascii")
        if _BAD_VALUE.search(value):
            return (
                f"The value of header {shown!r} holds a line break, NUL or the like (RFC 9110 section 5.5): "
                "remove it"
            )
        if value.strip(b" \t") != value:
            return f"The value of header {shown!r} begins or ends with a blank (RFC 9110 section 5.5): strip it"
    return None


def _uncircle(error: h11.RemoteProtocolError) -> None:
    """Let go of the frames: h11 raises it in its own method, whose frame, with all of ours, would live until the garbage
    collector comes.
    """
    error.__traceback__ = None


def _not_http(reason: object) -> str:
    message = _plain(reason)
    if any(
        sign in message
        for sign in ("illegal status line", "illegal request line", "malformed", "begins with")
    ):
        return (
            f"The server's answer is not HTTP/1.1 ({message}): is this the right port, and does the server "
            "expect TLS or HTTP/2 there?"
        )
    return f"The server broke HTTP/1.1's rules: {message}"


def _short_body(error: h11.RemoteProtocolError) -> str:
    message = _plain(error)
    if "peer closed connection" in message:
        return f"The server closed the connection before the body was complete: {message}"
    return f"The server broke HTTP/1.1's rules in the body: {message}"


def _plain(reason: object) -> str:
    """h11's message without the bytes that it quotes, for a header's value may be a secret."""
    if isinstance(reason, h11.ProtocolError):
        return _QUOTED.sub("", str(reason))
    return str(reason)
