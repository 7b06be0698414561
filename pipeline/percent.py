"""Percent-encoding (RFC 3986 section 2.1): what each part of a URL keeps as it is, and the way back.

A pattern names the characters that must be escaped in its part. A `%` is kept everywhere except in
forms: what is escaped already stays so, and escaping twice is the same as escaping once.
"""

from __future__ import annotations

import re

__all__ = [
    "FRAGMENT",
    "HOST",
    "PASSWORD",
    "PATH",
    "QUERY",
    "USERINFO",
    "ZONE",
    "escape",
    "escape_form",
    "unescape",
    "unescape_form",
]

# Ranges in ASCII order: `$-;` is `$%&'()*+,-./`, digits, `:;`; `@-_` is `@`, capitals, `[\]^_`.
USERINFO = re.compile(r"[^!$-.0-:A-Z_a-z~]+")
PASSWORD = re.compile(r"[^!$-.0-9A-Z_a-z~]+")  # user names too: a colon would end them.
HOST = re.compile(r'[^!"$-.0-9;=A-Z\\_`a-~]+')
ZONE = re.compile(r"[^0-9A-Z_a-z.~-]+")  # RFC 6874 section 2
PATH = re.compile(r"[^!$-;=@-_a-z|~]+")
QUERY = re.compile(r"[^!$-;=?-~]+")
FRAGMENT = re.compile(r"[^!#-;=?-_a-~]+")

_FORM = re.compile(r"[^0-9A-Z_a-z.~ -]+")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPED = tuple(f"%{byte:02X}" for byte in range(256))


def _escape_run(match: re.Match[str]) -> str:
    return "".join([_ESCAPED[byte] for byte in match[0].encode()])


def _unescape_run(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace")


def escape(unsafe: re.Pattern[str], text: str) -> str:
    """Escape what `unsafe` matches, as UTF-8.

    Raises:
        UnicodeEncodeError: `text` holds a lone surrogate.
    """
    return unsafe.sub(_escape_run, text)


def unescape(text: str) -> str:
    """Undo `escape`. Bytes that are not UTF-8 become U+FFFD; a `%` without two digits stays."""
    if "%" not in text:
        return text
    return _ESCAPES.sub(_unescape_run, text)


def escape_form(text: str) -> str:
    """Escape a name or value of `application/x-www-form-urlencoded`: spaces become `+`.

    Raises:
        UnicodeEncodeError: `text` holds a lone surrogate.
    """
    if text.isalnum() and text.isascii():
        return text
    return _FORM.sub(_escape_run, text).replace(" ", "+")


def unescape_form(text: str) -> str:
    """Undo `escape_form`."""
    return unescape(text.replace("+", " "))
