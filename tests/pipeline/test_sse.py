"""Server-sent events: what a stream of bytes means, however it is split, and how long to wait for the next one."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.errors import SSEError
from scallion.pipeline.sse import (
    DEFAULT_MAX_EVENT_SIZE,
    EventStreamDecoder,
    Reconnect,
    ServerSentEvent,
)


def events(*pieces: bytes, **options: Any) -> list[ServerSentEvent]:
    return outcome(pieces, EventStreamDecoder(**options))[0]


def outcome(
    pieces: Iterable[bytes], decoder: EventStreamDecoder
) -> tuple[list[ServerSentEvent], bool]:
    """The events of a stream, and whether it ended with an error."""
    found: list[ServerSentEvent] = []
    try:
        for piece in pieces:
            decoder.feed(piece)
            while (event := decoder.next_event()) is not None:
                found.append(event)
    except SSEError:
        return found, True
    return found, False


E = ServerSentEvent


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [E(data="a")]),
        (b"data: a\r\rdata: b\r\n\r\n", [E(data="a"), E(data="b")]),
        (b"data: a\r\n\rdata: b\n\r\n", [E(data="a"), E(data="b")]),
        (b"data: a\ndata:b\ndata:  c\n\n", [E(data="a\nb\n c")]),
        (b"data\n\n", [E()]),
        (b"data\ndata\n\n", [E(data="\n")]),
        (b"data:\n\n", [E()]),
        (b": comment\n\n:\n\n\n", []),
        (b"nonsense\nother: x\n\n", []),
        (b"Data: a\n data: a\n\n", []),
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [E("add", "1"), E(data="2")]),
        (b"event:\ndata: 1\n\n", [E(data="1")]),
        (b"data: a: b\n\n", [E(data="a: b")]),
        (b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", [E(data="a", id="1"), E(data="b", id="1"), E(data="c")]),
        (b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [E(data="a", id="1"), E(data="b", id="1")]),
        (b"retry: 10\ndata: a\n\ndata: b\n\n", [E(data="a", retry=10), E(data="b")]),
        (b"retry: -1\nretry: 1.5\nretry: 1_0\nretry:\nretry:  1\ndata: a\n\n", [E(data="a")]),
        ("retry: ٣\nretry: ²\ndata: a\n\n".encode(), [E(data="a")]),
        (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [E(data="a")]),
        ("data: Grüße \u2028\x85\x0b\x0c\x1c!\n\n".encode(), [E(data="Grüße \u2028\x85\x0b\x0c\x1c!")]),
        (b"data: \xff\xe2\x82\ndata: \xe2\x82\xac\n\n", [E(data="\ufffd\ufffd\n€")]),
        (b"\xef\xbb\xbfdata: a\n\n", [E(data="a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", []),
        (b"\xef\xbb\xbf\ndata: a\n\n", [E(data="a")]),
        (b"data: a\n\ndata: dropped\n", [E(data="a")]),
        (b"data: a\n\ndata: dropped", [E(data="a")]),
        (b"data: a\n\r", [E(data="a")]),
        (b"event: bare\n\nid: 7\n\nretry: 5\n\n", [E("bare"), E(id="7"), E(id="7", retry=5)]),
        (b"", []),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else "",
)  # fmt: skip
def test_a_stream_is_interpreted_as_the_standard_says(
    stream: bytes, expected: list[ServerSentEvent]
) -> None:
    """
    Line ends, fields, comments, ids, retries, BOM, malformed UTF-8, what is left over at the end.
    """
    assert expected == events(stream)


def test_a_carriage_return_ends_an_event_at_once() -> None:
    """
    Nobody waits for the line feed that may follow it; if it follows, it is no line of its own.
    """
    decoder = EventStreamDecoder()
    decoder.feed(b"data: a\r\r")
    assert E(data="a") == decoder.next_event()

    decoder.feed(b"\n")
    decoder.feed(b"")
    decoder.feed(b"data: b\r")
    decoder.feed(b"\n\r")
    assert E(data="b") == decoder.next_event()
    assert None is decoder.next_event()


_BITS = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\xef\xbb\xbf",
     b"a", b"12", b"\0", "é€😀".encode(), b"\xe2\x82", b"\xff", b"data: x\n\n", b"\x0b", "\u2028".encode()]
)  # fmt: skip
_STREAMS = st.lists(_BITS, max_size=40).map(b"".join)


@st.composite
def _split(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    stream = draw(_STREAMS)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return stream, [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@settings(max_examples=200, deadline=None)
@given(_split(), st.one_of(st.none(), st.integers(1, 30)))
def test_any_split_gives_the_same(split: tuple[bytes, list[bytes]], limit: int | None) -> None:
    """
    Events and errors depend on the bytes, and not on how the network cut them.
    """
    stream, pieces = split
    whole = outcome([stream], EventStreamDecoder(limit))

    assert whole == outcome(pieces, EventStreamDecoder(limit))
    assert whole == outcome([bytes([byte]) for byte in stream], EventStreamDecoder(limit))


def by_the_standard(stream: bytes) -> list[ServerSentEvent]:
    """The standard's algorithm on a whole stream, step by step; blocks without data are events too."""
    text = stream.decode("utf-8-sig", "replace")
    lines = re.split("\r\n|\r|\n", text)[:-1]
    found, last_id = [], ""
    type_, data, retry, seen = "", "", None, False
    for line in lines:
        if not line:
            if seen:
                found.append(E(type_ or "message", data.removesuffix("\n"), last_id, retry))
            type_, data, retry, seen = "", "", None, False
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data += value + "\n"
        elif name == "event":
            type_ = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
        else:
            continue
        seen = True
    return found


@settings(max_examples=200, deadline=None)
@given(_STREAMS)
def test_the_decoder_does_what_the_algorithm_on_the_whole_stream_does(stream: bytes) -> None:
    """
    Incremental decoding equals the standard's description, which looks at the whole.
    """
    assert by_the_standard(stream) == events(stream)


_MODERATE = st.lists(
    st.sampled_from(
        [b"data: a\n", b"data:b\r\n", b"data\r", b"event: x\n", b"id: 7\n", b"retry: 30\n", b": c\r\n", b"\n", b"\r\n",
         b"id\n", b"id: \0\n", b"unknown: z\n", "data: é€\n".encode(), b"data: \xff\n", b"data: rest"]
    ),
    max_size=30,
).map(lambda parts: b"".join(parts).rstrip(b"\r"))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(_MODERATE)
def test_httpx2_gives_the_same_events(stream: bytes) -> None:
    """
    Left aside is what httpx2 takes for something else: a BOM, `retry` values such as "-1", " 5" and "1_0", and a CR
    at the very end, which there ends the event as well as the line.
    """
    httpx2 = pytest.importorskip("httpx2")
    response = httpx2.Response(
        200,
        headers={"Content-Type": "text/event-stream"},
        content=stream,
        request=httpx2.Request("GET", "http://x/"),
    )

    expected = [(e.event, e.data, e.id, e.retry) for e in httpx2.EventSource(response)]
    assert expected == [(e.event, e.data, e.id, e.retry) for e in events(stream)]


@settings(max_examples=150, deadline=None)
@given(_MODERATE)
def test_httpx_sse_gives_the_same_events_up_to_blank_lines_after_an_id(stream: bytes) -> None:
    """
    Once a stream has set an id, httpx-sse takes every blank line for an event; those without a field are left aside.
    """
    httpx_sse, httpx = pytest.importorskip("httpx_sse"), pytest.importorskip("httpx")
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=stream)
    theirs = [(e.event, e.data, e.retry) for e in httpx_sse.EventSource(response).iter_sse()]

    empty = ("message", "", None)
    ours = [(e.event, e.data, e.retry) for e in events(stream)]
    assert [event for event in theirs if event != empty] == [e for e in ours if e != empty]


@pytest.mark.parametrize(
    ("stream", "is_too_large"),
    [
        (b"data: 1234\n\n", False),
        (b"data: 12345\n\n", True),
        (b"data: 12345", True),
        (b"data: 1234", False),
        (b"id: 1\ndata: 2\n\n", True),
        (b"id: 1\nx: 234", True),
        (b"data:12\n\n" * 9, False),
        (b":1234567\n:1234567\ndata: 1\n\n", False),
        (b": 123456789\n", True),
        ("data: €1".encode(), False),
        ("data: €€".encode(), True),
    ],
)
def test_the_size_of_an_event_is_bounded(stream: bytes, is_too_large: bool) -> None:
    """
    Counted are the bytes of all lines of the event and of the line that is arriving, line ends left out.
    """
    assert is_too_large == outcome([stream], EventStreamDecoder(10))[1]
    assert not outcome([stream], EventStreamDecoder(None))[1]


def test_what_came_before_a_large_event_is_given_out() -> None:
    """
    The error comes where the event would have been, and stays.
    """
    decoder = EventStreamDecoder(8)
    decoder.feed(b"data: a\n\ndata: too large\n\ndata: b\n\n")

    assert E(data="a") == decoder.next_event()
    for _ in range(2):
        with pytest.raises(SSEError, match="larger than max_event_size, 8 bytes"):
            decoder.next_event()


def test_the_size_is_bounded_by_default() -> None:
    """
    1 MiB may pass, one byte more may not.
    """
    fitting = b"data:" + b"x" * (DEFAULT_MAX_EVENT_SIZE - 5)

    assert 1024 * 1024 == DEFAULT_MAX_EVENT_SIZE
    assert 1 == len(events(fitting + b"\n\n"))
    assert outcome([fitting, b"x"], EventStreamDecoder())[1]


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), ("1", TypeError), (True, TypeError)])
def test_a_bound_that_is_none_is_refused(limit: Any, error: type[Exception]) -> None:
    """
    A bound is a number of bytes, or None.
    """
    with pytest.raises(error, match="max_event_size is"):
        EventStreamDecoder(limit)


def test_a_line_that_comes_byte_by_byte_costs_no_more_than_its_length() -> None:
    """
    Buffering is linear: a quadratic one would not end within the time that a test has.
    """
    decoder = EventStreamDecoder(None)
    for _ in range(400_000):
        decoder.feed(b"x")
        decoder.next_event()
    decoder.feed(b"\n" * 400_000 + b"data: a\n\n")

    assert E(data="a") == decoder.next_event()


def test_the_last_event_id_is_that_of_the_last_event_given_out() -> None:
    """
    An event that has not ended yet does not count, nor one that nobody has asked for.
    """
    decoder = EventStreamDecoder(last_event_id="0")
    decoder.feed(b"data: a\n\nid: 1\ndata: b\n\nid: 2\n")
    assert "0" == decoder.last_event_id

    assert E(data="a", id="0") == decoder.next_event()
    assert "0" == decoder.last_event_id
    assert E(data="b", id="1") == decoder.next_event()
    assert None is decoder.next_event()
    assert "1" == decoder.last_event_id


def test_another_connection_begins_anew_with_the_id() -> None:
    """
    What had come of an event is dropped; the last id and the time to wait stay, and a BOM may come again.
    """
    decoder = EventStreamDecoder()
    decoder.feed(b"id: 1\nretry: 20\ndata: a\n\nid: 2\ndata: lost\r")
    decoder.next_event()
    decoder.next_event()
    decoder.restart()

    decoder.feed(b"\n\xef")
    assert None is decoder.next_event()
    decoder.restart()
    decoder.feed(b"\xef\xbb\xbfdata: b\n\n")
    assert E(data="b", id="1") == decoder.next_event()
    assert 20 == decoder.retry


def test_an_event_is_a_value() -> None:
    """
    Events compare, hash and pickle; their data may be JSON.
    """
    event = E("add", '{"left": 3}', "7", 100)

    assert "ServerSentEvent(event='message', data='', id='', retry=None)" == repr(E())
    assert {event} == {pickle.loads(pickle.dumps(event))}
    assert {"left": 3} == event.json()
    with pytest.raises(FrozenInstanceError):
        event.data = ""  # type: ignore[misc]
    with pytest.raises(ValueError, match="Expecting value"):
        E().json()


@pytest.mark.parametrize(
    ("failures", "retry", "least", "most"),
    [
        (0, None, 3.0, 4.5),
        (1, None, 3.0, 9.0),
        (3, None, 3.0, 30.0),
        (10_000, None, 3.0, 30.0),
        (0, 500, 0.5, 0.75),
        (0, 0, 0.0, 0.0),
        (2, 0, 0.0, 0.6),
        (0, 60_000, 30.0, 30.0),
        (0, 10**15 - 1, 30.0, 30.0),
    ],
)
def test_waits_begin_at_what_was_asked_for_and_grow_with_failures(
    failures: int, retry: int | None, least: float, most: float
) -> None:
    """
    The server's wish or the default is the lower bound, the upper one doubles, and the cap holds for both.
    """
    assert least == Reconnect(random=lambda: 0.0).seconds(failures, retry)
    assert most == pytest.approx(min(30.0, Reconnect(random=lambda: 1.0).seconds(failures, retry)))


def test_waits_are_random() -> None:
    """
    Many clients that lost their connections together do not come back together.
    """
    policy = Reconnect()

    assert 1 < len({policy.seconds(0, None) for _ in range(20)})


@pytest.mark.parametrize(
    "settings",
    [{"attempts": 0}, {"wait": -1.0}, {"wait": 31.0}, {"cap": 1.0}, {"wait": float("nan")}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    """
    At least one attempt, and 0 <= wait <= cap.
    """
    with pytest.raises(ValueError, match="Reconnect"):
        Reconnect(**settings)
