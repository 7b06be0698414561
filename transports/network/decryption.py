"""The receiving half of TLS: what has arrived, decrypted as it is asked for. Nothing waits here.

OpenSSL is not asked for what it cannot have: it would answer with an exception, which costs as much as decrypting.
"""

from __future__ import annotations

import ssl
import threading

from .faults import read_failed
from .sessions import Resumption

__all__ = ["Decryption"]

# The most that one record bears (RFC 8446 section 5.1); OpenSSL decrypts one at a time.
_RECORD = 16_384


class Decryption:
    """What the peer sent. One task or thread may ask for it while another encrypts."""

    __slots__ = (
        "_arrived",
        "_ended",
        "_failure",
        "_incoming",
        "_lock",
        "_more",
        "_resumption",
        "_ssl",
    )

    _ssl: ssl.SSLObject
    _resumption: Resumption | None

    def __init__(self) -> None:
        self._incoming = ssl.MemoryBIO()
        self._lock = threading.Lock()
        self._arrived = b""  # decrypted, not yet asked for
        self._ended = False  # nothing comes after it
        self._failure: ssl.SSLError | None = None
        # Whether any of the above, or OpenSSL with the rest of a record, may have something for a reader.
        self._more = False

    def read_available(self, max_bytes: int) -> bytes | None:
        """What can be had without receiving more; `b""` at the end, None if there is nothing.

        Raises:
            ReadError: a record is forged, or the peer says that something is wrong.
        """
        if not self._more and not self._incoming.pending:
            return None
        arrived = self._arrived
        if arrived:
            self._arrived = arrived[max_bytes:]
            return arrived[:max_bytes]
        with self._lock:
            return self._decrypt(max_bytes)

    def read_available_into(self, buffer: memoryview) -> int | None:
        """The same into the caller's memory: how many bytes; 0 at the end."""
        if not self._more and not self._incoming.pending:
            return None
        arrived = self._arrived
        if arrived:
            size = min(len(buffer), len(arrived))
            buffer[:size] = arrived[:size]
            self._arrived = arrived[size:]
            return size
        with self._lock:
            return self._decrypt_into(buffer)

    def _opened(self, ciphertext: bytes, max_bytes: int) -> bytes | None:
        """What the peer has just sent, and if there is some from before, that first."""
        if ciphertext and not self._more:
            with self._lock:
                self._incoming.write(ciphertext)
                return self._decrypt(max_bytes)
        self._feed(ciphertext)
        return self.read_available(max_bytes)

    def _feed(self, ciphertext: bytes) -> None:
        with self._lock:
            if ciphertext:
                self._incoming.write(ciphertext)
            else:
                self._incoming.write_eof()
                self._more = True

    def _decrypt(self, max_bytes: int) -> bytes | None:
        """As many records as are there, up to `max_bytes`."""
        if self._failure is not None or self._ended:
            return b"" if self._over() else None
        self._more = False
        parts: list[bytes] = []
        room = max_bytes
        try:
            while room:
                part = self._ssl.read(min(_RECORD, room))
                if not part:
                    self._more = self._ended = True
                    break
                parts.append(part)
                room -= len(part)
                if not room:
                    # Less than a record was asked for, and all of that came: there may be more of it.
                    self._more = len(part) < _RECORD
                elif not self._incoming.pending:
                    break
        except ssl.SSLError as exc:
            self._stopped(exc)
        if not parts:
            return b"" if self._over() else None
        if self._resumption is not None:
            self._learn()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _decrypt_into(self, buffer: memoryview) -> int | None:
        """The same into the caller's memory."""
        if self._failure is not None or self._ended:
            return 0 if self._over() else None
        self._more = False
        filled = 0
        try:
            while filled < len(buffer):
                with buffer[filled:] as rest:
                    size: int = self._ssl.read(len(rest), rest)  # type: ignore[assignment]
                if not size:
                    self._more = self._ended = True
                    break
                filled += size
                if filled == len(buffer):
                    self._more = size < _RECORD
                elif not self._incoming.pending:
                    break
        except ssl.SSLError as exc:
            self._stopped(exc)
        if not filled:
            return 0 if self._over() else None
        if self._resumption is not None:
            self._learn()
        return filled

    def _stopped(self, exc: ssl.SSLError) -> None:
        """Keep why OpenSSL decrypts no more: what it did before is good."""
        # Cases: a record is not all there yet; closed without a goodbye, and the framing of HTTP tells whether something
        # is missing; a failure, which OpenSSL says once, and calls it the end the next time.
        if isinstance(exc, ssl.SSLWantReadError):
            return
        self._more = True
        if isinstance(exc, ssl.SSLEOFError):
            self._ended = True
        else:
            self._failure = exc

    def _over(self) -> bool:
        """Whether nothing is to come any more.

        Raises:
            ReadError: because of a failure.
        """
        if self._failure is not None:
            raise read_failed(self._failure) from self._failure
        return self._ended

    def _unread(self) -> bool:
        """Whether something is decrypted that nobody has read; the end counts."""
        return self._more and bool(self._arrived or self._ended or self._ssl.pending())

    def _learn(self) -> None:
        """Keep the session for other connections."""
        if self._resumption is not None and self._resumption.learn(self._ssl):
            self._resumption = None
