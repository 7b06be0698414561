"""A server that keeps a ledger, as a process of its own: HTTP/1.1, and HTTP/2 for clients that begin with it.

    python -m survival.ledger_server --name a --port 20000 --folder /tmp/x

In the folder are the ledger, `a.ledger`, and `keys`, the idempotency keys that all servers of a fleet share. `PUT /control`
with a JSON object sets a `Behaviour`. SIGTERM ends it once what it has begun is answered.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import signal
from pathlib import Path

from .house import House
from .link_http2 import PREFACE, HTTP2Link
from .link_http11 import HTTP11Link

__all__ = ["main"]

# prctl(2), of Linux.
PR_SET_PDEATHSIG = 1


async def serve(name: str, port: int, folder: Path) -> None:
    house = House(name, folder)
    ended = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link: HTTP11Link | HTTP2Link | None = None
        try:
            first = await reader.read(65_536)
            kind = HTTP2Link if first.startswith(PREFACE) else HTTP11Link
            link = kind(house, reader, writer)
            house.links.add(link)
            await link.serve(first)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            if link is not None:
                house.links.discard(link)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=512)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    house.draining = True
    server.close()
    for link in tuple(house.links):
        link.leave()
    while house.links:
        await asyncio.sleep(0.01)


def _die_with_parent() -> None:
    """Whatever ends the tests, and whether this process is stopped or not."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    _die_with_parent()
    asyncio.run(serve(given.name, given.port, given.folder))


if __name__ == "__main__":
    main()
