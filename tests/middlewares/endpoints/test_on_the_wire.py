"""`Endpoints` over real connections: TLS names, Host, the pool, and servers that are gone."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

import scallion
from scallion import TLS
from scallion.middlewares.endpoints import Endpoints
from scallion.middlewares.retries import FullJitter, Retries
from scallion.pipeline.errors import ConnectError
from support.certificates import Authority, serving
from support.colours import Drive
from support.servers import Answer, HTTPServer

ROOT = Authority("Root")
TRUSTING = TLS(ca=ROOT.pem)


def ask(
    drive: Drive, layers: list[Any], urls: list[str], **settings: Any
) -> list[scallion.Response]:
    """Ask with a client that has these layers next to its transport."""
    pipeline = scallion.compatible()
    for layer in layers:
        pipeline = pipeline.per_attempt(layer)

    async def scenario() -> list[scallion.Response]:
        if drive.blocking:
            with scallion.Client(pipeline=pipeline, **settings) as client:
                return [client.get(url) for url in urls]
        async with scallion.AsyncClient(pipeline=pipeline, **settings) as client:
            return [await client.get(url) for url in urls]

    return drive(scenario)


def names_asked(context: ssl.SSLContext) -> list[str | None]:
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, _: names.append(name)
    return names


def test_the_certificate_is_the_services(drive: Drive) -> None:
    """
    It is asked for by that name, at the endpoint's address, and the Host is the service's.
    """
    context = serving(ROOT.issue("orders"))
    names = names_asked(context)
    with HTTPServer(tls=context) as server:
        layer = Endpoints({"orders": [f"127.0.0.1:{server.port}"]})
        (response,) = ask(drive, [layer], ["https://orders/items"], verify=TRUSTING)

    assert ["orders"] == names
    assert "orders" == server.requests[0].get("host")
    assert "https://orders/items" == str(response.url)
    assert f"https://127.0.0.1:{server.port}" == response.extensions["endpoint"]


def test_a_certificate_for_the_address_alone_is_refused(drive: Drive) -> None:
    """
    Whoever sits at an endpoint's address must show that it is the service; unless the layer says otherwise.
    """
    with HTTPServer(tls=serving(ROOT.issue("127.0.0.1"))) as server:
        at = {"orders": [f"https://127.0.0.1:{server.port}"]}
        with pytest.raises(ConnectError, match="orders"):
            ask(drive, [Endpoints(at)], ["https://orders/"], verify=TRUSTING)
        (response,) = ask(
            drive, [Endpoints(at, tls_name="{endpoint}")], ["https://orders/"], verify=TRUSTING
        )

    assert 200 == response.status_code


def test_services_at_one_address_share_no_tls_connection(drive: Drive) -> None:
    """
    A connection whose certificate was checked for one name is none for another.
    """
    context = serving(ROOT.issue("orders", "users"))
    names = names_asked(context)
    with HTTPServer(tls=context) as server:
        at = [f"127.0.0.1:{server.port}"]
        layer = Endpoints({"orders": at, "users": at})
        urls = ["https://orders/", "https://users/", "https://orders/"]
        ask(drive, [layer], urls, verify=TRUSTING)

    assert ["orders", "users"] == names
    assert ["orders", "users", "orders"] == [each.get("host") for each in server.requests]


def test_a_cookie_belongs_to_the_service(drive: Drive) -> None:
    """
    Whichever endpoint set it.
    """

    def answer(request: Any) -> Answer:
        return Answer(headers=[("Set-Cookie", "session=1")])

    with HTTPServer(answer) as one, HTTPServer(answer) as other:
        at = [f"127.0.0.1:{one.port}", f"127.0.0.1:{other.port}"]
        layer = Endpoints({"orders": at}, choice="round_robin")
        ask(drive, [layer], ["http://orders/", "http://orders/"])

    requests = [*one.requests, *other.requests]
    assert [None, "session=1"] == sorted((each.get("cookie") for each in requests), key=str)


def test_a_redirect_within_a_service_stays_there(drive: Drive) -> None:
    """
    A relative one is resolved against the service's URL, and the next hop is free to go elsewhere.
    """

    def answer(request: Any) -> Answer:
        if request.target == "/old":
            return Answer(302, headers=[("Location", "/new")])
        return Answer()

    with HTTPServer(answer) as server:
        layer = Endpoints({"orders": [f"127.0.0.1:{server.port}"]})
        (response,) = ask(drive, [layer], ["http://orders/old"], follow_redirects=True)

    assert "http://orders/new" == str(response.url)
    assert ["orders", "orders"] == [each.get("host") for each in server.requests]


def test_a_server_that_is_gone_costs_a_retry(drive: Drive) -> None:
    """
    No call fails; after five failures nobody tries it any more.
    """
    with HTTPServer() as gone:
        port = gone.port
    with HTTPServer() as server:
        at = [f"127.0.0.1:{port}", f"127.0.0.1:{server.port}"]
        layer = Endpoints({"orders": at}, choice="round_robin")
        layers = [Retries(wait=FullJitter(0.0, 0.0)), layer]
        responses = ask(drive, layers, ["http://orders/"] * 20)

    assert {200} == {response.status_code for response in responses}
    assert 5 == layer.state("orders").endpoints[0].sent
    assert layer.state("orders").endpoints[0].returns_in is not None
