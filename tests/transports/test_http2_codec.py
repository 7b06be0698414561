"""HTTP/2's codec alone: what a server must not do, what it may repeat, and where scallion departs from h2."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from scallion.transports.http2_fields import RequestHead
from scallion.transports.http2_frames import ErrorCode
from scallion.transports.http2_sending import CONNECTION_WINDOW, STREAM_WINDOW, StreamState
from support.h2_oracle import Recorder, answers_in

OK = HeadersFrame(1, b"\x88", flags=["END_HEADERS"])


def begun(*ends: bool) -> Recorder:
    """A connection with a request for each of `ends`, its preface sent."""
    recorder = Recorder()
    for end in ends or (True,):
        recorder.request(end=end)
    recorder.codec.take()
    return recorder


def heard(*frames: Frame, requests: int = 1) -> Recorder:
    recorder = begun(*[True] * requests)
    for frame in frames:
        recorder.feed(frame.serialize())
    return recorder


def zero_increment(stream: int) -> bytes:
    return bytes.fromhex("00000408") + b"\x00" + stream.to_bytes(4, "big") + bytes(4)


# What ends the connection.


@pytest.mark.parametrize(
    "frame",
    [
        DataFrame(7, b"x"),
        HeadersFrame(7, b"\x88", flags=["END_HEADERS"]),
        HeadersFrame(2, b"\x88", flags=["END_HEADERS"]),
        RstStreamFrame(7),
        WindowUpdateFrame(7, window_increment=1),
        PushPromiseFrame(1, promised_stream_id=2, data=b"\x82", flags=["END_HEADERS"]),
        ContinuationFrame(1, b"\x88", flags=["END_HEADERS"]),
        SettingsFrame(0, settings={2: 1}),
        SettingsFrame(0, settings={5: 100}),
    ],
    ids=lambda frame: f"{type(frame).__name__} {frame.stream_id}",
)
def test_frames_that_must_not_come(frame: Frame) -> None:
    """
    On streams that were never begun, pushed ones, out of turn: it is an error of the connection's, and GOAWAY says so.
    """
    recorder = heard(frame)
    assert ErrorCode.PROTOCOL_ERROR == recorder.fault
    assert [("GoAwayFrame",)] == answers_in(recorder.sent)


@pytest.mark.parametrize(
    ("kind", "flags", "stream", "payload"),
    [
        (0, 8, 1, b""),  # DATA, padded
        (1, 0x24, 1, b"1234"),  # HEADERS, with a priority
        (2, 0, 1, b"1234"),  # PRIORITY
        (3, 0, 1, b"123"),  # RST_STREAM
        (4, 0, 0, b"12345"),  # SETTINGS
        (4, 1, 0, b"123456"),  # SETTINGS, an acknowledgement
        (6, 0, 0, b"1234567"),  # PING
        (7, 0, 0, b"1234567"),  # GOAWAY
        (8, 0, 0, b"123"),  # WINDOW_UPDATE
    ],
)
def test_frames_of_a_wrong_size(kind: int, flags: int, stream: int, payload: bytes) -> None:
    """
    Each is an error of the connection's (section 4.2).
    """
    recorder = begun()
    header = bytes((0, 0, len(payload), kind, flags)) + stream.to_bytes(4, "big")
    recorder.feed(header + payload)
    assert ErrorCode.FRAME_SIZE_ERROR == recorder.fault


@pytest.mark.parametrize("stream", [0, 1])
def test_credit_of_nothing(stream: int) -> None:
    """
    RFC 9113 section 6.9: an increment of 0 is an error.
    """
    recorder = begun()
    recorder.feed(zero_increment(stream))
    assert ErrorCode.PROTOCOL_ERROR == recorder.fault


def test_credit_beyond_all_bounds() -> None:
    """
    Of one stream it costs the stream, of the connection the connection (section 6.9.1).
    """
    most = 2**31 - 1
    recorder = heard(WindowUpdateFrame(1, window_increment=most), requests=2)
    assert (None, [("malformed",)]) == (recorder.fault, recorder.streams[1])
    assert [("RstStreamFrame", 1, ErrorCode.FLOW_CONTROL_ERROR)] == answers_in(recorder.sent)
    recorder.feed(WindowUpdateFrame(0, window_increment=most).serialize())
    assert ErrorCode.FLOW_CONTROL_ERROR == recorder.fault


def test_a_window_that_grows_beyond_all_bounds() -> None:
    """
    By SETTINGS, for a stream that had been given more already.
    """
    recorder = heard(
        WindowUpdateFrame(1, window_increment=2**30), SettingsFrame(0, settings={4: 2**31 - 1})
    )
    assert ErrorCode.FLOW_CONTROL_ERROR == recorder.fault


def test_more_of_a_body_than_was_granted() -> None:
    """
    A stream's credit is counted, padding included.
    """
    recorder = begun()
    # Nothing is granted again.
    recorder.codec.grant = lambda stream, size: None  # type: ignore[method-assign]
    recorder.feed(OK.serialize())
    full = DataFrame(1, bytes(16_384)).serialize()
    for _ in range(STREAM_WINDOW // 16_384):
        recorder.feed(full)
    assert recorder.fault is None
    recorder.feed(DataFrame(1, b"x").serialize())
    assert ErrorCode.FLOW_CONTROL_ERROR == recorder.fault


def test_a_frame_after_a_streams_end() -> None:
    """
    Section 5.1: the server has lost count, and nothing it says can be relied on.
    """
    ended = HeadersFrame(1, b"\x88", flags=["END_HEADERS", "END_STREAM"])
    for late in (DataFrame(1, b"x"), HeadersFrame(1, b"\x88", flags=["END_HEADERS"])):
        assert ErrorCode.STREAM_CLOSED == heard(ended, late).fault


def test_a_body_goes_on_after_its_trailers() -> None:
    """
    Nor does it then, in the same flight or a later one: what has ended gets no more.
    """
    for apart in (False, True):
        recorder = begun()
        recorder.feed(OK.serialize())
        trailers = HeadersFrame(
            1, Encoder().encode([(b"x-t", b"1")]), flags=["END_HEADERS", "END_STREAM"]
        )
        flight = DataFrame(1, b"body").serialize() + trailers.serialize()
        late = DataFrame(1, b"more").serialize()
        for part in (flight, late) if apart else (flight + late,):
            recorder.feed(part)
        assert ErrorCode.STREAM_CLOSED == recorder.fault


# What is bounded.


def test_endless_continuation() -> None:
    """
    A field block of more than 64 further frames is refused before its end, however small they are.
    """
    recorder = heard(HeadersFrame(1, b"\x88"))
    for _ in range(64):
        assert recorder.fault is None
        recorder.feed(ContinuationFrame(1, b"").serialize())
    assert ErrorCode.ENHANCE_YOUR_CALM == recorder.fault


def test_few_bytes_that_become_many() -> None:
    """
    A block that refers to one large entry a thousand times is given up at 100 KB of fields.
    """
    block = Encoder().encode([(b":status", b"200"), (b"x", b"v" * 4000)]) + b"\xbe" * 1000
    recorder = heard(HeadersFrame(1, block, flags=["END_HEADERS"]))
    assert ErrorCode.ENHANCE_YOUR_CALM == recorder.fault


@pytest.mark.parametrize("frame", [PingFrame(0, b"12345678"), SettingsFrame(0)])
def test_questions_that_come_faster_than_answers_leave(frame: Frame) -> None:
    """
    Ten thousand answers may wait to be sent; whoever takes none is not listened to any longer.
    """
    recorder = begun()
    flood = frame.serialize() * 10_000
    recorder.feed(flood)
    assert recorder.fault is None
    # They were taken: it may go on.
    recorder.feed(flood)
    assert recorder.fault is None
    recorder.feed(frame.serialize() + flood)
    assert ErrorCode.ENHANCE_YOUR_CALM == recorder.fault


def test_streams_that_were_reset_are_remembered_for_a_while() -> None:
    """
    The last four thousand are; what comes for one before is an error, as if it had ended.
    """
    recorder = begun(*[False] * 4100)
    for stream in range(1, 2 * 4100, 2):
        recorder.cancel(stream)
        del recorder.codec.streams[stream]
    recorder.feed(DataFrame(2 * 4100 - 1, b"x").serialize())
    assert recorder.fault is None
    recorder.feed(DataFrame(1, b"x").serialize())
    assert ErrorCode.STREAM_CLOSED == recorder.fault


def test_a_stream_that_is_left_without_a_word() -> None:
    """
    Where nothing can be sent any more, what still arrives for it is ignored all the same.
    """
    recorder = begun(True, True)
    recorder.codec.abandon(recorder.codec.streams.pop(1))
    recorder.feed(OK.serialize() + DataFrame(1, b"x", flags=["END_STREAM"]).serialize())
    recorder.feed(HeadersFrame(3, b"\x88", flags=["END_HEADERS"]).serialize())
    assert {3: [("head", 200, [])]} == recorder.streams
    assert (None, []) == (recorder.fault, answers_in(recorder.sent))


def test_what_comes_for_a_stream_that_was_reset_is_credited() -> None:
    """
    To the connection, or it would run dry; in large steps.
    """
    recorder = begun()
    recorder.cancel(1)
    for _ in range(CONNECTION_WINDOW // 16_384):
        recorder.feed(DataFrame(1, bytes(16_384)).serialize())
    updates = recorder.sent.count(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00")
    assert (None, 2, {}) == (recorder.fault, updates, recorder.streams)


# Where h2 does otherwise.


def test_priority_says_nothing() -> None:
    """
    It is deprecated, and ignored whatever it says (RFC 9113 section 5.3.2); h2 minds streams that depend on themselves.
    """
    assert heard(PriorityFrame(1, depends_on=1)).fault is None
    head = HeadersFrame(1, b"\x88", flags=["END_HEADERS", "PRIORITY"], depends_on=1)
    assert [("head", 200, [])] == heard(head).streams[1]


def test_a_setting_that_is_not_known() -> None:
    """
    It is ignored (section 6.5.2).
    """
    assert heard(SettingsFrame(0, settings={8: 100, 0xABC: 1})).fault is None


def test_data_is_heard_as_it_arrives() -> None:
    """
    In parts of a frame; its end when it is complete.
    """
    recorder = heard(OK)
    frame = DataFrame(1, b"0123456789", flags=["END_STREAM"]).serialize()
    recorder.feed(frame[:12])
    assert ("data", b"012") == recorder.streams[1][-1]
    recorder.feed(frame[12:18])
    recorder.feed(frame[18:])
    assert [("data", b"0123456789"), ("end",)] == recorder.streams[1][1:]


def test_data_of_a_stream_that_is_reset_in_its_midst() -> None:
    """
    The rest of the frame is passed over, and its end ends nothing.
    """
    recorder = heard(OK, requests=2)
    frame = DataFrame(1, b"0123456789", flags=["END_STREAM"]).serialize()
    recorder.feed(frame[:12])
    recorder.cancel(1)
    recorder.feed(frame[12:] + HeadersFrame(3, b"\x88", flags=["END_HEADERS"]).serialize())
    assert [("head", 200, []), ("data", b"012")] == recorder.streams[1]
    assert [("head", 200, [])] == recorder.streams[3]


# What is sent.


def sent_head(recorder: Recorder, head: RequestHead, path: bytes) -> list[tuple[int, int, bytes]]:
    """A request's frames: type, flags and payload."""
    recorder.codec.take()
    recorder.codec.begin(StreamState(recorder.codec.last_id + 2), head, path, end=True)
    data = recorder.codec.take()
    frames = []
    while data:
        size = int.from_bytes(data[:3], "big")
        frames.append((data[3], data[4], data[9 : 9 + size]))
        data = data[9 + size :]
    return frames


def test_a_head_that_is_sent_again_is_a_few_bytes() -> None:
    """
    From the second time on all but its path is indexed, and from the third on not encoded again.
    """
    recorder = Recorder()
    fields = [(b"Accept", b"*/*"), (b"X-Long", b"v" * 500)]
    head = RequestHead("GET", b"https", b"example.test", fields)
    decoder = Decoder()
    blocks = []
    for path in (b"/1", b"/22", b"/333", b"/4444"):
        ((_, _, block),) = sent_head(recorder, head, path)
        blocks.append(block)
        assert [
            (b":method", b"GET"),
            (b":authority", b"example.test"),
            (b":scheme", b"https"),
            (b":path", path),
            (b"accept", b"*/*"),
            (b"x-long", b"v" * 500),
        ] == list(decoder.decode(block, raw=True))
    assert len(blocks[0]) > 500
    assert [10, 11, 12] == [len(block) for block in blocks[1:]]
    assert head.first == blocks[-1][: len(head.first)]


def test_a_setting_that_changes_twice_in_one_frame() -> None:
    """
    RFC 7541 section 4.2: a table that was empty for a moment has forgotten all, and the next block says so.
    """
    recorder = Recorder()
    head = RequestHead("GET", b"https", b"example.test", [(b"X-Long", b"v" * 50)])
    sent_head(recorder, head, b"/")
    recorder.feed(bytes.fromhex("00000c 04 00 00000000 0001 00000000 0001 00001000"))
    recorder.codec.take()
    ((_, _, block),) = sent_head(recorder, head, b"/")

    assert 0x20 == block[0]
    assert (b"x-long", b"v" * 50) in list(Decoder().decode(block, raw=True))


def test_a_secret_is_never_indexed_however_often_it_is_sent() -> None:
    """
    Nor by anyone that it passes (RFC 7541 section 7.1.3).
    """
    recorder = begun()
    for _ in range(3):
        head = RequestHead("GET", b"https", b"example.test", [(b"Authorization", b"Bearer secret")])
        assert head.secret
        ((_, _, block),) = sent_head(recorder, head, b"/")
        assert b"Bearer secret" in block
        assert b"\x1f\x08" in block  # never indexed, and the static table's name


def test_a_head_larger_than_a_frame() -> None:
    """
    It continues in CONTINUATION, each frame as large as the server takes.
    """
    head = RequestHead("GET", b"https", b"example.test", [(b"x-long", b"v" * 40_000)])
    frames = sent_head(begun(), head, b"/")
    assert [(1, 1), (9, 0), (9, 4)] == [(kind, flags) for kind, flags, _ in frames]
    assert [16_384, 16_384] == [len(payload) for _, _, payload in frames[:2]]
    assert b"v" * 40_000 in b"".join(payload for _, _, payload in frames)
