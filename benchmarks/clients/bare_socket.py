"""A bare socket: prepared bytes out, and a look for the end of the answer. No client can be cheaper."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from clients.job import Adapter, Job, Once

__all__ = ["make", "prepared", "size_of"]

_CHUNK = 262144


def make(name: str) -> Adapter:  # noqa: ARG001
    return BareSocket()


def prepared(job: Job) -> bytes:
    """The request as it is sent."""
    host, port = job.host
    head = (
        f"{'POST' if job.action == 'upload' else 'GET'} {job.target} HTTP/1.1\r\n"
        f"Host: {host}:{port}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
        "Connection: keep-alive\r\nUser-Agent: benchmark\r\n"
    )
    if job.action == "upload":
        head += f"Content-Length: {len(job.body)}\r\n"
    return head.encode() + b"\r\n" + job.body


def size_of(head: bytes | bytearray) -> tuple[int, int]:
    """Where the body begins and how long it is; a beginning of 0 while the head is unfinished."""
    begins = head.find(b"\r\n\r\n") + 4
    if begins < 4:
        return 0, 0
    at = head.index(b"Content-Length: ") + 16
    return begins, int(head[at : head.index(b"\r\n", at)])


class BareSocket(Adapter):
    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        request = prepared(job)
        context = job.context() if job.ca else None

        def connect() -> socket.socket:
            plain = socket.create_connection(job.host)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return plain
            return context.wrap_socket(plain, server_hostname=job.host[0])

        if "/close" in job.target:

            def once() -> int:
                with connect() as fresh:
                    return exchange(fresh, request)

            yield once
            return
        with connect() as kept:
            # A body that is not kept goes into the same memory again and again.
            buffer = memoryview(bytearray(_CHUNK)) if job.action == "download" else None
            yield lambda: exchange(kept, request, buffer)

    def one_shot(self, url: str) -> int:
        job = Job(url)
        with socket.create_connection(job.host) as fresh:
            return exchange(fresh, prepared(job))


def exchange(to: socket.socket, request: bytes, buffer: memoryview | None = None) -> int:
    """Send `request`; the size of the answer's body, which is kept as one piece unless `buffer` is given."""
    to.sendall(request)
    answer = to.recv(65536)
    begins, size = size_of(answer)
    missing = size - (len(answer) - begins)
    if missing and buffer is not None:
        while missing:
            missing -= to.recv_into(buffer)
    elif missing:
        rest = memoryview(bytearray(size))[size - missing :]
        while rest:
            rest = rest[to.recv_into(rest) :]
    return size
