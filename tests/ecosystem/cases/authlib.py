"""Authlib's OAuth clients: subclasses of both clients, whose auth yields a request built anew."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs

import httpx2
from authlib.integrations import httpx_client
from authlib.integrations.base_client import InvalidTokenError, MissingTokenError, OAuthError
from authlib.integrations.httpx_client import (
    AssertionClient,
    AsyncAssertionClient,
    AsyncOAuth1Client,
    AsyncOAuth2Client,
    OAuth1Auth,
    OAuth1Client,
    OAuth2Auth,
    OAuth2Client,
)
from authlib.oauth2.rfc7523 import ClientSecretJWT
from scripted import Answer, Received, Server, serve

issued: list[int] = []


def service(request: Received) -> Answer:
    """A token endpoint that counts what it issues, OAuth 1 endpoints, and an echo for the rest."""
    fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    if request.path == "/token":
        if fields.get("code") == "bad":
            return _json({"error": "invalid_grant", "error_description": "the code is bad"}, 400)
        issued.append(1)
        token = {"access_token": f"t{len(issued)}", "token_type": "Bearer", "expires_in": 3600}
        if fields.get("grant_type") in ("authorization_code", "password"):
            token["refresh_token"] = "r1"
        return _json({**token, "scope": fields.get("scope", ""), "asked": fields})
    if request.path in ("/revoke", "/introspect"):
        return _json({"active": False, "asked": fields})
    if request.path in ("/oauth1/request", "/oauth1/access"):
        body = b"oauth_token=ot&oauth_token_secret=os&oauth_callback_confirmed=true"
        return Answer(200, {"Content-Type": "application/x-www-form-urlencoded"}, body)
    if request.path == "/moved":
        return Answer(307, {"Location": "/echo"})
    headers = {name.lower(): value for name, value in request.headers.items()}
    return _json(
        {
            "method": request.method,
            "target": request.target,
            "headers": headers,
            "body": request.body.decode(),
        }
    )


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _token(server: Server) -> dict[str, str]:
    """What the last request to the token endpoint said."""
    return {k: v[0] for k, v in parse_qs(server.received[-1].body.decode()).items()}


OLD = {"access_token": "old", "token_type": "bearer", "expires_at": time.time() - 10}
GOOD = {"access_token": "good", "token_type": "bearer", "expires_at": time.time() + 3600}


def check_identity() -> None:
    import scallion

    assert issubclass(OAuth2Client, scallion.Client)
    assert issubclass(AsyncOAuth2Client, scallion.AsyncClient)
    assert issubclass(OAuth2Auth, scallion.Auth)
    assert issubclass(OAuth1Auth, scallion.Auth)
    assert httpx_client.oauth2_client.httpx2.Client is scallion.Client
    assert httpx_client.oauth2_client.USE_CLIENT_DEFAULT is scallion.USE_CLIENT_DEFAULT


def check_authorization_code() -> None:
    with (
        serve(service) as server,
        OAuth2Client("id", "secret", redirect_uri="http://app/cb") as client,
    ):
        url, state = client.create_authorization_url("http://login.example/authorize")
        assert "client_id=id" in url
        assert f"state={state}" in url
        landed = f"http://app/cb?code=c1&state={state}"
        token = client.fetch_token(f"{server.url}/token", authorization_response=landed)
        assert "r1" == token["refresh_token"]
        assert ("authorization_code", "c1") == (
            _token(server)["grant_type"],
            _token(server)["code"],
        )
        assert server.received[-1].headers["Authorization"] == "Basic aWQ6c2VjcmV0"
        answer = client.get(f"{server.url}/echo", params={"a": "1"}).json()
        assert f"Bearer {token['access_token']}" == answer["headers"]["authorization"]
        assert "/echo?a=1" == answer["target"]


def check_placement_of_secrets() -> None:
    with serve(service) as server:
        url = f"{server.url}/token"
        OAuth2Client("id", "sec", token_endpoint_auth_method="client_secret_post").fetch_token(url)
        assert ("id", "sec") == (_token(server)["client_id"], _token(server)["client_secret"])
        client = OAuth2Client("id", "s" * 32, token_endpoint_auth_method="client_secret_jwt")
        client.register_client_auth_method(ClientSecretJWT(url))
        client.fetch_token(url)
        assert 3 == len(_token(server)["client_assertion"].split("."))
        OAuth2Client("id", "sec").fetch_token(url, method="GET", grant_type="client_credentials")
        assert ["client_credentials"] == server.received[-1].query["grant_type"]


def check_placement_of_tokens() -> None:
    with serve(service) as server:
        for placement in ("header", "uri", "body"):
            with OAuth2Client("id", token=GOOD, token_placement=placement) as client:
                answer = client.post(f"{server.url}/echo", data={"a": "1"}).json()
            found = {
                "header": answer["headers"].get("authorization") == "Bearer good",
                "uri": "access_token=good" in answer["target"],
                "body": "access_token=good" in answer["body"],
            }
            assert {placement} == {name for name, is_there in found.items() if is_there}
            assert str(len(answer["body"])) == answer["headers"]["content-length"]
            assert "a=1" in answer["body"]


def check_client_credentials_are_renewed() -> None:
    updated: list[Any] = []
    with serve(service) as server:
        with OAuth2Client(
            "id",
            "secret",
            token=OLD,
            token_endpoint=f"{server.url}/token",
            grant_type="client_credentials",
            update_token=lambda token, **old: updated.append((token["access_token"], old)),
        ) as client:
            answer = client.get(f"{server.url}/echo").json()
            assert f"Bearer {client.token['access_token']}" == answer["headers"]["authorization"]
        assert [(client.token["access_token"], {"access_token": "old"})] == updated
        assert "client_credentials" == _form(server.received[-2])["grant_type"]


def _form(request: Received) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def check_refresh_tokens() -> None:
    with serve(service) as server:
        token = {**OLD, "refresh_token": "r0"}
        with OAuth2Client("id", "s", token=token, token_endpoint=f"{server.url}/token") as client:
            client.get(f"{server.url}/echo")
            assert ("refresh_token", "r0") == tuple(
                _form(server.received[-2])[name] for name in ("grant_type", "refresh_token")
            )
            assert "r0" == client.token["refresh_token"]
            renewed = client.refresh_token(f"{server.url}/token", refresh_token="r0")
            assert renewed["access_token"] == client.token["access_token"]


def check_errors() -> None:
    with serve(service) as server:
        with OAuth2Client("id", "secret") as client:
            _raises(MissingTokenError, lambda: client.get(f"{server.url}/echo"))
            assert (
                200 == client.request("GET", f"{server.url}/echo", withhold_token=True).status_code
            )
            error = _raises(
                OAuthError, lambda: client.fetch_token(f"{server.url}/token", code="bad")
            )
            assert "invalid_grant: the code is bad" == str(error)
        with OAuth2Client("id", token=OLD) as client:
            _raises(InvalidTokenError, lambda: client.get(f"{server.url}/echo"))


def _raises(kind: type[Exception], call: Any) -> Exception:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def check_streams_redirects_and_own_auth() -> None:
    with serve(service) as server, OAuth2Client("id", token=GOOD, follow_redirects=True) as client:
        with client.stream("GET", f"{server.url}/echo") as response:
            response.read()
            assert "Bearer good" == response.json()["headers"]["authorization"]
        moved = client.post(f"{server.url}/moved", json={"a": 1}).json()
        assert ("POST", '{"a":1}') == (moved["method"], moved["body"])
        assert "Bearer good" == moved["headers"]["authorization"]
        own = client.get(f"{server.url}/echo", auth=("u", "p")).json()
        assert "Basic dTpw" == own["headers"]["authorization"]


def check_settings_reach_the_client() -> None:
    with serve(service) as server:
        with OAuth2Client(
            "id",
            token=GOOD,
            base_url=server.url,
            headers={"X-Always": "yes"},
            timeout=httpx2.Timeout(3.0),
            transport=httpx2.HTTPTransport(retries=1),
        ) as client:
            assert 3.0 == client.timeout.read
            assert "yes" == client.get("/echo").json()["headers"]["x-always"]


def check_revoke_and_introspect() -> None:
    with serve(service) as server, OAuth2Client("id", "secret", token=GOOD) as client:
        revoked = client.revoke_token(f"{server.url}/revoke", token="good").json()
        assert "good" == revoked["asked"]["token"]
        assert {"active": False} == {
            "active": client.introspect_token(f"{server.url}/introspect", token="good").json()[
                "active"
            ]
        }


def check_auth_alone() -> None:
    with serve(service) as server:
        auth = OAuth2Auth({"access_token": "alone", "token_type": "bearer"})
        answer = httpx2.get(f"{server.url}/echo", auth=auth).json()
        assert "Bearer alone" == answer["headers"]["authorization"]


def check_oauth1() -> None:
    with serve(service) as server:
        with OAuth1Client("key", "secret") as client:
            token = client.fetch_request_token(f"{server.url}/oauth1/request")
            assert ("ot", "os") == (token["oauth_token"], token["oauth_token_secret"])
            assert "oauth_token=ot" in client.create_authorization_url("http://login.example/")
            client.fetch_access_token(f"{server.url}/oauth1/access", "verifier")
            answer = client.post(f"{server.url}/echo", data={"a": "1"}).json()
        assert 'oauth_token="ot"' in answer["headers"]["authorization"]
        assert "oauth_signature=" in answer["headers"]["authorization"]
        assert "a=1" == answer["body"]
        with OAuth1Client("key", "secret", "ot", "os", signature_type="QUERY") as client:
            assert "oauth_signature=" in client.get(f"{server.url}/echo").json()["target"]
        with OAuth1Client("key", "secret", "ot", "os", signature_type="BODY") as client:
            assert (
                "oauth_signature="
                in client.post(f"{server.url}/echo", data={"a": "1"}).json()["body"]
            )


def check_assertions() -> None:
    with serve(service) as server:
        with AssertionClient(
            f"{server.url}/token",
            issuer="me",
            subject="you",
            audience="them",
            header={"alg": "HS256"},
            key="k" * 32,
        ) as client:
            assert (
                client.get(f"{server.url}/echo")
                .json()["headers"]["authorization"]
                .startswith("Bearer t")
            )
        assert 3 == len(_form(server.received[0])["assertion"].split("."))


async def check_async_oauth2() -> None:
    updated: list[str] = []

    async def update(token: Any, **old: Any) -> None:
        updated.append(token["access_token"])

    with serve(service) as server:
        url = f"{server.url}/token"
        async with AsyncOAuth2Client("id", "secret", token_endpoint=url) as client:
            token = await client.fetch_token(username="u", password="p")
            assert "password" == _token(server)["grant_type"]
            answer = (await client.post(f"{server.url}/echo", json={"a": 1})).json()
            assert f"Bearer {token['access_token']}" == answer["headers"]["authorization"]
            assert '{"a":1}' == answer["body"]
            async with client.stream("GET", f"{server.url}/echo") as response:
                assert f"Bearer {token['access_token']}" in (await response.aread()).decode()
            assert "t" == (await client.refresh_token(url, refresh_token="r1"))["access_token"][0]
        async with AsyncOAuth2Client(
            "id",
            "secret",
            token=OLD,
            token_endpoint=url,
            grant_type="client_credentials",
            update_token=update,
            token_placement="uri",
        ) as client:
            answer = (await client.get(f"{server.url}/echo")).json()
            assert f"/echo?access_token={updated[0]}" == answer["target"]
        async with AsyncOAuth2Client("id") as client:
            try:
                await client.get(f"{server.url}/echo")
            except MissingTokenError:
                pass
            else:
                raise AssertionError("a request without a token was sent")


async def check_async_oauth1_and_assertions() -> None:
    with serve(service) as server:
        async with AsyncOAuth1Client("key", "secret") as client:
            await client.fetch_request_token(f"{server.url}/oauth1/request")
            answer = (await client.post(f"{server.url}/echo", data={"a": "1"})).json()
            assert 'oauth_token="ot"' in answer["headers"]["authorization"]
        async with AsyncAssertionClient(
            f"{server.url}/token", "me", "you", "them", header={"alg": "HS256"}, key="k" * 32
        ) as client:
            answer = (await client.get(f"{server.url}/echo")).json()
            assert answer["headers"]["authorization"].startswith("Bearer t")
