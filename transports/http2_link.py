"""Who reads and who writes on an HTTP/2 connection that many tasks or threads share.

Rules:

- The codec's state changes under `_lock`, which is held for no wait. Whoever takes bytes out of the codec writes
  them, and nobody else takes any until they are written.
- *Reading*: nobody is employed to read. Of the streams that wait one leads: it reads, and tells each stream what
  has arrived for it; the others wait for their events. Who has got what it waited for, runs out of time or is
  cancelled while leading wakes another, which leads from then on.
- *Writing*: who finds another one writing leaves small frames to that one, and waits its turn with a piece of a
  body. Tasks that begin in the same turn of their loop leave their heads to the first of them, which lets the
  others run before it writes: one system call for all. Who writes a piece while nobody reads listens meanwhile:
  else two sides that send, and neither reads, would wait for each other.
- Who has what he waited for still writes what is left, and listens meanwhile, but not for long: a server may speak
  without a pause.
- A listening write that is broken off leaves what remains to the next writer. Another one may have left half a
  frame, nobody knows: nothing is written after that (`_mute`); what was sent before may still be answered, and no
  new stream begins here.
- A connection on which nothing arrives is taken for dead (`_dead`): no new stream begins here, those under way may
  still end, and the end of the last one closes it. Whatever arrives, for any stream or none, shows that it lives. It is
  dead when a read timeout passes, or a write timeout in waiting for credit, and nothing has arrived since the last
  piece of the request was framed or the body was read on. The call's deadline may come soon after the
  request, so it counts less: nothing must have arrived since the stream began, and it must have begun alone on the
  connection, or after an earlier deadline had passed in silence that lasts. A caller's cancellation says nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from scallion.pipeline.errors import (
    ReadError,
    ReadTimeout,
    TimeoutException,
    TotalTimeout,
    TransportError,
    WriteError,
    WriteTimeout,
)
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Event, Runtime

from .http2_codec import Codec
from .http2_streams import GOODBYE, Brief, Limits, Parting, Patience, Stream, Upload

if TYPE_CHECKING:
    from .network.base import Carrier

__all__ = ["READ_SIZE", "Link", "Ready"]

READ_SIZE = 256 * 1024
LISTEN = 16 * 1024
"""What is larger than this is not written without listening."""
_MOST_READS = 32
"""How often what has arrived is taken in at once: as much as systems keep, and a server may go on without a pause."""

Ready: TypeAlias = Callable[[], bool]
Waiting: TypeAlias = Patience | Parting | Brief


class Link:
    """The connection's channel and codec, and the two roles. What arrives is a subclass's business."""

    greeted: bool

    def __init__(self, channel: Carrier, runtime: Runtime) -> None:
        self.channel = channel
        self._encrypted = channel.info("ssl_object") is not None
        self._runtime = runtime
        self._lock = threading.Lock()
        self._codec: Codec
        self._streams: dict[int, Any]
        self._reading = False
        # Streams that wait while another one leads, longest first.
        self._followers: dict[Stream, None] = {}
        self._writing = False
        self._turns: list[Event] = []
        # What is to be written before all else: a writer was broken off in the midst of it.
        self._outbox: bytes | memoryview = b""
        self._corked = False  # somebody will write when the others have run
        # Streams whose heads wait in the codec.
        self._unwritten: list[Stream] = []
        self._mute = False  # nothing more is written
        self._gone = False  # since the server does not listen
        self._lost = False  # nothing more will arrive
        self._dead = False  # believed so, for it was silent for too long
        # How often anything was received; and how often it was when a deadline passed in silence.
        self._received = 0
        self._silent_at = -1
        self._closed = False

    def _receive(self, data: bytes) -> None:
        """Take what arrived, END included, and tell the streams; the reader's business alone."""
        raise NotImplementedError

    def _patience(
        self,
        kind: type[ReadTimeout | WriteTimeout],
        timeout: Limits,
        request: Request,
        doing: str,
    ) -> Patience:
        limit = timeout.get("read" if kind is ReadTimeout else "write")
        return Patience(kind, limit, request, self._runtime, doing)

    # Writing.

    async def _send_off(self, patience: Patience) -> None:
        """Write, together with the heads of the others who run in this turn of the loop."""
        if self._corked:
            return
        self._corked = True
        try:
            await self._runtime.sleep(0)
        finally:
            self._corked = False
        await self._flush(patience)

    async def _flush(self, patience: Waiting, *, listening: bool = False) -> None:
        """Write what the codec has, unless somebody else is at it, who then goes on until nothing is left."""
        # Who adds something after this look at it writes it himself.
        while self._codec.pending or self._outbox:
            left = patience.left()
            with self._lock:
                if self._writing or self._mute:
                    return
                data = self._codec.take()
                if not data and not self._outbox:
                    return
                self._writing = True
                batch, self._unwritten = self._unwritten, []
            await self._write(data, batch, left, patience, listening=listening)

    async def _to_the_end(self, writing: Coroutine[Any, Any, None], ready: Ready) -> None:
        """Await who writes with the patience `Parting`; what he leaves when `ready()` is written unheard, or not at all."""
        try:
            await writing
        except TimeoutException:
            if not ready():
                raise
            # The server speaks without a pause, or does not read. Perhaps nobody else is here to write.
            with contextlib.suppress(TransportError):
                await self._flush(Brief(GOODBYE))

    async def _write(
        self,
        data: bytes,
        batch: list[Stream],
        left: float | None,
        patience: Waiting,
        *,
        listening: bool,
    ) -> None:
        """Write as the one who has `_writing`, and give that up."""
        listening = listening and not self._lost
        self._outbox = bytes(self._outbox) + data if self._outbox else data
        try:
            if listening:
                await self._write_and_listen(patience)
            else:
                data, self._outbox = bytes(self._outbox), b""
                await self.channel.write(data, left)
        except WriteError:
            # The server is gone; reading tells what it said last.
            self._gone = True
            self._break_off([])
        except BaseException as error:
            if listening:
                # Who listens knows what has left, and leaves the rest to the next, and whose it is.
                with self._lock:
                    self._unwritten = [*batch, *self._unwritten]
            else:
                self._break_off(batch)
            if isinstance(error, TimeoutException):
                raise patience.over() from error
            raise
        finally:
            with self._lock:
                self._writing = False
                self._wake_writers()

    async def _write_and_listen(self, patience: Waiting) -> None:
        # What is left is not copied with each part that leaves.
        rest = memoryview(self._outbox)
        while True:
            if rest:
                sent = await self.channel.write_some(rest, patience.left())
                self._outbox = rest = rest[sent:]
                if sent:
                    continue
            else:
                self._outbox = b""
                if self._encrypted:
                    # What encryption holds back must be gone before another one reads or writes.
                    await self.channel.write_some(memoryview(b""), patience.left())
                if not self.channel.answered():
                    return
            await self._take_in(patience)
            if self._lost:
                # Half a frame may have left; if nothing is missing, GOAWAY may follow.
                self._mute = self._mute or bool(self._outbox)
                return

    def _break_off(self, batch: list[Stream]) -> None:
        """Write nothing more. `batch`: whose frames may have left in part."""
        with self._lock:
            self._mute = True
            unwritten, self._unwritten = self._unwritten, []
            for stream in unwritten:
                # Not a byte of it has left, unless an earlier piece has.
                stream.refused = stream.refused or stream not in batch
            for stream in (*batch, *unwritten):
                if not stream.answered():
                    stream.error = WriteError("sending failed: the connection was lost meanwhile")
            for stream in list(self._followers):
                self._touch(stream)

    def _wake_writers(self) -> None:
        turns, self._turns = self._turns, []
        for event in turns:
            event.set()

    async def _upload(
        self,
        stream: Stream,
        upload: Upload,
        request: Request,
        timeout: Limits,
        stop: Ready,
    ) -> None:
        """Send the request's body until its end, or until `stop()`."""
        while not upload.done and not stop():
            if upload.hungry():
                # The next piece may take its time. Nobody else begins here before the server's settings are read.
                if not self.greeted:
                    patience = self._patience(ReadTimeout, timeout, request, "sending the body")
                    await self._until(stream, lambda: self.greeted or stop(), patience)
                await upload.pull()
                self._hear(self.channel.answered)
            else:
                patience = self._patience(WriteTimeout, timeout, request, "sending the body")
                await self._send_piece(stream, upload, patience, stop)

    async def _send_piece(
        self, stream: Stream, upload: Upload, patience: Patience, stop: Ready
    ) -> None:
        """Send one piece, or wait for what it needs: its turn to write, or the server's credit."""
        left = patience.left()
        data, batch, turn = b"", [stream], None
        with self._lock:
            if stop():
                return
            listening = not self._reading
            if self._gone:
                pass
            elif self._mute or self._closed:
                raise WriteError("sending failed: the connection was lost meanwhile")
            elif self._writing:
                turn = self._runtime.event()
                self._turns.append(turn)
            elif upload.fill(self._codec, stream):
                stream.sent = upload.done
                stream.waits_since = self._received
                data = self._codec.take()
                self._writing = True
                batch += self._unwritten
                self._unwritten = []
                listening = listening and len(data) > LISTEN
                self._reading = self._reading or listening
        if data:
            parting = Parting(patience, stream.satisfied, self._runtime)
            writing = self._write(data, batch, left, parting, listening=listening)
            try:
                await self._to_the_end(writing, stream.satisfied)
            finally:
                if listening:
                    self._stop_reading()
            await self._to_the_end(self._flush(parting), stream.satisfied)
        elif turn is not None:
            if not await turn.wait(left):
                raise patience.over()
        else:
            await self._until(stream, lambda: stop() or self._may_send(stream), patience)

    def _hear(self, told: Ready) -> None:
        """Take in what has arrived while nobody was reading, as long as `told()`."""
        with self._lock:
            # It is asked without a wait.
            if self._reading or not told():
                return
            self._reading = True
        try:
            for _ in range(_MOST_READS):
                data = self.channel.read_nowait(READ_SIZE) if not self._lost and told() else None
                if data is None:
                    break
                self._receive(data)
        except ReadError as error:
            self._lose(error)
        finally:
            self._stop_reading()

    def _may_send(self, stream: Stream) -> bool:
        if self._mute:
            return not self._gone
        return stream.closed or self._codec.credit(stream) > 0

    # Reading.

    async def _until(self, stream: Stream, ready: Ready, patience: Patience) -> None:
        """Wait until `ready()`; lead if nobody does."""
        while True:
            with self._lock:
                if ready():
                    self._wake_leader()
                    return
                leads = not self._reading
                if leads:
                    self._reading = True
                else:
                    stream.event = self._runtime.event()
                    self._followers[stream] = None
            if leads:
                try:
                    while not ready():
                        await self._take_in(patience)
                        if self._codec.pending or self._outbox:
                            parting = Parting(patience, ready, self._runtime)
                            await self._to_the_end(self._flush(parting, listening=True), ready)
                except BaseException as error:
                    # What lies here unread is a sign of life as well.
                    if not self.channel.answered():
                        self._judge(stream, patience, error)
                    raise
                finally:
                    self._stop_reading()
            else:
                await self._follow(stream, patience)

    async def _follow(self, stream: Stream, patience: Patience) -> None:
        assert stream.event is not None
        woken = False
        try:
            woken = await stream.event.wait(patience.left())
            if not woken:
                raise patience.over()
        except BaseException as error:
            self._judge(stream, patience, error)
            raise
        finally:
            if not woken:
                with self._lock:
                    self._followers.pop(stream, None)
                    # It may have been this one's turn to lead.
                    self._wake_leader()

    def _judge(self, stream: Stream, patience: Patience, error: BaseException) -> None:
        """Whether a wait that `error` ended shows that the connection is dead; the module's rules say when."""
        # Cases: the operation's own limit; the call's deadline; anything else.
        with self._lock:
            if isinstance(error, TimeoutException) and not isinstance(error, TotalTimeout):
                self._dead = self._dead or stream.waits_since == self._received
            elif patience.outlived() and stream.started_at == self._received:
                self._dead = self._dead or stream.decides
                self._silent_at = self._received

    def _stop_reading(self) -> None:
        with self._lock:
            self._reading = False
            self._wake_leader()

    def _wake_leader(self) -> None:
        if self._followers and not self._reading:
            self._touch(next(iter(self._followers)))

    def _touch(self, stream: Stream) -> None:
        """Wake who waits for this stream."""
        if stream in self._followers:
            del self._followers[stream]
            assert stream.event is not None
            stream.event.set()

    async def _take_in(self, patience: Waiting) -> None:
        left = patience.left()
        try:
            data = await self.channel.read(READ_SIZE, left)
        except ReadTimeout as error:
            raise patience.over() from error
        except ReadError as error:
            self._lose(error)
        else:
            self._receive(data)

    def _lose(self, error: TransportError, *, mute: bool = True) -> None:
        """Nothing more will arrive: end all streams."""
        with self._lock:
            self._lost = True
            self._mute = self._mute or mute
            for stream in self._streams.values():
                if stream.error is None and not stream.ended:
                    # One for each: tracebacks grow where errors are raised.
                    stream.error = type(error)(str(error))
                    stream.error.__cause__ = error.__cause__
            for stream in list(self._followers):
                self._touch(stream)
            self._wake_writers()
