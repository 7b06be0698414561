"""The ledger server's HTTP/1.1: h11 does the framing, one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import h11

from .house import Answer, Deal, House

__all__ = ["HTTP11Link"]


class HTTP11Link:
    """One connection."""

    def __init__(
        self, house: House, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._house = house
        self._reader = reader
        self._writer = writer
        self._codec = h11.Connection(h11.SERVER)
        self._busy = False

    async def serve(self, first: bytes) -> None:
        # The client left in the midst of a request.
        with contextlib.suppress(h11.RemoteProtocolError):
            await self._serve(first)

    async def _serve(self, first: bytes) -> None:
        self._codec.receive_data(first)
        event = await self._event()
        while isinstance(event, h11.Request):
            self._busy = True
            goes_on = await self._exchange(event)
            self._busy = False
            if not goes_on or self._codec.our_state is not h11.DONE:
                return
            self._codec.start_next_cycle()
            # `TimeoutError` ends the connection, perhaps just as a request arrives.
            event = await asyncio.wait_for(self._event(), self._house.behaviour.keep_alive)

    def leave(self) -> None:
        if not self._busy:
            self._writer.close()

    async def _event(self) -> Any:
        while (event := self._codec.next_event()) is h11.NEED_DATA:
            self._codec.receive_data(await self._reader.read(65_536))
        return event

    async def _exchange(self, head: h11.Request) -> bool:
        """Whether another one may follow."""
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        deal = Deal(self._house, head.method.decode(), head.target.decode(), headers)
        if deal.cut == "head":
            deal.strike(self._writer)
            return False
        body = bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            body += event.data
            if deal.cut == "body":
                deal.strike(self._writer)
                return False
        carried = await deal.carry_out(bytes(body))
        if carried is None:
            deal.strike(self._writer)
            return False
        name, answer = carried
        await self._answer(deal, answer)
        if deal.cut == "answer":
            return False
        if name:
            deal.note("answered", name, answer.status)
        return not self._house.draining

    async def _answer(self, deal: Deal, answer: Answer) -> None:
        fields = [*answer.headers]
        if self._house.draining:
            fields.append(("connection", "close"))
        data = self._codec.send(h11.Response(status_code=answer.status, headers=fields)) or b""
        if deal.cut == "answer":
            half = len(answer.body) // 2
            self._writer.write(data + answer.body[:half])
            await self._writer.drain()
            await asyncio.sleep(0.01)
            deal.strike(self._writer)
            return
        if answer.body:
            data += self._codec.send(h11.Data(answer.body)) or b""
        self._writer.write(data + (self._codec.send(h11.EndOfMessage()) or b""))
        await self._writer.drain()
