"""The fast lane agrees with h11 on every message that it takes: the condition for having it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scallion.pipeline.errors import LocalProtocolError, RemoteProtocolError
from scallion.transports.codec import H11Codec
from scallion.transports.fast_lane import FastLane
from scallion.transports.messages import END, RawHeaders

HEADERS: RawHeaders = [(b"Host", b"a"), (b"Accept", b"*/*")]
Codec = FastLane | H11Codec

# Requests


def sent(
    codec: Codec, method: bytes, target: bytes, headers: RawHeaders, body: list[bytes] | None
) -> bytes | str:
    """What goes on the wire; "refused" for our own error."""
    try:
        if body is None:
            return codec.start(method, target, headers, b"")
        head = codec.start(method, target, headers, None)
        return head + b"".join(map(codec.data, body)) + codec.finish()
    except LocalProtocolError:
        return "refused"


odd = st.binary(max_size=12)
names = st.sampled_from(
    [b"Host", b"host", b"X-A", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade"]
) | st.sampled_from([b"Expect", b"content-length", b"X: Y", b"", b"X\r\nY", b"\xc3"])
values = (
    st.sampled_from(
        [b"a", b"3", b"0", b"4", b"chunked", b"close", b"keep-alive", b"upgrade", b"1,1"]
    )
    | st.sampled_from(
        [b"", b" a", b"a ", b"a b", b"a\tb", b"a\r\nB: c", b"a\x00b", b"\xff", b"a\x01"]
    )
    | odd
)
request_headers = st.lists(st.tuples(names, values), max_size=5).flatmap(
    lambda rest: st.sampled_from([rest, [(b"Host", b"a"), *rest], [*rest, (b"Host", b"a")]])
)


@settings(max_examples=600, deadline=None)
@given(
    method=st.sampled_from([b"GET", b"POST", b"HEAD", b"get", b"G T", b"CONNECT", b"", b"X"]),
    target=st.sampled_from([b"/", b"*", b"/a?b", b"", b"/a b", b"/\r\n", b"/\xc3"]) | odd,
    headers=request_headers,
    body=st.none() | st.lists(st.sampled_from([b"", b"abc", b"abcd"]), max_size=3),
)
@example(b"GET", b"/", [(b"Host", b"a"), (b"X", b"a\r\nY: b")], None)
@example(b"GET", b"/", [(b"Host", b"a"), (b"X: Y", b"b")], None)
@example(b"GET", b"/", [(b"Host", b"a"), (b"X", b"a\x00b")], None)
@example(b"POST", b"/", [(b"Host", b"a"), (b"Content-Length", b"3")], [b"abcd"])
@example(b"POST", b"/", [(b"Host", b"a"), (b"Content-Length", b"4")], [b"abc"])
def test_requests_leave_as_h11_would_send_them(
    method: bytes, target: bytes, headers: RawHeaders, body: list[bytes] | None
) -> None:
    """
    The same bytes, or a refusal by both.
    """
    expected = sent(H11Codec(), method, target, list(headers), body)

    assert expected == sent(FastLane(), method, target, list(headers), body)


# Responses


def received(
    codec: Codec, pieces: list[bytes], method: bytes = b"GET", *, after: bool = True
) -> Any:
    """Head, body, trailers and reusability; how far it came if there is an error or not enough."""
    codec.start(method, b"/", HEADERS, b"")
    feed = iter([*pieces, b""] if after else pieces)
    head = None
    body = b""
    try:
        while head is None:
            data = next(feed, None)
            if data is None:
                return "more"
            codec.feed(data)
            head = codec.head()
        if head.status == 101:
            return head, codec.leftover()
        while (piece := codec.body()) != END:
            if piece is not None:
                body += piece
                continue
            data = next(feed, None)
            if data is None:
                return head, body, "more"
            codec.feed(data)
    except RemoteProtocolError:
        # What a message gave before its error depends on how h11 is asked; that it fails does not.
        return "broken", head
    # What has not been fed yet belongs to nobody; the lane has read no more than h11.
    return head, body, codec.trailers, codec.reusable()


LINES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 \r\n",
    b"HTTP/1.1 200\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 599 A  B\r\n",
    b"HTTP/1.1 999 X\r\n",
    b"HTTP/2 200 OK\r\n",
    b"SSH-2.0-x\r\n",
    b"\r\n",
    b"\n",
    b" folded\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 03\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5, 5\r\n",
    b"content-length: -1\r\n",
    b"Content-Length: 3 \r\n",
    b"Content-Length: 99999999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: Chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: keep-alive, close\r\n",
    b"Connection: Upgrade\r\nUpgrade: x\r\n",
    b"X-Empty:\r\n",
    b"X-Empty: \r\n",
    b"X-Tight:a\r\n",
    b"X-Wide:   a  \r\n",
    b"X Y: a\r\n",
    b"X-Latin: \xe9\r\n",
    b"X-Control: \x01\r\n",
    b"X-Nul: \x00\r\n",
    b"X-Bare: a\nY: b\r\n",
    b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n",
    b"\r\nabc",
    b"\r\nabcdef",
    b"\r\n3\r\nabc\r\n0\r\n\r\n",
    b"\r\n3\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n",
    b"\r\n3;ext=1\r\nabc\r\n0\r\n\r\n",
    b"\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"\r\n3\r\nabcX\n0\r\n\r\n",
    b"\r\n0000000000000003\r\nabc\r\n0\r\n\r\n",
    b"\r\n-3\r\nabc",
]
lines = st.sampled_from(LINES)
streams = st.one_of(
    st.tuples(st.just(LINES[0]), st.lists(lines, max_size=4)).map(lambda t: t[0] + b"".join(t[1])),
    st.lists(lines, max_size=6).map(b"".join),
    st.tuples(st.sampled_from(LINES[:6]), st.lists(lines, max_size=3), st.binary(max_size=20)).map(
        lambda t: t[0] + b"".join(t[1]) + b"\r\n" + t[2]
    ),
    st.binary(max_size=60),
)


@settings(max_examples=1500, deadline=None)
@given(
    stream=streams,
    cuts=st.lists(st.integers(0, 120), max_size=4),
    method=st.sampled_from([b"GET", b"HEAD", b"POST"]),
    after=st.booleans(),
)
def test_responses_are_what_h11_reads(
    stream: bytes, cuts: list[int], method: bytes, after: bool
) -> None:
    """
    The same head, body, trailers, errors and reuse, however the bytes are cut.
    """
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges) if stream[a:b]]
    expected = received(H11Codec(), pieces, method, after=after)

    assert expected == received(FastLane(), pieces, method, after=after)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nab",
    ],
)
def test_ordinary_messages_do_not_need_h11(answer: bytes) -> None:
    """
    The lane is taken: what servers usually send never reaches h11.
    """
    codec = FastLane()
    codec.start(b"GET", b"/", HEADERS, b"")
    codec.feed(answer)

    assert codec.head() is not None
    assert codec._h11 is None


def test_an_early_answer_in_the_middle_of_an_upload_is_h11s() -> None:
    """
    h11 takes over a request of which a part was sent, and refuses more than was announced.
    """
    codec = FastLane()
    codec.start(b"POST", b"/", [(b"Host", b"a"), (b"Content-Length", b"5")], None)
    codec.data(b"abc")
    codec.feed(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    head = codec.head()

    assert head is not None
    assert 413 == head.status
    assert END == codec.body()
    assert not codec.reusable()
    with pytest.raises(LocalProtocolError, match="does not fit its head"):
        codec.data(b"defg")


def test_an_upload_goes_on_after_an_interim_answer() -> None:
    """
    100 Continue, then the rest of the body, then the final answer.
    """
    codec = FastLane()
    codec.start(b"POST", b"/", [(b"Host", b"a"), (b"Transfer-Encoding", b"chunked")], None)
    assert b"3\r\nabc\r\n" == codec.data(b"abc")
    codec.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert codec.head() is None
    assert b"3\r\ndef\r\n" == codec.data(b"def")
    assert b"0\r\n\r\n" == codec.finish()
    codec.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    head = codec.head()

    assert head is not None
    assert b"ok" == codec.body()
    assert END == codec.body()
    assert codec.reusable()


@settings(max_examples=200, deadline=None)
@given(answers=st.lists(st.sampled_from(LINES[:6]), min_size=1, max_size=4))
def test_one_connection_serves_many_exchanges(answers: list[bytes]) -> None:
    """
    After each message that h11 calls reusable, the next is read alike.
    """
    lane, h11 = FastLane(), H11Codec()
    for answer in answers:
        pieces = [answer + b"Content-Length: 0\r\n\r\n"]
        expected = received(h11, pieces, after=False)

        assert expected == received(lane, pieces, after=False)
        if expected[-1] is not True:
            return


def test_an_upload_that_was_whole_when_the_answer_came_is_settled() -> None:
    """
    After an interim response h11 counts; the last byte ends the request, and the connection lives on.
    """
    codec = FastLane()
    codec.start(b"POST", b"/", [(b"Host", b"a"), (b"Content-Length", b"4")], None)
    codec.data(b"ab")
    codec.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert codec.head() is None
    codec.data(b"cd")
    codec.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert codec.head() is not None
    codec.settle()

    assert END == codec.body()
    assert codec.reusable()
