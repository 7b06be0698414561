"""The files are HAR 1.2, other readers open them, and what browsers wrote is replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from haralyzer import HarEntry, HarParser
from hypothesis import given, settings
from hypothesis import strategies as st

import scallion
from scallion import Request, Response
from scallion.pipeline.decoding import DECODERS
from scallion.pipeline.headers import Headers
from scallion.testing.recording import NotRecorded, Recorder
from scallion.testing.recording.contents import bytes_of, coded, cut, decoded, stored
from scallion.testing.recording.files import parsed, printed
from support.recordings import Pieces, entries_of

URL = "https://shop.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.har"


def replay(path: Path, *urls: str, **given: Any) -> list[Response]:
    with scallion.Client(transport=Recorder(path, "none", **given)) as client:
        return [client.get(url) for url in urls]


# What the specification says: https://w3c.github.io/web-performance/specs/HAR/Overview.html


def moment(value: Any) -> bool:
    return datetime.fromisoformat(value).tzinfo is not None


def named(value: Any) -> bool:
    return isinstance(value["name"], str) and isinstance(value["value"], str)


Kind = type | Callable[[Any], bool]

HEADER: dict[str, Kind] = {"name": str, "value": str}
REQUIRED: dict[str, dict[str, Kind]] = {
    "log": {"version": lambda value: value == "1.2", "creator": dict, "entries": list},
    "creator": {"name": str, "version": str},
    "entry": {
        "startedDateTime": moment,
        "time": lambda value: value >= 0,
        "request": dict,
        "response": dict,
        "cache": dict,
        "timings": dict,
    },
    "timings": {name: lambda value: value >= 0 for name in ("send", "wait", "receive")},
    "request": {
        "method": str,
        "url": lambda value: scallion.URL(value).is_absolute_url and "#" not in value,
        "httpVersion": str,
        "cookies": lambda value: all(map(named, value)),
        "headers": lambda value: all(map(named, value)),
        "queryString": lambda value: all(map(named, value)),
        "headersSize": int,
        "bodySize": int,
    },
    "postData": {"mimeType": str},
    "response": {
        "status": int,
        "statusText": str,
        "httpVersion": str,
        "cookies": lambda value: all(map(named, value)),
        "headers": lambda value: all(map(named, value)),
        "content": dict,
        "redirectURL": str,
        "headersSize": int,
        "bodySize": int,
    },
    "content": {"size": lambda value: value >= 0, "mimeType": str},
}
OPTIONAL: dict[str, dict[str, Kind]] = {
    "log": {"browser": dict, "pages": list, "comment": str},
    "request": {"postData": dict},
    "postData": {"params": list, "text": str},
    "content": {"text": str, "encoding": str, "compression": int},
}


def check(kind: str, value: dict[str, Any]) -> None:
    """`value` has what it must have, and beyond it only what it may have or what begins with an underscore."""
    for name, right in REQUIRED[kind].items():
        assert isinstance(value[name], right) if isinstance(right, type) else right(value[name]), (
            kind,
            name,
            value[name],
        )
    allowed = {*REQUIRED[kind], *OPTIONAL.get(kind, ())}
    assert [] == [name for name in value if name not in allowed and not name.startswith("_")]
    for name, right in OPTIONAL.get(kind, {}).items():
        if name in value:
            assert isinstance(right, type)
            assert isinstance(value[name], right)
    for name in (*REQUIRED[kind], *OPTIONAL.get(kind, ())):
        if name in REQUIRED and name in value:
            check(name, value[name])


def check_file(path: Path) -> None:
    log = json.loads(path.read_bytes())["log"]
    check("log", log)
    for entry in log["entries"]:
        check("entry", entry)
        parts = [value for value in entry["timings"].values() if value > 0]
        assert entry["time"] == sum(parts)
        # "text" and "params" are mutually exclusive.
        assert not {"text", "params"} <= set(entry["request"].get("postData", ()))


def everything(request: Request) -> Response:
    """One answer of each kind, by path."""
    match request.url.path:
        case "/error":
            raise scallion.ConnectError("refused")
        case "/binary":
            return Response(200, content=b"\x00\xff", headers={"Content-Type": "image/png"})
        case "/moved":
            return Response(302, headers={"Location": "/"})
        case "/half":
            return Response(200, stream=Pieces(b"a", b"b"), extensions={"http_version": b"HTTP/2"})
        case "/trailers":
            known = {"trailers": Headers({"X-Sum": "1"})}
            return Response(200, stream=Pieces(b"a", b"b"), extensions=known)
        case "/cookies":
            fields = [
                ("Set-Cookie", "a=1; Secure; HttpOnly; Domain=x.example"),
                ("Set-Cookie", "b"),
            ]
            return Response(204, headers=fields)
    return Response(200, json={"a": 1})


@pytest.fixture
def recorded(path: Path) -> Path:
    recorder = Recorder(path, transport=scallion.MockTransport(everything), errors=True)
    with scallion.Client(transport=recorder, base_url=URL) as client:
        with pytest.raises(scallion.ConnectError):
            client.get("/error")
        for name in ("binary", "moved", "trailers", "cookies", "?a=1&b=%20&a=2#fragment"):
            client.get(f"/{name}")
        client.post("/", data={"a": "b c"})
        client.post("/", content=b"\x00\xff")
        client.post("/", files={"file": ("x.bin", b"\x00")})
        client.put("/", json=[1])
        client.put("/", content=iter([b"a", b"b"]))
        with client.stream("GET", "/half") as response:
            next(response.iter_raw())
    return path


def test_recordings_are_har(recorded: Path) -> None:
    """
    Each field that HAR 1.2 demands is there and right, and fields of our own begin with an underscore.
    """
    check_file(recorded)
    assert 12 == len(entries_of(recorded))


def test_another_reader_opens_them(recorded: Path) -> None:
    """
    haralyzer finds what was asked and answered.
    """
    entries = [HarEntry(entry) for entry in HarParser.from_file(str(recorded)).har_data["entries"]]

    assert [0, 200, 302, 200, 204, 200, 200, 200, 200, 200, 200, 200] == [
        entry.response.status for entry in entries
    ]
    assert "shop.example" == entries[1].request.host
    assert '{"a":1}' == entries[5].response.text
    assert "base64" == entries[1].response["content"]["encoding"]


def test_the_file_is_printed_for_readers(recorded: Path) -> None:
    """
    Two spaces, small things on one line, and the same file when it is printed again.
    """
    text = recorded.read_text("utf-8")

    assert '            {"name": "Host", "value": "shop.example"},\n' in text
    assert '          "method": "GET",\n          "url": "https://shop.example/binary",\n' in text
    assert text.endswith("}\n")
    assert text.encode() == printed(parsed(text.encode(), recorded))


def test_it_is_replayed_whole(recorded: Path) -> None:
    """
    What was recorded answers, without a network.
    """
    binary, moved, trailers = replay(recorded, f"{URL}/binary", f"{URL}/moved", f"{URL}/trailers")

    assert b"\x00\xff" == binary.content
    assert "/" == moved.headers["location"]
    assert Headers({"X-Sum": "1"}) == trailers.trailers


CHROME = {
    "log": {
        "version": "1.2",
        "creator": {"name": "WebInspector", "version": "537.36"},
        "pages": [{"startedDateTime": "2026-01-05T10:00:00.000Z", "id": "page_1", "title": URL}],
        "entries": [
            {
                "_initiator": {"type": "other"},
                "_priority": "VeryHigh",
                "_resourceType": "document",
                "cache": {},
                "connection": "443",
                "pageref": "page_1",
                "request": {
                    "method": "GET",
                    "url": f"{URL}/page?token=abcdef0123456789",
                    "httpVersion": "http/2.0",
                    "headers": [
                        {"name": ":authority", "value": "shop.example"},
                        {"name": ":method", "value": "GET"},
                        {"name": "cookie", "value": "session=0123456789abcdef"},
                    ],
                    "queryString": [{"name": "token", "value": "abcdef0123456789"}],
                    "cookies": [{"name": "session", "value": "0123456789abcdef"}],
                    "headersSize": -1,
                    "bodySize": 0,
                },
                "response": {
                    "status": 200,
                    "statusText": "",
                    "httpVersion": "http/2.0",
                    "headers": [
                        {"name": ":status", "value": "200"},
                        {"name": "content-encoding", "value": "gzip"},
                        {"name": "content-length", "value": "5"},
                        {"name": "content-type", "value": "text/html; charset=utf-8"},
                        {"name": "set-cookie", "value": "a=1; path=/\nb=2; path=/"},
                    ],
                    "cookies": [],
                    "content": {"size": 12, "mimeType": "text/html", "text": "<h1>ÄÖ</h1>"},
                    "redirectURL": "",
                    "headersSize": -1,
                    "bodySize": -1,
                    "_transferSize": 700,
                    "_error": None,
                },
                "serverIPAddress": "203.0.113.7",
                "startedDateTime": "2026-01-05T10:00:00.000Z",
                "time": 12.25,
                "timings": {"blocked": 1.2, "dns": -1, "send": 0.1, "wait": 10, "receive": 0.95},
            },
            {
                "request": {"method": "GET", "url": f"{URL}/blocked"},
                "response": {"status": 0, "_error": "net::ERR_BLOCKED_BY_CLIENT"},
            },
            {
                "request": {"method": "GET", "url": "chrome-extension://x/y.js"},
                "response": {"status": 200},
            },
            {
                "request": {"method": "GET", "url": f"{URL}/pixel"},
                "response": {
                    "status": 200,
                    "httpVersion": "h3",
                    "content": {"mimeType": "image/gif", "text": "R0lG", "encoding": "base64"},
                },
            },
        ],
    }
}


def test_what_a_browser_saved_is_replayed(path: Path) -> None:
    """
    Pseudo fields are left out, joined fields taken apart, text is coded again; what it blocked is not there.
    """
    # Firefox begins its files with nothing, others with a byte order mark.
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(CHROME).encode())

    page, pixel = replay(path, f"{URL}/page?token=another", f"{URL}/pixel")

    assert ("HTTP/2", "OK", "<h1>ÄÖ</h1>") == (page.http_version, page.reason_phrase, page.text)
    assert ["a=REDACTED; path=/", "b=REDACTED; path=/"] == page.headers.get_list("set-cookie")
    assert [] == [name for name, _ in page.headers.raw if name.startswith(b":")]
    assert ("HTTP/3", b"GIF") == (pixel.http_version, pixel.content)
    with pytest.raises(NotRecorded):
        replay(path, f"{URL}/blocked")


def test_what_a_browser_saved_is_redacted_when_it_is_written_again(path: Path) -> None:
    """
    Adding to it writes the whole file: without its secrets, and with what else the browser noted.
    """
    path.write_text(json.dumps(CHROME))
    recorder = Recorder(path, "new", scallion.MockTransport(everything))
    with scallion.Client(transport=recorder) as client:
        client.get(f"{URL}/more")

    text = path.read_text()
    assert not any(secret in text for secret in ("abcdef0123456789", "0123456789abcdef", "a=1;"))
    assert "page_1" in text
    assert 5 == len(entries_of(path))


@given(st.binary(max_size=60), st.sampled_from(["", "text/plain", "text/plain; charset=latin-1"]))
@settings(max_examples=200)
def test_any_body_survives_the_file(body: bytes, content_type: str) -> None:
    """
    What is stored is what comes back, byte for byte.
    """
    log = {"entries": [{"request": {"method": "GET", "url": URL}, "response": {"status": 200}}]}
    log["entries"][0]["response"]["content"] = stored(body, content_type)
    content = parsed(printed(log), Path("x.har"))["entries"][0]["response"]["content"]

    assert body == bytes_of(content, content_type)


@given(st.binary(max_size=200), st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd", "foo"])))
@settings(max_examples=100)
def test_codings_are_applied_as_they_are_undone(body: bytes, names: list[str]) -> None:
    """
    Whatever combination, unknown ones included.
    """
    codings = ", ".join(names[:4])
    again = coded(body, codings)

    assert again is not None
    assert body == decoded(again, codings, None, whole=True)


@given(st.binary(min_size=1, max_size=30))
@settings(max_examples=200)
def test_any_octets_of_a_header_survive_the_file(value: bytes) -> None:
    """
    UTF-8 is text in the file; other octets are escaped.
    """
    if b"\n" in value:
        return
    from scallion.testing.recording.entries import _octets, _text

    read = json.loads(printed({"entries": [], "comment": _text(value)}))
    assert value == _octets(read["log"]["comment"])


@pytest.mark.parametrize(
    ("lengths", "pieces"),
    [
        ("1 2", [b"a", b"bc"]),
        ("3", [b"abc"]),
        ("1 1", [b"abc"]),
        ("-1 4", [b"abc"]),
        ("x", [b"abc"]),
        (None, [b"abc"]),
        (7, [b"abc"]),
    ],
)
def test_pieces_that_are_not_the_bodys_are_ignored(lengths: Any, pieces: list[bytes]) -> None:
    """
    A file that was edited still replays.
    """
    assert pieces == cut(b"abc", lengths)


def test_a_file_that_was_edited_by_hand_replays(path: Path) -> None:
    """
    Length and pieces are those of the text that is there now.
    """
    transport = scallion.MockTransport(
        lambda _: Response(
            200,
            headers={"Content-Length": "4", "Content-Type": "text/plain"},
            stream=Pieces(b"ab", b"cd"),
        )
    )
    with scallion.Client(transport=Recorder(path, transport=transport)) as client:
        client.get(URL)
    path.write_text(path.read_text().replace("abcd", "edited"))

    (response,) = replay(path, URL)

    assert ("6", "edited") == (response.headers["content-length"], response.text)


def test_content_that_cannot_be_decoded_is_stored_as_it_came(path: Path) -> None:
    """
    The program gets the very bytes, and its own error about them.
    """
    answer = {"headers": {"Content-Encoding": "gzip"}, "stream": scallion.ByteStream(b"no gzip")}
    transport = scallion.MockTransport(lambda _: Response(200, **answer))
    for given_transport in (transport, None):
        with scallion.Client(transport=Recorder(path, transport=given_transport)) as client:
            with client.stream("GET", URL) as response:
                assert b"no gzip" == b"".join(response.iter_raw())
            with pytest.raises((scallion.DecodingError, NotRecorded)):
                client.get(URL)

    assert entries_of(path)[0]["response"]["content"]["_coded"] is True


def test_a_coding_that_cannot_be_applied_again_is_left_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A decoder of the user's own has no counterpart: the program gets plain content that says so.
    """

    class Rot:
        def feed(self, data: bytes) -> Any:
            yield bytes(255 - octet for octet in data)

        def finish(self) -> tuple[()]:
            return ()

    monkeypatch.setitem(DECODERS, "rot", Rot)
    content = bytes(255 - octet for octet in b"plain")
    headers = {"Content-Encoding": "rot", "X-Other": "1"}
    transport = scallion.MockTransport(lambda _: Response(200, headers=headers, content=content))
    with scallion.Client(transport=Recorder(path, transport=transport)) as client:
        assert "plain" == client.get(URL).text
    (response,) = replay(path, URL)

    assert ("plain", False) == (response.text, "content-encoding" in response.headers)
    assert "1" == response.headers["x-other"]


def test_what_is_no_response_of_the_clients_colour_is_passed_on(path: Path) -> None:
    """
    The client refuses such a stream, and an upgraded connection is the program's: neither is recorded.
    """

    class Wrong(scallion.BaseTransport):
        def handle_request(self, request: Request) -> Response:
            if request.url.path == "/socket":
                return Response(101, stream=Pieces())
            return Response(200, stream=scallion.AsyncByteStream())

    with scallion.Client(transport=Recorder(path, transport=Wrong())) as client:
        with pytest.raises(TypeError, match="a Client needs a SyncByteStream"):
            client.get(URL)
        with client.stream("GET", f"{URL}/socket") as response:
            assert 101 == response.status_code

    assert not path.exists()


def test_a_form_of_a_browser_is_compared_by_its_fields(path: Path) -> None:
    """
    Some note parameters instead of the text.
    """
    post = {
        "mimeType": "application/x-www-form-urlencoded",
        "params": [{"name": "a", "value": "1 2"}, {"name": "password", "value": "s3"}],
    }
    form = {"name": "Content-Type", "value": post["mimeType"]}
    entry = {
        "request": {"method": "POST", "url": URL, "headers": [form], "postData": post},
        "response": {"status": 200, "content": {"text": "lone \ud800"}},
    }
    path.write_text(json.dumps({"log": {"entries": [entry]}}))

    with scallion.Client(transport=Recorder(path, match=("url", "body"))) as client:
        response = client.post(URL, data={"password": "other", "a": "1 2"})

    assert b"lone \xed\xa0\x80" == response.content


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"response": {"status": "200"}}, "a response without a status"),
        ({"request": {"method": "GET", "url": URL, "headers": [{}]}}, "a header without a name"),
        ({"response": {"status": 200, "content": []}}, "a body that is no object"),
        ({"response": {"status": 200, "content": {"text": 1}}}, "a body whose text is none"),
    ],
)
def test_entries_that_cannot_be_replayed_are_named(
    path: Path, changed: dict[str, Any], wrong: str
) -> None:
    """
    When the file is opened, not when a request comes.
    """
    good = {"request": {"method": "GET", "url": URL}, "response": {"status": 200}}
    path.write_text(json.dumps({"log": {"entries": [good, {**good, **changed}]}}))

    with pytest.raises(ValueError, match=f"entry 2 has {wrong}"):
        Recorder(path)
