"""The shop, which customers see. It places their orders with the service behind it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import scallion
from scallion import AsyncClient
from scallion.incoming import DeadlineMiddleware

from .telemetry import ServerSpans

orders = AsyncClient.for_service("orders", base_url=os.environ["ORDERS"])


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with orders:
        yield


async def checkout(request: Request) -> JSONResponse:
    try:
        response = await orders.post("/orders", json=await request.json())
    except scallion.RequestError as error:
        return JSONResponse({"error": type(error).__name__}, 503)
    return JSONResponse(response.json(), response.status_code)


app = Starlette(
    routes=[Route("/checkout", checkout, methods=["POST"])],
    middleware=[Middleware(ServerSpans), Middleware(DeadlineMiddleware)],
    lifespan=lifespan,
)
