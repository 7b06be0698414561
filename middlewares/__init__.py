"""The layers, one file each. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.lazy import exports

if TYPE_CHECKING:
    from .auth import Authentication as Authentication
    from .auth import BasicAuth as BasicAuth
    from .auth import FunctionAuth as FunctionAuth
    from .bearer import BearerAuth as BearerAuth
    from .bearer import Token as Token
    from .cookies import CookiePersistence as CookiePersistence
    from .digest import DigestAuth as DigestAuth
    from .hooks import EventHooks as EventHooks
    from .logging import Logging as Logging
    from .netrc import NetRCAuth as NetRCAuth
    from .redirects import Redirects as Redirects
    from .retries import Attempt as Attempt
    from .retries import Retries as Retries
    from .retries import attempt_of as attempt_of
    from .retry_state import FullJitter as FullJitter
    from .timeouts import AttemptTimeouts as AttemptTimeouts
    from .timeouts import Deadlines as Deadlines
    from .tracing import AttemptTracing as AttemptTracing
    from .tracing import Tracing as Tracing

__all__, __getattr__ = exports(
    __name__,
    {
        "auth": "Authentication BasicAuth FunctionAuth",
        "bearer": "BearerAuth Token",
        "cookies": "CookiePersistence",
        "digest": "DigestAuth",
        "hooks": "EventHooks",
        "logging": "Logging",
        "netrc": "NetRCAuth",
        "redirects": "Redirects",
        "retries": "Attempt Retries attempt_of",
        "retry_state": "FullJitter",
        "timeouts": "AttemptTimeouts Deadlines",
        "tracing": "AttemptTracing Tracing",
    },
)
