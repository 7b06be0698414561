"""The body on standard output: byte for byte for programs, readable and harmless for people."""

from __future__ import annotations

from collections.abc import Iterator

from scallion.pipeline.response import Response
from scallion.pipeline.text import TextDecoder

from .formatting import LONGEST, is_binary, is_endless, kind_of, tidy
from .screen import Screen

__all__ = ["pass_on", "show"]


def pass_on(response: Response, out: Screen) -> None:
    """Write the decoded body as it is, each piece as soon as it is here."""
    for piece in response.iter_bytes():
        out.raw(piece)


def show(response: Response, out: Screen, *, as_it_comes: bool) -> None:
    """Write the body for a person: JSON indented, text in colours, binary data not at all.

    Only what has a form is waited for, and not beyond `LONGEST` characters; anything else is shown as it arrives.
    """
    pieces = response.iter_bytes()
    first = next((piece for piece in pieces if piece), b"")
    if not first:
        return
    content_type = response.headers.get("content-type") or ""
    encoding = response.encoding or "utf-8"
    if is_binary(first, content_type, encoding):
        if out.is_terminal:
            _tell_binary(response, out)
        else:
            out.raw(first)
            for piece in pieces:
                out.raw(piece)
        return
    texts = _decoded(first, pieces, encoding)
    kind = "" if as_it_comes or is_endless(content_type) else kind_of(content_type)
    last = _formatted(texts, kind, out) if kind else "\n"
    for text in texts:
        out.write(text)
        out.flush()
        last = text or last
    if out.is_terminal and not last.endswith("\n"):
        out.write("\n")
    out.flush()


def _formatted(texts: Iterator[str], kind: str, out: Screen) -> str:
    """Write the text in its form if it ends soon enough, else what came so far, as it is."""
    collected: list[str] = []
    size = 0
    for text in texts:
        collected.append(text)
        size += len(text)
        if size > LONGEST:
            break
    whole = "".join(collected)
    if size > LONGEST:
        out.write(whole)
    else:
        whole = tidy(whole, kind)
        out.code(whole if whole.endswith("\n") else f"{whole}\n", kind)
        whole = "\n"
    return whole


def _decoded(first: bytes, pieces: Iterator[bytes], encoding: str) -> Iterator[str]:
    decoder = TextDecoder(encoding)
    yield from decoder.feed(first)
    for piece in pieces:
        yield from decoder.feed(piece)
    yield from decoder.finish()


def _tell_binary(response: Response, out: Screen) -> None:
    """Say that there is something; the connection is closed, and the rest not fetched."""
    length = response.headers.get("content-length")
    size = f"{length} bytes of binary data" if length else "binary data"
    out.line(f"<{size}: save with --output FILE, or --output - shows it anyway>")
