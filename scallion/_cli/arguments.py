"""What the arguments mean: the URL that is asked for, the body that is sent. No I/O but the reading of bodies."""

from __future__ import annotations

import io
import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.urls import URL

from .outcome import Failure

if TYPE_CHECKING:
    from contextlib import ExitStack

__all__ = ["body_of", "complete_url", "method_of"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_HOST = re.compile(r"(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)")

_AT_HAND = 1 << 20
"""How much of standard input is read before the request is sent; if it ends there, its length can be told."""


def complete_url(given: str, params: Sequence[tuple[str, str]] = ()) -> URL:
    """The URL with its scheme, https unless the host is this machine, and with `params` added to its query.

    `:8000/path` is a path on this machine.

    Raises:
        InvalidURL: it is malformed.
    """
    url = URL(_with_scheme(given))
    if not params:
        return url
    added = str(QueryParams(list(params))).encode("ascii")
    return url.copy_with(query=url.query + b"&" + added if url.query else added)


def _with_scheme(given: str) -> str:
    if _SCHEME.match(given):
        return given
    rest = given.removeprefix("//")
    if re.match(r":\d", rest):
        rest = f"localhost{rest}"
    host = _HOST.match(rest)
    return f"{'http' if host and _is_this_machine(host[1]) else 'https'}://{rest}"


def _is_this_machine(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def method_of(given: str | None, body: dict[str, Any]) -> str:
    """What was asked for; else POST if there is a body."""
    if given is None:
        return "POST" if body else "GET"
    if not given:
        raise Failure("--method takes the name of a method, such as DELETE")
    return given


def body_of(
    stack: ExitStack,
    content: str | None,
    data: Sequence[tuple[str, str]],
    files: Sequence[tuple[str, str]],
    json: str | None,
) -> dict[str, Any]:
    """The body as arguments of `Client.request`; none without one. `stack` closes the files.

    Raises:
        Failure: a file cannot be read, the JSON is none, or two bodies are given.
    """
    kinds = {"--content": content is not None, "--json": json is not None}
    kinds["--data or --files"] = bool(data or files)
    given = [name for name, is_given in kinds.items() if is_given]
    if len(given) > 1:
        raise Failure(f"one body only: {' and '.join(given)} exclude each other")
    if content is not None:
        return {"content": _content(stack, content)}
    if json is not None:
        return _json(stack, json)
    body: dict[str, Any] = {}
    if data:
        body["data"] = _form(data)
    if files:
        body["files"] = [(name, _file(stack, path)) for name, path in files]
    return body


def _form(pairs: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
    form: dict[str, str | list[str]] = {}
    for name, value in pairs:
        before = form.get(name)
        if before is None:
            form[name] = value
        else:
            form[name] = [*before, value] if isinstance(before, list) else [before, value]
    return form


def _json(stack: ExitStack, given: str) -> dict[str, Any]:
    text: str | bytes = given
    if given.startswith("@"):
        text = _opened(stack, given[1:]).read()
    elif given == "-":
        text = _opened(stack, given).read()
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Failure(f"--json is not valid JSON: {error}") from error
    if value is None:
        # To the client, json=None is no body.
        return {"content": b"null", "headers": [("Content-Type", "application/json")]}
    return {"json": value}


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _content(stack: ExitStack, given: str) -> Any:
    # Cases: a file, or standard input; a text that begins with @, doubled; a text, its bytes as the shell gave them.
    if given.startswith("@") and not given.startswith("@@"):
        return _streamable(_opened(stack, given[1:]))
    return os.fsencode(given[1:] if given.startswith("@@") else given)


def _opened(stack: ExitStack, path: str) -> IO[bytes]:
    if path == "-":
        if sys.stdin is None:
            raise Failure("standard input is closed")
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(path).open("rb"))
    except (OSError, ValueError) as error:
        raise Failure(
            f"cannot read {path!r}: {getattr(error, 'strerror', None) or error}"
        ) from error


def _streamable(file: IO[bytes]) -> Any:
    """A file as it is; what cannot seek, a pipe say, as bytes where it is short, else piece by piece."""
    if file.seekable():
        return file
    start = file.read(_AT_HAND)
    return start if len(start) < _AT_HAND else _rest(start, file)


def _rest(start: bytes, file: Any) -> Iterator[bytes]:
    yield start
    while piece := file.read1(_AT_HAND):
        yield piece


def _file(stack: ExitStack, path: str) -> Any:
    """A file of a form; standard input is read whole, as the form's length must be known."""
    file = _opened(stack, path)
    return io.BytesIO(file.read()) if path == "-" else file
