"""Certificates, keys and revocation lists as they are given: the path of a file, PEM, or DER; and how OpenSSL gets them.

Python hands a client's certificate and key to OpenSSL as files alone. Those that are in memory become files for as
long as loading takes: without a name on any disk where the system can do that (Linux), and otherwise in the folder
for temporary files, readable for their owner alone.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .network.der import is_der, key_label

if TYPE_CHECKING:
    import ssl

__all__ = [
    "KeyPassword",
    "Material",
    "as_text",
    "is_pem",
    "load_authorities",
    "load_chain",
    "load_crl",
]

Material: TypeAlias = "str | bytes | os.PathLike[str]"
"""A path; or PEM, as text or bytes; or DER."""

KeyPassword: TypeAlias = "str | bytes | Callable[[], str | bytes]"

_BEGIN = "-----BEGIN "

_UNFIT = frozenset(
    {
        "KEY_TYPE_MISMATCH",
        "KEY_VALUES_MISMATCH",
        # A key of another kind than the certificate's is kept apart, and then a certificate is missed.
        "NO_CERTIFICATE_ASSIGNED",
    }
)


def is_pem(text: str) -> bool:
    return _BEGIN in text


def as_text(given: Any, argument: str) -> str:
    """What was given as text: a path, or PEM.

    Args:
        given: A `Material`.
        argument: Its name, which tells what DER is that of.

    Raises:
        TypeError: it is of another type.
        ValueError: the bytes are neither PEM nor DER. They are not shown.
    """
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    elif isinstance(given, bytes):
        return _of_bytes(given, argument)
    if not isinstance(given, str):
        raise TypeError(
            f"{argument}= takes the path of a file, PEM (text or bytes) or DER (bytes), not a {type(given).__name__}"
        )
    if not given:
        raise ValueError(f"{argument}= is empty: give the path of a file, PEM or DER")
    return given


def _of_bytes(data: bytes, argument: str) -> str:
    if _BEGIN.encode() in data:
        return data.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        if is_der(data):
            return _pem(data, _label(data, argument))
    raise ValueError(f"The {len(data)} bytes given as {argument}= are neither PEM nor DER")


def _label(data: bytes, argument: str) -> str:
    if argument == "key":
        return key_label(data)
    return "X509 CRL" if argument == "crl" else "CERTIFICATE"


def _pem(data: bytes, label: str) -> str:
    lines = "\n".join(textwrap.wrap(base64.b64encode(data).decode("ascii"), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def load_authorities(context: ssl.SSLContext, ca: str) -> None:
    """Trust what `ca` holds: PEM, or the path of a file or directory."""
    if is_pem(ca):
        context.load_verify_locations(cadata=ca)
    elif Path(ca).is_dir():
        context.load_verify_locations(capath=ca)
    else:
        with ExitStack() as stack:
            context.load_verify_locations(cafile=_place(ca, "ca", stack))


def load_crl(context: ssl.SSLContext, crl: str) -> None:
    """Refuse the server's certificate if it stands in this list."""
    import ssl

    with ExitStack() as stack:
        context.load_verify_locations(cafile=_place(crl, "crl", stack))
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def load_chain(
    context: ssl.SSLContext, cert: str, key: str | None, password: KeyPassword | None
) -> None:
    """Present this certificate to servers.

    Raises:
        OSError: a file cannot be read; `ssl.SSLError` if certificate and key are not what they should be. Its text
            says what is wrong with which, and shows nothing of them.
    """
    import ssl

    asked = False

    def answer() -> str | bytes:
        nonlocal asked
        asked = True
        # Without an answer OpenSSL would ask on the terminal.
        return (password() if callable(password) else password) or b""

    try:
        with ExitStack() as stack:
            files = _place(cert, "cert", stack), key and _place(key, "key", stack)
            context.load_cert_chain(*files, answer)
    except ssl.SSLError as error:
        # Cases: a key for another certificate; a sealed one, without or with a password; none, or no certificate.
        if error.reason in _UNFIT:
            words = "the key does not belong to the certificate"
        elif asked and password is None:
            words = "the key is encrypted: give its password="
        elif asked:
            words = "the password does not open the key"
        else:
            words = "there is no certificate, or no private key, that can be read"
        named = (("cert", cert), ("key", key))
        given = [f"{name}={value!r}" for name, value in named if value and not is_pem(value)]
        openssl = str(error.strerror).partition(" (_ssl.c:")[0]
        error.strerror = f"{' '.join([words, *given])}: {openssl}"
        raise


def _place(given: str, argument: str, stack: ExitStack) -> str:
    """The path under which OpenSSL finds `given` in PEM, until `stack` ends."""
    if not is_pem(given):
        data = Path(given).read_bytes()
        if not is_der(data):
            return given
        given = _of_bytes(data, argument)
    return stack.enter_context(_private_file(given.encode("utf-8")))


@contextmanager
def _private_file(data: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("scallion")
        try:
            path = f"/proc/self/fd/{descriptor}"
            # Somewhere /proc may be hidden.
            if Path(path).exists():
                _write(descriptor, data)
                yield path
                return
        finally:
            os.close(descriptor)
    descriptor, path = tempfile.mkstemp(prefix="scallion-")
    try:
        try:
            _write(descriptor, data)
        finally:
            os.close(descriptor)
        yield path
    finally:
        Path(path).unlink()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
