"""SSL contexts: made of `verify=` and `cert=`, and kept, since each costs some 20 ms to build.

What they are made of is httpx's, or a `TLS` (`tls_settings`), which makes its own.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

from scallion.pipeline.hosts import encode_host

from .network.sessions import Sessions, agree

if TYPE_CHECKING:
    import ssl

    from scallion.pipeline.types import VerifyTypes

__all__ = [
    "CertTypes",
    "blank_context",
    "check_files",
    "create_ssl_context",
    "default_ssl_context",
    "known_ssl_context",
    "load_default_authorities",
    "naming",
    "server_name",
]

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
            name. A path trusts that file or directory. False checks nothing. A context is used as it is. A
            `scallion.TLS` says all of it.
        cert: The client's certificate; loaded into the context, a given one included.
        trust_env: Whether the environment has a say; `SSLKEYLOGFILE` too, to which the secrets of connections are
            written then, for tools that decrypt what they recorded.

    Raises:
        TypeError: `verify` or `cert` is none of these.
        OSError: a file cannot be read; `ssl.SSLError` if it holds no usable certificate. It names the file, and
            the argument or variable that does.
    """
    verify = _checked(verify)
    context: ssl.SSLContext
    maker: Any = verify
    if isinstance(verify, (bool, str, os.PathLike)):
        context = blank_context(trust_env)
        _trust(context, verify, trust_env)
    elif hasattr(verify, "new_context"):
        if cert and maker.cert is not None:
            raise TypeError("cert= and verify=TLS(cert=...) are two certificates: give one")
        context = maker.new_context(trust_env)
    else:
        context = verify
    if cert:
        files = _files_of(cert)
        try:
            context.load_cert_chain(*files)
        except OSError as error:
            raise naming(error, "cert=", *files[:2]) from None
    return context


def blank_context(trust_env: bool, kind: Callable[[int], Any] | None = None) -> Any:
    """A context that trusts nobody yet, and checks certificates and names; as `ssl.create_default_context` but for that.

    Args:
        trust_env: Whether `SSLKEYLOGFILE` counts.
        kind: The class; None for the standard one.

    Raises:
        OSError: that file cannot be written.
    """
    import ssl

    context = (kind or ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if sys.version_info >= (3, 13):  # pragma: no cover
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if trust_env and (path := os.environ.get("SSLKEYLOGFILE")) and not sys.flags.ignore_environment:
        try:
            context.keylog_filename = path
        except OSError as error:
            raise naming(error, "the environment's SSLKEYLOGFILE", path) from None
    return context


def _trust(context: ssl.SSLContext, verify: str | os.PathLike[str] | bool, trust_env: bool) -> None:
    import ssl

    if verify is True:
        load_default_authorities(context, trust_env)
    elif verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        path = os.fspath(verify)
        _load(context, "verify=", **{"capath" if Path(path).is_dir() else "cafile": path})


def load_default_authorities(context: ssl.SSLContext, trust_env: bool) -> None:
    """Trust what the environment names, if it has a say, and otherwise certifi's bundle."""
    if trust_env and (file := os.environ.get("SSL_CERT_FILE")):
        _load(context, "the environment's SSL_CERT_FILE", cafile=file)
    elif trust_env and (directory := os.environ.get("SSL_CERT_DIR")):
        _load(context, "the environment's SSL_CERT_DIR", capath=directory)
    else:
        import certifi

        _load(context, "certifi", cafile=certifi.where())


def _load(context: ssl.SSLContext, source: str, **place: str) -> None:
    try:
        context.load_verify_locations(**place)
    except OSError as error:
        raise naming(error, source, *place.values()) from None


def server_name(host: str) -> str:
    """A host as TLS takes it: in ASCII, an address without brackets or zone, and no dot at the end (RFC 6066 section 3).

    Raises:
        TypeError: it is no str.
        InvalidURL: no such host can be.
    """
    if not isinstance(host, str):
        raise TypeError(f"A server's name is a str, not {type(host).__name__}")
    if ":" in host:
        return host.strip("[]").partition("%")[0]
    return (host if host.isascii() else encode_host(host)).removesuffix(".")


def _checked(verify: Any, argument: str = "verify") -> Any:
    """`verify` as it is meant; None is what was not said."""
    if verify is None or isinstance(verify, bool):
        return verify is not False
    if isinstance(verify, (str, os.PathLike)) or hasattr(verify, "wrap_bio"):
        return verify
    if callable(getattr(verify, "new_context", None)):
        return verify
    raise TypeError(
        f"{argument}= takes True, False, the path of certificates, an ssl.SSLContext, or a scallion.TLS, "
        f"not {verify!r}"
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


def naming(error: OSError, source: str, *paths: Any) -> OSError:
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
    verify: Any,
    cert: CertTypes | None,
    trust_env: bool,
    alpn: tuple[str, ...],
    argument: str = "verify",
) -> None:
    """Fail now rather than at the first https connection.

    What the caller named is loaded, and kept for that connection. Of a file that the environment names it is only
    asked whether it is there, as every program of the machine may be told of it, also those that speak no TLS.

    Raises:
        TypeError, OSError: as `create_ssl_context`.
    """
    verify = _checked(verify, argument)
    # Cases: a context, which is left alone until it is needed, but for a certificate; files; the environment's files.
    if _given(verify):
        if cert:
            create_ssl_context(verify, cert, trust_env)
        return
    if cert or not isinstance(verify, bool):
        default_ssl_context(verify, cert, trust_env, alpn)
        return
    try:
        if verify and trust_env and (file := os.environ.get("SSL_CERT_FILE")):
            source = "the environment's SSL_CERT_FILE"
            Path(file).stat()
        if trust_env and (file := os.environ.get("SSLKEYLOGFILE")):
            source = "the environment's SSLKEYLOGFILE"
            Path(file).open("ab").close()
    except OSError as error:
        raise naming(error, source, file) from None


def _given(verify: Any) -> bool:
    """Whether it is a context of the user's own."""
    return hasattr(verify, "wrap_bio")


def default_ssl_context(
    verify: VerifyTypes, cert: CertTypes | None, trust_env: bool, alpn: tuple[str, ...]
) -> ssl.SSLContext:
    """The process's context for these settings, built when first asked for. Safe to call from any thread.

    A file that has changed on disk, or another value in the environment, makes for another context.

    Sessions are kept with it, to be resumed by later connections.

    A context that the user gave is returned as it is and never kept, and no sessions are: what it trusts and presents
    may change at any time. It is told which protocols to offer
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
    if _given(verify):
        return _users_own(create_ssl_context(verify, cert, trust_env), alpn)
    key = _key(verify, cert, trust_env, alpn)
    with _lock:
        # Building under the lock: whoever asks at the same time needs the same one.
        context = _contexts.get(key)
        if context is None:
            context = create_ssl_context(verify, cert, trust_env)
            if alpn:
                context.set_alpn_protocols(list(alpn))
            if getattr(verify, "resume", True) and _checks_in_handshake(context):
                agree(context).sessions = Sessions()
            _contexts[key] = context
            if len(_contexts) > _MOST_CONTEXTS:
                _contexts.popitem(last=False)
        else:
            _contexts.move_to_end(key)
        return context


def known_ssl_context(
    verify: VerifyTypes, cert: CertTypes | None, trust_env: bool, alpn: tuple[str, ...]
) -> ssl.SSLContext | None:
    """As `default_ssl_context`, where nothing has to be built; else None. It never waits."""
    verify = _checked(verify)
    if _given(verify):
        context: Any = verify
        return None if cert else _users_own(context, alpn)
    return _contexts.get(_key(verify, cert, trust_env, alpn))


def _checks_in_handshake(context: ssl.SSLContext) -> bool:
    """Whether OpenSSL checks certificates. Where the system does, afterwards, it wants the whole chain, which no session keeps."""
    return sys.platform not in ("darwin", "win32") or not hasattr(context, "_ctx")


def _users_own(context: ssl.SSLContext, alpn: tuple[str, ...]) -> ssl.SSLContext:
    if "h2" in alpn:
        _offering_http2.add(context)
    elif context not in _offering_http2:
        return context
    context.set_alpn_protocols(list(alpn))
    return context


def _key(verify: Any, cert: CertTypes | None, trust_env: bool, alpn: tuple[str, ...]) -> Hashable:
    environment = tuple(map(os.environ.get, _ENVIRONMENT))
    given = _files_of(cert) if cert else ()
    files = [path for path in given[:2] if path is not None]
    if isinstance(verify, (str, os.PathLike)):
        files.append(os.fspath(verify))
    else:
        files += getattr(verify, "files", ())
        if verify is not False and trust_env:
            files += [path for path in environment[:2] if path]
    return verify, given, trust_env, alpn, environment, tuple(map(_version, files))


def _version(path: Any) -> tuple[int, int] | None:
    """What changes when a file does; None if there is none, and loading it will say so."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
