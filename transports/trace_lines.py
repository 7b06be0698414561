"""A transport's steps as lines of a log, without secrets: no credentials, cookies, or secret parameters of URLs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scallion.pipeline.headers import Headers
from scallion.pipeline.redaction import redact_url
from scallion.pipeline.request import Request

__all__ = ["line"]


def line(step: str, info: dict[str, Any]) -> str:
    """`receive_response_headers.complete return_value=(...)`; a step without details is its name alone."""
    if not info or info.get("return_value", info) is None:
        return step
    return f"{step} " + " ".join(f"{name}={_shown(value)}" for name, value in info.items())


def _shown(value: Any) -> str:
    # Cases: a request; a response's head, of HTTP/1.1 or HTTP/2; anything else.
    if isinstance(value, Request):
        return f"<Request {value.method} {redact_url(value.url)}>"
    if isinstance(value, tuple) and value and isinstance(value[-1], list):
        *start, fields = value
        return f"({', '.join([*map(repr, start), _fields(fields)])})"
    return repr(value)


def _fields(fields: Iterable[tuple[bytes, bytes]]) -> str:
    """Headers as they print themselves, and the parameters of URLs and JSON Web Tokens in them redacted."""
    shown = [
        (name, redact_url(value.decode("latin-1")).encode("latin-1")) for name, value in fields
    ]
    return repr(Headers.from_raw(shown))
