"""OpenTelemetry for the services: spans go to a file as lines of JSON, and each request that is served has one.

In a program of your own the first half is an OTLP exporter, and the second opentelemetry-instrumentation-asgi.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["JsonLines", "Lines", "ServerSpans", "provide"]


class Lines:
    """A file of JSON, a line for each thing told. It is in the file when `write` returns, whatever kills the process."""

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, told: dict[str, Any]) -> None:
        # One call to the system: no half line is left behind.
        os.write(self._file, f"{json.dumps(told)}\n".encode())

    def close(self) -> None:
        os.close(self._file)


class JsonLines(SpanExporter):
    """A line for each span, written when it ends."""

    def __init__(self, path: str | Path) -> None:
        self._lines = Lines(path)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._lines.write(_told(span))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._lines.close()


def provide(path: str | Path) -> None:
    """Let all spans of this process go to `path`. The service's name is OTEL_SERVICE_NAME."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(JsonLines(path)))
    trace.set_tracer_provider(provider)


class ServerSpans:
    """A span for each request that is served, child of the caller's attempt: the trace goes on in this process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        provide(os.environ["SPANS"])
        self._tracer = trace.get_tracer("services")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        with self._tracer.start_as_current_span(
            f"{scope['method']} {scope['path']}",
            context=extract(dict(headers)),
            kind=trace.SpanKind.SERVER,
            attributes={"scallion.request_id": headers.get("x-request-id", "")},
        ) as span:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, watched)


def _told(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    assert context is not None
    return {
        "trace": trace.format_trace_id(context.trace_id),
        "id": trace.format_span_id(context.span_id),
        "parent": None if span.parent is None else trace.format_span_id(span.parent.span_id),
        "service": span.resource.attributes["service.name"],
        "pid": os.getpid(),
        "name": span.name,
        "kind": span.kind.name,
        "start": span.start_time,
        "end": span.end_time,
        "attributes": dict(span.attributes or {}),
        "events": [
            {"name": event.name, "at": event.timestamp, "fields": dict(event.attributes or {})}
            for event in span.events
        ],
    }
