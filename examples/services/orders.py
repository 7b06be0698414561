"""Orders: takes one if stock has the item. If stock does not answer, the order is taken, and confirmed later."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import scallion
from scallion import AsyncClient, ServiceSettings
from scallion.incoming import DeadlineMiddleware
from scallion.middlewares.circuit_breaker import CircuitBreaker
from scallion.middlewares.endpoints import Endpoints
from scallion.middlewares.retries import Retries

from .telemetry import ServerSpans

# Where the replicas are is in the environment, STOCK_ENDPOINTS_FILE; what is not there is the preset's.
stock = AsyncClient.for_service("stock", hedging=True, settings=ServiceSettings.from_env("STOCK_"))

numbers = count(1)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with stock:
        yield


async def place(request: Request) -> JSONResponse:
    item = (await request.json())["item"]
    order = {"order": next(numbers), "item": item}
    try:
        response = await stock.get(f"/stock/{quote(item, safe='')}")
        response.raise_for_status()
    except scallion.HTTPError as error:
        # Stock's bad day is no reason to send a customer away.
        told = {**order, "stock": "to be confirmed", "because": type(error).__name__}
        return JSONResponse(told, 202)
    return JSONResponse({**order, "stock": response.json()["left"]}, 201)


async def onion(_: Request) -> JSONResponse:
    """What the layers of `stock` know at this moment, for whoever is on duty."""
    endpoints = stock.pipeline.find(Endpoints)
    breaker = stock.pipeline.find(CircuitBreaker)
    retries = stock.pipeline.find(Retries)
    assert endpoints is not None
    assert breaker is not None
    assert retries is not None
    assert retries.budget is not None
    replicas = endpoints.state("stock").endpoints
    budget = retries.budget.balances(time.monotonic())
    return JSONResponse(
        {
            "ejected": [each.endpoint for each in replicas if each.returns_in is not None],
            "circuits": {origin: state.phase for origin, state in breaker.states().items()},
            "budget": min(budget.values(), default=None),
        }
    )


app = Starlette(
    routes=[Route("/orders", place, methods=["POST"]), Route("/onion", onion)],
    middleware=[Middleware(ServerSpans), Middleware(DeadlineMiddleware)],
    lifespan=lifespan,
)
