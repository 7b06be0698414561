"""The ledger server's HTTP/2, in cleartext and with prior knowledge: h2 does the framing, a task answers each stream."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from hyperframe.frame import GoAwayFrame

from .house import Answer, Deal, House

__all__ = ["PREFACE", "HTTP2Link"]

PREFACE = b"PRI * HTTP/2.0"


class HTTP2Link:
    """One connection."""

    def __init__(
        self, house: House, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._house = house
        self._reader = reader
        self._writer = writer
        self._codec = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self._arriving: dict[int, tuple[Deal, bytearray]] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()
        self._last = 0
        # Streams above it are told to go elsewhere.
        self._bound: int | None = None

    async def serve(self, first: bytes) -> None:
        self._codec.initiate_connection()
        data = first
        try:
            while data:
                for event in self._codec.receive_data(data):
                    self._on(event)
                self._flush()
                if self._bound is not None and not self._arriving and not self._answers:
                    return
                data = await self._reader.read(65_536)
        except H2Error:
            self._flush()
        finally:
            for task in self._answers:
                task.cancel()

    def leave(self) -> None:
        """GOAWAY, which h2 itself would not let anything follow; then the end, once all has been answered."""
        if self._bound is None:
            self._bound = self._last
            self._writer.write(GoAwayFrame(0, last_stream_id=self._last).serialize())
        if not self._arriving and not self._answers:
            self._writer.close()

    def _on(self, event: Any) -> None:
        if isinstance(event, RequestReceived):
            fields = {str(name): str(value) for name, value in event.headers}
            self._begin(event.stream_id, fields)
        elif isinstance(event, DataReceived):
            size = event.flow_controlled_length
            if size:
                with contextlib.suppress(H2Error):
                    self._codec.acknowledge_received_data(size, event.stream_id)
            if event.stream_id in self._arriving:
                deal, body = self._arriving[event.stream_id]
                body += event.data
                if deal.cut == "body":
                    self._strike(event.stream_id, deal)
        elif isinstance(event, StreamEnded) and event.stream_id in self._arriving:
            deal, body = self._arriving.pop(event.stream_id)
            task = asyncio.create_task(self._answer(event.stream_id, deal, bytes(body)))
            self._answers.add(task)
            task.add_done_callback(self._answered)
        elif isinstance(event, StreamReset):
            self._arriving.pop(event.stream_id, None)
            self._moved.set()
        elif isinstance(event, (WindowUpdated, RemoteSettingsChanged)):
            self._moved.set()

    def _begin(self, stream: int, headers: dict[str, str]) -> None:
        if self._bound is not None:
            # It came too late: GOAWAY has told its sender so.
            return
        self._last = max(self._last, stream)
        deal = Deal(self._house, headers[":method"], headers[":path"], headers, refusable=True)
        if deal.cut == "refuse":
            if deal.gently or self._arriving or self._answers:
                self._codec.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            else:
                self._last = stream - 2 if stream > 1 else 0
                self.leave()
        elif deal.cut == "head":
            self._strike(stream, deal)
        else:
            self._arriving[stream] = (deal, bytearray())

    def _strike(self, stream: int, deal: Deal) -> None:
        """Reset the stream alone, or all of the connection."""
        self._arriving.pop(stream, None)
        if deal.gently:
            with contextlib.suppress(H2Error):
                self._codec.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            self._flush()
        else:
            deal.strike(self._writer)

    async def _answer(self, stream: int, deal: Deal, body: bytes) -> None:
        carried = await deal.carry_out(body)
        if carried is None:
            self._strike(stream, deal)
            return
        name, answer = carried
        # `H2Error`: the client has reset the stream meanwhile, and wants no answer.
        with contextlib.suppress(H2Error, ConnectionError):
            if await self._send(stream, deal, answer) and name:
                deal.note("answered", name, answer.status)

    async def _send(self, stream: int, deal: Deal, answer: Answer) -> bool:
        """Whether all of it was sent."""
        body = answer.body
        if deal.cut == "answer":
            body = body[: len(body) // 2]
        self._codec.send_headers(stream, [(":status", str(answer.status)), *answer.headers])
        while body:
            room = min(
                self._codec.local_flow_control_window(stream), self._codec.max_outbound_frame_size
            )
            if room <= 0:
                self._moved.clear()
                self._flush()
                await self._moved.wait()
                continue
            self._codec.send_data(stream, body[:room])
            body = body[room:]
            self._flush()
            await self._writer.drain()
        if deal.cut == "answer":
            await asyncio.sleep(0.01)
            self._strike(stream, deal)
            return False
        self._codec.end_stream(stream)
        self._flush()
        await self._writer.drain()
        return True

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        if self._bound is not None and not self._arriving and not self._answers:
            self._writer.close()

    def _flush(self) -> None:
        data = self._codec.data_to_send()
        if data:
            self._writer.write(data)
