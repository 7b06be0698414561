"""http.client of the standard library: one connection, kept."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager

from clients.job import Adapter, Job, Once

__all__ = ["make"]

_CHUNK = 65536


def make(name: str) -> Adapter:  # noqa: ARG001
    return HTTPClient()


class HTTPClient(Adapter):
    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        host, port = job.host
        with closing(
            http.client.HTTPSConnection(host, port, context=job.context())
            if job.ca
            else http.client.HTTPConnection(host, port)
        ) as connection:
            target, body = job.target, job.body

            def get() -> int:
                connection.request("GET", target)
                return len(connection.getresponse().read())

            def download() -> int:
                connection.request("GET", target)
                response, size = connection.getresponse(), 0
                while chunk := response.read(_CHUNK):
                    size += len(chunk)
                return size

            def upload() -> int:
                connection.request("POST", target, body)
                return len(connection.getresponse().read())

            yield {"get": get, "download": download, "upload": upload}[job.action]

    def one_shot(self, url: str) -> int:
        with self.sync(Job(url)) as get:
            return get()
