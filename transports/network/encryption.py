"""TLS over any channel, another TLS channel included (which an HTTPS proxy needs): one class for all networks.

OpenSSL reads and writes two buffers in memory; this class carries bytes between them and the channel below.
Against a socket of OpenSSL's own, that saves a system call per record, and one source serves every network.

Rules:
- `_lock` is held around every call into OpenSSL, which tolerates no two threads in one connection, and for
  no await.
- Ciphertext leaves in the order in which OpenSSL made it: only the holder of `_sending` takes it, and
  whoever finds that taken leaves his bytes to the holder, who goes on until none are left.
- An upload that the peer interrupts may leave a part of a record in `_held`. It is sent before anything
  else; a reader sends it too while he waits, as the peer cannot be expected to answer half a record.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from typing import Any

from scallion.pipeline.errors import (
    ReadError,
    TimeoutException,
    TransportError,
    WriteError,
    WriteTimeout,
)

from .base import Carrier
from .carrying import Carrying
from .decryption import Decryption
from .faults import (
    read_closed,
    read_timed_out,
    write_closed,
    write_failed,
)
from .pins import check_pins
from .sessions import Resumption, terms_of

__all__ = ["TLSChannel"]

_READ_SIZE = 65_536
# How much is encrypted before it is handed down.
_WRITE_SIZE = 65_536
# What a goodbye may take when the channel below is congested, in seconds.
_GOODBYE = 0.1


def _port(carrier: Carrier) -> int | None:
    """The port that the bytes go to; None for a Unix socket."""
    address = carrier.info("server_addr")
    return address[1] if isinstance(address, tuple) else None


class TLSChannel(Decryption, Carrying):
    """An encrypted connection. Owns the channel below it."""

    __slots__ = (
        "_carrier",
        "_closed",
        "_held",
        "_outgoing",
        "_pins",
        "_sending",
        "first",
        "ready",
    )

    def __init__(
        self, carrier: Carrier, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        # Objects over memory do not ask for this themselves, as OpenSSL's sockets do.
        if context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        super().__init__()
        self._carrier = carrier
        self._outgoing = ssl.MemoryBIO()
        terms = terms_of(context)
        self._pins = () if terms is None else terms.fingerprints
        self._resumption = None
        session = None
        if terms is not None and terms.sessions is not None:
            self._resumption = Resumption(terms.sessions, (server_hostname, _port(carrier)))
            session = self._resumption.session
        self._ssl = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname, session=session
        )
        self._sending = threading.Lock()
        self._held = memoryview(b"")
        self._closed = False
        self.first = (
            b""  # what the peer said first, as far as it tells a speaker of TLS from others
        )
        self.ready = False

    async def shake_hands(self, timeout: float | None) -> None:
        """The handshake, all of it within `timeout`.

        Raises:
            TimeoutException, TransportError, ssl.SSLError: it took too long, or failed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise read_timed_out(timeout)
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush(left)
                data = await self._carrier.read(_READ_SIZE, left)
                if not self.first:
                    self.first = data[:32]
                self._feed(data)
            except ssl.SSLError:
                # The alert tells the server why.
                with contextlib.suppress(TransportError):
                    await self._flush(_GOODBYE)
                raise
            else:
                return await self._flush(left)

    def accept(self, server_hostname: str | None) -> None:
        """Look at what the handshake led to, beyond what OpenSSL has.

        Raises:
            ConnectError: the certificate is none of those that are pinned.
        """
        if self._pins:
            check_pins(server_hostname, self._ssl.getpeercert(binary_form=True), self._pins)
        # Later versions send their sessions after the handshake.
        if self._resumption is not None and self._ssl.version() == "TLSv1.2":
            self._learn()

    # Reading

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        while not self._closed:
            if self._more or self._incoming.pending:
                data = self.read_available(max_bytes)
                if data is not None:
                    return data
            if (self._held or self._outgoing.pending) and await self._settle(timeout):
                continue
            data = self._opened(await self._carrier.read(_READ_SIZE, timeout), max_bytes)
            if data is not None:
                return data
        raise read_closed()

    async def read_into(self, buffer: memoryview, timeout: float | None, least: int = 1) -> int:
        filled = 0
        while not self._closed:
            with buffer[filled:] as room:
                got = self.read_available_into(room)
            if got is not None:
                filled += got
                if filled >= least or not got:
                    return filled
            elif not (self._held or self._outgoing.pending) or not await self._settle(timeout):
                self._feed(await self._carrier.read(_READ_SIZE, timeout))
        raise read_closed()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        while not self._closed:
            data = self.read_available(max_bytes)
            if data is not None:
                return data
            below = self._carrier.read_nowait(_READ_SIZE)
            if below is None:
                return None
            self._feed(below)
        raise read_closed()

    async def _settle(self, timeout: float | None) -> bool:
        """Send what the peer waits for before it says more; whether it spoke before all of it was sent."""
        if self._held and await self._interrupted(timeout):
            return True
        if self._outgoing.pending:
            # What reading gave rise to: a new key's acknowledgement, a new handshake. If it cannot be sent, receiving
            # will say more about why.
            with contextlib.suppress(WriteError, WriteTimeout):
                await self._flush(timeout)
        return False

    # Writing

    async def write(self, data: bytes, timeout: float | None) -> None:
        sent = 0
        if len(data) <= _WRITE_SIZE and not self._held and self._sending.acquire(False):
            # Nearly always: nothing goes before it, and one write will do. As `_flush`, without the calls between.
            try:
                sent = self._encrypt(data)
                with self._lock:
                    ciphertext = self._outgoing.read()
                await self._carrier.write(ciphertext, timeout)
            finally:
                self._sending.release()
            if sent == len(data) and not self._outgoing.pending:
                return
        rest = memoryview(data)[sent:]
        await self._flush(timeout)
        while rest:
            rest = rest[await self._encrypted(rest[:_WRITE_SIZE], timeout) :]
            await self._flush(timeout)

    async def _encrypted(self, data: memoryview, timeout: float | None) -> int:
        """Encrypt the beginning of `data`; how much of it."""
        while not (taken := self._encrypt(data)) and data:
            await self._flush(timeout)
            await self._hear(timeout)
        return taken

    def _encrypt(self, data: bytes | memoryview) -> int:
        """The same without waiting: 0 if the server negotiates anew (TLS 1.2) and must be heard first."""
        if self._closed:
            raise write_closed()
        try:
            with self._lock:
                return self._ssl.write(data)
        except ssl.SSLWantReadError:
            return 0
        except OSError as exc:
            raise write_failed(exc) from exc

    async def _hear(self, timeout: float | None) -> None:
        try:
            self._feed(await self._carrier.read(_READ_SIZE, timeout))
        except TimeoutException as exc:
            raise WriteTimeout(str(exc)) from exc
        except TransportError as exc:
            raise WriteError(str(exc)) from exc

    async def write_or_answer(self, data: bytes, timeout: float | None) -> int:
        accepted = await super().write_or_answer(data, timeout)
        if not self._arrived and not self._ended:
            await self._push(timeout)
        return accepted

    async def write_some(self, data: memoryview, timeout: float | None) -> int:
        # Nothing is waited for once data is encrypted: a call that was broken off has accepted none of it. What is
        # accepted leaves with the next call, or the next read.
        if self._unread() or not await self._push(timeout):
            return 0
        taken = await self._encrypted(data[:_WRITE_SIZE], timeout)
        with self._lock:
            self._held = memoryview(bytes(self._held) + self._outgoing.read())
        return taken

    async def _push(self, timeout: float | None) -> bool:
        """Send what is held until the peer speaks; whether all of it was sent, or is being sent by somebody else."""
        if not self._sending.acquire(False):
            return True
        try:
            while self._held:
                sent = await self._carrier.write_some(self._held, timeout)
                self._held = self._held[sent:]
                if not sent and self._heard():
                    return False
            while isinstance(self._carrier, TLSChannel) and not await self._carrier._push(timeout):
                if self._heard():
                    return False
            return True
        finally:
            self._sending.release()

    def _heard(self) -> bool:
        # What arrived may be OpenSSL's business alone, such as a session ticket.
        try:
            return self._has_answer()
        except ReadError as exc:
            raise WriteError(str(exc)) from exc

    async def _interrupted(self, timeout: float | None) -> bool:
        """Send what is held while a reader waits; whether the peer spoke before all of it was sent."""
        try:
            return not await self._push(timeout)
        except WriteTimeout as exc:
            raise read_timed_out(timeout) from exc
        except WriteError:
            # Receiving says more about why.
            self._held = memoryview(b"")
            return False

    def _has_answer(self) -> bool:
        """Whether the peer said or ended something; it is kept for the next read.

        Raises:
            ReadError: the connection broke.
        """
        arrived = self.read_nowait(_READ_SIZE)
        if arrived is None:
            return False
        self._arrived = arrived + self._arrived
        self._more = True
        return True

    async def _flush(self, timeout: float | None) -> None:
        """Send what OpenSSL wants to have sent."""
        while (self._held or self._outgoing.pending) and self._sending.acquire(False):
            try:
                with self._lock:
                    ciphertext = self._outgoing.read()
                    if self._held:
                        ciphertext = bytes(self._held) + ciphertext
                        self._held = memoryview(b"")
                await self._carrier.write(ciphertext, timeout)
            finally:
                self._sending.release()

    def close(self) -> None:
        self._closed = True
        self._carrier.close()

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            # The server's goodbye is not waited for: that is what is wanted, and no error.
            with contextlib.suppress(OSError, ValueError), self._lock:
                self._ssl.unwrap()
            with contextlib.suppress(TransportError):
                await self._flush(_GOODBYE)
                await self._carrier.aclose()
        finally:
            self._carrier.close()

    def answered(self) -> bool:
        if self._closed or self._failure or self._unread():
            return True
        if not self._incoming.pending and not self._carrier.stale():
            return False
        # What has arrived may be OpenSSL's business alone, such as a session ticket.
        try:
            return self._has_answer()
        except ReadError:
            return True

    def stale(self) -> bool:
        if not (self._closed or self._more or self._incoming.pending or self._carrier.stale()):
            return False
        return self.answered()

    def info(self, name: str) -> Any:
        if name == "ssl_object":
            return self._ssl
        if name == "is_readable":
            return self.stale()
        return self._carrier.info(name)
