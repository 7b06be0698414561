"""The section of `ServiceSettings` that says where a service's endpoints are, and how one of them is chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ._settings_reading import Seconds
from ._settings_section import Section

__all__ = ["EndpointSettings"]


@dataclass(frozen=True, kw_only=True, repr=False)
class EndpointSettings(Section):
    """`Endpoints` of the service, from one of four sources.

    Attributes:
        addresses: A list: "http://10.0.0.7:8080".
        file: One that is watched.
        dns: A name whose addresses they are, "orders.internal:8080".
        srv: A name that has SRV records, "_http._tcp.orders.internal".
        refresh: How often the last three are asked again; none for what suits each.
        choice: "power_of_two", "least_pending", "round_robin" or "consistent_hash".
        decay: For the first, in which an old latency loses most of its weight.
        hash_by: For the last, the header that a request's key is in.
        hash_bound: Likewise, how many times its fair share an endpoint may have under way; none for no bound.
        hash_points: Likewise, places on the ring for each endpoint.
        slow_start: In which the share of a new endpoint grows to its own.
        eject: Whether endpoints that fail are left out for a while.
        failures: How many in a row, for that.
        ejected_for: How long at first.
        longest: How long at most.
        share: Of all endpoints, that may be left out.
        forgiven_after: In service, for which one earlier time out is no longer counted.
        tls_name: The name for TLS; "{service}", "{endpoint}".
        host: The Host header, likewise.
    """

    section = "endpoints"
    layers = ("endpoints.layer.Endpoints",)

    addresses: tuple[str, ...] = ()
    file: str | None = None
    dns: str | None = None
    srv: str | None = None
    refresh: Seconds | None = None
    choice: str = "power_of_two"
    decay: Seconds = 10.0
    hash_by: str | None = None
    hash_bound: float | None = None
    hash_points: int = 160
    slow_start: Seconds = 0.0
    eject: bool = True
    failures: int = 5
    ejected_for: Seconds = 30.0
    longest: Seconds = 300.0
    share: float = 0.1
    forgiven_after: Seconds = 10.0
    tls_name: str = "{service}"
    host: str = "{service}"

    def make(self, **more: Any) -> Any:
        from scallion.middlewares.endpoints.ejection import Ejection

        ejection = Ejection(
            failures=self.failures,
            base=self.ejected_for,
            cap=self.longest,
            share=self.share,
            forgiven_after=self.forgiven_after,
        )
        return self.kind()(
            {more.pop("service", "service"): self._source()},
            choice=self._choice(),
            ejection=ejection if self.eject else None,
            slow_start=self.slow_start,
            tls_name=self.tls_name,
            host=self.host,
            **more,
        )

    def check(self) -> None:
        given = self._given()
        if len(given) > 1:
            raise ValueError(
                f"it takes one of addresses, file, dns and srv, and has {' and '.join(given)}: "
                "set to none what shall not hold"
            )
        if self.addresses and self.refresh is not None:
            raise ValueError(
                "refresh is for file, dns and srv: addresses are never asked for again"
            )
        (self if given else replace(self, addresses=("127.0.0.1",))).make()

    def lack(self) -> str | None:
        return None if self._given() else "needs one of addresses, file, dns and srv, and has none"

    def _given(self) -> list[str]:
        return [name for name in ("addresses", "file", "dns", "srv") if getattr(self, name)]

    def _choice(self) -> Any:
        from scallion.middlewares.endpoints import choices

        if self.choice == "consistent_hash":
            return choices.ConsistentHash(self.hash_by, self.hash_bound, self.hash_points)
        if self.choice == "power_of_two":
            return choices.PowerOfTwo(self.decay)
        return self.choice

    def _source(self) -> Any:
        from scallion.middlewares.endpoints import sources

        interval: dict[str, Any] = {} if self.refresh is None else {"interval": self.refresh}
        if self.file is not None:
            return sources.WatchedFile(self.file, **interval)
        if self.srv is not None:
            return sources.SRV(self.srv, **interval)
        if self.dns is not None:
            name, _, port = self.dns.partition(":")
            if port and not port.isdecimal():
                raise ValueError(f"dns must be a name, or name:port, not {self.dns!r}")
            return sources.DNS(name, int(port) if port else None, **interval)
        return sources.Static(self.addresses)
