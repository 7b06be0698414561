"""Many servers behind one name: where they are known from, which is asked, which is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.lazy import exports

if TYPE_CHECKING:
    from .choices import Choice as Choice
    from .choices import ConsistentHash as ConsistentHash
    from .choices import Draw as Draw
    from .choices import LeastPending as LeastPending
    from .choices import PowerOfTwo as PowerOfTwo
    from .choices import RoundRobin as RoundRobin
    from .ejection import Ejection as Ejection
    from .endpoint import Endpoint as Endpoint
    from .layer import Endpoints as Endpoints
    from .sources import DNS as DNS
    from .sources import SRV as SRV
    from .sources import Asked as Asked
    from .sources import Found as Found
    from .sources import Source as Source
    from .sources import Static as Static
    from .sources import WatchedFile as WatchedFile
    from .state import EndpointState as EndpointState
    from .state import ServiceState as ServiceState

__all__, __getattr__ = exports(
    __name__,
    {
        "choices": "Choice ConsistentHash Draw LeastPending PowerOfTwo RoundRobin",
        "ejection": "Ejection",
        "endpoint": "Endpoint",
        "layer": "Endpoints",
        "sources": "DNS SRV Asked Found Source Static WatchedFile",
        "state": "EndpointState ServiceState",
    },
)
