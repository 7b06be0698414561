"""URLs as they may be shown: without credentials, without the values of secret query parameters.

Tracing, logging and errors share it. The words put in their place, and the first names of the list, are
OpenTelemetry's (HTTP semantic conventions, `url.full`).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from functools import lru_cache

from .percent import unescape_form
from .urls import URL

__all__ = ["SECRET_NAMES", "redact_query", "redact_url", "redact_value", "secret_names"]

REDACTED = "REDACTED"

_USERINFO = re.compile(r"\A((?:[A-Za-z][A-Za-z0-9+.\-]*:)?//)[^/?#]*@")
# What may stand before a parameter. A fragment carries some too, as in OAuth's implicit flow.
_SEPARATOR = re.compile(r"([?&#])")
_PUNCTUATION = str.maketrans("", "", "-_.")


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
    api_key api_token assertion auth auth_token authorization bearer credential credentials jwt key
    pass passphrase passwd password private_key pwd secret secret_key session session_id sid token
"""
# First the conventions' own; then signed URLs of object stores; OAuth (RFC 6749, RFC 7636) and
# OpenID Connect; everybody's.
SECRET_NAMES = secret_names(_WELL_KNOWN.split())


def redact_url(url: URL | str, secrets: Container[str] = SECRET_NAMES) -> str:
    """`url` as text, fit for logs and spans.

    Userinfo becomes `REDACTED:REDACTED@`, the values of secret parameters in query and fragment
    become `REDACTED`; everything else stays as it is, byte for byte. Secrets in the path cannot be
    told from other segments and stay.

    Args:
        secrets: Names of parameters, made by `secret_names`.
    """
    text = str(url)
    if "@" in text:
        text = _USERINFO.sub(rf"\1{REDACTED}:{REDACTED}@", text, count=1)
    return redact_query(text, secrets)


def redact_query(text: str, secrets: Container[str] = SECRET_NAMES) -> str:
    """The text of a URL with its secret parameters replaced, and nothing else."""
    if "=" in text:
        pieces = _SEPARATOR.split(text)
        if len(pieces) > 1:
            return "".join([pieces[0], *(_parameter(piece, secrets) for piece in pieces[1:])])
    return text


def redact_value(value: object, secrets: Container[str] = SECRET_NAMES) -> object:
    """`value` of an event's field: redacted if it is a URL, else as it is."""
    if isinstance(value, URL) or (isinstance(value, str) and "://" in value):
        return redact_url(value, secrets)
    return value


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
