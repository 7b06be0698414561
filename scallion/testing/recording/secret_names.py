"""Which headers, parameters and fields hold secrets, judged by their names.

The list of `scallion.pipeline.redaction` is the basis. Recordings are kept and published, so here more
counts: a name that ends like one of them (`db_password`), and headers of a word that tells (`X-Vault-Token`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from functools import lru_cache

from scallion.pipeline.redaction import SECRET_NAMES, secret_names

__all__ = ["SecretNames", "looks_random", "normal"]

_PUNCTUATION = str.maketrans("", "", "-_. ")

_ENDINGS = (
    "accesskey",
    "accesskeyid",
    "apikey",
    "credential",
    "credentials",
    "otp",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "token",
)
# Tokens that page through lists: they open nothing, and a reader of the recording wants to see them.
_PAGING = re.compile(r"continu|cursor|delta|next|page|pagination|prev|resume|skip|start|sync")

# As a parameter of a URL these are secret; in JSON they may as well be an error's code or a pair's key.
_AMBIGUOUS = secret_names(
    [
        *("assertion", "auth", "authentication", "code", "key", "pass"),
        *("session", "sid", "sig", "signature"),
    ]
)

_WORDS = frozenset(
    {
        *("apikey", "auth", "authentication", "authorization", "bearer", "cookie", "cookie2"),
        *("credential", "credentials", "csrf", "jwt", "otp", "passcode", "passphrase", "passwd"),
        *("password", "passwort", "pin", "pwd", "secret", "session", "sessionid", "sid"),
        *("signature", "token", "totp", "xsrf"),
    }
)
# With these it is told how an authentication went (RFC 8601, RFC 7615), or that it could not.
_TOLD = frozenset({"control", "info", "results"})
# With these a "key" opens something; Idempotency-Key and Surrogate-Key do not.
_OPENED = frozenset(
    {
        *(
            "access",
            "account",
            "admin",
            "api",
            "app",
            "application",
            "auth",
            "client",
            "encryption",
        ),
        *("functions", "license", "master", "private", "service", "shared", "subscription"),
    }
)


@lru_cache(maxsize=4096)
def normal(name: str) -> str:
    """`name` as it is compared: in lower case, without punctuation."""
    return name.lower().translate(_PUNCTUATION)


def looks_random(value: str) -> bool:
    """Whether `value` looks like a key or a token, and not like a word or a sentence."""
    return (
        len(value) >= 16
        and not any(map(str.isspace, value))
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
    )


class SecretNames(Container[str]):
    """The names of secrets; as a container, those of parameters in `normal` form.

    Args:
        more: Further names.
        keep: Names that are no secrets here, whatever the rules say.

    Raises:
        TypeError: a single string was given.
        ValueError: a name is empty.
    """

    def __init__(self, more: Collection[str] = (), keep: Collection[str] = ()) -> None:
        self._more = secret_names(more)
        self._kept = secret_names(keep)

    def __contains__(self, name: object) -> bool:
        """Whether a parameter or a form's field of this name, in `normal` form, is secret."""
        if not isinstance(name, str) or name in self._kept:
            return False
        if name in self._more or name in SECRET_NAMES:
            return True
        return name.endswith(_ENDINGS) and not _PAGING.search(name)

    def kept(self, name: str) -> bool:
        """Whether it was said that this name is no secret."""
        return normal(name) in self._kept

    def field(self, name: str, value: str) -> bool:
        """Whether the text `value` in a JSON object or an XML element of this name is secret."""
        short = normal(name)
        if short in self._kept:
            return False
        # Cases: asked for; depends on the value, as for several of a kind; by the name alone.
        if short in self._more:
            return True
        several = short.endswith("s") and not short.endswith("credentials") and short[:-1] in self
        return looks_random(value) if several or short in _AMBIGUOUS else short in self

    def certain(self, name: str) -> bool:
        """Whether whatever a field of this name holds is secret: numbers, and texts further inside."""
        short = normal(name)
        return short in self and (short in self._more or short not in _AMBIGUOUS)

    def numbers_inside(self, name: str) -> bool:
        """Whether the numbers inside an object of this name are secret; a token's are times."""
        return self.certain(name) and not normal(name).endswith(("jwt", "token"))

    def header(self, name: str) -> bool:
        """Whether the value of this header is secret."""
        short = normal(name)
        if short in self._kept:
            return False
        if short in self._more:
            return True
        words = set(re.split(r"[-_.]", name.lower()))
        if "key" in words and len(words) > 1:
            return not words.isdisjoint(_OPENED)
        if "authentication" in words and not words.isdisjoint(_TOLD):
            return False
        return short in self or (not words.isdisjoint(_WORDS) and not _PAGING.search(short))
