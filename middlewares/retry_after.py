"""What a server says of trying again: `Retry-After` (RFC 9110 section 10.2.3), and that nobody should."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["http_date", "refuses_retries", "retry_after"]

_REFUSALS = frozenset({"false", "no"})

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"

# RFC 9110 section 5.6.7: the one to send, and two of old that a recipient must still accept.
_IMF_FIXDATE = rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"
_RFC850 = rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
_ASCTIME = rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"
_DATES = tuple(re.compile(date) for date in (_IMF_FIXDATE, _RFC850, _ASCTIME))


def retry_after(value: str | None, now: Callable[[], float]) -> float | None:
    """Seconds to wait, at least 0; None if `value` is missing or malformed.

    Args:
        value: The header's value.
        now: The wall clock, in seconds since 1970; asked only if `value` is a date.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    date = http_date(value, now)
    return None if date is None else max(0.0, date - now())


def refuses_retries(value: str | None) -> bool:
    """Whether `value` says that the request is not to be sent again.

    Cases: "false", in any case, as in the `X-Should-Retry` of several public APIs; "no"; a negative number, as in
    gRPC's `grpc-retry-pushback-ms`. All else says nothing: "true" makes no failure transient.
    """
    if value is None:
        return False
    value = value.strip().lower()
    return value in _REFUSALS or (
        value.startswith("-") and value[1:].isascii() and value[1:].isdigit()
    )


def http_date(value: str, now: Callable[[], float]) -> float | None:
    """An HTTP-date in any of its three forms, as seconds since 1970; None if it is malformed.

    Args:
        value: The date; the name of the weekday is not checked against it.
        now: The wall clock, which tells the century of a year with two digits.
    """
    for form in _DATES:
        if match := form.fullmatch(value):
            return _timestamp(match.groupdict(), now)
    return None


def _timestamp(parts: dict[str, str], now: Callable[[], float]) -> float | None:
    from datetime import UTC, datetime

    year = int(parts["year"])
    if len(parts["year"]) == 2:
        # At most 50 years ahead; what would lie beyond is in the past (RFC 9110 section 5.6.7).
        this_year = datetime.fromtimestamp(now(), UTC).year
        year = this_year - 49 + (year - this_year + 49) % 100
    try:
        return datetime(
            year,
            _MONTHS.index(parts["month"]) + 1,
            int(parts["day"]),
            int(parts["hour"]),
            int(parts["minute"]),
            # A leap second, which datetime does not know.
            59 if parts["second"] == "60" else int(parts["second"]),
            tzinfo=UTC,
        ).timestamp()
    except ValueError:
        return None
