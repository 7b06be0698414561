"""HAR files on disk: read with errors that name the file, printed for readers, replaced as a whole."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scallion._version import __version__

from .entries import Har

__all__ = ["changing", "new_log", "parsed", "printed", "read", "write"]

_WIDTH = 100
_one_writer = threading.Lock()


def read(path: Path) -> bytes | None:
    """The file's bytes, None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def parsed(data: bytes, path: Path) -> Har:
    """The `log` of a HAR file, whose `entries` can be replayed.

    Raises:
        ValueError: it is none; the message names the file, and the entry.
    """
    try:
        # The specification allows for a byte order mark.
        har = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is no HAR file, as it is no JSON: {error}") from error
    log: Har | None = har.get("log") if isinstance(har, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise ValueError(f"{path} is no HAR file: it has no list log.entries")
    for number, entry in enumerate(entries, 1):
        wrong = _wrong(entry)
        if wrong is not None:
            raise ValueError(f"{path} is no proper HAR file: entry {number} {wrong}")
    assert log is not None
    return log


def new_log() -> Har:
    """What a file begins with."""
    return {"version": "1.2", "creator": {"name": "scallion", "version": __version__}}


def _wrong(entry: Any) -> str | None:
    """What keeps an entry from being replayed: only what it must have is looked at."""
    if not isinstance(entry, dict):
        return "is no object"
    request, response = entry.get("request"), entry.get("response")
    if not isinstance(request, dict) or not isinstance(response, dict):
        return "lacks a request or a response"
    if not isinstance(request.get("method"), str) or not isinstance(request.get("url"), str):
        return "has a request without method or url"
    if not isinstance(response.get("status"), int):
        return "has a response without a status"
    for message in (request, response):
        for field in message.get("headers") or ():
            if not isinstance(field, dict) or not isinstance(field.get("name"), str):
                return "has a header without a name"
    for body in (request.get("postData"), response.get("content")):
        if body is not None and not isinstance(body, dict):
            return "has a body that is no object"
        if body and not isinstance(body.get("text", ""), str):
            return "has a body whose text is none"
    return None


def printed(log: Har) -> bytes:
    """A HAR file: indented by two, with what fits on a line on one line."""
    # What JSON must escape is escaped, and lone surrogates, which UTF-8 does not have.
    return (_shown({"log": log}, 0) + "\n").encode("utf-8", "backslashreplace")


def _shown(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    # Cases: a single value; something empty; small, of single values only; anything else.
    if not isinstance(value, dict | list) or not value:
        return flat
    inner = value.values() if isinstance(value, dict) else value
    single = not any(isinstance(item, dict | list) and item for item in inner)
    if single and len(flat) + 2 * depth <= _WIDTH and "\n" not in flat:
        return flat
    indent = "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [
            f"{json.dumps(key, ensure_ascii=False)}: {_shown(item, depth + 1)}"
            for key, item in value.items()
        ]
    else:
        lines = [_shown(item, depth + 1) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    body = ",\n".join(indent + line for line in lines)
    return f"{opening}\n{body}\n{'  ' * depth}{closing}"


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Read and write within: other threads, and other processes where the system can, wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _one_writer, _locked(path.parent):
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:
        # Windows: processes there are to use files of their own.
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            flock(descriptor, LOCK_EX)
        except OSError:
            # Some network file systems cannot.
            pass
        yield
    finally:
        os.close(descriptor)


def write(path: Path, data: bytes) -> None:
    """Replace the file at once: whoever reads it gets the old one or the new one, whatever happens."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
