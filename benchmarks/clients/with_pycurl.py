"""pycurl: libcurl, one handle, used again and again."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from typing import Any

from clients.job import Adapter, Job, Once

__all__ = ["make"]


def make(name: str) -> Adapter:
    return Pycurl(importlib.import_module(name))


class Pycurl(Adapter):
    def __init__(self, module: Any) -> None:
        self.module = module

    @contextmanager
    def sync(self, job: Job) -> Iterator[Once]:
        pycurl = self.module
        with closing(pycurl.Curl()) as handle:
            handle.setopt(pycurl.URL, job.url)
            if job.ca:
                handle.setopt(pycurl.CAINFO, job.ca)
            version = pycurl.CURL_HTTP_VERSION_2TLS if job.http2 else pycurl.CURL_HTTP_VERSION_1_1
            handle.setopt(pycurl.HTTP_VERSION, version)
            if job.action == "upload":
                handle.setopt(pycurl.HTTPHEADER, ["Expect:"])
                handle.setopt(pycurl.POSTFIELDS, job.body)

            def get() -> int:
                body = BytesIO()
                handle.setopt(pycurl.WRITEDATA, body)
                handle.perform()
                return len(body.getvalue())

            def download() -> int:
                size = 0

                def count(chunk: bytes) -> None:
                    nonlocal size
                    size += len(chunk)

                handle.setopt(pycurl.WRITEFUNCTION, count)
                handle.perform()
                return size

            yield download if job.action == "download" else get

    def made(self) -> None:
        self.module.Curl().close()

    def one_shot(self, url: str) -> int:
        with self.sync(Job(url)) as get:
            return get()
