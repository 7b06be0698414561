"""SSL contexts: made as httpx makes them, and kept, since each costs some 20 ms to build."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

if TYPE_CHECKING:
    import ssl

__all__ = ["CertTypes", "VerifyTypes", "create_ssl_context", "default_ssl_context"]

VerifyTypes: TypeAlias = "ssl.SSLContext | str | os.PathLike[str] | bool"
"""True, False, the path of a file or directory of certificates, or a context."""

CertTypes: TypeAlias = "str | tuple[str, str | None] | tuple[str, str | None, str | bytes | Callable[[], str | bytes] | None]"
"""The client's certificate: one file with the key in it; or certificate, key, and the key's password."""

_MOST_CONTEXTS = 32
_ENVIRONMENT = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")

_contexts: OrderedDict[Hashable, ssl.SSLContext] = OrderedDict()
_lock = threading.Lock()
# The contexts of users that were told to offer HTTP/2.
_offering_http2: WeakSet[Any] = WeakSet()


def create_ssl_context(
    verify: VerifyTypes = True, cert: CertTypes | None = None, trust_env: bool = True
) -> ssl.SSLContext:
    """A new context for TLS 1.2 and later.

    Args:
        verify: True trusts certifi's bundle, or with `trust_env` what `SSL_CERT_FILE` or `SSL_CERT_DIR`
            name. A path trusts that file or directory. False checks nothing. A context is used as it is.
        cert: The client's certificate; loaded into the context, a given one included.
        trust_env: Whether the environment has a say.

    Raises:
        OSError: a file cannot be read; `ssl.SSLError` if it holds no usable certificate.
    """
    import ssl

    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(**_trusted(verify, trust_env))
    if context is not verify:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    if isinstance(cert, str):
        context.load_cert_chain(cert)
    elif cert:
        context.load_cert_chain(*cert)
    return context


def _trusted(verify: str | os.PathLike[str] | bool, trust_env: bool) -> dict[str, Any]:
    """Where the trusted certificates lie, as `ssl.create_default_context` takes it."""
    if verify is not True:
        path = os.fspath(verify)  # type: ignore[arg-type]  # False never comes here
        return {"capath": path} if Path(path).is_dir() else {"cafile": path}
    if trust_env and (file := os.environ.get("SSL_CERT_FILE")):
        return {"cafile": file}
    if trust_env and (directory := os.environ.get("SSL_CERT_DIR")):
        return {"capath": directory}
    import certifi

    return {"cafile": certifi.where()}


def default_ssl_context(
    verify: VerifyTypes, cert: CertTypes | None, trust_env: bool, alpn: tuple[str, ...]
) -> ssl.SSLContext:
    """The process's context for these settings, built when first asked for. Safe to call from any thread.

    A file that has changed on disk, or another value in the environment, makes for another context.

    A context that the user gave is returned as it is and never kept. It is told which protocols to offer
    only where that is needed: for HTTP/2, which must be offered to be spoken; and for HTTP/1.1 once it was
    told to offer HTTP/2 before.

    Args:
        verify: As `create_ssl_context`.
        cert: As `create_ssl_context`.
        trust_env: As `create_ssl_context`.
        alpn: The protocols to offer, best first: `("h2", "http/1.1")`.

    Raises:
        OSError: as `create_ssl_context`.
    """
    if not isinstance(verify, (bool, str, os.PathLike)):
        return _users_own(create_ssl_context(verify, cert, trust_env), alpn)
    key = _key(verify, cert, trust_env, alpn)
    with _lock:
        # Building under the lock: whoever asks at the same time needs the same one.
        context = _contexts.get(key)
        if context is None:
            context = create_ssl_context(verify, cert, trust_env)
            if alpn:
                context.set_alpn_protocols(list(alpn))
            _contexts[key] = context
            if len(_contexts) > _MOST_CONTEXTS:
                _contexts.popitem(last=False)
        else:
            _contexts.move_to_end(key)
        return context


def _users_own(context: ssl.SSLContext, alpn: tuple[str, ...]) -> ssl.SSLContext:
    if "h2" in alpn:
        _offering_http2.add(context)
    elif context not in _offering_http2:
        return context
    context.set_alpn_protocols(list(alpn))
    return context


def _key(
    verify: str | os.PathLike[str] | bool,
    cert: CertTypes | None,
    trust_env: bool,
    alpn: tuple[str, ...],
) -> Hashable:
    environment = tuple(map(os.environ.get, _ENVIRONMENT))
    given = (cert,) if isinstance(cert, str) else tuple(cert or ())
    files = [path for path in given[:2] if path is not None]
    if not isinstance(verify, bool):
        files.append(os.fspath(verify))
    elif verify and trust_env:
        files += [path for path in environment[:2] if path]
    return verify, given, trust_env, alpn, environment, tuple(map(_version, files))


def _version(path: Any) -> tuple[int, int] | None:
    """What changes when a file does; None if there is none, and loading it will say so."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
