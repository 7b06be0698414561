"""The HTTP/1.1 codecs, h11's and the fast lane beside it: what goes out, and any bytes that may come in."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import h11
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scallion.pipeline.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from scallion.transports.codec import MAX_HEAD, MAX_INTERIM, H11Codec
from scallion.transports.fast_lane import FastLane
from support.colours import Drive
from support.servers import HTTPServer
from support.wire import Wire, request

Codec: TypeAlias = H11Codec | FastLane
Make: TypeAlias = Callable[[], Codec]
MAKES: list[Make] = [H11Codec, FastLane]
HOST = (b"Host", b"x")


@pytest.fixture(params=MAKES, ids=["h11", "lane"])
def codec(request: pytest.FixtureRequest) -> Codec:
    made: Codec = request.param()
    return made


def get(codec: Codec, method: bytes = b"GET", *headers: tuple[bytes, bytes]) -> None:
    codec.start(method, b"/", [HOST, *headers], b"")


def play(codec: Codec, pieces: list[bytes]) -> dict[str, Any]:
    """Feed the pieces as they are asked for, then the end; everything that the codec said."""
    rest: Iterator[bytes] = iter([*pieces, b""])
    while (head := codec.head()) is None:
        codec.feed(next(rest))
    switched = head.status == 101
    body = b""
    while not switched:
        piece = codec.body()
        if piece is None:
            codec.feed(next(rest))
        elif piece:
            body += piece
        else:
            break
    return {
        "head": tuple(head),
        "body": body,
        "trailers": codec.trailers,
        "leftover": codec.leftover() if switched else b"",
    }


def outcome(make: Make, method: bytes, pieces: list[bytes]) -> Any:
    """What comes of a response, errors included."""
    codec = make()
    get(codec, method)
    try:
        return play(codec, pieces)
    except RemoteProtocolError as error:
        return type(error)


def by_h11(method: bytes, data: bytes) -> Any:
    """What h11 makes of the same bytes, fed whole."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    connection.send(h11.Request(method=method, target="/", headers=[HOST]))
    connection.send(h11.EndOfMessage())
    result: dict[str, Any] = {"body": b"", "trailers": None, "leftover": b""}
    interim = 0
    try:
        if data:
            connection.receive_data(data)
        connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                interim += 1
                if interim > MAX_INTERIM:
                    return RemoteProtocolError
            elif isinstance(event, (h11.Response, h11.InformationalResponse)):
                version = b"HTTP/" + event.http_version
                result["head"] = (
                    event.status_code,
                    event.reason,
                    version,
                    event.headers.raw_items(),
                )
            elif isinstance(event, h11.Data):
                result["body"] += event.data
            elif isinstance(event, h11.EndOfMessage):
                result["trailers"] = event.headers.raw_items() or None
                return result
            else:
                return RemoteProtocolError
    except h11.RemoteProtocolError:
        return RemoteProtocolError


def split(data: bytes, at: list[int]) -> list[bytes]:
    """`data` in pieces, none of them empty."""
    cuts = sorted({cut % (len(data) + 1) for cut in at} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(cuts)]


# Requests.


BODY = b"0123456789" * 10


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("GET", {}),
        ("HEAD", {}),
        ("POST", {}),
        ("POST", {"content": BODY}),
        ("PUT", {"json": {"a": [1, 2]}}),
        ("DELETE", {"headers": {"X-Empty": "", "x-a": "1", "X-A": "2"}}),
        ("POST", {"content": BODY, "headers": {"Transfer-Encoding": "chunked"}}),
        ("OPTIONS", {"headers": {"Connection": "close"}}),
    ],
    ids=str,
)
def test_requests_are_the_bytes_that_httpx_sends(
    drive: Drive, method: str, settings: dict[str, Any]
) -> None:
    """
    Given the same headers, the same bytes leave, chunks included.
    """
    with HTTPServer() as server:
        url = f"{server.url}/a%20b?c=d"
        built = httpx.Request(method, url, **settings)
        with httpx.HTTPTransport() as transport:
            transport.handle_request(built).read()

        async def scenario() -> None:
            async with Wire(drive) as wire:
                ours = request(method, url, headers=built.headers.raw, content=built.content)
                await wire.read(await wire.send(ours))

        drive(scenario)
        theirs, mine = (peer.received for peer in server.connections)
        assert theirs == mine


def test_a_body_in_pieces_is_framed(codec: Codec) -> None:
    """
    Chunks are wrapped, empty ones vanish; a counted body passes as it is.
    """
    codec.start(b"POST", b"/", [HOST, (b"Transfer-Encoding", b"chunked")], None)
    assert b"a\r\n0123456789\r\n" == codec.data(b"0123456789")
    assert b"" == codec.data(b"")
    assert b"0\r\n\r\n" == codec.finish()


@pytest.mark.parametrize("body", [b"12345", b"1234567890ab"], ids=["short", "long"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_body_must_be_as_long_as_announced(codec: Codec, body: bytes, whole: bool) -> None:
    """
    More or less than Content-Length is refused, in one piece or in several.
    """
    headers = [HOST, (b"Content-Length", b"10")]

    def send() -> None:
        if whole:
            codec.start(b"POST", b"/", headers, body)
        else:
            codec.start(b"POST", b"/", headers, None)
            codec.data(body)
            codec.finish()

    with pytest.raises(LocalProtocolError, match=r"Content-Length"):
        send()


SECRET = b"s3cret"


@pytest.mark.parametrize(
    "value",
    [
        SECRET + b"\r\nX-Evil: 1",
        SECRET + b"\n",
        SECRET + b"\x00",
        b" " + SECRET,
        SECRET + b"\t",
        SECRET + b"\x0b",
        SECRET + b"\x0cx",
        b"\x0b" + SECRET,
    ],
)
def test_a_bad_value_is_refused_and_not_told(codec: Codec, value: bytes) -> None:
    """
    The error names the header; the value stands nowhere in the traceback, causes and contexts included.
    """
    with pytest.raises(LocalProtocolError, match="X-Token") as caught:
        codec.start(b"GET", b"/", [HOST, (b"X-Token", value)], b"")
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET.decode() not in told
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Content-Length", b"s3cret"),
        (b"Transfer-Encoding", b"s3cret"),
        (b"Host", b"s3cret"),
        (b"", b"s3cret"),
        (b"a b", b"s3cret"),
        (b"a:", b"s3cret"),
        (b"\xfc", b"s3cret"),
        (b"a\r\nb", b"s3cret"),
    ],
)
def test_bad_headers_are_refused(codec: Codec, name: bytes, value: bytes) -> None:
    """
    Bad names, framing that is none, a second Host: our error, without the value.
    """
    with pytest.raises(LocalProtocolError) as caught:
        codec.start(b"GET", b"/", [HOST, (name, value)], b"")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("target", [b"", b"/a b", b"/\r\nX: y", b"/\x00", "/ü".encode()])
def test_bad_targets_are_refused(codec: Codec, target: bytes) -> None:
    """
    A request target cannot smuggle a second line in.
    """
    with pytest.raises(LocalProtocolError, match="target"):
        codec.start(b"GET", target, [HOST], b"")


@pytest.mark.parametrize("method", [b"", b"G T", b"GET\r\n", b"G\xff"])
def test_bad_methods_are_refused(codec: Codec, method: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="method"):
        codec.start(method, b"/", [HOST], b"")


@given(
    method=st.sampled_from([b"GET", b"POST", b"HEAD"]) | st.binary(max_size=6),
    target=st.just(b"/") | st.binary(max_size=8),
    fields=st.lists(
        st.tuples(
            st.sampled_from([b"Host", b"A", b"Content-Length", b"Transfer-Encoding", b"Connection"])
            | st.binary(max_size=4),
            st.sampled_from([b"x", b"0", b"3", b"chunked", b"close", b"a b"])
            | st.binary(max_size=6),
        ),
        max_size=4,
    ),
    body=st.sampled_from([None, b"", b"abc"]),
)
@settings(max_examples=200, deadline=None)
def test_the_lane_sends_what_h11_sends(
    method: bytes, target: bytes, fields: list[tuple[bytes, bytes]], body: bytes | None
) -> None:
    """
    Any request gives the same bytes in both codecs, or the same error.
    """

    def sent(make: Make) -> bytes | type:
        try:
            return make().start(method, target, [HOST, *fields], body)
        except LocalProtocolError:
            return LocalProtocolError

    assert sent(H11Codec) == sent(FastLane)


# Responses.

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
RESPONSES = [
    OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;ext=1;q='a'\r\nhel\r\n02\r\nlo\r\n0;e\r\nX-Sum: 9\r\nY: z\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"HTTP/1.1 200 OK\r\nX-Long: a\r\n  folded\r\n\tagain\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX:\r\nY:   a   \r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ntoo long",
    b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nname : x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
    b"HTTP/1.1 099 Odd\r\n\r\n",
    b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/2 200 OK\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"\r\n\r\n" + OK,
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    OK + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
]
CUTS = st.lists(st.integers(0, 400), max_size=8)
METHODS = st.sampled_from([b"GET", b"HEAD"])


@pytest.mark.parametrize("data", RESPONSES, ids=range(len(RESPONSES)))
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_the_split_of_the_bytes_makes_no_difference(data: bytes, method: bytes) -> None:
    """
    Whole, byte by byte, or cut in two anywhere: in both codecs, what h11 gives when fed whole.
    """
    expected = by_h11(method, data)
    splits = [[data[at : at + 1] for at in range(len(data))]]
    splits += [split(data, [at]) for at in range(0, len(data) + 1, 3)]
    for make in MAKES:
        for pieces in splits:
            assert expected == outcome(make, method, pieces), pieces


@given(data=st.sampled_from(RESPONSES), cuts=CUTS, method=METHODS)
@settings(max_examples=200, deadline=None)
def test_any_split_gives_what_h11_gives(data: bytes, cuts: list[int], method: bytes) -> None:
    """
    The same for arbitrary splits.
    """
    for make in MAKES:
        assert by_h11(method, data) == outcome(make, method, split(data, cuts))


HEADS = st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", *(data[:40] for data in RESPONSES)])
PARTS = st.sampled_from(
    [
        b"\r\n",
        b"\r\n\r\n",
        b"0",
        b"5",
        b"hello",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b": ",
        b";",
    ]
)
RUBBISH = st.tuples(HEADS, st.lists(PARTS | st.binary(max_size=8), max_size=8)).map(
    lambda made: made[0] + b"".join(made[1])
)


@given(data=RUBBISH, cuts=CUTS, method=METHODS)
@example(data=b"HTTP/1.1 200 OK\r\nContent-Length: 5" + b"9" * 5000, cuts=[], method=b"GET")
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_what_h11_gives_or_our_error(
    data: bytes, cuts: list[int], method: bytes
) -> None:
    """
    Whatever a server sends is a value or a RemoteProtocolError, in both codecs the same.
    """
    expected = by_h11(method, data)
    for make in MAKES:
        assert expected == outcome(make, method, split(data, cuts))


def test_every_byte_of_a_response_changed(codec: Codec) -> None:
    """
    A single wrong byte anywhere gives a value or our error.
    """
    make = type(codec)
    for data in RESPONSES[:8]:
        for at in range(len(data)):
            for byte in b"\x00\r\n\xff;":
                changed = data[:at] + bytes([byte]) + data[at + 1 :]
                assert by_h11(b"GET", changed) == outcome(make, b"GET", [changed]), changed


def test_interim_responses_are_bounded(codec: Codec) -> None:
    """
    As many as allowed are skipped, one more ends it, in one packet or in one packet each.
    """
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    for pieces in ([early * MAX_INTERIM + OK], [early] * MAX_INTERIM + [OK]):
        one = type(codec)()
        get(one)
        assert b"hello" == play(one, pieces)["body"]
        other = type(codec)()
        get(other)
        with pytest.raises(RemoteProtocolError, match="over 100 interim responses"):
            play(other, [early, *pieces])


def test_interim_responses_are_counted_for_each_exchange() -> None:
    """
    A connection that lives long does not run out of them.
    """
    codec = H11Codec()
    for _ in range(3):
        get(codec)
        play(codec, [b"HTTP/1.1 100 Continue\r\n\r\n" * 60 + OK])
        assert codec.reusable()


def test_switching_protocols(codec: Codec) -> None:
    """
    After 101 no body is read, and what came with the head is kept.
    """
    get(codec, b"GET", (b"Connection", b"upgrade"), (b"Upgrade", b"chat"))
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\n\r\nfirst words"
    assert b"first words" == play(codec, [switch])["leftover"]
    assert not codec.reusable()


def test_101_that_nobody_asked_for(codec: Codec) -> None:
    get(codec)
    with pytest.raises(RemoteProtocolError):
        play(codec, [b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])


@pytest.mark.parametrize("extra", [b"", b"Content-Length: 5\r\n"])
def test_connect_opens_a_tunnel(codec: Codec, extra: bytes) -> None:
    """
    After 2xx to CONNECT everything belongs to the tunnel (RFC 9112 section 6.3).
    """
    codec.start(b"CONNECT", b"x:443", [HOST], b"")
    codec.feed(b"HTTP/1.1 200 OK\r\n" + extra + b"\r\nhello")
    head = codec.head()
    assert head is not None
    assert 200 == head.status
    assert b"hello" == codec.leftover()
    assert not codec.reusable()


def test_connect_refused_has_a_body(codec: Codec) -> None:
    codec.start(b"CONNECT", b"x:443", [HOST], b"")
    refused = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"
    assert b"no" == play(codec, [refused[:50], refused[50:]])["body"]


def test_a_head_without_end(codec: Codec) -> None:
    """
    What is kept of a head is bounded, whether its lines end or not.
    """
    for piece in (b"x" * 4096, b"X: %s\r\n" % (b"y" * 1000)):
        one = type(codec)()
        get(one)
        one.feed(b"HTTP/1.1 200 OK\r\nX-Long: ")
        fed: list[bytes] = []

        def flood(codec: Codec = one, piece: bytes = piece, fed: list[bytes] = fed) -> None:
            while codec.head() is None:
                codec.feed(piece)
                fed.append(piece)

        with pytest.raises(RemoteProtocolError, match="too long"):
            flood()
        assert len(piece) * len(fed) <= MAX_HEAD + len(piece)


def test_a_large_head_is_read(codec: Codec) -> None:
    """
    Large heads pass as long as they are below the bound.
    """
    head = b"HTTP/1.1 200 OK\r\nX: %s\r\nContent-Length: 2\r\n\r\nok" % (b"x" * 90_000)
    get(codec)
    assert b"ok" == play(codec, [head[:65_536], head[65_536:]])["body"]


@pytest.mark.parametrize(
    "endless", [b"1;" + b"x" * 70_000, b"1\r\nx\r\n0\r\n" + b"X: y\r\n" * 20_000]
)
def test_chunk_heads_and_trailers_without_end(codec: Codec, endless: bytes) -> None:
    """
    Neither a chunk's extension nor trailers grow beyond the bound.
    """
    get(codec)
    with pytest.raises(RemoteProtocolError):
        play(codec, [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *([endless] * 3)])


# Afterwards.


@pytest.mark.parametrize(
    ("reusable", "data"),
    [
        (True, OK),
        (True, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        (True, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (True, b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"),
        (False, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
        (False, b"HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok"),
        (False, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (False, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"),
        (False, OK + b"x"),
        (False, OK + OK),
        (False, b"HTTP/1.1 204 No Content\r\n\r\nx"),
        (
            False,
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (
            False,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (False, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx"),
    ],
)
def test_reuse(codec: Codec, reusable: bool, data: bytes) -> None:
    """
    A connection is used again only if nothing speaks against it, for any cut of the response in two.
    """
    for at in range(len(data)):
        if data[at:] == b"x":
            continue  # what comes after the message is then for the connection to notice
        one = type(codec)()
        get(one)
        pieces = split(data, [at])
        rest = iter(pieces)
        while one.head() is None:
            one.feed(next(rest))
        while (piece := one.body()) != b"":
            if piece is None:
                one.feed(next(rest))
        if (left := b"".join(rest)) and left in OK:
            continue
        assert reusable == one.reusable(), pieces


def test_two_exchanges(codec: Codec) -> None:
    """
    The second exchange starts afresh, whatever way the first body took.
    """
    for pieces in ([OK], [OK[:50], OK[50:]], [OK[:-5], OK[-5:]], [OK]):
        get(codec)
        assert not codec.received
        assert b"hello" == play(codec, pieces)["body"]
        assert codec.received
        assert codec.reusable()


def test_a_request_that_wants_to_close(codec: Codec) -> None:
    get(codec, b"GET", (b"Connection", b"close"))
    play(codec, [OK])
    assert not codec.reusable()


@pytest.mark.parametrize("chunked", [True, False])
def test_an_early_answer(codec: Codec, chunked: bool) -> None:
    """
    A response before the request's end is read, and is the last.
    """
    framing = (b"Transfer-Encoding", b"chunked") if chunked else (b"Content-Length", b"10")
    codec.start(b"POST", b"/", [HOST, framing], None)
    codec.data(b"12345")
    assert b"hello" == play(codec, [OK])["body"]
    assert not codec.reusable()


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("after", [5, 10])
def test_an_upload_goes_on_after_an_interim_response(
    codec: Codec, chunked: bool, after: int
) -> None:
    """
    100 Continue in the midst of the body, or when all of it was sent and its end is not told yet.
    """
    framing = (b"Transfer-Encoding", b"chunked") if chunked else (b"Content-Length", b"10")
    codec.start(b"POST", b"/", [HOST, framing], None)
    codec.data(b"1234567890"[:after])
    codec.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert codec.head() is None
    if after < 10:
        codec.data(b"1234567890"[after:])
    assert (b"0\r\n\r\n" if chunked else b"") == codec.finish()
    assert b"hello" == play(codec, [OK])["body"]
    assert codec.reusable()


@pytest.mark.parametrize("size", [1, 5, 100_000])
def test_counted_bodies(codec: Codec, size: int) -> None:
    """
    Bodies that come after their head: exactly as long, cut short, and with something behind.
    """
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    body = b"x" * size
    for pieces, reusable in (
        ([head, body], True),
        ([head, *(body[at : at + 999] for at in range(0, size, 999))], True),
        ([head, body + b"y"], False),
    ):
        one = type(codec)()
        get(one)
        assert body == play(one, pieces)["body"]
        assert reusable == one.reusable()
    get(codec)
    with pytest.raises(
        RemoteProtocolError, match=f"before the body was complete.* {size - 1} bytes.* {size}"
    ):
        play(codec, [head, body[1:]])


def test_no_answer_at_all(codec: Codec) -> None:
    """
    The message is the one that programs look for.
    """
    get(codec)
    with pytest.raises(
        RemoteProtocolError, match=r"Server disconnected without sending a response\."
    ):
        play(codec, [])


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46"])
def test_another_protocol_is_named_as_such(codec: Codec, data: bytes) -> None:
    """
    Banners and TLS alerts: the error asks for the port and the protocol.
    """
    get(codec)
    with pytest.raises(ProtocolError, match=r"not HTTP/1\.1.*right port.*TLS"):
        play(codec, [data])


@pytest.mark.parametrize("codec", [H11Codec, FastLane])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nSet-Cookie : sid=s3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=s3cr3t\x01\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: s3cr3t\r\n\r\n",
        b"HTTP/1.1 s3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ns3cr3t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : s3cr3t\r\n\r\n",
    ],
)
def test_what_the_server_said_wrongly_is_not_quoted(codec: Any, answer: bytes) -> None:
    """
    Neither in the message, nor in its cause or context: a header's value may be a secret.
    """

    def converse() -> None:
        conversation = codec()
        conversation.start(b"GET", b"/", [(b"Host", b"a")], b"")
        conversation.feed(answer)
        conversation.head()
        while conversation.body():
            pass

    with pytest.raises(RemoteProtocolError) as caught:
        converse()

    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    assert len(str(caught.value)) > 20
