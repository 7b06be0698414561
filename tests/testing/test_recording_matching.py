"""Which recorded entry answers a request, and what is said where none does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scallion
from scallion import Request, Response
from scallion.testing.recording import Matcher, NotRecorded, Recorder
from scallion.testing.recording.matching import matchers

URL = "https://shop.example"


def request(method: str = "GET", url: str = URL, **settings: Any) -> Request:
    return Request(method, url, **settings)


def difference(matcher: Matcher, live: Request, recorded: Request) -> str | None:
    live.read()
    recorded.read()
    ((_, differ),) = matchers((matcher,))
    return differ(live, recorded)


def post(**body: Any) -> Request:
    return request("POST", **body)


def typed(content: bytes, content_type: str) -> Request:
    return post(content=content, headers={"Content-Type": content_type})


def multipart(boundary: str, value: str = "1") -> Request:
    return request(
        "POST",
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        data={"a": value},
        files={"f": ("x", b"y")},
    )


SAME: list[tuple[Matcher, Request, Request]] = [
    ("method", request("PUT"), request("PUT")),
    ("url", request(url="HTTPS://Shop.example:443/a%20b?x=1"), request(url=f"{URL}/a b?y=2")),
    ("url", request(url=f"{URL}/REAL-1/x"), request(url=f"{URL}/REDACTED/x")),
    ("query", request(url=f"{URL}?a=1&b=2&a=3"), request(url=f"{URL}?b=2&a=1&a=3")),
    ("query", request(url=f"{URL}?a="), request(url=f"{URL}?a")),
    ("port", request(), request(url=f"{URL}:443")),
    ("header:Accept", request(headers={"ACCEPT": "a"}), request(headers={"accept": "a"})),
    ("header:x", request(), request()),
    ("body", post(json={"a": 1, "b": [2.0]}), typed(b'{ "b": [2], "a": 1 }', "application/json")),
    ("body", post(data={"a": "1", "b": "2"}), post(data={"b": "2", "a": "1"})),
    ("body", multipart("one"), multipart("two")),
    ("body", post(content=b"\xff\x00"), post(content=b"\xff\x00")),
    ("body", typed(b"{", "application/json"), typed(b"{", "application/json")),
    ("raw_body", post(content=b"x"), post(content=b"x")),
    (lambda live, recorded: None, request(), request("PUT")),
]


@pytest.mark.parametrize(("matcher", "live", "recorded"), SAME)
def test_what_means_the_same_matches(matcher: Matcher, live: Request, recorded: Request) -> None:
    """
    Spelling and order are of no account where HTTP gives them none.
    """
    assert difference(matcher, live, recorded) is None


def says_no(live: Request, recorded: Request) -> bool:
    return False


def asserts(live: Request, recorded: Request) -> None:
    assert live.method == recorded.method, "another method"


DIFFERENT: list[tuple[Matcher, Request, Request, str]] = [
    ("method", request("PUT"), request(), "'PUT', recorded 'GET'"),
    ("scheme", request(), request(url="http://shop.example"), "'https', recorded 'http'"),
    ("host", request(), request(url="https://x.example"), "'shop.example', recorded 'x.example'"),
    ("port", request(), request(url=f"{URL}:444"), "'443', recorded '444'"),
    ("path", request(url=f"{URL}/a"), request(url=f"{URL}/b"), "'/a', recorded '/b'"),
    ("url", request(url=f"{URL}/a?x=1"), request(url=f"{URL}/b"), f"'{URL}/a', recorded '{URL}/b'"),
    (
        "query",
        request(url=f"{URL}?a=1&b=2&d=5"),
        request(url=f"{URL}?a=2&c=3&d=5"),
        "a='1', recorded '2'; c='3' is missing; b='2' was not recorded",
    ),
    (
        "query",
        request(url=f"{URL}?a=1&a=2"),
        request(url=f"{URL}?a=2&a=1"),
        "a=['1', '2'], recorded ['2', '1']",
    ),
    ("header:accept", request(), request(headers={"Accept": "a"}), "None, recorded 'a'"),
    (
        "body",
        post(json={"a": 1, "b": {"c": "x"}, "l": [1], "new": 1}),
        post(json={"a": True, "b": {"c": "y"}, "l": [1, 2], "old": 2}),
        "$.a is 1, recorded True; $.b.c is 'x', recorded 'y'; $.l has 1 items, recorded 2; 2 more",
    ),
    ("body", post(data={"a": "1"}), post(data={"a": "2"}), "a='1', recorded '2'"),
    ("body", multipart("one"), multipart("two", "2"), "the parts of the multipart form differ"),
    ("body", post(json=1), post(data={"a": "2"}), "b'1', recorded b'a=2'"),
    ("raw_body", post(json=[1, 2]), typed(b"[1, 2]", "application/json"), "b'[1,2]', recorded"),
    (says_no, request(), request(), "it says no"),
    (asserts, request("PUT"), request(), "another method"),
]


@pytest.mark.parametrize(("matcher", "live", "recorded", "told"), DIFFERENT)
def test_differences_are_told(
    matcher: Matcher, live: Request, recorded: Request, told: str
) -> None:
    """
    In words that show both sides.
    """
    assert told in (difference(matcher, live, recorded) or "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.har"
    with scallion.Client(transport=Recorder(path, transport=ECHO), base_url=URL) as client:
        for item in ("apple", "pear"):
            client.post("/orders", json={"item": item})
            client.get("/orders", params={"item": item}, headers={"Accept": f"text/{item}"})
    return path


ECHO = scallion.MockTransport(
    lambda request: Response(200, text=request.content.decode() or str(request.url.query))
)


def test_bodies_are_compared_if_asked_for(path: Path) -> None:
    """
    Then the order of the requests is free; by default it decides.
    """
    match = ("method", "url", "query", "body")
    with scallion.Client(transport=Recorder(path, match=match), base_url=URL) as client:
        assert '{"item":"pear"}' == client.post("/orders", json={"item": "pear"}).text
    with scallion.Client(transport=Recorder(path), base_url=URL) as client:
        assert '{"item":"apple"}' == client.post("/orders", json={"item": "pear"}).text


def test_a_function_compares_what_it_likes(path: Path) -> None:
    """
    It gets both requests, their bodies read, and nothing secret in them.
    """

    def same_item(live: Request, recorded: Request) -> bool:
        assert "REDACTED" == live.headers.get("x-api-key", "REDACTED")
        return live.content == recorded.content

    recorder = Recorder(path, match=("method", same_item))
    with scallion.Client(transport=recorder, base_url=URL) as client:
        sent = {"X-Api-Key": "live-secret-1"}
        body = iter([b'{"item":', b'"pear"}'])
        assert '{"item":"pear"}' == client.post("/x", content=body, headers=sent).text
        with pytest.raises(NotRecorded, match="same_item: it says no"):
            client.post("/x", content=b"{}")


def test_the_nearest_entry_is_shown(path: Path) -> None:
    """
    The one with the fewest differences, and of those the one with the likest URL.
    """
    match = ("method", "url", "query", "header:accept")
    with scallion.Client(transport=Recorder(path, match=match), base_url=URL) as client:
        with pytest.raises(NotRecorded) as caught:
            client.get("/orders", params={"item": "pear"}, headers={"Accept": "text/plum"})

    assert (
        "The nearest of 4 is entry 4, GET https://shop.example/orders?item=pear; it differs in\n"
        "  header:accept: 'text/plum', recorded 'text/pear'"
    ) in str(caught.value)


def test_a_body_that_was_left_out_matches_nothing(tmp_path: Path) -> None:
    """
    What is not there cannot be compared, and the error says so.
    """
    path = tmp_path / "long.har"
    match = ("method", "body")
    brief = scallion.MockTransport(lambda _: Response(200))
    client = scallion.Client(transport=Recorder(path, transport=brief, max_body=9))
    client.post(URL, content=b"0123456789")
    with pytest.warns(UserWarning, match="lacks the request's body"):
        client.close()
    with scallion.Client(transport=Recorder(path, match=match)) as client:
        with pytest.raises(NotRecorded, match="body: it was too long to be recorded"):
            client.post(URL, content=b"0123456789")


def test_new_sends_a_stream_that_it_had_to_read(path: Path) -> None:
    """
    Comparing bodies takes an iterator's; the server gets it all the same.
    """
    recorder = Recorder(path, "new", ECHO, match=("method", "url", "body"))
    with scallion.Client(transport=recorder, base_url=URL) as client:
        assert "new one" == client.post("/orders", content=iter([b"new ", b"one"])).text
        sent = {"Content-Type": "application/json"}
        pear = client.post("/orders", content=iter([b'{"item": "pear"}']), headers=sent)
        assert '{"item":"pear"}' == pear.text


def test_other_streams_of_new_are_left_to_the_transport(path: Path) -> None:
    """
    Without a matcher of bodies nothing is read before it is known to be replayed.
    """
    taken: list[str] = []

    def pieces() -> Any:
        taken.append("read")
        yield b"x"

    def handler(request: Request) -> Response:
        taken.append("sent")
        return Response(200, content=request.content)

    recorder = Recorder(path, "new", scallion.MockTransport(handler))
    with scallion.Client(transport=recorder, base_url=URL) as client:
        assert '{"item":"apple"}' == client.post("/orders", content=pieces()).text
        assert b"x" == client.post("/elsewhere", content=pieces()).content

    assert ["read", "read", "sent"] == taken
