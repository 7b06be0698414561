"""Settings out of a mapping or the environment: what a value may be, and errors that say where it stands.

What a section's field takes is read off its annotation, so that a section is a dataclass and nothing more.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from scallion.pipeline.errors import InvalidURL
from scallion.pipeline.redaction import redact_login
from scallion.pipeline.urls import URL

if TYPE_CHECKING:
    from dataclasses import Field

__all__ = [
    "Kind",
    "Seconds",
    "brief",
    "check_methods",
    "check_url",
    "duration",
    "kind_of",
    "nearest",
    "quoted",
    "shown",
    "switch",
]

Seconds: TypeAlias = float
"""A duration: seconds, or text such as "250ms", "2s", "5m", "1h"."""

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h|)", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_ON = frozenset({"1", "on", "true", "yes"})
_OFF = frozenset({"0", "false", "no", "off"})
_NOTHING = frozenset({"none", "null", "off"})


class Kind(NamedTuple):
    """What a setting takes.

    Attributes:
        told: In words, for messages: "a whole number".
        read: Makes the value; a `ValueError` says that it is none.
        parse: The same of a text, as environment variables have it.
        optional: Whether there may be none.
    """

    told: str
    read: Callable[[Any], Any]
    parse: Callable[[str], Any]
    optional: bool

    def of(self, value: object, *, text: bool, where: str) -> Any:
        """`value` as the setting has it.

        Raises:
            TypeError: it is of no kind that is allowed.
            ValueError: it is a text that cannot be read, or an empty one where texts are.
        """
        if text and isinstance(value, str) and not value.strip():
            # As `${VAR:-}` makes it. Which of the two was meant cannot be told.
            lifted = ', and say "none" for none' if self.optional else ""
            raise ValueError(f"{where} is empty: leave it out for the default{lifted}")
        if self.optional and (
            value is None or (text and isinstance(value, str) and value.strip().lower() in _NOTHING)
        ):
            return None
        try:
            return self.parse(value) if text and isinstance(value, str) else self.read(value)
        except ValueError:
            # A text is of the right kind where texts are read.
            readable = isinstance(value, str) and (text or self.read is duration)
            error = ValueError if readable else TypeError
            raise error(f"{where} must be {self.told}, not {quoted(value)}") from None


def duration(value: object) -> float:
    """Seconds.

    Raises:
        ValueError: it is neither a number of them nor such a text.
    """
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip().lower())
        if found is None:
            raise ValueError(value)
        return _number(float(found[1]) * _UNITS[found[2]])
    return _number(value)


def switch(text: str) -> bool | None:
    """Whether a text says on or off; None if neither."""
    word = text.strip().lower()
    return True if word in _ON else False if word in _OFF | _NOTHING else None


def nearest(name: str, known: Iterable[str]) -> str:
    """A question that may help: "; did you mean 'attempts'?", or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f": did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """A value as people read it, without the login of a URL."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (tuple, frozenset)):
        ordered = sorted(value) if isinstance(value, frozenset) else value
        return ", ".join(map(shown, ordered)) or "none"
    if isinstance(value, str):
        # A path is none of what has logins, and may have the sign.
        is_path = value.startswith("/") and not value.startswith("//")
        return value if is_path else redact_login(value)
    return str(value)


def quoted(value: object) -> str:
    """A value that was refused, for the message; without what may be a login."""
    if isinstance(value, str):
        return repr(redact_login(value))
    try:
        told = repr(value)
    except ValueError:
        # A whole number of some thousand digits has none.
        return f"<{type(value).__name__}>"
    return told if "@" not in told else f"<{type(value).__name__}>"


def check_url(where: str, given: str) -> None:
    """Refuse what is no address of a service. No login is shown.

    Raises:
        ValueError: it is no absolute URL with http or https, or has what no path can be appended to.
    """
    told = ""
    try:
        url = URL(given)
    except InvalidURL as error:
        # What the parser shows of a login that is in the wrong place cannot be told.
        told = "" if "@" in given else f" ({error})"
    else:
        # A sign that no host has is quoted, but for those before the zone of an address.
        is_host = b":" in url.raw_host or b"%" not in url.raw_host
        if url.scheme in ("http", "https") and url.host and is_host:
            if "?" in given or "#" in given:
                raise ValueError(
                    f"{where} can have no query and no fragment, as paths are appended to it: {quoted(given)}"
                )
            return
    raise ValueError(
        f"{where} must be an absolute URL with http or https, such as 'http://orders.internal', not {quoted(given)}{told}"
    )


def check_methods(names: Iterable[str]) -> None:
    """Refuse what no request's method can be.

    Raises:
        ValueError: one of them is no token (RFC 9110 section 9.1).
    """
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise ValueError(
                f"methods has names of methods, such as 'GET', and {quoted(name)} is none"
            )


def brief(value: object) -> str:
    """The same within a `repr`."""
    return f"({shown(value)})" if isinstance(value, tuple) else shown(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(value)
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(value) from None
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(value)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _parsed_truth(text: str) -> bool:
    value = switch(text)
    if value is None:
        raise ValueError(text)
    return value


def _several(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def reading(value: Any) -> tuple[Any, ...]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise ValueError(value)
        return tuple(read(one) for one in value)

    return reading


def _listed(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    def parsing(text: str) -> tuple[Any, ...]:
        if text.strip().lower() in _NOTHING:
            return ()
        return tuple(parse(one.strip()) for one in text.split(",") if one.strip())

    return parsing


_KINDS: dict[str, tuple[str, Callable[[Any], Any], Callable[[str], Any]]] = {
    "bool": ("true or false", _truth, _parsed_truth),
    "float": ("a number", _number, lambda text: _number(float(text))),
    "int": ("a whole number", _whole, int),
    "str": ("a text", _text, str),
    "Seconds": ('seconds, or a text such as "250ms" or "2s"', duration, duration),
    "tuple[int, ...]": ("a list of whole numbers", _several(_whole), _listed(int)),
    "tuple[str, ...]": ("a list of texts", _several(_text), _listed(str)),
}


def kind_of(field: Field[Any]) -> Kind:
    """What a field of a section takes, by its annotation."""
    annotation = str(field.type)
    plain = annotation.removesuffix(" | None")
    told, read, parse = _KINDS[plain]
    optional = plain != annotation
    return Kind(f"{told}, or none" if optional else told, read, parse, optional)
