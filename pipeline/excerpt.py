"""What of a response's body an error shows: a bounded, harmless piece of text, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .text import charset, is_known_encoding

if TYPE_CHECKING:
    from .response import Response

__all__ = ["MAX_SHOWN", "excerpt"]

MAX_SHOWN = 500
"""Characters."""

# No encoding needs more for a character.
_MAX_DECODED = 4 * MAX_SHOWN
_TEXTUAL = ("json", "xml", "html", "javascript", "yaml", "x-www-form-urlencoded")
_WRONG = "\N{REPLACEMENT CHARACTER}"


def excerpt(response: Response, content: bytes) -> str:
    """One line for a note, or "" where there is no body, or none that a person can read.

    What is not printable, line breaks among it, is escaped: a server must not write into a terminal, nor lines
    into a log.

    Args:
        response: Its Content-Type says whether this is text.
        content: The body.
    """
    text = _text(content, response.headers.get("content-type"))
    if not text.strip():
        return ""
    shown = "".join(map(_escaped, text))
    if len(shown) <= MAX_SHOWN and len(content) <= _MAX_DECODED:
        return f"The response's body: {shown}"
    return f"The response's body, {len(content)} bytes, begins: {shown[:MAX_SHOWN]}"


def _text(content: bytes, content_type: str | None) -> str:
    """The content as text; "" if it is binary. A last character that is incomplete is left out."""
    # Cases: text by its type, where a wrong byte may occur; no type, but text throughout; anything else.
    encoding, tolerated = "utf-8", 0
    if content_type is not None:
        kind = content_type.partition(";")[0].strip().lower()
        if not kind.startswith("text/") and not kind.endswith(_TEXTUAL):
            return ""
        tolerated = min(len(content), _MAX_DECODED) // 20
        named = charset(content_type)
        if named is not None and is_known_encoding(named):
            encoding = named
    text = content[:_MAX_DECODED].decode(encoding, "replace")
    if len(content) > _MAX_DECODED:
        text = text.rstrip(_WRONG)
    return "" if "\0" in text or text.count(_WRONG) > tolerated else text


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
