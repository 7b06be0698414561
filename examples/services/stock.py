"""Stock: says how much of an item is left. There are three replicas of it, and this is not their day."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from scallion.incoming import DeadlineMiddleware

from .telemetry import ServerSpans
from .trouble import Trouble

LEVELS = {"apple": 12, "pear": 7, "plum": 3}


async def level(request: Request) -> JSONResponse:
    item = request.path_params["item"]
    await asyncio.sleep(0.005)  # a database's time
    if item not in LEVELS:
        return JSONResponse({"error": f"There is no {item}"}, 404)
    return JSONResponse({"item": item, "left": LEVELS[item]})


app = Starlette(
    routes=[Route("/stock/{item}", level)],
    middleware=[Middleware(ServerSpans), Middleware(DeadlineMiddleware), Middleware(Trouble)],
)
