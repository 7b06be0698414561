"""All the processes of the example: the shop, orders, and three replicas of stock."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from scallion import AsyncClient

from .processes import Service, free_ports

__all__ = ["Town"]


class Town:
    """Starts when it is entered, and is gone when it is left.

    Attributes:
        folder: Where the spans, the ledgers and the outputs of the processes are.
        stock: The replicas.
        names: What is behind an origin: {"http://127.0.0.1:20301": "stock-1"}.
    """

    def __init__(self, folder: Path, hurry: dict[str, str]) -> None:
        self.folder = folder
        ports = free_ports(5)
        replicas = folder / "stock.endpoints"
        replicas.write_text("".join(f"127.0.0.1:{port}\n" for port in ports[2:]))
        self.stock = [
            Service(f"stock-{number}", "stock", port, folder, {})
            for number, port in enumerate(ports[2:], 1)
        ]
        self.orders = Service(
            "orders", "orders", ports[1], folder, {"STOCK_ENDPOINTS_FILE": str(replicas)} | hurry
        )
        self.shop = Service("shop", "shop", ports[0], folder, {"ORDERS": self.orders.url})
        self.services = [*self.stock, self.orders, self.shop]
        self.names = {service.url: service.name for service in self.services}
        self._control = AsyncClient(timeout=5.0, trust_env=False)

    async def __aenter__(self) -> Self:
        try:
            for service in self.services:
                service.start()
            await self.ready(*self.services)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # Blocking, so that a second Ctrl-C leaves nobody behind either.
        for service in self.services:
            service.ask_to_end()
        for service in self.services:
            service.gone()
        await self._control.aclose()

    async def ready(self, *services: Service) -> None:
        await asyncio.gather(*(service.ready(self._control) for service in services))

    async def trouble(self, replica: Service, **kind: Any) -> None:
        """What `replica` does to its callers from now on; nothing bad, if nothing is said."""
        response = await self._control.put(f"{replica.url}/trouble", json=kind)
        response.raise_for_status()

    async def onion(self) -> dict[str, Any]:
        """What the layers of orders' client for stock know: see `orders.onion`."""
        response = await self._control.get(f"{self.orders.url}/onion")
        told: dict[str, Any] = response.raise_for_status().json()
        return told

    async def closed(self, within: float = 20.0) -> None:
        """Wait until no circuit is open any more, of those to replicas in use; at most `within` so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while await self._open():  # noqa: ASYNC110  # it happens in another process
                    await asyncio.sleep(0.1)

    async def _open(self) -> bool:
        told = await self.onion()
        out = {f"http://{endpoint}" for endpoint in told["ejected"]}
        return any(phase != "closed" for at, phase in told["circuits"].items() if at not in out)
