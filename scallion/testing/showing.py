"""Requests and values as messages show them: short, readable, and without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scallion.pipeline.headers import SENSITIVE_HEADERS
from scallion.pipeline.percent import escape_form
from scallion.pipeline.redaction import redact_query, redact_url
from scallion.pipeline.urls import URL

from .comparing import ABSENT, MISSING, Containing, Difference, Exactly, NoneIn, Words
from .seen import Seen

__all__ = [
    "called",
    "count",
    "is_secret",
    "number",
    "redacted",
    "show_body",
    "show_difference",
    "show_url",
    "show_value",
]

REDACTED = Words("REDACTED")
_ANOTHER = Words("another value")
MAX_SHOWN = 300
"""Characters of a value, or of a body."""


def count(times: int) -> str:
    """How often: "0 times", "once", "2 times"."""
    return "once" if times == 1 else f"{times} times"


def number(of: int, one: str, several: str) -> str:
    """As "1 route" or "2 routes"."""
    return f"{of} {one if of == 1 else several}"


def called(times: int) -> str:
    """Whether and how often: "never called", "called once", "called 2 times"."""
    return f"called {count(times)}" if times else "never called"


def is_secret(name: object) -> bool:
    """Whether a header, parameter, cookie, field or key of this name may hold a secret."""
    text = str(name)
    if text.lower() in SENSITIVE_HEADERS:
        return True
    pair = f"?{escape_form(text)}=x"
    return redact_query(pair) != pair


def show_url(url: URL | str) -> str:
    """Without credentials, secret parameters, and fragment."""
    return redact_url(str(url).partition("#")[0])


def redacted(value: Any) -> Any:
    """A copy in which what stands under a secret name is replaced."""
    if isinstance(value, Mapping):
        return {
            name: REDACTED if is_secret(name) else redacted(item) for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    if isinstance(value, (Containing, Exactly, NoneIn)):
        return type(value)(redacted(value.value))
    if isinstance(value, bytes):
        # A file, or what else nobody can look through.
        return Words(f"<{number(len(value), 'byte', 'bytes')}>")
    return value


def show_value(value: Any) -> str:
    """As Python would write it, shortened."""
    name = getattr(value, "__name__", None)
    shown = name if isinstance(name, str) else repr(redacted(value))
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"


def show_difference(difference: Difference) -> str:
    """One line: where, what was expected, what came."""
    path, expected, actual = difference
    if any(map(is_secret, path)):
        actual = actual if actual is MISSING else REDACTED if expected is MISSING else _ANOTHER
        expected = expected if expected is MISSING or expected is ABSENT else REDACTED
    where = "".join(_steps(path))
    return (
        f"{where}{': ' if where else ''}expected {show_value(expected)}, got {show_value(actual)}"
    )


def _steps(path: Iterable[str | int]) -> Iterator[str]:
    """`items[0].name`"""
    for position, step in enumerate(path):
        if isinstance(step, int):
            yield f"[{step}]"
        else:
            yield f".{step}" if position else str(step)


def show_body(seen: Seen) -> str:
    """The body if it is JSON or a form, whose secrets can be told; else how long it is; "" for none."""
    content = seen.request.content
    if not content:
        return ""
    kind = seen.content_type
    if "json" in kind:
        try:
            return show_value(seen.json)
        except ValueError:
            pass
    elif seen.form:
        single = {
            name: values[0] if len(values) == 1 else values for name, values in seen.form.items()
        }
        return show_value(single)
    return f"<{number(len(content), 'byte', 'bytes')} of {kind or 'no declared type'}>"
