"""httpx-auth: many `auth_flow` generators, some of which ask token endpoints with a client of their own."""

from __future__ import annotations

import datetime
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

import httpx
import httpx_auth
from httpx_auth import (
    AWS4Auth,
    Basic,
    HeaderApiKey,
    InvalidGrantRequest,
    JsonTokenFileCache,
    OAuth2,
    OAuth2ClientCredentials,
    OAuth2ResourceOwnerPasswordCredentials,
    OktaClientCredentials,
    QueryApiKey,
    TokenMemoryCache,
)
from scripted import Answer, Received, serve


def service(request: Received) -> Answer:
    if request.path == "/token":
        asked = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if asked.get("password") == "wrong":
            return _json({"error": "invalid_grant", "error_description": "no such user"}, 400)
        return _json(
            {
                "access_token": f"for {asked['grant_type']}",
                "token_type": "example",
                "expires_in": 3600,
            }
        )
    headers = {name.lower(): value for name, value in request.headers.items()}
    return _json({"target": request.target, "headers": headers})


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def check_identity() -> None:
    import scallion

    assert issubclass(HeaderApiKey, scallion.Auth)
    assert issubclass(Basic, scallion.BasicAuth)
    assert issubclass(InvalidGrantRequest, scallion.HTTPError)
    assert httpx_auth._authentication.httpx.Auth is scallion.Auth


def check_api_keys() -> None:
    with serve(service) as server, httpx.Client(auth=HeaderApiKey("secret")) as client:
        assert "secret" == client.get(server.url).json()["headers"]["x-api-key"]
        seen = client.get(server.url, auth=HeaderApiKey("other", "X-Mine")).json()["headers"]
        assert ("other", None) == (seen["x-mine"], seen.get("x-api-key"))
        assert (
            "/?a=1&k=secret"
            == client.get(f"{server.url}/?a=1", auth=QueryApiKey("secret", "k")).json()["target"]
        )


def check_basic() -> None:
    with serve(service) as server:
        seen = httpx.get(server.url, auth=Basic("user", "pass")).json()["headers"]
        assert "Basic dXNlcjpwYXNz" == seen["authorization"]


def check_several_at_once() -> None:
    with serve(service) as server:
        for auth in (
            HeaderApiKey("k1") + QueryApiKey("k2") + Basic("u", "p"),
            HeaderApiKey("k1") & QueryApiKey("k2") & Basic("u", "p"),
        ):
            seen = httpx.get(server.url, auth=auth).json()
            assert "/?api_key=k2" == seen["target"]
            assert ("k1", "Basic dTpw") == (
                seen["headers"]["x-api-key"],
                seen["headers"]["authorization"],
            )


def check_aws() -> None:
    with serve(service) as server:
        auth = AWS4Auth("the-id", "the-key", "us-east-1", "s3", security_token="the-token")
        for content in (b"", b"content"):
            seen = httpx.post(f"{server.url}/a%20b?x=1", content=content, auth=auth).json()[
                "headers"
            ]
            assert seen["authorization"].startswith("AWS4-HMAC-SHA256 Credential=the-id/")
            assert "the-token" == seen["x-amz-security-token"]
            assert 64 == len(seen["x-amz-content-sha256"])


def check_aws_signature() -> None:
    """It is the one that httpx's URLs and headers lead to."""

    class Clock:
        timezone = datetime.timezone

        class datetime:
            @staticmethod
            def now(zone: datetime.timezone) -> datetime.datetime:
                return datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=zone)

    request = httpx.Request(
        "PUT",
        "https://bucket.s3.example/a b/c%2Fd?q=1&p=%2F&empty=&z=%C3%A9",
        content=b"content",
        headers={"X-Amz-Meta": " a  b ", "Content-Type": "text/plain"},
    )
    with mock.patch.object(httpx_auth._aws, "datetime", Clock):
        signed = next(AWS4Auth("the-id", "the-key", "us-east-1", "s3").auth_flow(request))
    signature = signed.headers["authorization"].rpartition("=")[2]
    assert "48b8cd987ed1153b3fb2b1cefb2b729a87ccf6a2a60aae973b123d6713584d0f" == signature


def check_client_credentials() -> None:
    with serve(service) as server:
        OAuth2.token_cache.clear()
        auth = OAuth2ClientCredentials(
            f"{server.url}/token", client_id="id", client_secret="secret", scope="a b"
        )
        with httpx.Client(auth=auth) as client:
            for _ in range(2):
                seen = client.get(f"{server.url}/echo").json()["headers"]
                assert "Bearer for client_credentials" == seen["authorization"]
        # The token is asked for once, by a client that httpx-auth made.
        assert ["/token", "/echo", "/echo"] == [request.path for request in server.received]
        assert server.received[0].headers["Authorization"].startswith("Basic ")
        assert ["a b"] == parse_qs(server.received[0].body.decode())["scope"]


def check_a_client_for_tokens() -> None:
    with serve(service) as server, httpx.Client(headers={"X-Mine": "1"}) as own:
        OAuth2.token_cache.clear()
        auth = OAuth2ClientCredentials(
            f"{server.url}/token", client_id="i", client_secret="s", client=own
        )
        assert 200 == httpx.get(f"{server.url}/echo", auth=auth).status_code
        assert "1" == server.received[0].headers["X-Mine"]
        assert isinstance(
            OktaClientCredentials("x.okta.example", client_id="i", client_secret="s", scope="a"),
            httpx.Auth,
        )


def check_passwords() -> None:
    with serve(service) as server:
        OAuth2.token_cache.clear()
        url = f"{server.url}/token"
        auth = OAuth2ResourceOwnerPasswordCredentials(url, username="user", password="right")
        seen = httpx.get(f"{server.url}/echo", auth=auth).json()["headers"]
        assert "Bearer for password" == seen["authorization"]
        wrong = OAuth2ResourceOwnerPasswordCredentials(url, username="user", password="wrong")
        try:
            httpx.get(f"{server.url}/echo", auth=wrong)
        except InvalidGrantRequest as error:
            assert "no such user" in str(error)
        else:
            raise AssertionError("nothing was raised")


def check_caches() -> None:
    with serve(service) as server, tempfile.TemporaryDirectory() as folder:
        OAuth2.token_cache = JsonTokenFileCache(str(Path(folder) / "tokens.json"))
        try:
            auth = OAuth2ClientCredentials(
                f"{server.url}/token", client_id="id", client_secret="secret"
            )
            for _ in range(2):
                httpx.get(f"{server.url}/echo", auth=auth)
                OAuth2.token_cache = JsonTokenFileCache(str(Path(folder) / "tokens.json"))
            assert 1 == sum(request.path == "/token" for request in server.received)
        finally:
            OAuth2.token_cache = TokenMemoryCache()


def check_expired_tokens() -> None:
    with serve(service) as server:
        OAuth2.token_cache.clear()
        auth = OAuth2ClientCredentials(
            f"{server.url}/token", client_id="id", client_secret="secret", early_expiry=time.time()
        )
        for _ in range(2):
            httpx.get(f"{server.url}/echo", auth=auth)
        assert 2 == sum(request.path == "/token" for request in server.received)


async def check_async() -> None:
    with serve(service) as server:
        OAuth2.token_cache.clear()
        auth = OAuth2ClientCredentials(
            f"{server.url}/token", client_id="id", client_secret="secret"
        )
        async with httpx.AsyncClient(auth=auth) as client:
            seen = (await client.get(f"{server.url}/echo")).json()["headers"]
            assert "Bearer for client_credentials" == seen["authorization"]
            seen = (
                await client.get(f"{server.url}/echo", auth=HeaderApiKey("k") + Basic("u", "p"))
            ).json()["headers"]
            assert ("k", "Basic dTpw") == (seen["x-api-key"], seen["authorization"])
            auth = AWS4Auth("the-id", "the-key", "us-east-1", "s3")
            seen = (await client.post(f"{server.url}/echo", content=b"x", auth=auth)).json()[
                "headers"
            ]
            assert "AWS4-HMAC-SHA256" in seen["authorization"]
