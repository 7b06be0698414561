"""One connection on asyncio: a buffered protocol, no tasks, no locks, and one lazy timer per connection.

A loop reads into one buffer for all its connections, which saves it a large allocation per read, and an idle
connection the memory; what has arrived is copied out at once. A reader or writer that has to wait leaves a future and a deadline behind. The
timer is armed only if none is pending, and when it fires early it is set to the deadline of the moment; so a
timeout costs a read one comparison.

Bytes arrive in a callback of the loop, where no task is running: who waits for them takes its next step there and
then. A future that is set in the usual way would have it taken in another turn of the loop, with another look at
the selector, which is a twentieth of what a small request costs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Generator
from math import inf
from types import coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .carrying import Carrying
from .faults import (
    read_closed,
    read_failed,
    read_timed_out,
    write_closed,
    write_failed,
    write_timed_out,
)
from .room import Room
from .sockets import socket_info

if TYPE_CHECKING:
    import socket

__all__ = ["AsyncioChannel"]

_BUFFER_SIZE = 131_072
# Received and not yet read: above the one, the socket is left alone until below the other.
_HIGH_WATER = 262_144
_LOW_WATER = 131_072
# What is handed to the transport at once; beyond its own mark of 64 KB it makes the writer wait.
_PIECE = 262_144
# Loops count milliseconds and wake up to half of one early.
_TICK = 0.0005
# How long an orderly close lets the transport's backlog go out, in seconds.
_LINGER = 1.0

_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()


def _buffer_of(loop: asyncio.AbstractEventLoop) -> memoryview:
    # Cases: loops that ask for a buffer when they are about to fill it, and say at once that they have; others.
    if not isinstance(loop, asyncio.BaseEventLoop) and type(loop).__module__ != "uvloop":
        return memoryview(bytearray(_BUFFER_SIZE))
    view = _buffers.get(loop)
    if view is None:
        view = _buffers[loop] = memoryview(bytearray(_BUFFER_SIZE))
    return view


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let the loop run the others once."""
    yield


class AsyncioChannel(Carrying, asyncio.BufferedProtocol):
    """One connection. Belongs to the loop it was made on; only `close` may be called from elsewhere."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_closed",
        "_direct",
        "_ended",
        "_error",
        "_full",
        "_held",
        "_lent",
        "_loop",
        "_progress",
        "_read_deadline",
        "_reader",
        "_sock",
        "_timer",
        "_timer_at",
        "_transport",
        "_unturned",
        "_view",
        "_write_deadline",
        "_write_timeout",
        "_writer",
        "_writer_listens",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._view = _buffer_of(loop)
        standard = isinstance(loop, asyncio.BaseEventLoop)
        # The socket itself, and only where the loop leaves its descriptor alone while we look at it.
        self._sock = sock if standard else None
        # Others take what may end a task, SystemExit and KeyboardInterrupt, for the connection's failure.
        self._direct = standard
        self._transport: Any = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._held = False  # reading is paused, by us
        self._full = False  # writing is paused, by the transport
        self._ended = False  # nothing more will arrive
        self._closed = False  # by us
        self._error: Exception | None = None
        self._reader: asyncio.Future[bool] | None = None
        self._lent: Room | None = None  # what the reader lends
        self._writer: asyncio.Future[bool] | None = None
        self._writer_listens = False  # the writer wants to hear of an answer
        self._read_deadline = inf
        self._write_deadline = inf
        self._write_timeout = inf
        self._progress = 0  # the transport's backlog when it was last looked at
        self._unturned = 0  # bytes sent since the loop had a turn
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        room = self._lent
        return self._view if room is None or self._sock is None else room.rest

    def buffer_updated(self, nbytes: int) -> None:
        if self._closed:
            return
        if self._lent is not None:
            self._fill(self._lent, nbytes)
            return
        self._chunks.append(bytes(self._view[:nbytes]))
        self._buffered += nbytes
        if self._buffered > _HIGH_WATER and not self._held:
            self._held = True
            self._transport.pause_reading()
        if self._writer_listens:
            _wake(self._writer, True)
        # Last, as the reader goes on within it.
        self._resume()

    def _fill(self, room: Room, nbytes: int) -> None:
        """Bytes came for a reader who lent us memory: he is not woken before he has what he asked for."""
        # Cases: the loop wrote to the reader's memory; it wrote to a buffer of ours.
        if self._sock is not None:
            room.took(nbytes)
        else:
            fits = min(nbytes, len(room.rest))
            room.put(self._view[:fits])
            if fits < nbytes:
                self._chunks.append(bytes(self._view[fits:nbytes]))
                self._buffered += nbytes - fits
        if self._writer_listens:
            _wake(self._writer, True)
        if room.filled >= room.least:
            self._lent = None
            self._resume()
        elif room.patience < inf:
            self._read_deadline = self._loop.time() + room.patience

    def _resume(self) -> None:
        """Wake the reader, and let it take its next step in here; for callbacks of the loop only."""
        reader: Any = self._reader
        if reader is None or reader.done():
            return
        callbacks = getattr(reader, "_callbacks", None) if self._direct else None
        # Cases: the task's wake-up, which would be queued; nobody waits yet, or others than we know.
        if callbacks and len(callbacks) == 1:
            ((callback, context),) = callbacks
            reader.remove_done_callback(callback)
            reader.set_result(True)
            context.run(callback, reader)
        else:
            reader.set_result(True)

    def eof_received(self) -> bool:
        self._ended = True
        _wake(self._reader, True)
        if self._writer_listens:
            _wake(self._writer, True)
        # The other direction stays open until we close it.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self._closed:
            self._error = exc
            self._salvage()
        self._ended = True
        self._transport = self._sock = None
        self._disarm()
        self._wake_all()

    def _salvage(self) -> None:
        """Receive what the loop no longer will: sending failed, but the peer may have answered before."""
        sock = self._sock
        if sock is None:
            return
        try:
            while self._buffered < _HIGH_WATER and (data := sock.recv(_BUFFER_SIZE)):
                self._chunks.append(data)
                self._buffered += len(data)
        except OSError:
            pass

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        _wake(self._writer, True)

    # Waiting.

    def _wake_all(self) -> None:
        _wake(self._reader, True)
        _wake(self._writer, True)

    def _arrival(self, timeout: float | None) -> asyncio.Future[bool]:
        """What the reader awaits: bytes or the end; False after `timeout`."""
        loop = self._loop
        reader = self._reader = loop.create_future()
        if timeout is None:
            self._read_deadline = inf
        else:
            self._read_deadline = deadline = loop.time() + timeout
            if deadline < self._timer_at:
                self._arm(deadline)
        return reader

    async def _room(self, timeout: float | None, listen: bool = False) -> bool:
        """Wait until the transport takes more, or if asked to `listen`, for an answer; False after `timeout`."""
        writer: asyncio.Future[bool] = self._loop.create_future()
        self._writer = writer
        self._writer_listens = listen
        self._unturned = 0
        if timeout is not None:
            self._progress = self._transport.get_write_buffer_size()
            self._write_timeout = timeout
            self._write_deadline = self._loop.time() + timeout
            if self._write_deadline < self._timer_at:
                self._arm(self._write_deadline)
        try:
            return await writer
        finally:
            self._writer = None
            self._writer_listens = False
            self._write_deadline = inf

    def _arm(self, when: float) -> None:
        self._disarm()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._tick)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = inf

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._loop.time() + _TICK
        # Nobody takes the deadline back when a wait ends.
        if self._reader is None or self._reader.done():
            self._read_deadline = inf
        elif self._read_deadline <= now:
            self._read_deadline = inf
            self._reader.set_result(False)
        if self._write_deadline <= now:
            self._write_overdue(now)
        when = min(self._read_deadline, self._write_deadline)
        if when < inf:
            self._arm(when)

    def _write_overdue(self, now: float) -> None:
        # Slow is not stuck: as long as the backlog shrinks, the writer has another timeout's time.
        backlog = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if backlog < self._progress:
            self._progress = backlog
            self._write_deadline = now + self._write_timeout
        else:
            self._write_deadline = inf
            _wake(self._writer, False)

    # What the connection calls.

    async def read(self, max_bytes: int, timeout: float | None) -> bytes:
        chunks = self._chunks
        while not chunks:
            if self._ended:
                return self._end()
            if not await self._arrival(timeout) and not chunks and not self._ended:
                raise read_timed_out(timeout)
        return self._take(max_bytes)

    async def read_into(self, buffer: memoryview, timeout: float | None, least: int = 1) -> int:
        room = Room(buffer, least, timeout)
        try:
            while True:
                while self._chunks and room.rest:
                    room.put(self._take(len(room.rest)))
                if room.filled >= least:
                    return room.filled
                if self._ended:
                    return room.filled or len(self._end())
                self._lent = room
                in_time = await self._arrival(timeout)
                if not in_time and room.filled < least and not self._ended:
                    raise read_timed_out(timeout)
        finally:
            self._lent = None
            room.close()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        if self._chunks:
            return self._take(max_bytes)
        return self._end() if self._ended else None

    def _take(self, max_bytes: int) -> bytes:
        chunks = self._chunks
        data = chunks.popleft()
        if len(data) > max_bytes:
            chunks.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._buffered -= len(data)
        if self._held and self._buffered <= _LOW_WATER:
            self._held = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        return data

    def _end(self) -> bytes:
        if self._closed:
            raise read_closed()
        if self._error is not None:
            raise read_failed(self._error) from self._error
        return b""

    async def write(self, data: bytes, timeout: float | None) -> None:
        if len(data) <= _PIECE:
            # As `_send`, without the calls between.
            transport = self._transport
            if transport is None or self._closed or transport.is_closing():
                self._check_writable()
            transport.write(data)
            if self._full:
                await self._drained(timeout)
            return
        rest = memoryview(data)
        while rest:
            self._send(rest[:_PIECE])
            rest = rest[_PIECE:]
            if self._full:
                await self._drained(timeout)

    async def _drained(self, timeout: float | None) -> None:
        while self._full and not self._closed and self._transport is not None:
            if not await self._room(timeout):
                raise write_timed_out(timeout)
        self._check_writable()

    async def write_some(self, data: memoryview, timeout: float | None) -> int:
        if self._unturned >= _PIECE:
            # As long as the socket takes everything nothing waits, and an answer would stay unheard.
            self._unturned = 0
            await _turn()
        while not self._chunks and not self._ended and self._full:
            if not await self._room(timeout, listen=True):
                raise write_timed_out(timeout)
        if self._chunks:
            return 0
        if self._ended and self._error is None and not self._closed:
            return 0
        piece = data[:_PIECE]
        self._send(piece)
        self._unturned += len(piece)
        return len(piece)

    def _send(self, data: bytes | memoryview) -> None:
        self._check_writable()
        self._transport.write(data)

    def _check_writable(self) -> None:
        if self._error is not None:
            raise write_failed(self._error) from self._error
        if self._closed or self._transport is None or self._transport.is_closing():
            raise write_closed()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = self._ended = True
        loop = self._loop
        try:
            if asyncio._get_running_loop() is loop or not (loop.is_running() or loop.is_closed()):
                self._abort()
            else:
                # Another thread runs the loop; if it is closed, this says so.
                loop.call_soon_threadsafe(self._abort)
        except RuntimeError:
            self._reader = self._writer = self._timer = None
            _bury(self._transport)

    def _abort(self) -> None:
        self._chunks.clear()
        self._buffered = 0
        self._disarm()
        self._wake_all()
        if self._transport is not None:
            self._transport.abort()

    async def aclose(self) -> None:
        transport = self._transport
        if transport is None or self._closed or not transport.get_write_buffer_size():
            self.close()
            return
        self._closed = self._ended = True
        self._wake_all()
        # What was written before goes out in the background, if the peer takes it soon.
        transport.close()
        self._disarm()
        self._timer = self._loop.call_later(_LINGER, transport.abort)

    def answered(self) -> bool:
        return self._ended or bool(self._chunks)

    def stale(self) -> bool:
        return self._ended or bool(self._chunks)

    def info(self, name: str) -> Any:
        if name == "is_readable":
            return self.stale()
        if self._transport is None:
            return None
        sock = self._transport.get_extra_info("socket")
        return sock if name == "socket" else socket_info(sock, name)


def _wake(waiter: asyncio.Future[bool] | None, result: bool) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(result)


def _bury(transport: Any) -> None:
    """Release the socket of a transport whose loop is closed, and runs nothing any more."""
    # There is no public way: every method of a transport ends in its loop.
    finish = getattr(transport, "_call_connection_lost", None)
    if finish is not None and getattr(transport, "_sock", None) is not None:
        with contextlib.suppress(RuntimeError):
            finish(None)
