"""Tests of code that uses scallion: a router that answers instead of the network, and what belongs to it.

Names are imported when they are first used, so that loading the pytest plugin costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.lazy import exports

if TYPE_CHECKING:
    from .answers import Delayed as Delayed
    from .bodies import Pause as Pause
    from .calls import Call as Call
    from .calls import Calls as Calls
    from .comparing import ABSENT as ABSENT
    from .comparing import ANY as ANY
    from .comparing import containing as containing
    from .comparing import exactly as exactly
    from .conformance import HTTP1 as HTTP1
    from .conformance import HTTP2 as HTTP2
    from .conformance import IN_PROCESS as IN_PROCESS
    from .conformance import After as After
    from .conformance import ConformanceError as ConformanceError
    from .conformance import Reference as Reference
    from .conformance import Report as Report
    from .conformance import VirtualRuntime as VirtualRuntime
    from .conformance import World as World
    from .conformance import check_middleware as check_middleware
    from .conformance import check_transport as check_transport
    from .conformance import middleware_checks as middleware_checks
    from .conformance import open_response as open_response
    from .conformance import transport_checks as transport_checks
    from .interception import bypassing as bypassing
    from .interception import intercepting as intercepting
    from .mocking import mock as mock
    from .recording import NotRecorded as NotRecorded
    from .recording import Recorder as Recorder
    from .recording import Redaction as Redaction
    from .refusal import UnforeseenRequest as UnforeseenRequest
    from .replies import Reply as Reply
    from .router import Router as Router
    from .routes import Route as Route

__all__, __getattr__ = exports(
    __name__,
    {
        "answers": "Delayed",
        "bodies": "Pause",
        "calls": "Call Calls",
        "comparing": "ABSENT ANY containing exactly",
        "conformance": (
            "After ConformanceError HTTP1 HTTP2 IN_PROCESS Reference Report VirtualRuntime World "
            "check_middleware check_transport middleware_checks open_response transport_checks"
        ),
        "interception": "bypassing intercepting",
        "mocking": "mock",
        "recording": "NotRecorded Recorder Redaction",
        "refusal": "UnforeseenRequest",
        "replies": "Reply",
        "router": "Router",
        "routes": "Route",
    },
)
