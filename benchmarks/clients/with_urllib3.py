"""urllib3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import urllib3

from clients.job import Adapter, Job, Once

__all__ = ["make"]

_CHUNK = 65536


def make(name: str) -> Adapter:  # noqa: ARG001
    return Urllib3()


class Urllib3(Adapter):
    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        with urllib3.PoolManager(maxsize=job.connections, ca_certs=job.ca) as pool:
            url, body, request = job.url, job.body, pool.request

            def download() -> int:
                response = request("GET", url, preload_content=False)
                size = sum(map(len, response.stream(_CHUNK)))
                response.release_conn()
                return size

            yield {
                "get": lambda: len(request("GET", url).data),
                "download": download,
                "upload": lambda: len(request("POST", url, body=body).data),
            }[job.action]

    def made(self) -> None:
        urllib3.PoolManager().clear()

    def one_shot(self, url: str) -> int:
        # urllib3.request() keeps its connections in a manager of the module's, so this makes one.
        with urllib3.PoolManager() as pool:
            return len(pool.request("GET", url).data)
