"""An authority and a server's certificate, made on the fly. Needs trustme."""

from __future__ import annotations

import ssl
from functools import cache

__all__ = ["contexts"]


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context, for localhost and 127.0.0.1, and a client's that trusts it. Made once per process.

    Raises:
        ImportError: trustme is missing.
    """
    try:
        import trustme
    except ImportError as error:
        raise ImportError(
            "The reference speaks TLS with certificates made by trustme: pip install trustme"
        ) from error
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
