"""TLS sessions, kept so that the next connection to a server needs no whole handshake (RFC 8446 section 2.2).

Rules:
- A session belongs to one context, and so to one set of authorities, one client certificate, one set of pins and of
  protocols: the cache hangs on the context. Only contexts that nobody else can change have one.
- Within it, a session belongs to the name that the certificate was checked for, and the port.
- A session of TLS 1.3 is used once (RFC 8446 appendix C.4), so several are kept; the connection that used it brings
  the next one. It arrives after the handshake, with the first bytes of the response.
- What a session rests on was checked when its first handshake was, and no longer ago than `LONGEST`: after that the
  certificate is looked at again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

__all__ = ["Resumption", "Sessions", "Terms", "agree", "terms_of"]

LONGEST = 3600.0
"""Seconds from the check of a certificate until it is checked again."""
MOST_SERVERS = 128
MOST_EACH = 4
# Asking OpenSSL for the session copies it, certificate and all.
MOST_TRIES = 3

_ATTRIBUTE = "scallion_terms"


class Sessions:
    """The sessions of one context. Safe to share between threads; the servers used least recently are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, list[tuple[ssl.SSLSession, float]]] = OrderedDict()

    def take(self, server: Hashable) -> tuple[ssl.SSLSession | None, float]:
        """The latest session with `server`, which is then nobody else's, and when its certificate was checked."""
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(server)
            while kept:
                session, checked = kept.pop()
                if now - checked < LONGEST:
                    return session, checked
        return None, now

    def put(self, server: Hashable, session: ssl.SSLSession, checked: float) -> None:
        with self._lock:
            kept = self._kept.setdefault(server, [])
            kept.append((session, checked))
            del kept[:-MOST_EACH]
            self._kept.move_to_end(server)
            if len(self._kept) > MOST_SERVERS:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def __repr__(self) -> str:
        return f"<Sessions {len(self)} with {len(self._kept)} servers>"


class Resumption:
    """What one connection takes from the cache, and brings to it."""

    __slots__ = ("_checked", "_server", "_sessions", "_tries", "session")

    def __init__(self, sessions: Sessions, server: Hashable) -> None:
        self._sessions = sessions
        self._server = server
        self._tries = 0
        self.session, self._checked = sessions.take(server)

    def learn(self, tls: ssl.SSLObject) -> bool:
        """Keep the connection's session, if there is one by now; whether that is settled."""
        self._tries += 1
        session = tls.session
        # Before its ticket has come, a session of TLS 1.3 is there, but cannot be resumed.
        if session is None or not (
            session.has_ticket or (session.id and tls.version() != "TLSv1.3")
        ):
            return self._tries == MOST_TRIES
        checked = self._checked if tls.session_reused else time.monotonic()
        self._sessions.put(self._server, session, checked)
        return True


class Terms:
    """What holds for a context's connections beyond what OpenSSL knows of.

    Attributes:
        fingerprints: One of them must be the server's; none for any.
        sessions: Where sessions are kept; None to keep none.
    """

    __slots__ = ("fingerprints", "sessions")

    def __init__(self) -> None:
        self.fingerprints: tuple[str, ...] = ()
        self.sessions: Sessions | None = None


def agree(context: Any) -> Terms:
    """The terms of `context`, made if it has none."""
    terms = terms_of(context)
    if terms is None:
        terms = Terms()
        # An attribute, so that both go together: sessions hold on to their context.
        setattr(context, _ATTRIBUTE, terms)
    return terms


def terms_of(context: Any) -> Terms | None:
    terms: Terms | None = getattr(context, _ATTRIBUTE, None)
    return terms
