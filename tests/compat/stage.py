"""A server on loopback that keeps the raw bytes of each request, and plays the answers of a scene."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.servers import Peer, _Server, wait_for_close

__all__ = ["OK", "Reply", "Scene", "Stage", "raw", "redirect", "reply"]


@dataclass(frozen=True)
class Reply:
    """What the server does about one request.

    Attributes:
        data: What it sends; `{port}` stands for its port.
        end: "keep" the connection, "close" it, "reset" it, or "wait" for the client to close it.
    """

    data: bytes
    end: str = "keep"


def raw(data: bytes, end: str = "close") -> Reply:
    """Bytes of any kind, after which the connection is closed unless said otherwise."""
    return Reply(data, end)


def reply(
    status: int | str = "200 OK", *lines: str, body: bytes | str = b"ok", end: str = "keep"
) -> Reply:
    """An ordinary answer of announced length; `lines` are header lines."""
    content = body.encode() if isinstance(body, str) else body
    status = f"{status} X" if isinstance(status, int) else status
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(content)}", "", ""])
    return Reply(head.encode("latin-1") + content, end)


def redirect(status: int, location: str, *lines: str, body: bytes = b"moved") -> Reply:
    return reply(status, f"Location: {location}", *lines, body=body)


OK = reply()
_HANDSHAKE = b"\x16"


@dataclass
class Scene:
    """One performance: the answers, the last of which is given again and again, and what arrived.

    Attributes:
        requests: (number of the connection within the scene, raw bytes) of each request.
    """

    answers: Sequence[Reply] = (OK,)
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    connections: int = 0


class Stage(_Server):
    """Plays one scene at a time; connections of the scenes before are closed by then."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._scene = Scene()

    @contextlib.contextmanager
    def scene(self, answers: Sequence[Reply]) -> Iterator[Scene]:
        self._scene = Scene(answers)
        yield self._scene

    def play(self, peer: Peer, number: int) -> None:
        place: int | None = None
        with contextlib.suppress(ConnectionError, ssl.SSLError, EOFError):
            if peer.sock.recv(1, socket.MSG_PEEK) == _HANDSHAKE:
                peer.sock.sendall(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
                return
            while True:
                request = _request(peer)
                # Of connections, the silent ones do not count: they may belong to the scene before.
                scene = self._scene
                if place is None:
                    place = scene.connections
                    scene.connections += 1
                scene.requests.append((place, request))
                turn = min(len(scene.requests), len(scene.answers)) - 1
                answer = scene.answers[turn]
                peer.sock.sendall(answer.data.replace(b"{port}", b"%d" % self.port))
                if answer.end == "reset":
                    peer.reset()
                elif answer.end == "wait":
                    wait_for_close(peer)
                if answer.end != "keep":
                    return


def _request(peer: Peer) -> bytes:
    """The next request, as it came: head, and body with its chunks' sizes."""
    head = peer.until(b"\r\n\r\n")
    if re.search(rb"(?im)^transfer-encoding:.*chunked", head):
        body = b""
        while True:
            line = peer.until(b"\r\n")
            size = int(line.split(b";")[0], 16)
            body += line + peer.exactly(size + 2)
            if not size:
                return head + body
    length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    return head + peer.exactly(int(length[1]) if length else 0)
