"""The conformance suites: what every transport and every middleware has to do, as checks that anybody can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.lazy import exports

if TYPE_CHECKING:
    from .middleware_suite import check_middleware as check_middleware
    from .middleware_suite import middleware_checks as middleware_checks
    from .reference import Reference as Reference
    from .rules import ConformanceError as ConformanceError
    from .rules import Report as Report
    from .transport_suite import HTTP1 as HTTP1
    from .transport_suite import HTTP2 as HTTP2
    from .transport_suite import IN_PROCESS as IN_PROCESS
    from .transport_suite import check_transport as check_transport
    from .transport_suite import transport_checks as transport_checks
    from .worlds import After as After
    from .worlds import VirtualRuntime as VirtualRuntime
    from .worlds import World as World
    from .worlds import open_response as open_response

__all__, __getattr__ = exports(
    __name__,
    {
        "middleware_suite": "check_middleware middleware_checks",
        "reference": "Reference",
        "rules": "ConformanceError Report",
        "transport_suite": "HTTP1 HTTP2 IN_PROCESS check_transport transport_checks",
        "worlds": "After VirtualRuntime World open_response",
    },
)
