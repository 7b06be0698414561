"""How header fields tell the time that is left: three forms, written and read.

Written numbers are rounded down: who is asked shall not think that there is more time than there is. What is less than
the smallest that the form can tell, a millisecond or gRPC's microsecond, is told as that: 0 would say that nothing is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

__all__ = ["TimeoutForm", "check_form", "check_header", "read_timeout", "writer_of"]

TimeoutForm: TypeAlias = Literal["seconds", "milliseconds", "grpc"]
"""`12.5`; `12500`; `12500m`, as `grpc-timeout` has it: at most 8 digits and one of the units H, M, S, m, u, n."""

_FORMS = get_args(TimeoutForm)
# RFC 9110 section 5.1: a field's name is a token.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MILLISECONDS = re.compile(r"[0-9]+")
_GRPC = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_MOST = 99_999_999
# Seconds that are written, and read, at most; three hundred years.
_LONGEST = 9_999_999_999.0


def _write_seconds(left: float) -> str:
    # Every attempt is told: a call of min() would take longer than the rest.
    return _thousandths(int((left if left < _LONGEST else _LONGEST) * 1e3) or 1)  # noqa: FURB136


# Many requests are sent with about as much time left.
@lru_cache(maxsize=1024)
def _thousandths(count: int) -> str:
    whole, part = divmod(count, 1000)
    return f"{whole}.{part:03d}".rstrip("0") if part else str(whole)


def _write_milliseconds(left: float) -> str:
    return str(_count(min(left, _LONGEST), 1e3))


def _write_grpc(left: float) -> str:
    # Below a tenth of a second, one millisecond more or less would matter.
    if left < 0.1:
        return f"{_count(left, 1e6)}u"
    left = min(left, _MOST * 3600.0)
    for unit, each in (("m", 1e3), ("S", 1.0), ("M", 1 / 60)):
        if (count := _count(left, each)) <= _MOST:
            return f"{count}{unit}"
    return f"{_count(left, 1 / 3600)}H"


def _count(left: float, each: float) -> int:
    # Not 0, which would say that nothing is left.
    return int(left * each) or 1


def _read_seconds(text: str) -> float | None:
    # However many digits there are: who asks for longer than can be told is cut down like any other.
    return min(float(text), _LONGEST) if _SECONDS.fullmatch(text) else None


def _read_milliseconds(text: str) -> float | None:
    return min(float(text) / 1000, _LONGEST) if _MILLISECONDS.fullmatch(text) else None


def _read_grpc(text: str) -> float | None:
    match = _GRPC.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else None


_WRITERS: dict[str, Callable[[float], str]] = {
    "seconds": _write_seconds,
    "milliseconds": _write_milliseconds,
    "grpc": _write_grpc,
}
_READERS: dict[str, Callable[[str], float | None]] = {
    "seconds": _read_seconds,
    "milliseconds": _read_milliseconds,
    "grpc": _read_grpc,
}


def writer_of(form: TimeoutForm) -> Callable[[float], str]:
    """What makes a header's value of the seconds that are left, which are more than 0 and finite; `read_timeout` reads it."""
    return _WRITERS[form]


def read_timeout(value: str, form: TimeoutForm) -> float | None:
    """The seconds that a header's value stands for, 0 or more; None if it has not that form."""
    return _READERS[form](value.strip(" \t"))


def check_form(owner: str, form: object) -> None:
    """Refuse what is no form.

    Raises:
        ValueError: the message has `owner`'s name, and the forms that there are.
    """
    if form not in _FORMS:
        raise ValueError(f"{owner} form must be one of {', '.join(map(repr, _FORMS))}: {form!r}")


def check_header(owner: str, name: str, header: object) -> None:
    """Refuse what is no name of a header field (RFC 9110 section 5.1).

    Raises:
        ValueError: the message has `owner`'s name, and the setting's.
    """
    if not isinstance(header, str) or not _TOKEN.fullmatch(header):
        raise ValueError(
            f"{owner} {name} must be a header's name, such as 'X-Request-Timeout': {header!r}"
        )
