"""Requests to a router, sent by a client of the colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from face.conftest import Driven, Face
from scallion import Response
from support.colours import Drive

Send = Callable[..., Response]


@pytest.fixture
def face(drive: Drive) -> Face:
    return Face(drive)


@pytest.fixture
def send(face: Face) -> Send:
    """`send(router, "GET", url, **arguments)` is what a client over the router gets."""

    def send(router: Any, method: str, url: str, **arguments: Any) -> Response:
        async def scenario(client: Driven) -> Response:
            response: Response = await client.request(method, url, **arguments)
            return response

        return face(scenario, transport=router)

    return send
