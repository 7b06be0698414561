"""`TLS`: whom to trust, what to present and what to insist on, for the settings that `verify=` and `cert=` cannot say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from .network.pins import as_pin
from .tls_material import (
    KeyPassword,
    Material,
    as_text,
    is_pem,
    load_authorities,
    load_chain,
    load_crl,
)

if TYPE_CHECKING:
    import ssl

__all__ = ["TLS", "Trust"]

Trust: TypeAlias = Literal["any", "ca", "certifi", "fingerprints", "system"]

TRUSTS = ("any", "ca", "certifi", "fingerprints", "system")
VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


@dataclass(frozen=True, kw_only=True, repr=False)
class TLS:
    """TLS settings, given as `verify=TLS(...)` to a client or transport, or as `Proxy(..., ssl_context=TLS(...))`.

    Equal settings share one context in the process, and with it the sessions that servers offer to resume. Files are
    read when a client is made, and anew for a client that is made after they changed.

    Attributes:
        ca: The authorities to trust: the path of a file or directory, PEM (text or bytes), or DER.
        trust: What is trusted. "ca": `ca` alone, the default where it is given. "certifi": certifi's bundle, and `ca`
            besides. "system": the operating system's authorities, by the package truststore, and `ca` besides.
            "fingerprints": the pinned certificates, whoever issued them for whatever host. "any": everybody, as
            `verify=False`. By default as with `verify=True`: what `SSL_CERT_FILE` or `SSL_CERT_DIR` name, or certifi.
        cert: The client's certificate, and what leads to its authority: a path, PEM or DER.
        key: Its private key, likewise; None if it lies in `cert`.
        password: For an encrypted key: text, bytes, or what returns them when it is called.
        fingerprints: SHA-256 of the certificates that the server may have, in hexadecimal digits with or without
            colons; or of public keys, as `"sha256//"` and base64. The server's own has to be one of them, besides
            being valid as `trust` demands. It is looked at before anything of a request is sent.
        crl: Certificates that were revoked, signed by their authority: a path, PEM or DER. With it, a server's
            certificate whose issuer has no list is refused.
        server_hostname: The name to ask for (SNI) and to find in the certificate, instead of the URL's host. A
            request's extension `sni_hostname` goes before it.
        check_hostname: Whether the certificate has to be for that name.
        minimum_version: "TLSv1.2" or "TLSv1.3"; with OpenSSL's help "TLSv1" and "TLSv1.1" too.
        maximum_version: Likewise; None for the latest.
        ciphers: For TLS 1.2, in OpenSSL's notation; None for Python's choice.
        resume: Whether sessions are resumed (RFC 8446 section 2.2), so that certificates are not sent and checked again.

    Raises:
        TypeError, ValueError: a setting is not as it should be, or two contradict each other.
        OSError: the client's certificate cannot be read; `ssl.SSLError` if its key does not fit. With a password that
            is called for, that is found when the client is made.
        ImportError: trust="system", and truststore is not installed.
    """

    ca: Material | None = None
    trust: Trust | None = None
    cert: Material | None = None
    key: Material | None = None
    password: KeyPassword | None = None
    fingerprints: str | bytes | Iterable[str | bytes] = ()
    crl: Material | None = None
    server_hostname: str | None = None
    check_hostname: bool = True
    minimum_version: str = "TLSv1.2"
    maximum_version: str | None = None
    ciphers: str | None = None
    resume: bool = True
    files: tuple[str, ...] = field(init=False, compare=False, default=())
    """The files and directories that are read."""

    def __post_init__(self) -> None:
        for name in ("ca", "cert", "key", "crl"):
            given = getattr(self, name)
            if given is not None:
                self._set(name, as_text(given, name))
        self._set("fingerprints", _pins(self.fingerprints))
        self._set("minimum_version", _version(self.minimum_version, "minimum_version"))
        if self.maximum_version is not None:
            self._set("maximum_version", _version(self.maximum_version, "maximum_version"))
        if self.server_hostname is not None:
            from .tls import server_name

            self._set("server_hostname", server_name(self.server_hostname))
        materials = (self.ca, self.cert, self.key, self.crl)
        paths = (value for value in materials if isinstance(value, str) and not is_pem(value))
        self._set("files", tuple(paths))
        self._check()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check(self) -> None:
        if self.trust is not None and self.trust not in TRUSTS:
            raise ValueError(f"trust= is one of {', '.join(TRUSTS)}, not {self.trust!r}")
        if self.trust == "ca" and self.ca is None:
            raise ValueError("trust='ca' needs authorities: give ca=")
        if self.trust in ("any", "fingerprints") and (self.ca is not None or self.crl is not None):
            raise ValueError(
                f"trust={self.trust!r} asks no authority: leave out ca= and crl=, or the trust="
            )
        if self.trust == "fingerprints" and not self.fingerprints:
            raise ValueError("trust='fingerprints' needs some: give fingerprints=")
        if self.trust == "any" and self.fingerprints:
            raise ValueError("trust='any' with fingerprints=: say trust='fingerprints'")
        if self.cert is None and (self.key is not None or self.password is not None):
            raise ValueError("key= and password= belong to a certificate: give cert=")
        highest = self.maximum_version
        if highest is not None and VERSIONS.index(highest) < VERSIONS.index(self.minimum_version):
            raise ValueError(
                f"maximum_version={highest!r} is below minimum_version={self.minimum_version!r}"
            )
        if self.trust == "system":
            _truststore()
        if self.cert is not None and not callable(self.password):
            import ssl

            # Certificate and key are found not to fit here, and not in a traceback of a client's.
            self._load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def new_context(self, trust_env: bool = True) -> ssl.SSLContext:
        """A context of these settings. `scallion.create_ssl_context(TLS(...))` is the same.

        Args:
            trust_env: Whether `SSLKEYLOGFILE` counts, and by default `SSL_CERT_FILE` and `SSL_CERT_DIR`.

        Raises:
            OSError: a file cannot be read; `ssl.SSLError` if it holds nothing of use. It names the file.
        """
        import ssl

        from .network.sessions import agree
        from .tls import blank_context, load_default_authorities, naming

        context: ssl.SSLContext = blank_context(
            trust_env, _truststore() if self.trust == "system" else None
        )
        if self.trust in ("any", "fingerprints"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.trust == "certifi" or (self.trust is None and self.ca is None):
            load_default_authorities(context, trust_env and self.trust is None)
        for argument, load in (("ca", load_authorities), ("crl", load_crl)):
            given = getattr(self, argument)
            if given is None:
                continue
            try:
                load(context, given)
            except OSError as error:
                path = () if is_pem(given) else (given,)
                raise naming(error, f"{argument}=", *path) from None
        if not self.check_hostname:
            context.check_hostname = False
        if self.ciphers is not None:
            try:
                context.set_ciphers(self.ciphers)
            except ssl.SSLError:
                raise ValueError(f"OpenSSL knows none of ciphers={self.ciphers!r}") from None
        context.minimum_version = _constant(self.minimum_version)
        if self.maximum_version is not None:
            context.maximum_version = _constant(self.maximum_version)
        if self.cert is not None:
            self._load_chain(context)
        agree(context).fingerprints = cast("tuple[str, ...]", self.fingerprints)
        return context

    def _load_chain(self, context: ssl.SSLContext) -> None:
        from .tls import naming

        cert, key = cast("str", self.cert), cast("str | None", self.key)
        try:
            load_chain(context, cert, key, self.password)
        except FileNotFoundError as error:
            raise naming(error, "TLS(cert=..., key=...)", *self.files) from None

    def __repr__(self) -> str:
        shown = []
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if not setting.init or value == setting.default:
                continue
            if setting.name == "password":
                text = "'********'"
            elif isinstance(value, str) and is_pem(value):
                text = "<PEM>"
            else:
                text = repr(value)
            shown.append(f"{setting.name}={text}")
        return f"TLS({', '.join(shown)})"


def _pins(given: Any) -> tuple[str, ...]:
    return tuple(map(as_pin, [given] if isinstance(given, (str, bytes)) else given))


def _version(given: Any, argument: str) -> str:
    # Cases: the name; a constant of the ssl module.
    name = getattr(given, "name", given)
    text = name.replace("_", ".") if isinstance(name, str) else name
    if text not in VERSIONS:
        raise ValueError(f"{argument}= is one of {', '.join(VERSIONS)}, not {given!r}")
    return cast("str", text)


def _constant(version: str) -> ssl.TLSVersion:
    import ssl

    return ssl.TLSVersion[version.replace(".", "_")]


def _truststore() -> Any:
    """The class of contexts that ask the operating system."""
    try:
        import truststore
    except ImportError:
        raise ImportError(
            "trust='system' needs the package truststore: pip install 'scallion[truststore]'"
        ) from None
    return truststore.SSLContext
