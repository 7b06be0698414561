"""What went wrong with a connection, in words: who could not be reached, and the system's own reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from scallion.pipeline.errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)

__all__ = [
    "connect_failed",
    "connect_timed_out",
    "handshake_timed_out",
    "place",
    "read_closed",
    "read_failed",
    "read_timed_out",
    "unresolved",
    "write_closed",
    "write_failed",
    "write_timed_out",
]


def place(host: str, port: int) -> str:
    """`host:port` for people, IPv6 addresses in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(exc: BaseException) -> str:
    text = getattr(exc, "strerror", None)
    number = getattr(exc, "errno", None)
    # As OSError says it itself, but without the address, which is told anyway.
    if text and isinstance(number, int):
        return f"[Errno {number}] {text}"
    return str(text or exc) or type(exc).__name__


def _span(timeout: float | None) -> str:
    return "the time allowed" if timeout is None else f"{timeout:.3g} s"


def unresolved(where: str, exc: Exception) -> ConnectError:
    return ConnectError(f"cannot connect to {where}: the name does not resolve: {_reason(exc)}")


Failures: TypeAlias = Iterable[tuple[str, BaseException]]
"""Addresses that were tried, and why each failed; no address where that is what was asked for."""


def connect_failed(where: str, failures: Failures) -> ConnectError:
    """One error for all the addresses that were tried."""
    return ConnectError(f"cannot connect to {where}: {_told(failures) or 'it has no address'}")


def connect_timed_out(
    where: str, timeout: float | None, failures: Failures = (), silent: Sequence[str] = ()
) -> ConnectTimeout:
    """The same where time ran out; `silent` are the addresses that had not answered yet."""
    known = _told(failures)
    if any(silent):
        nothing = f"no answer ({', '.join(dict.fromkeys(silent))})"
        known = f"{known}; {nothing}" if known else nothing
    ending = f": {known}" if known else ""
    return ConnectTimeout(
        f"cannot connect to {where}: no connection within {_span(timeout)}{ending}"
    )


def _told(failures: Failures) -> str:
    """Each different reason once, with the addresses that it holds for."""
    addresses: dict[str, dict[str, None]] = {}
    for address, cause in failures:
        addresses.setdefault(_reason(cause), {})[address] = None
    return "; ".join(
        f"{reason} ({', '.join(named)})" if any(named) else reason
        for reason, named in addresses.items()
    )


def handshake_timed_out(server_hostname: str | None, timeout: float | None) -> ConnectTimeout:
    host = server_hostname or "the server"
    return ConnectTimeout(
        f"TLS with {host} failed: the handshake took longer than {_span(timeout)}"
    )


def _tls_reason(exc: BaseException) -> str:
    # OpenSSL speaks in constants (TLSV13_ALERT_CERTIFICATE_REQUIRED), which is what some look for.
    reason = getattr(exc, "reason", None)
    if not isinstance(reason, str):
        return _reason(exc)
    from .alerts import openssl_words, reason_words

    words = reason_words(reason)
    return f"{words} {openssl_words(exc)}" if words else openssl_words(exc)


def read_timed_out(timeout: float | None) -> ReadTimeout:
    return ReadTimeout(f"timed out: nothing arrived within {_span(timeout)}")


def write_timed_out(timeout: float | None) -> WriteTimeout:
    return WriteTimeout(f"timed out: nothing could be sent within {_span(timeout)}")


def read_failed(exc: Exception) -> ReadError:
    return ReadError(f"receiving failed: {_tls_reason(exc)}")


def write_failed(exc: Exception) -> WriteError:
    return WriteError(f"sending failed: {_tls_reason(exc)}")


def read_closed() -> ReadError:
    return ReadError("receiving failed: the connection is closed")


def write_closed() -> WriteError:
    return WriteError("sending failed: the connection is closed")
