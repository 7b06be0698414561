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

__all__ = ["CertTypes", "VerifyTypes", "check_files", "create_ssl_context", "default_ssl_context"]

VerifyTypes: TypeAlias = "ssl.SSLContext | str | os.PathLike[str] | bool"
"""True, False, the path of a file or directory of certificates, or a context."""

CertTypes: TypeAlias = "str | os.PathLike[str] | tuple[str, str | None] | tuple[str, str | None, str | bytes | Callable[[], str | bytes] | None]"
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
        TypeError: `verify` or `cert` is none of these.
        OSError: a file cannot be read; `ssl.SSLError` if it holds no usable certificate. It names the file, and
            the argument or variable that does.
    """
    import ssl

    verify = _checked(verify)
    if verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif verify is True or isinstance(verify, (str, os.PathLike)):
        source, place = _trusted(verify, trust_env)
        try:
            context = ssl.create_default_context(**place)
        except OSError as error:
            raise _naming(error, source, *place.values()) from None
    else:
        context = verify
    if context is not verify:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert:
        files = _files_of(cert)
        try:
            context.load_cert_chain(*files)
        except OSError as error:
            raise _naming(error, "cert=", *files[:2]) from None
    return context


def _checked(verify: Any) -> Any:
    """`verify` as it is meant; None is what was not said."""
    if verify is None or isinstance(verify, bool):
        return verify is not False
    if isinstance(verify, (str, os.PathLike)) or hasattr(verify, "wrap_bio"):
        return verify
    raise TypeError(
        f"verify= takes True, False, the path of certificates, or an ssl.SSLContext, not {verify!r}"
    )


def _files_of(cert: Any) -> tuple[Any, ...]:
    """A client's certificate as `SSLContext.load_cert_chain` takes it."""
    if isinstance(cert, (str, os.PathLike)):
        return (cert,)
    if isinstance(cert, (tuple, list)) and 1 <= len(cert) <= 3:
        return tuple(cert)
    # Not shown: it may hold a key's password.
    raise TypeError(
        "cert= takes a path, (certificate, key) or (certificate, key, password), "
        f"not a {type(cert).__name__}"
    )


def _trusted(verify: str | os.PathLike[str] | bool, trust_env: bool) -> tuple[str, dict[str, Any]]:
    """Who says where the trusted certificates lie, and where, as `ssl.create_default_context` takes it."""
    if not isinstance(verify, bool):
        path = os.fspath(verify)
        return "verify=", {"capath": path} if Path(path).is_dir() else {"cafile": path}
    if trust_env and (file := os.environ.get("SSL_CERT_FILE")):
        return "the environment's SSL_CERT_FILE", {"cafile": file}
    if trust_env and (directory := os.environ.get("SSL_CERT_DIR")):
        return "the environment's SSL_CERT_DIR", {"capath": directory}
    import certifi

    return "certifi", {"cafile": certifi.where()}


def _naming(error: OSError, source: str, *paths: Any) -> OSError:
    """The error, telling which file it is about and who named that: OpenSSL says neither."""
    given = [os.fspath(path) for path in paths if path is not None]
    missing = [path for path in given if not Path(path).exists()]
    # Cases: an error that shows its file's name of itself; one that shows the text alone, such as OpenSSL's.
    if missing:
        error.filename = missing[0]
        error.strerror = f"{error.strerror} (given by {source})"
    else:
        error.strerror = f"{error.strerror} (given by {source} {', '.join(map(repr, given))})"
    return error


def check_files(
    verify: Any, cert: CertTypes | None, trust_env: bool, alpn: tuple[str, ...]
) -> None:
    """Fail now rather than at the first https connection.

    What the caller named is loaded, and kept for that connection. Of a file that the environment names it is only
    asked whether it is there, as every program of the machine may be told of it, also those that speak no TLS.

    Raises:
        TypeError, OSError: as `create_ssl_context`.
    """
    verify = _checked(verify)
    # Cases: a context, which is left alone until it is needed, but for a certificate; files; the environment's file.
    if not isinstance(verify, (bool, str, os.PathLike)):
        if cert:
            create_ssl_context(verify, cert, trust_env)
    elif cert or not isinstance(verify, bool):
        default_ssl_context(verify, cert, trust_env, alpn)
    elif verify and trust_env and (file := os.environ.get("SSL_CERT_FILE")):
        try:
            Path(file).stat()
        except OSError as error:
            raise _naming(error, "the environment's SSL_CERT_FILE", file) from None


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
    verify = _checked(verify)
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
    given = _files_of(cert) if cert else ()
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
