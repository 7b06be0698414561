"""The reference's side of TLS: a socket that one thread may read from while others write to it.

`ssl.SSLSocket` is no such thing: OpenSSL's object must not be used by two threads at once. Here it works in memory,
under a lock that is held for no wait, and the bytes are moved outside of it.
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = ["Encrypted"]

SIZE = 65_536


class Encrypted:
    """A server's socket with TLS, after its handshake.

    Raises:
        OSError: the handshake failed.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self.family = sock.family
        self.fileno = sock.fileno
        self.setsockopt = sock.setsockopt
        self.shutdown = sock.shutdown
        self.close = sock.close
        self.selected_alpn_protocol = self._tls.selected_alpn_protocol
        self._shake_hands()

    def recv(self, size: int) -> bytes:
        """What comes next; nothing at the end."""
        while True:
            with self._lock:
                try:
                    return self._tls.read(size)
                except ssl.SSLWantReadError:
                    pass
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            if not self._fill():
                return b""

    def sendall(self, data: bytes) -> None:
        with self._sending:
            with self._lock:
                self._tls.write(data)
                encrypted = self._outgoing.read()
            self._sock.sendall(encrypted)

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    raise ConnectionError("The client left within the handshake") from None
            except ssl.SSLError:
                self._flush()
                raise
            else:
                self._flush()
                return

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._sock.sendall(data)

    def _fill(self) -> bool:
        """Wait for bytes; whether there were any."""
        data = self._sock.recv(SIZE)
        with self._lock:
            self._incoming.write(data)
        return bool(data)
