"""Text for a terminal: harmless, indented, and with the name of what colours it. Pure functions."""

from __future__ import annotations

import codecs
import json
import re

__all__ = ["LONGEST", "is_binary", "is_endless", "kind_of", "neutral", "tidy"]

LONGEST = 1 << 20
"""How many characters are formatted at most; what is longer is shown as it is, while it arrives."""

_INDENT = 4
# Deeper levels are not indented further: a small document could ask for gigabytes of blanks.
_DEEPEST = 32

# Controls but for tab and line feed; what turns the direction of writing.
_HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")

_TEXTUAL = re.compile(
    r"text/.*|.*[+/](json|xml|javascript|ecmascript|yaml|toml|graphql|sql|x-sh|x-ndjson|jsonl|x-www-form-urlencoded)"
)
_ENDLESS = frozenset(
    {"text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl"}
)


def neutral(text: str) -> str:
    """`text` without what a terminal obeys: each control character becomes one that shows it."""
    return _HARMFUL.sub(_shown, text.replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    # Cases: U+2400 and following are pictures of the controls; others are written out.
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def kind_of(content_type: str) -> str:
    """What pygments calls the language of a media type; empty if it has none, or is plain text."""
    name = media_type(content_type)
    # Cases: nothing to colour; RFC 6839's suffixes; whatever pygments knows.
    if name in ("", "text/plain") or name in _ENDLESS:
        return ""
    if name.endswith(("/json", "+json")):
        return "json"
    if name.endswith("+xml"):
        return "xml"
    from pygments.lexers import get_lexer_for_mimetype
    from pygments.util import ClassNotFound

    try:
        return str(get_lexer_for_mimetype(name).aliases[0])
    except (ClassNotFound, IndexError):
        return ""


def is_endless(content_type: str) -> bool:
    """Whether it is a stream of events, which are shown one by one."""
    return media_type(content_type) in _ENDLESS


def is_binary(start: bytes, content_type: str, encoding: str) -> bool:
    """Whether a body that starts so is no text that a terminal could show."""
    # Cases: what says that it is text is, unless it has what no text has (UTF-16 and UTF-32 apart);
    # anything else must look like it.
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return False
    if _TEXTUAL.fullmatch(media_type(content_type)):
        return b"\x00" in start
    if _BINARY.search(start):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return True
    return False


def tidy(text: str, kind: str) -> str:
    """JSON indented, its numbers, strings and repeated names as they were sent; other text as it is."""
    if kind != "json":
        return text
    try:
        # Numbers stay text: checking them must not cost more than reading them.
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return text
    return "".join(_indented(_JSON_TOKEN.findall(text))) + "\n"


def _indented(parts: list[str]) -> list[str]:
    pieces: list[str] = []
    depth = 0
    for before, part in zip(["", *parts], parts, strict=False):
        if part in "]}":
            depth -= 1
            if before not in "[{":
                pieces.append(_new_line(depth))
        elif before in ("[", "{"):
            pieces.append(_new_line(depth))
        pieces.append(part)
        if part in "[{":
            depth += 1
        elif part == ",":
            pieces.append(_new_line(depth))
        elif part == ":":
            pieces.append(" ")
    return pieces


def _new_line(depth: int) -> str:
    return "\n" + " " * (_INDENT * min(depth, _DEEPEST))
