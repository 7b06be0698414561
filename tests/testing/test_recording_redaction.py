"""Secrets do not reach the file nor an error, and requests with other secrets find their entries."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scallion
from scallion import Request, Response
from scallion.testing.recording import NotRecorded, Recorder, Redaction
from scallion.testing.recording.contents import bytes_of
from scallion.testing.recording.json_text import rewritten
from scallion.testing.recording.redaction import Redactor
from scallion.testing.recording.secret_names import SecretNames
from support.recordings import entries_of

URL = "https://shop.example"


RULES = Redaction()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.har"


def secret(name: str) -> str:
    """A secret that is found wherever it is: PLANTED-name-7."""
    return f"PLANTED-{name}-7"


def exchange(
    path: Path,
    answer: Any = None,
    redact: Redaction | None = RULES,
    mode: Any = "once",
    **asked: Any,
) -> Response:
    """One request, and an answer from the keywords in `answer` if it is to be recorded."""

    def handler(request: Request) -> Response:
        if isinstance(answer, Exception):
            raise answer
        return Response(**{"status_code": 200, **(answer or {})})

    transport = scallion.MockTransport(handler)
    recorder = Recorder(path, mode, transport, redact=redact, errors=True)
    with scallion.Client(transport=recorder) as client:
        return client.request(**{"method": "GET", "url": URL, **asked})


def jwt(payload: str) -> str:
    """A token of three parts that is told by its form; its payload is PLANTED-payload."""
    return f"eyJhbGciOiJIUzI1NiJ9.eyJPLANTED-{payload}.s1g-_nature"


PLANTS: dict[str, dict[str, Any]] = {
    "bearer": {"headers": {"Authorization": f"Bearer {secret('a')}"}},
    "basic": {"auth": ("user", secret("b"))},
    "proxy": {"headers": {"Proxy-Authorization": f"Basic {secret('c')}"}},
    "cookie": {"headers": {"Cookie": f"a={secret('d')}; theme={secret('e')}"}},
    "api keys": {
        "headers": {
            "X-API-Key": secret("f"),
            "Ocp-Apim-Subscription-Key": secret("g"),
            "X-Amz-Security-Token": secret("h"),
            "Private-Token": secret("i"),
            "X-Hub-Signature-256": secret("j"),
        }
    },
    "query": {"url": f"{URL}/?api_key={secret('k')}&x=1&X-Amz-Signature={secret('l')}"},
    "userinfo": {"url": f"https://user:{secret('m')}@shop.example/"},
    "form": {"method": "POST", "data": {"client_secret": secret("n"), "a": "1"}},
    "json": {
        "method": "POST",
        "json": {
            "user": {"new_password": secret("o")},
            "items": [{"accessToken": secret("p")}],
            "secret": {"value": [secret("q")]},
            "nested": json.dumps({"password": secret("r")}),
            "callback": f"https://u:{secret('s')}@x.example/?token={secret('t')}",
        },
    },
    "multipart": {
        "method": "POST",
        "data": {"password": secret("u")},
        "files": {"file": ("a.bin", b"\x00\xff")},
    },
    "referer": {"headers": {"Referer": f"{URL}/?code={secret('v')}"}},
    "gzip": {
        "method": "POST",
        "headers": {"Content-Encoding": "gzip", "Content-Type": "application/json"},
        "content": gzip.compress(json.dumps({"password": secret("w")}).encode()),
    },
    "set-cookie": {
        "answer": {
            "headers": [
                ("Set-Cookie", f"sid={secret('A')}; Path=/; HttpOnly"),
                ("Set-Cookie", f"b={secret('B')}"),
            ]
        }
    },
    "location": {
        "answer": {
            "status_code": 302,
            "headers": {
                "Location": f"https://u:{secret('C')}@x.example/?code={secret('D')}&state=1"
            },
        }
    },
    "link": {"answer": {"headers": {"Link": f'<{URL}/?token={secret("E")}>; rel="next"'}}},
    "answer json": {"answer": {"json": {"access_token": secret("F"), "key": secret("GHIJKLMNO")}}},
    "answer text": {
        "answer": {
            "text": f'see {URL}/?sig={secret("H")} and {{"password": "{secret("I")}"}}\n'
            f"<wsse:Password Type='x'>{secret('J')}</wsse:Password>"
        }
    },
    "events": {
        "answer": {
            "text": f'data: {{"token": "{secret("K")}"}}\n\ndata: {{"a": 1}}\n\n',
            "headers": {"Content-Type": "text/event-stream"},
        }
    },
    "error": {"answer": scallion.ConnectError(f"no way to https://u:{secret('L')}@x.example")},
    "echo": {
        "headers": {"Authorization": f"Bearer {secret('M')}"},
        "answer": {"text": f"you sent {secret('M')}, did you?", "headers": {"X-Seen": secret("M")}},
    },
    "echo in binary": {
        "headers": {"X-Api-Key": secret("N")},
        "answer": {"content": b"\x00\xff" + secret("N").encode()},
    },
    "path": {"url": f"{URL}/bot{secret('O')}/send", "headers": {"X-Api-Key": secret("O")}},
    "answer's headers": {
        "answer": {"headers": {"X-Auth-Token": secret("P")}},
        "headers": {"Apikey": secret("Q")},
    },
    "second factors": {
        "method": "POST",
        "data": {"otp": "PLANTED", "pin": "PLANTED", "totp": "PLANTED", "a": "1"},
    },
    "undeclared form": {"method": "POST", "content": b"otp=PLANTED&pin=PLANTED&a=1"},
    "passwords": {
        "method": "POST",
        "json": {
            "bearer": "PLANTED",
            "Passwort": "PLANTED",
            "passwd": "PLANTED",
            "dbPwd": "PLANTED",
            "passcode": "PLANTED",
            "pass_phrase": "PLANTED",
            "contraseña": "PLANTED",
            "mot_de_passe": "PLANTED",
            "credentials": {"user": "PLANTED", "value": ["PLANTED"], "more": {"x": "PLANTED"}},
        },
    },
    "tokens of forms": {
        "headers": {
            "X-CSRF": "PLANTED",
            "X-CSRF-Token": "PLANTED",
            "X-XSRF-Token": "PLANTED",
            "X-CSRFToken": "PLANTED",
            "X-OTP": "PLANTED",
        }
    },
    "authentication": {
        "headers": {"Authentication": f"Bearer {secret('R')}", "X-Authentication": "PLANTED"},
        "answer": {"text": f"you sent {secret('R')}"},
    },
    "jwt in a query": {"url": f"{URL}/{jwt('a')}/x?t={jwt('b')}&u=Bearer%20{jwt('c')}#{jwt('d')}"},
    "jwt in json": {"method": "POST", "json": {"x": jwt("e"), "y": [f"Bearer {jwt('f')}"]}},
    "jwt in a form": {"method": "POST", "data": {"x": jwt("g"), "y": f"a {jwt('h')}"}},
    "jwt in text": {
        "method": "POST",
        "content": f"the token is {jwt('i')}, or <a>{jwt('j')}</a>",
        "headers": {"Content-Type": "text/plain", "X-Trace": f"of {jwt('k')}"},
        "answer": {"text": f"x={jwt('l')}", "headers": {"X-Of": jwt("m"), "Link": f"<{jwt('n')}>"}},
    },
    "jwt in multipart": {
        "method": "POST",
        "data": {"x": jwt("o")},
        "files": {"file": ("a.bin", b"\x00\xff")},
    },
    "jwt in binary": {"answer": {"content": b"\x00\xff\x0ax" + jwt("p").encode()}},
    "lines of json": {
        "answer": {
            "text": 'data: {"credentials": {"user": "PLANTED"}}\n\ndata: [DONE]\n\n',
            "headers": {"Content-Type": "text/event-stream"},
        }
    },
}


@pytest.mark.parametrize("kind", PLANTS)
def test_planted_secrets_are_nowhere_in_the_file(path: Path, kind: str) -> None:
    """
    Not as they are, and not in base64; the rest of the exchange is.
    """
    try:
        exchange(path, **PLANTS[kind])
    except scallion.ConnectError:
        pass

    written = path.read_text("utf-8")
    assert "PLANTED" not in written
    (entry,) = entries_of(path)
    bodies = _octets(entry["request"].get("postData")), _octets(entry["response"]["content"])
    assert b"PLANTED" not in b"".join(bodies)
    assert b64encode(f"user:{secret('b')}".encode()).decode() not in written
    assert "REDACTED" in written or b"REDACTED" in b"".join(bodies) or kind == "userinfo"


def _octets(body: dict[str, Any] | None) -> bytes:
    return b"" if body is None else bytes_of(body, body["mimeType"])


@pytest.mark.parametrize("kind", PLANTS)
def test_other_secrets_find_the_entry(path: Path, kind: str) -> None:
    """
    What was a secret then and is another one now is no difference.
    """
    asked = {name: value for name, value in PLANTS[kind].items() if name != "answer"}
    match = ("method", "url", "query", "header:authorization", "header:cookie", "body")
    try:
        exchange(path, **PLANTS[kind])
    except scallion.ConnectError:
        pass

    try:
        with scallion.Client(transport=Recorder(path, "none", match=match)) as client:
            client.request(**{"method": "GET", "url": URL, **_others(asked)})
    except scallion.ConnectError:
        assert kind == "error"


def _others(value: Any) -> Any:
    """The same with other secrets."""
    if isinstance(value, dict):
        return {name: _others(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_others, value))
    return value.replace("PLANTED", "ANOTHER") if isinstance(value, str) else value


def test_errors_show_no_secrets(path: Path) -> None:
    """
    A refused request is shown as the file would have it.
    """
    exchange(path, url=f"{URL}/a?token={secret('a')}", headers={"X-Api-Key": secret("b")})

    recorder = Recorder(path, match=("method", "url", "query", "header:x-api-key", "body"))
    with scallion.Client(transport=recorder) as client, pytest.raises(NotRecorded) as caught:
        client.post(
            f"https://u:{secret('c')}@shop.example/b?token={secret('d')}&n=1",
            headers={"X-Api-Key": secret("e")},
            json={"password": secret("f")},
        )

    assert "PLANTED" not in str(caught.value)
    assert "POST https://shop.example/b?token=REDACTED&n=1 is not recorded" in str(caught.value)


def test_what_is_no_secret_stays(path: Path) -> None:
    """
    Ids, pages, codes of errors, words under "key", and the structure of what is.
    """
    body = {
        "error": {"code": "invalid_request", "key": "name"},
        "tokens": 5,
        "nextPageToken": "abc-123-def-456-ghi",
        "session": None,
        "password": "",
        "token": 12,
        "shipping": {"pinned": "true", "adoption": "x", "spin": 4},
        "authentication": "required",
        "cursor": "eyJpZCI6MX0",
        "version": "eyJpZCI6MX0.json",
        "package": "org.apiKeyJournal.entries.Reader",
    }
    headers = {
        "Idempotency-Key": "k-1",
        "X-RateLimit-Remaining-Tokens": "90",
        "WWW-Authenticate": 'Digest nonce="n-1"',
        "ETag": '"e-1"',
        "Authentication-Results": "mx.example; dkim=pass",
    }
    exchange(path, {"json": body, "headers": headers}, url=f"{URL}/?page_token=p-1&id=7")
    (entry,) = entries_of(path)

    assert {**body, "token": 0} == json.loads(entry["response"]["content"]["text"])
    assert list(headers.items()) == [
        (field["name"], field["value"]) for field in entry["response"]["headers"][:5]
    ]
    assert f"{URL}/?page_token=p-1&id=7" == entry["request"]["url"]


def test_everything_below_credentials_is_secret(path: Path) -> None:
    """
    Texts and numbers, whatever they are called; of tokens, numbers stay, which are times.
    """
    body = {
        "credentials": {"user": "ann", "value": 4477, "use": True, "none": None},
        "credential": "c",
        "pin": 4477,
        "otp": "991122",
        "token": {"value": "t", "expires_in": 3600},
    }
    exchange(path, {"json": body})
    (entry,) = entries_of(path)

    assert {
        "credentials": {"user": "REDACTED", "value": 0, "use": True, "none": None},
        "credential": "REDACTED",
        "pin": 0,
        "otp": "REDACTED",
        "token": {"value": "REDACTED", "expires_in": 3600},
    } == json.loads(entry["response"]["content"]["text"])


def test_of_a_text_only_the_json_web_token_is_replaced(path: Path) -> None:
    """
    The rest can be read, and compared.
    """
    exchange(path, {"text": f"use {jwt('a')}."}, url=f"{URL}/?t={jwt('b')}&n=1")
    (entry,) = entries_of(path)

    assert f"{URL}/?t=REDACTED&n=1" == entry["request"]["url"]
    assert "use REDACTED." == entry["response"]["content"]["text"]
    with pytest.raises(NotRecorded):
        exchange(path, mode="none", url=f"{URL}/?t={jwt('b')}&n=2")


def test_json_web_tokens_of_kept_names_stay(path: Path) -> None:
    """
    A program that reads the claims of a made-up token can go on with it.
    """
    exchange(
        path,
        {"json": {"id_token": jwt("a")}, "headers": {"X-Of": jwt("b")}},
        Redaction(keep=("id_token", "t", "X-Of")),
        url=f"{URL}/?t={jwt('c')}&u={jwt('d')}",
    )
    (entry,) = entries_of(path)

    assert {"id_token": jwt("a")} == json.loads(entry["response"]["content"]["text"])
    assert {"name": "X-Of", "value": jwt("b")} == entry["response"]["headers"][0]
    assert f"{URL}/?t={jwt('c')}&u=REDACTED" == entry["request"]["url"]


def test_schemes_names_and_attributes_stay(path: Path) -> None:
    """
    A reviewer sees what kind of secret there was.
    """
    exchange(
        path,
        {"headers": {"Set-Cookie": "sid=abc; Path=/; HttpOnly; Secure"}},
        headers={"Authorization": "Bearer abc", "Cookie": "a=1; b=2"},
    )
    (entry,) = entries_of(path)
    sent = {field["name"]: field["value"] for field in entry["request"]["headers"]}

    assert "Bearer REDACTED" == sent["Authorization"]
    assert "a=REDACTED; b=REDACTED" == sent["Cookie"]
    assert "sid=REDACTED; Path=/; HttpOnly; Secure" == entry["response"]["headers"][0]["value"]
    assert [
        {"name": "sid", "value": "REDACTED", "path": "/", "httpOnly": True, "secure": True}
    ] == entry["response"]["cookies"]


def test_further_names_values_and_a_function(path: Path) -> None:
    """
    What only the program knows to be secret, it says; and what is none.
    """
    redact = Redaction(
        names=("X-Tenant", "ssn"),
        keep=("theme", "key"),
        values=("ü/s3",),
        text=lambda text: text.replace("4711", "ACCOUNT"),
    )
    exchange(
        path,
        {"json": {"ssn": "123", "number": "4711", "note": "ü/s3"}},
        redact,
        url=f"{URL}/accounts/4711/%C3%BC%2Fs3?key=k-1",
        headers={"X-Tenant": "acme", "Cookie": "theme=dark; other=x"},
    )
    (entry,) = entries_of(path)
    sent = {field["name"]: field["value"] for field in entry["request"]["headers"]}

    assert f"{URL}/accounts/ACCOUNT/REDACTED?key=k-1" == entry["request"]["url"]
    assert "REDACTED" == sent["X-Tenant"]
    assert "theme=dark; other=REDACTED" == sent["Cookie"]
    assert {"ssn": "REDACTED", "number": "ACCOUNT", "note": "REDACTED"} == json.loads(
        entry["response"]["content"]["text"]
    )
    exchange(path, None, redact, mode="none", url=f"{URL}/accounts/4711/%C3%BC%2Fs3?key=k-1")


def test_a_secret_that_was_met_later_is_gone_earlier_too(path: Path) -> None:
    """
    The file is searched as a whole, and the request whose path had it is found again.
    """
    transport = scallion.MockTransport(lambda _: Response(200))

    def session(recorder: Recorder) -> None:
        with scallion.Client(transport=recorder, base_url=URL) as client:
            client.get(f"/{secret('a')}/first")
            client.get("/second", headers={"X-Api-Key": secret("a")})

    session(Recorder(path, transport=transport))
    assert "PLANTED" not in path.read_text()
    session(Recorder(path, "none"))


def test_without_redaction_everything_is_written(path: Path) -> None:
    """
    For servers on loopback, say.
    """
    exchange(path, None, None, headers={"Authorization": "Bearer abc"})

    assert "Bearer abc" in path.read_text()


def test_a_redacted_answer_is_consistent(path: Path) -> None:
    """
    Its length is the length of what is replayed, and a token from it can be sent on.
    """
    exchange(path, {"json": {"token": secret("a") * 3}})
    response = exchange(path, mode="none")

    assert {"token": "REDACTED"} == response.json()
    assert str(len(response.content)) == response.headers["content-length"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"names": "token"}, TypeError),
        ({"names": ("-",)}, ValueError),
        ({"values": "token"}, TypeError),
        ({"values": ("",)}, ValueError),
        ({"text": "token"}, TypeError),
    ],
)
def test_bad_settings_are_refused(given: dict[str, Any], error: type[Exception]) -> None:
    """
    When they are made.
    """
    with pytest.raises(error):
        Redaction(**given)


def test_settings_show_no_values() -> None:
    """
    Their repr counts them.
    """
    assert "values=<1 secrets>" in repr(Redaction(values=("hunter2",)))
    assert "hunter2" not in repr(Redaction(values=("hunter2",)))


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("Authorization", True),
        ("X-Api-Key", True),
        ("apikey", True),
        ("DD-APPLICATION-KEY", True),
        ("X-Vault-Token", True),
        ("X-Session-Id", True),
        ("Cf-Access-Client-Secret", True),
        ("Authentication", True),
        ("X-CSRF", True),
        ("X-XSRF-Token", True),
        ("Authentication-Info", False),
        ("Authentication-Results", False),
        ("Public-Key-Pins", False),
        ("Idempotency-Key", False),
        ("Surrogate-Key", False),
        ("X-Next-Page-Token", False),
        ("Sec-WebSocket-Key", False),
        ("WWW-Authenticate", False),
        ("Content-Type", False),
        ("X-Request-Id", False),
    ],
)
def test_headers_are_judged_by_their_words(name: str, is_secret: bool) -> None:
    """
    API keys by any name, and none of the keys that open nothing.
    """
    assert is_secret is SecretNames().header(name)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "token", "key", '"\\', "é"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 1, 2]), st.booleans())
@settings(max_examples=200)
def test_json_keeps_every_character_that_is_not_replaced(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    """
    Replacing nothing changes nothing; what is replaced is a value at its path.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    paths: list[Any] = []

    assert text == rewritten(text, lambda path, found: paths.append((path, found)))
    assert list(_leaves(value, ())) == paths


def _leaves(value: Any, path: tuple[Any, ...]) -> Any:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, (*path, None))
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield path, value


@given(
    st.text(alphabet="abc1 \"'{}<>/:?&=@;token", max_size=60),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", ""]),
)
@settings(max_examples=200)
def test_redacting_twice_changes_nothing(text: str, content_type: str) -> None:
    """
    So what is in a file is compared with what is asked for.
    """
    redactor = Redactor(Redaction())
    once = redactor.body(text, content_type)

    assert once == redactor.body(once, content_type)
    assert redactor.url(text) == redactor.url(redactor.url(text))
    assert redactor.header("Link", text) == redactor.header("Link", redactor.header("Link", text))
