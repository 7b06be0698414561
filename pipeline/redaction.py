"""URLs as they may be shown: without credentials, secret query parameters, and JSON Web Tokens.

Tracing, logging and errors share it. The words put in their place, and the first names of the list, are
OpenTelemetry's (HTTP semantic conventions, `url.full`).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from functools import lru_cache

from .percent import unescape_form
from .urls import URL

__all__ = [
    "JWT",
    "SECRET_NAMES",
    "redact_jwts",
    "redact_login",
    "redact_parameters",
    "redact_query",
    "redact_url",
    "redact_value",
    "secret_names",
]

REDACTED = "REDACTED"

_USERINFO = re.compile(r"\A((?:[A-Za-z][A-Za-z0-9+.\-]*:)?//)[^/?#]*@")
# A scheme, and an authority without a login, which ends where one has to.
_WITHOUT_LOGIN = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*://(\[[^\]\s]*\]|[^/?#:@\[\]\s]*)(:\d*)?(?=[/?#]|\Z)"
)
# What may stand before a parameter. A fragment carries some too, as in OAuth's implicit flow.
_SEPARATOR = re.compile(r"([?&#])")
_PUNCTUATION = str.maketrans("", "", "-_.")

# A token in one of the compact forms (RFC 7515 section 7.1, RFC 7516 section 7.1): a header, which is a JSON object
# in base64url, and two or more parts that may be empty, though not all of them. It begins where a word does, also
# after an escape; within a word if its header's first name is one that such headers have (alg, typ, kid, enc, cty,
# jku, jwk, x5t, x5u, x5c, zip, epk, b64). Groups: the header, then the rest, None if this is no token. The header is
# consumed either way, which keeps the search linear.
JWT = re.compile(
    r"(eyJ(?:(?<![\w-]eyJ)|(?<=%[0-9A-Fa-f]{2}eyJ)"
    r"|(?=hbGci|0eXAi|raWQi|lbmMi|jdHki|qa3Ui|qd2si|4NXQi|4NXUi|4NWMi|6aXAi|lcGsi|iNjQi))[\w-]*)"
    r"((?:\.|%2[Ee])(?:[\w-]+(?:\.|%2[Ee])[\w-]*|(?:\.|%2[Ee])[\w-]+)(?:(?:\.|%2[Ee])[\w-]+)*)?",
    re.ASCII,
)


@lru_cache(maxsize=1024)
def _normal(name: str) -> str:
    """`name` as it is compared: in lower case, without hyphens, underscores and dots."""
    return name.lower().translate(_PUNCTUATION)


@lru_cache(maxsize=1024)
def _parts(name: str) -> tuple[str, ...]:
    """What a parameter's name consists of, as it is compared: `user[password][0]` of three parts."""
    return tuple(_normal(part.rstrip("]")) for part in unescape_form(name).split("["))


def secret_names(names: Iterable[str]) -> frozenset[str]:
    """`names` in the form that `redact_url` compares: `API-Key`, `api_key` and `apikey` are one.

    Raises:
        TypeError: a single string was given.
        ValueError: a name is empty.
    """
    if isinstance(names, str):
        raise TypeError(f"Expected a collection of parameter names, not one string: {names!r}")
    normal = frozenset(map(_normal, names))
    if "" in normal:
        raise ValueError("The name of a secret parameter must have a letter or a digit")
    return normal


_WELL_KNOWN = """
    AWSAccessKeyId Signature sig X-Goog-Signature
    X-Amz-Credential X-Amz-Security-Token X-Amz-Signature X-Goog-Credential
    access_token client_assertion client_secret code code_verifier id_token id_token_hint refresh_token
    api_key api_token assertion auth auth_token authentication authorization bearer credential
    credentials jwt key private_key secret secret_key session session_id sid token
    pass passcode passphrase passwd password passwort pwd contraseña contrasena mot_de_passe
    otp otp_code mfa_code pin totp
    authenticity_token csrf csrf_token csrfmiddlewaretoken xsrf xsrf_token
"""
# First the conventions' own; then signed URLs of object stores; OAuth (RFC 6749, RFC 7636) and
# OpenID Connect; everybody's; passwords, some of them in other languages; second factors; tokens of forms.
SECRET_NAMES = secret_names(_WELL_KNOWN.split())


def redact_url(url: URL | str, secrets: Container[str] = SECRET_NAMES) -> str:
    """`url` as text, fit for logs and spans.

    Userinfo becomes `REDACTED:REDACTED@`, the values of secret parameters in query and fragment
    become `REDACTED`, and so does a JSON Web Token anywhere; everything else stays as it is, byte
    for byte. Other secrets in the path cannot be told from other segments and stay.

    Args:
        secrets: Names of parameters, made by `secret_names`.
    """
    text = str(url)
    if "@" in text:
        text = _USERINFO.sub(rf"\1{REDACTED}:{REDACTED}@", text, count=1)
    return redact_query(text, secrets)


def redact_login(text: str) -> str:
    """`text`, which was meant for a URL and need not be one, fit for an error's message.

    As `redact_url`, where a login stands in its place. Otherwise all before the last `@` becomes `REDACTED:REDACTED`,
    but for a scheme: a password may hold a slash, or the scheme's slashes may be missing.
    """
    # Cases: nothing that could be a login; one in its place, or none; a mistake.
    if "@" not in text or _WITHOUT_LOGIN.match(_USERINFO.sub(r"\1", text, count=1)):
        return redact_url(text)
    scheme, there, _ = text.partition("://")
    known = f"{scheme}://" if there and scheme.replace("+", "").isalnum() else ""
    return f"{known}{REDACTED}:{REDACTED}@{redact_query(text.rpartition('@')[2])}"


def redact_query(text: str, secrets: Container[str] = SECRET_NAMES) -> str:
    """The text of a URL with its secret parameters and JSON Web Tokens replaced, and nothing else."""
    return redact_jwts(redact_parameters(text, secrets))


def redact_jwts(text: str) -> str:
    """`text` with each JSON Web Token in it replaced: they are known by their form, whatever their name."""
    return JWT.sub(_token, text) if "eyJ" in text else text


def _token(match: re.Match[str]) -> str:
    return match[0] if match[2] is None else REDACTED


def redact_parameters(text: str, secrets: Container[str] = SECRET_NAMES) -> str:
    """The text of a URL with its secret parameters replaced, and nothing else."""
    if "=" in text:
        pieces = _SEPARATOR.split(text)
        if len(pieces) > 1:
            return "".join([pieces[0], *(_parameter(piece, secrets) for piece in pieces[1:])])
    return text


def redact_value(value: object, secrets: Container[str] = SECRET_NAMES) -> object:
    """`value` of an event's field: redacted if it is a URL; of other text the JSON Web Tokens."""
    # Cases: a URL; other text; anything else.
    if isinstance(value, URL) or (isinstance(value, str) and "://" in value):
        return redact_url(value, secrets)
    return redact_jwts(value) if isinstance(value, str) else value


def _parameter(piece: str, secrets: Container[str]) -> str:
    """`name=value` with a secret value replaced; other text as it is."""
    # Some servers still separate parameters by semicolons; a secret's own value may hold some.
    segments = piece.split(";")
    for at, segment in enumerate(segments, 1):
        name, equals, value = segment.partition("=")
        if (
            equals
            and (value or at < len(segments))
            and any(part in secrets for part in _parts(name))
        ):
            return ";".join([*segments[: at - 1], f"{name}={REDACTED}"])
    return piece
