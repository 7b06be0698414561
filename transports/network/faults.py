"""What went wrong with a connection, in words: who could not be reached, and the system's own reason."""

from __future__ import annotations

from collections.abc import Iterable

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
    "handshake_failed",
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
    text = getattr(exc, "strerror", None) or str(exc)
    return str(text) or type(exc).__name__


def _span(timeout: float | None) -> str:
    return "the time allowed" if timeout is None else f"{timeout:.3g} s"


def unresolved(where: str, exc: Exception) -> ConnectError:
    return ConnectError(f"cannot connect to {where}: the name does not resolve: {_reason(exc)}")


def connect_failed(where: str, causes: Iterable[BaseException]) -> ConnectError:
    """One error for all the addresses that were tried; each different reason is named once."""
    reasons = "; ".join(dict.fromkeys(map(_reason, causes))) or "it has no address"
    return ConnectError(f"cannot connect to {where}: {reasons}")


def connect_timed_out(where: str, timeout: float | None) -> ConnectTimeout:
    return ConnectTimeout(f"cannot connect to {where}: no connection within {_span(timeout)}")


def handshake_failed(server_hostname: str | None, exc: BaseException) -> ConnectError:
    """The handshake's error with OpenSSL's reason, and for certificates with what is wrong with them."""
    return ConnectError(f"TLS with {server_hostname or 'the server'} failed: {_tls_reason(exc)}")


def handshake_timed_out(server_hostname: str | None, timeout: float | None) -> ConnectTimeout:
    host = server_hostname or "the server"
    return ConnectTimeout(
        f"TLS with {host} failed: the handshake took longer than {_span(timeout)}"
    )


def _tls_reason(exc: BaseException) -> str:
    # OpenSSL speaks in constants (CERTIFICATE_VERIFY_FAILED); a certificate's fault stands beside it in words.
    reason = getattr(exc, "reason", None)
    if not isinstance(reason, str):
        return _reason(exc)
    words = reason.replace("_", " ").lower()
    detail = getattr(exc, "verify_message", None)
    return f"{words}: {detail}" if detail else words


def read_timed_out(timeout: float | None) -> ReadTimeout:
    return ReadTimeout(f"nothing arrived within {_span(timeout)}")


def write_timed_out(timeout: float | None) -> WriteTimeout:
    return WriteTimeout(f"nothing could be sent within {_span(timeout)}")


def read_failed(exc: Exception) -> ReadError:
    return ReadError(f"receiving failed: {_tls_reason(exc)}")


def write_failed(exc: Exception) -> WriteError:
    return WriteError(f"sending failed: {_tls_reason(exc)}")


def read_closed() -> ReadError:
    return ReadError("receiving failed: the connection is closed")


def write_closed() -> WriteError:
    return WriteError("sending failed: the connection is closed")
