"""Which URLs the two libraries mean to read alike."""

from __future__ import annotations

import re

__all__ = ["usual"]

_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/?#]*@)?([^/?#]*)")


def usual(url: str) -> bool:
    """Whether the two libraries mean to agree on a URL.

    differences: "ports over 65535", differences: "zones of IPv6 addresses", differences: "escapes in hosts",
    differences: "schemes in capitals", differences: "lone surrogates", differences: "answers where httpx fails".
    """
    if re.match(r"[a-z+.-]*[A-Z]", url) or re.search(r"[\ud800-\udfff]", url):
        return False
    found = _HOST.match(url)
    if found is None:
        return True
    authority = found[1]
    port = re.search(r":(-?[0-9]+)\Z", authority)
    if port and not 0 <= int(port[1]) <= 65_535:
        return False
    # Escapes in a host and what gets escaped there, zones among them; the prefix of names that may not decode.
    host = re.sub(r"\A\[(.*)\](:[^\]]*)?\Z|:[^:]*\Z", r"\1", authority)
    return not re.search(r"[\x00-\x20#%/<>?@^{|}\[\]\x7f]|xn--", host)
