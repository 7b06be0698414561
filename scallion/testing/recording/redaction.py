"""What is taken out of a recording before it is written, and out of a request before it is compared with one.

Both are one function, so that a request with a real token finds the entry that was recorded with another.
Redacting twice changes nothing.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from scallion.pipeline.percent import unescape_form
from scallion.pipeline.redaction import JWT, redact_parameters

from .json_text import Step, rewritten
from .secret_names import SecretNames

__all__ = ["REDACTED", "Redaction", "Redactor"]

REDACTED = "REDACTED"

_USERINFO = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
_PARAMETER = re.compile(r"(?<=[?&#;])([^=&#?;\s\"'<>]{1,100})=([^&#\s\"'<>\\]+)")
_JSON_PAIR = re.compile(r'"([^"\\]{1,100})"(\s*:\s*)"((?:[^"\\]|\\.)+)"', re.DOTALL)
_ELEMENT = re.compile(r"<((?:[\w.-]+:)?([\w.-]+))((?:\s[^<>]*)?)>([^<]+)</\1>")
# Where a line's JSON begins, also in a stream of events.
_JSON_LINE = re.compile(r"^(?:data:)?[ \t]*([{\[][^\r\n]*)", re.MULTILINE)
# A whole body that is a form, whatever it is declared as.
_FORM = re.compile(r"[^\s=&\"'<>{}]+=[^\s&\"'<>{}]*(?:&[^\s=&\"'<>{}]+=[^\s&\"'<>{}]*)*")
_PART_NAME = re.compile(r'(?i)content-disposition:[^\r\n]{0,1000}?[;\s]name="([^"\r\n]*)"')


@dataclass(frozen=True)
class Redaction:
    """What besides the well-known secrets is taken out of a recording, and what is not.

    Without any of it: credentials, cookies, API keys and the like, in headers, URLs, forms, multipart forms, JSON and
    XML, by their names; JSON Web Tokens anywhere, by their form.

    Attributes:
        names: Further names of headers, cookies, parameters and fields whose values are secret, in any case,
            with hyphens, underscores or neither.
        keep: Names whose values are not secret, although they are taken for it.
        values: Secrets themselves, which are taken out wherever they occur: in paths, texts and binary bodies as well.
        text: Called with each URL, header value and textual body, when these rules are done with it; returns
            what to keep. Calling it with its own result must change nothing.

    Raises:
        TypeError: a single string where several are expected, or a `text` that cannot be called.
        ValueError: a name or a value is empty.
    """

    names: Collection[str] = ()
    keep: Collection[str] = ()
    values: Collection[str] = ()
    text: Callable[[str], str] | None = None

    def __post_init__(self) -> None:
        SecretNames(self.names, self.keep)
        if isinstance(self.values, str | bytes):
            raise TypeError("Redaction(values=...) takes a collection of texts, not a single one")
        if not all(self.values):
            raise ValueError("An empty text cannot be redacted: Redaction(values=...) has one")
        if self.text is not None and not callable(self.text):
            raise TypeError(f"Redaction(text=...) takes a function, not {self.text!r}")

    def __repr__(self) -> str:
        # Its values are secrets.
        return (
            f"Redaction(names={tuple(self.names)!r}, keep={tuple(self.keep)!r}, "
            f"values=<{len(self.values)} secrets>, text={self.text!r})"
        )


class Redactor:
    """Applies a `Redaction`, and remembers the secrets that it met, to find them elsewhere.

    A server that echoes a token back in some text would else give it away. What is too short or too
    plain is not remembered: it would be found in words.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._names = SecretNames(redaction.names, redaction.keep)
        self._text = redaction.text
        self._met: set[str] = set()
        self._always = tuple(redaction.values)
        # Each of them in the ways it may be written; None once another was met.
        self._spellings: list[str] | None = None

    # Single values, by where they stand.

    def header(self, name: str, value: str) -> str:
        """A header's value."""
        lower = name.lower()
        if not value:
            return value
        # Cases: credentials, whose scheme stays; cookies, whose names stay; other secrets; what may contain URLs.
        kept = self._names.kept(name)
        if lower.endswith(("authorization", "authentication")) and not kept:
            return self._credentials(value)
        if lower == "cookie":
            return ";".join(map(self._cookie_pair, value.split(";")))
        if lower == "set-cookie":
            pair, semicolon, attributes = value.partition(";")
            return self._cookie_pair(pair) + semicolon + attributes
        if self._names.header(name):
            return self._secret(value)
        return self._own(self._plain(value, kept))

    def _credentials(self, value: str) -> str:
        scheme, blank, credentials = value.partition(" ")
        if not blank:
            return self._secret(value)
        if scheme.lower() == "basic":
            self._meet_basic(credentials)
        return f"{scheme} {self._secret(credentials)}"

    def _cookie_pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        return f"{name}={self.cookie(name, value)}" if equals else pair

    def cookie(self, name: str, value: str) -> str:
        """A cookie's value: each is a secret, as sessions have any name."""
        return value if self._names.kept(name) else self._secret(value)

    def parameter(self, name: str, value: str) -> str:
        """The value of a URL's parameter or a form's field, decoded."""
        if self._opens(name):
            return self._secret(value)
        return self._own(self._plain(value, self._names.kept(name)))

    def _opens(self, name: str) -> bool:
        """Whether a parameter or field of this name, decoded, is a secret."""
        pair = f"?{quote_plus(name)}=x"
        return redact_parameters(pair, self._names) != pair

    def url(self, url: str) -> str:
        """A URL; its userinfo is left out."""
        return self._own(self._parameters(_USERINFO.sub("", url, count=1)))

    def form(self, text: str) -> str:
        """A form as it is sent."""
        return self._own(self._parameters(f"?{text}")[1:])

    def body(self, text: str, content_type: str) -> str:
        """A body that is text."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded" or _FORM.fullmatch(text):
            return self.form(text)
        if kind.startswith("multipart/"):
            text = self.multipart(text)
        elif "json" in kind:
            changed = self._json(text)
            if changed is not None:
                return self._own(changed)
        return self._own(self._plain(text))

    def multipart(self, text: str) -> str:
        """A multipart form's fields that are secret."""
        return "\r\n--".join(map(self._part, text.split("\r\n--")))

    def _part(self, section: str) -> str:
        head, blank, value = section.partition("\r\n\r\n")
        name = _PART_NAME.search(head)
        if not value or name is None or not self._opens(name[1]):
            return section
        return head + blank + self._secret(value)

    def message(self, text: str) -> str:
        """An error's message."""
        return self._own(self._plain(text))

    # By structure.

    def _member(self, path: tuple[Step, ...], value: str | float) -> str | None:
        """What stands in the place of a value in JSON; None for itself."""
        names = [name for name in path if name is not None]
        name = names[-1] if names else ""
        kept = self._names.kept(name)
        certain = any(map(self._names.certain, names)) and not kept
        if not isinstance(value, str):
            # A number where a number was, so that programs can go on with it.
            inside = any(map(self._names.numbers_inside, names)) and not kept
            return "0" if inside or self._names.certain(name) else None
        if value and (certain or self._names.field(name, value)):
            changed = self._secret(value)
        else:
            changed = self._plain(value, kept)
        return None if changed == value else json.dumps(changed, ensure_ascii=False)

    def _json(self, text: str) -> str | None:
        """JSON without secrets; None if it is none."""
        try:
            return rewritten(text, self._member)
        except (ValueError, RecursionError):
            return None

    def _plain(self, text: str, kept: bool = False) -> str:
        """Text of no known structure, with URLs, JSON or XML somewhere in it.

        Args:
            kept: Leave JSON Web Tokens.
        """
        # Cases: nothing that could be JSON; all of it is; some of its lines are, and all the others not.
        if '"' not in text:
            return self._loose(text, kept)
        if text.lstrip()[:1] in ("{", "["):
            changed = self._json(text)
            if changed is not None:
                return changed
        pieces: list[str] = []
        end = 0
        for match in _JSON_LINE.finditer(text):
            changed = self._json(match[1])
            if changed is not None:
                pieces += [self._loose(text[end : match.start(1)], kept), changed]
                end = match.end()
        return "".join([*pieces, self._loose(text[end:], kept)])

    def _loose(self, text: str, kept: bool) -> str:
        """Text that is no JSON in whole."""
        if "@" in text:
            text = _USERINFO.sub(f"{REDACTED}:{REDACTED}@", text)
        if "=" in text:
            text = _PARAMETER.sub(self._found_parameter, text)
        if '"' in text:
            text = _JSON_PAIR.sub(self._found_pair, text)
        if "</" in text:
            text = _ELEMENT.sub(self._found_element, text)
        return text if kept else self.jwts(text)

    def _found_parameter(self, match: re.Match[str]) -> str:
        return self._without_parameters(f"?{match[0]}")[1:]

    def _found_pair(self, match: re.Match[str]) -> str:
        name, colon, value = match[1], match[2], match[3]
        if not self._names.field(name, value):
            return match[0]
        return f'"{name}"{colon}"{self._secret(value)}"'

    def _found_element(self, match: re.Match[str]) -> str:
        tag, name, attributes, value = match[1], match[2], match[3], match[4]
        if value.isspace() or not self._names.field(name, value):
            return match[0]
        return f"<{tag}{attributes}>{self._secret(value)}</{tag}>"

    def jwts(self, text: str) -> str:
        """`text` without JSON Web Tokens, but for those in parameters that are no secrets."""
        if "eyJ" not in text:
            return text
        kept = [
            match.span(2)
            for match in _PARAMETER.finditer(text)
            if self._names.kept(unescape_form(match[1]))
        ]

        def replaced(match: re.Match[str]) -> str:
            if match[2] is None or any(start <= match.start() < end for start, end in kept):
                return match[0]
            return REDACTED

        return JWT.sub(replaced, text)

    def _parameters(self, text: str) -> str:
        """A URL or a query without secrets."""
        return self.jwts(self._without_parameters(text))

    def _without_parameters(self, text: str) -> str:
        """A URL or a query with its secret parameters replaced, and remembered."""
        if "=" not in text:
            return text
        changed = redact_parameters(text, self._names)
        if changed != text:
            for match in _PARAMETER.finditer(text):
                if redact_parameters(f"?{match[0]}", self._names) != f"?{match[0]}":
                    self._meet_quoted(match[2])
        return changed

    def _own(self, text: str) -> str:
        return text if self._text is None else self._text(text)

    # Secrets that were met.

    def _secret(self, value: str) -> str:
        if not value:
            return value
        self._meet(value)
        return REDACTED

    def _meet(self, value: str) -> None:
        if REDACTED in value or any(map(str.isspace, value)) or value in self._met:
            return
        mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        if len(value) >= 20 or (len(value) >= 8 and mixed):
            self._met.add(value)
            self._spellings = None

    def _meet_quoted(self, value: str) -> None:
        self._meet(value)
        self._meet(unescape_form(value))

    def _meet_basic(self, credentials: str) -> None:
        try:
            self._meet(b64decode(credentials).decode("utf-8").partition(":")[2])
        except ValueError:
            # Whatever it is, it is no password.
            pass

    def _all_spellings(self) -> list[str]:
        spellings = {
            spelling
            for value in (*self._always, *self._met)
            for spelling in (
                value,
                quote(value, safe=""),
                quote_plus(value),
                json.dumps(value)[1:-1],
                json.dumps(value, ensure_ascii=False)[1:-1],
            )
        }
        # The longest first: one secret may contain another.
        return sorted(spellings, key=lambda spelling: (-len(spelling), spelling))

    def remembered(self, text: str) -> str:
        """`text` without the secrets that were given or met."""
        if self._spellings is None:
            self._spellings = self._all_spellings()
        for spelling in self._spellings:
            # Not one expression of them all: with a thousand alternatives that takes a thousand times as long.
            if spelling in text:
                text = text.replace(spelling, REDACTED)
        return text

    def everywhere(self, value: Any) -> Any:
        """The same in every text within lists and dicts; keys stay."""
        if isinstance(value, str):
            return self.remembered(value)
        if isinstance(value, list):
            return [self.everywhere(item) for item in value]
        if isinstance(value, dict):
            return {key: self.everywhere(item) for key, item in value.items()}
        return value
