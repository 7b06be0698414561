"""Authentication and event hooks on the wire: basic, digest, netrc, flows of one's own, and their order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import scallion
from compat.comparing import Case, case, each_of
from compat.stage import OK, Reply, redirect, reply

GET = "c.get(at('/x'))"

BASIC = [
    *(
        case(f"c.get(at('/x'), auth={auth})")
        for auth in (
            "('user', 'pass')",
            "(b'user', b'pass')",
            "('us er', 'p:a:s s')",
            "('', '')",
            "('\\xfcser', '\\u20ac')",
            "BasicAuth('user', 'pass')",
            "None",
            "lambda request: request",
            "lib.NetRCAuth",
        )
    ),
    case("c.get(at('/x'), auth=('user:name', 'pass'))", differs="a colon in a user name"),
    case(GET, settings="auth=('u', 'p')"),
    case("c.get(at('/x'), auth=None)", settings="auth=('u', 'p')"),
    case("c.get(at('/x'), auth=('a', 'b'))", settings="auth=('u', 'p')"),
    case("c.get(at('/x'), headers={'Authorization': 'own'})", settings="auth=('u', 'p')"),
    case(
        "c.get(at('/x'), headers={'Authorization': 'own'})",
        settings="headers={'Authorization': 'x'}",
    ),
    case("c.get(at('/x').replace('//', '//u:p@'))"),
    case("c.get(at('/x').replace('//', '//u@'))"),
    case("c.get(at('/x').replace('//', '//:p@'))"),
    case("c.get(at('/x').replace('//', '//@'))"),
    case("c.get(at('/x').replace('//', '//us%20er:p%40ss@'))"),
    case("c.get(at('/x').replace('//', '//u:p@'), auth=('a', 'b'))"),
    case("c.get(at('/x').replace('//', '//u:p@'), auth=None)"),
    case("c.get('/x')", settings="base_url=base.replace('//', '//u:p@')"),
    case("c.get(at('/x').replace('//', '//u:p@'))", settings="auth=('a', 'b')"),
    case("c.get(at('/x'), auth=('u', 'p'))", reply(401, "WWW-Authenticate: Basic")),
]


def _challenge(*fields: str) -> Reply:
    return reply("401 Unauthorized", "WWW-Authenticate: Digest " + ", ".join(fields))


REALM, NONCE = 'realm="the realm"', 'nonce="abc123=="'
DIGEST_ONCE = [
    case(
        f"c.get(at('/x?y=z'), auth=DigestAuth({login}))",
        _challenge(*fields),
        OK,
        name=f"{login} {fields}",
    )
    for login in ("'user', 'pass'",)
    for fields in (
        (REALM, NONCE),
        (REALM, NONCE, 'qop="auth"'),
        (REALM, NONCE, "qop=auth"),
        (REALM, NONCE, 'qop="auth,auth-int"'),
        (REALM, NONCE, 'qop="auth-int,auth"'),
        (REALM, NONCE, 'qop="auth, auth-int"', "algorithm=MD5"),
        (REALM, NONCE, 'qop="auth"', "algorithm=md5"),
        (REALM, NONCE, 'qop="auth"', 'algorithm="MD5"'),
        (REALM, NONCE, 'qop="auth"', "algorithm=MD5-sess"),
        (REALM, NONCE, 'qop="auth"', "algorithm=SHA"),
        (REALM, NONCE, 'qop="auth"', "algorithm=SHA-sess"),
        (REALM, NONCE, 'qop="auth"', "algorithm=SHA-256"),
        (REALM, NONCE, 'qop="auth"', "algorithm=SHA-256-sess"),
        (REALM, NONCE, 'qop="auth"', "algorithm=SHA-512"),
        (REALM, NONCE, 'qop="auth"', "algorithm=SHA-512-sess"),
        (REALM, NONCE, 'qop="auth"', 'opaque="opq"'),
        (REALM, NONCE, 'opaque="opq"', "algorithm=SHA-256"),
        (REALM, NONCE, 'domain="/"', "stale=false", 'qop="auth"'),
    )
]
DIGEST = [
    *DIGEST_ONCE,
    case(
        "c.post(at('/x'), content=b'body', auth=DigestAuth('u', 'p'))",
        _challenge(REALM, NONCE, 'qop="auth"'),
        OK,
    ),
    case("c.get(at('/x'), auth=DigestAuth('u', 'p'))", OK),
    case("c.get(at('/x'), auth=DigestAuth('u', 'p'))", reply(401)),
    case(
        "c.get(at('/x'), auth=DigestAuth('u', 'p'))",
        reply(401, "WWW-Authenticate: Basic realm=x"),
        OK,
    ),
    case("c.get(at('/x'), auth=DigestAuth('u', 'p'))", _challenge(REALM, NONCE, 'qop="auth"')),
    case("c.get(at('/x'), auth=DigestAuth('u', 'p'))", _challenge(REALM), OK),
    case("c.get(at('/x'), auth=DigestAuth('u', 'p'))", _challenge(NONCE), OK),
    case(
        "c.get(at('/x'), auth=DigestAuth('u', 'p'))",
        reply(401, f"WWW-Authenticate: Digest {REALM}, {NONCE}, qop=auth", "Set-Cookie: a=1"),
        OK,
    ),
    case(
        "c.get(at('/x'), auth=DigestAuth('u', 'p'), follow_redirects=True)",
        _challenge(REALM, NONCE, 'qop="auth"'),
        redirect(302, "/y"),
        OK,
    ),
    case(
        "c.get(at('/x'), auth=DigestAuth('u', 'p'), follow_redirects=True)",
        redirect(302, "/y"),
        _challenge(REALM, NONCE, 'qop="auth"'),
        OK,
    ),
    case(
        "twice",
        _challenge(REALM, NONCE, 'qop="auth"'),
        OK,
        settings="auth=DigestAuth('u', 'p')",
        name="nonce counts",
    ),
    case(
        "twice",
        _challenge(REALM, NONCE, 'qop="auth"'),
        OK,
        _challenge(REALM, 'nonce="new"', 'qop="auth"', "stale=true"),
        OK,
        settings="auth=DigestAuth('u', 'p')",
        name="stale",
    ),
]


async def _twice(c: Any) -> Any:
    return [await c.get(c.at("/x")) for _ in range(3)]


DIGEST = [
    case(_twice, *each.answers, settings=each.settings, name=each.name)
    if each.call == "twice"
    else each
    for each in DIGEST
]


def _flow(lib: Any, kind: str) -> Any:
    """A scheme of a user's own, of some kind."""

    class Steps(lib.Auth):
        requires_request_body = kind == "request body"
        requires_response_body = kind == "response body"

        def auth_flow(self, request: Any) -> Any:
            if kind == "request body":
                request.headers["X-Digest"] = hashlib.md5(request.content).hexdigest()
            response = yield request
            if response.status_code == 401:
                request.headers["X-Token"] = response.text if kind == "response body" else "again"
                yield request
            if kind == "other request":
                yield lib.Request("GET", request.url.copy_with(path="/token"))
                yield request

    return Steps()


def _with_flow(kind: str, method: str = "GET", **kwargs: Any) -> Callable[[Any], Any]:
    async def call(c: Any) -> Any:
        return await c.request(method, c.at("/x"), auth=_flow(c.lib, kind), **kwargs)

    return call


FLOWS = [
    case(_with_flow("plain"), OK, name="plain"),
    case(_with_flow("plain"), reply(401), OK, name="plain, refused"),
    case(_with_flow("plain", "POST", content=b"body"), reply(401), OK, name="a body twice"),
    case(_with_flow("request body", "POST", content=b"body"), OK, name="request body"),
    case(_with_flow("response body"), reply(401, body="token"), OK, name="response body"),
    case(_with_flow("other request"), OK, name="other request", differs="limits of an auth flow"),
    case(
        _with_flow("plain", follow_redirects=True),
        redirect(302, "/y"),
        reply(401),
        OK,
        name="outside redirects",
    ),
    case(
        _with_flow("plain", cookies={"a": "1"}), reply(401, "Set-Cookie: b=2"), OK, name="cookies"
    ),
]


def _hooked(fail: str = "", change: bool = False, **kwargs: Any) -> Callable[[Any], Any]:
    """What hooks see, in their order, and what came of the call."""

    async def call(c: Any) -> Any:
        seen: list[Any] = []

        def request_hook(request: Any) -> None:
            seen.append(
                (
                    "request",
                    request.method,
                    str(request.url),
                    list(request.headers.multi_items())[5:],
                )
            )
            if change:
                request.headers["X-Hooked"] = str(len(seen))
            if fail == "request":
                raise LookupError("hook")

        def response_hook(response: Any) -> None:
            seen.append(("response", response.status_code, response.str(response.request.url)))
            if fail == "response":
                raise LookupError("hook")
            if fail == "status":
                response.raise_for_status()

        async def async_request(request: Any) -> None:
            request_hook(request)

        async def async_response(response: Any) -> None:
            response_hook(response)

        c.client.event_hooks = (
            {"request": [request_hook, request_hook], "response": [response_hook]}
            if c.blocking
            else {"request": [async_request, async_request], "response": [async_response]}
        )
        try:
            result: Any = await c.get(c.at("/x"), **kwargs)
        except Exception as error:
            result = error
        return result, seen, {k: len(v) for k, v in c.event_hooks.items()}

    return call


HOOKS = [
    case(_hooked(), OK, name="one request"),
    case(_hooked(change=True), OK, name="changed"),
    case(_hooked(follow_redirects=True), redirect(302, "/y"), OK, name="hops"),
    case(
        _hooked(follow_redirects=True, change=True, auth=("u", "p")),
        redirect(302, "/y"),
        OK,
        name="hops, auth, changed",
    ),
    case(_hooked(), redirect(302, "/y"), name="not followed"),
    case(_hooked(fail="request"), OK, name="a request hook fails"),
    case(_hooked(fail="response"), OK, name="a response hook fails"),
    case(_hooked(fail="status"), reply(500), name="raise_for_status"),
    case(
        _hooked(fail="status", follow_redirects=True),
        redirect(302, "/y"),
        OK,
        name="raise_for_status on a hop",
    ),
]

ALL = {"basic": BASIC, "digest": DIGEST, "flows": FLOWS, "hooks": HOOKS}


@pytest.fixture(autouse=True)
def _one_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients choose by chance is the same for both, so that their proofs are."""
    monkeypatch.setattr(httpx.DigestAuth, "_get_client_nonce", lambda *_: b"c0ffee")
    monkeypatch.setattr(scallion.DigestAuth, "_new_cnonce", lambda _: "c0ffee")


@each_of(ALL)
def test_authentication_and_hooks_are_the_same_on_the_wire(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    Credentials, proofs, their order with redirects, cookies and hooks are httpx's.

    differences: "a colon in a user name", differences: "limits of an auth flow".
    """
    compare(case, colour)


@pytest.mark.parametrize("default", [True, False])
def test_netrc_is_read_as_by_httpx(
    default: bool, tmp_path: Path, compare: Callable[[Case, str], None]
) -> None:
    """
    By host, with a default entry or without.
    """
    file = tmp_path / "netrc"
    entry = "default" if default else "machine other.example"
    file.write_text(f"machine 127.0.0.1 login u password p\n{entry} login d password q\n")
    file.chmod(0o600)
    auth = f"NetRCAuth({str(file)!r})"
    for url in ("at('/')", "at('/').replace('127.0.0.1', 'localhost')"):
        compare(case(f"c.get({url}, auth={auth})"), "sync")
        compare(case(f"c.get({url})", settings=f"auth={auth}"), "asyncio")
    assert re.search("login", file.read_text())
