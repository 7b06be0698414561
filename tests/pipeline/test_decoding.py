"""Content codings: correctness for any split, bounds, truncation, and what is installed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import brotli
import httpx
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline import decoding
from scallion.pipeline.decoding import (
    MAX_CODINGS,
    MAX_STEP,
    Decoder,
    Gzip,
    accept_encoding,
    decoders,
)
from scallion.pipeline.errors import DecodingError
from scallion.pipeline.stages import Chain


def _raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def _zstd_unsized(body: bytes) -> bytes:
    """As a server streams it: no length, a checksum, a block for each flush."""
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    half = len(body) // 2
    return b"".join(
        [
            compressor.compress(body[:half]),
            compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK),
            compressor.compress(body[half:]),
            compressor.flush(),
        ]
    )


SKIPPABLE = b"\x53\x2a\x4d\x18\x03\x00\x00\x00abc" + b"\x50\x2a\x4d\x18\x00\x00\x00\x00"

CODED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", _raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
    "zstd unsized": ("zstd", _zstd_unsized),
}


@pytest.fixture(params=CODED)
def coded(request: pytest.FixtureRequest) -> tuple[str, Callable[[bytes], bytes]]:
    """A coding's name, and how a body gets it."""
    return CODED[request.param]


def decoded(coding: str, *pieces: bytes) -> bytes:
    chain = Chain(decoders(coding))
    plain = [part for piece in pieces for part in chain.feed(piece)]
    return b"".join([*plain, *chain.finish()])


@given(
    st.sampled_from(sorted(CODED)),
    st.binary(max_size=60),
    st.integers(0, 3000),
    st.lists(st.integers(0, 200), max_size=4),
)
@settings(max_examples=200)
def test_any_split_gives_the_whole(kind: str, start: bytes, zeros: int, cuts: list[int]) -> None:
    """
    However a coded body is cut into pieces, the plain body comes out.
    """
    coding, encode = CODED[kind]
    body = start + bytes(zeros) + start
    data = encode(body)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]

    pieces = [data[a:b] for a, b in pairwise(edges)]
    assert body == decoded(coding, *pieces)


def test_byte_by_byte(coded: tuple[str, Callable[[bytes], bytes]]) -> None:
    """
    Pieces of one byte are enough.
    """
    coding, encode = coded
    body = b"hello " * 20

    assert body == decoded(coding, *(bytes([octet]) for octet in encode(body)))


@given(
    st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.binary(max_size=80), st.integers(0, 80)
)
@settings(max_examples=200)
def test_any_input_is_content_or_a_decoding_error(coding: str, data: bytes, cut: int) -> None:
    """
    Nothing but DecodingError escapes, whatever a server sends.
    """
    try:
        assert isinstance(decoded(coding, data[:cut], data[cut:]), bytes)
    except DecodingError:
        pass


def test_a_damaged_body_is_an_error(coded: tuple[str, Callable[[bytes], bytes]]) -> None:
    """
    The error names the coding, and the library's own error is its cause.
    """
    coding, _ = coded
    with pytest.raises(DecodingError, match=rf"Malformed {coding.removeprefix('x-')} content"):
        decoded(coding, b"\xff\xff garbage, and no end of it")


def test_a_body_that_ends_too_early_is_an_error(
    coded: tuple[str, Callable[[bytes], bytes]],
) -> None:
    """
    At whatever byte the body is cut off, the end is missed.
    """
    coding, encode = coded
    data = encode(b"hello " * 20)

    for length in range(1, len(data)):
        with pytest.raises(DecodingError, match="Truncated"):
            decoded(coding, data[:length])


def test_no_body_at_all_is_empty(coded: tuple[str, Callable[[bytes], bytes]]) -> None:
    """
    The answer to HEAD names a coding and has no content.
    """
    coding, _ = coded
    assert b"" == decoded(coding)
    assert b"" == decoded(coding, b"")


def test_a_coded_empty_body_is_empty(coded: tuple[str, Callable[[bytes], bytes]]) -> None:
    """
    So does a body that was empty before it was encoded.
    """
    coding, encode = coded
    assert b"" == decoded(coding, encode(b""))


@pytest.mark.parametrize("cut", [None, *range(40)])
def test_gzip_members_are_one_body(cut: int | None) -> None:
    """
    Several members are joined, also when a piece ends at or near their border.
    """
    data = gzip.compress(b"one", 9) + gzip.compress(b"") + gzip.compress(b"two")
    pieces = [data] if cut is None else [data[:cut], data[cut:]]

    assert b"onetwo" == decoded("gzip", *pieces)


@pytest.mark.parametrize("padding", [b"\0" * 9, b"\x1f", b"\x1fx", b"junk\x1f\x8b"])
@pytest.mark.parametrize("apart", [False, True])
def test_what_follows_a_gzip_member_and_is_none_is_ignored(padding: bytes, apart: bool) -> None:
    """
    Padding after the end is ignored, as gzip itself and httpx ignore it.
    """
    pieces = [gzip.compress(b"one"), padding, b"more"]

    assert b"one" == decoded("gzip", *(pieces if apart else [b"".join(pieces)]))


def test_a_second_gzip_member_must_be_whole() -> None:
    """
    What begins as a member has to end as one.
    """
    with pytest.raises(DecodingError, match="Truncated gzip"):
        decoded("gzip", gzip.compress(b"one") + gzip.compress(b"two")[:-1])


def test_what_follows_a_deflate_stream_is_ignored() -> None:
    """
    As in httpx.
    """
    assert b"one" == decoded("deflate", zlib.compress(b"one") + b"junk", b"more")


@pytest.mark.parametrize("apart", [False, True])
def test_data_after_the_end_of_br_is_an_error(apart: bool) -> None:
    """
    Brotli has no frames to follow each other.
    """
    pieces = [brotli.compress(b"one"), b"junk"]

    with pytest.raises(DecodingError, match="Malformed br"):
        decoded("br", *(pieces if apart else [b"".join(pieces)]))


def test_zstd_frames_are_one_body() -> None:
    """
    Several frames are joined, and skippable ones skipped, however they are cut.
    """
    data = zstandard.compress(b"one") + SKIPPABLE + _zstd_unsized(b"two" * 9) + SKIPPABLE

    for cut in range(len(data)):
        assert b"one" + b"two" * 9 == decoded("zstd", data[:cut], data[cut:])


def test_codings_are_undone_last_first() -> None:
    """
    Content-Encoding lists codings in the order in which they were applied.
    """
    data = brotli.compress(gzip.compress(zstandard.compress(b"one")))

    assert b"one" == decoded("zstd, GZIP ,identity, br", data)


def test_a_chain_notices_the_end_of_each_coding() -> None:
    """
    An inner body that ends too early is an error though the outer one is whole.
    """
    with pytest.raises(DecodingError, match="Truncated gzip"):
        decoded("gzip, br", brotli.compress(gzip.compress(b"one")[:-2]))


@pytest.mark.parametrize("coding", ["identity", "", "compress", "unknown, , identity"])
def test_other_codings_are_passed_through(coding: str) -> None:
    """
    What cannot be undone is handed on as it is.
    """
    assert [] == decoders(coding)
    assert b"as it is" == decoded(coding, b"as it is")


def test_codings_are_bounded_in_number() -> None:
    """
    Five are undone; six are refused.
    """
    assert MAX_CODINGS == len(decoders("identity, " + "gzip, " * MAX_CODINGS))
    with pytest.raises(DecodingError, match="6 times over; at most 5"):
        decoders(", ".join(["gzip"] * 6))


def _bomb(kind: str) -> bytes:
    """48 MiB of nothing."""
    megabyte = bytes(1024 * 1024)
    compressor: Any = {
        "gzip": lambda: zlib.compressobj(wbits=31),
        "deflate": zlib.compressobj,
        "br": lambda: SimpleNamespace(
            compress=(b := brotli.Compressor(quality=2)).process, flush=b.finish
        ),
        "zstd": lambda: zstandard.ZstdCompressor().compressobj(),
    }[kind]()
    return b"".join([*(compressor.compress(megabyte) for _ in range(48)), compressor.flush()])


@pytest.mark.parametrize("kind", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_inflates_in_bounded_steps(kind: str) -> None:
    """
    A small body that inflates to much is streamed in small pieces, and little memory is held meanwhile.
    """
    bomb = _bomb(kind)
    [decoder] = decoders(kind)
    next(iter(decoder.feed(bomb[:1])), None)  # imports what it needs
    longest = total = 0

    tracemalloc.start()
    try:
        for piece in decoder.feed(bomb[1:]):
            longest, total = max(longest, len(piece)), total + len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    decoder.finish()
    assert 48 * 1024 * 1024 == total
    assert longest <= MAX_STEP
    assert peak < 8 * MAX_STEP


def test_a_bomb_in_a_bomb_inflates_in_bounded_steps() -> None:
    """
    Codings on top of each other are bounded each.
    """
    chain = Chain(decoders("gzip, br"))
    sizes = [len(piece) for piece in chain.feed(brotli.compress(_bomb("gzip"), quality=2))]

    assert [] == list(chain.finish())
    assert 48 * 1024 * 1024 == sum(sizes)
    assert max(sizes) <= MAX_STEP


# The libraries that are not installed here.


class _OldBrotli:
    """brotli before 1.2: no bound on what a call returns."""

    error = brotli.error

    class Decompressor:
        def __init__(self) -> None:
            self._inner = brotli.Decompressor()

        def process(self, data: bytes) -> bytes:
            assert len(data) <= 1024
            plain: bytes = self._inner.process(data)
            return plain

        def is_finished(self) -> bool:
            finished: bool = self._inner.is_finished()
            return finished


class _StandardZstd:
    """The interface of `compression.zstd`, over what is installed."""

    ZstdError = zstandard.ZstdError

    class ZstdDecompressor:
        def __init__(self) -> None:
            self._inner = zstandard.ZstdDecompressor().decompressobj()
            self._waiting = b""

        eof = property(lambda self: self._inner.eof and not self._waiting)
        needs_input = property(lambda self: not self._inner.eof and not self._waiting)
        unused_data = property(lambda self: self._inner.unused_data if self.eof else b"")

        def decompress(self, data: bytes, max_length: int) -> bytes:
            self._waiting += self._inner.decompress(data) if data else b""
            piece, self._waiting = self._waiting[:max_length], self._waiting[max_length:]
            return piece


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Decide which libraries there are: module name to module."""
    modules: dict[str, Any] = {}

    def find_spec(name: str) -> object:
        if name == "backports.zstd":
            raise ModuleNotFoundError(name)
        return modules.get(name)

    def forget() -> None:
        decoding._library_name.cache_clear()
        accept_encoding.cache_clear()

    monkeypatch.setattr(decoding, "find_spec", find_spec)
    monkeypatch.setattr(decoding, "import_module", lambda name: modules[name])
    forget()
    yield modules
    forget()


def test_only_what_is_installed_is_asked_for(installed: dict[str, Any]) -> None:
    """
    Without brotli and zstd neither is offered, and bodies in them are passed through.
    """
    assert "gzip, deflate" == accept_encoding()
    assert [] == decoders("br, zstd")


def test_what_is_installed_is_asked_for_in_the_order_of_httpx() -> None:
    """
    The same header as httpx sends.
    """
    with httpx.Client() as client:
        assert client.headers["accept-encoding"] == accept_encoding()


def test_a_brotli_that_knows_no_bound_gets_small_slices(installed: dict[str, Any]) -> None:
    """
    Old versions and brotlicffi work as well.
    """
    installed["brotlicffi"] = _OldBrotli
    body = bytes(range(256)) * 4096

    assert "gzip, deflate, br" == accept_encoding()
    [decoder] = decoders("br")
    pieces = list(decoder.feed(brotli.compress(body)))
    decoder.finish()
    assert body == b"".join(pieces)
    assert max(map(len, pieces)) <= MAX_STEP


def test_the_zstd_of_the_standard_library_is_preferred(installed: dict[str, Any]) -> None:
    """
    It bounds its output itself; frames, errors and truncation are as with the other.
    """
    installed["_zstd"] = installed["compression.zstd"] = _StandardZstd
    installed["zstandard"] = zstandard
    body = bytes(3 * MAX_STEP + 1)
    data = zstandard.compress(body) + zstandard.compress(b"two")

    [decoder] = decoders("zstd")
    pieces = list(decoder.feed(data[:3])) + list(decoder.feed(data[3:]))
    decoder.finish()

    assert body + b"two" == b"".join(pieces)
    assert MAX_STEP == max(map(len, pieces))
    with pytest.raises(DecodingError, match="Malformed zstd"):
        decoded("zstd", b"garbage, and more of it")
    with pytest.raises(DecodingError, match="Truncated zstd"):
        decoded("zstd", data[:-1])
    assert b"" == decoded("zstd")


def test_a_coding_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The table of decoders is open.
    """

    class Reverse:
        def feed(self, data: bytes) -> Iterator[bytes]:
            yield data[::-1]

        def finish(self) -> tuple[()]:
            return ()

    decoder: type[Decoder] = Reverse
    monkeypatch.setitem(decoding.DECODERS, "reverse", decoder)

    assert b"abc" == decoded("Reverse", b"cba")


def test_a_decoder_serves_one_body() -> None:
    """
    Each call makes new ones.
    """
    assert isinstance(decoders("gzip")[0], Gzip)
    assert decoders("gzip")[0] is not decoders("gzip")[0]
