"""HPACK: the encoder against hpack's decoder, the decoders against hpack's, in Python and compiled."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.transports import http2_unpacking
from scallion.transports.http2_blocks import FieldBlocks
from scallion.transports.http2_hpack import Encoder, Secret
from scallion.transports.http2_unpacking import (
    CompiledDecoder,
    CompressionFault,
    Decoder,
    Oversized,
    PlainDecoder,
)

MOST = 10_000
TEXTS = st.one_of(
    st.sampled_from([b"", b"GET", b"200", b"/", b"gzip, deflate", b"x" * 130, b"y" * 1500]),
    st.binary(max_size=40),
)
NAMES = st.one_of(
    st.sampled_from(
        [b":method", b":status", b":path", b"accept", b"date", b"x-one", b"content-length"]
    ),
    st.binary(min_size=1, max_size=12),
)
BLOCKS = st.lists(st.tuples(NAMES, TEXTS, st.booleans()), max_size=8)


@pytest.fixture(params=["plain", "compiled"])
def kind(request: pytest.FixtureRequest) -> type[Decoder]:
    """Each decoder there is."""
    if request.param == "plain":
        return PlainDecoder
    pytest.importorskip("jh2", reason="jh2 is missing: install it (pip install scallion[speed])")
    return CompiledDecoder


def outcome(decoder: Decoder, block: bytes) -> Any:
    """The fields, or the kind of error."""
    try:
        return decoder.decode(block)
    except (CompressionFault, Oversized) as error:
        return type(error)


def by_hpack(decoder: hpack.Decoder, block: bytes) -> Any:
    try:
        return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
    except hpack.OversizedHeaderListError:
        return Oversized
    except hpack.HPACKError:
        return CompressionFault


# Encoding.


@settings(max_examples=200)
@given(st.lists(st.tuples(BLOCKS, st.sampled_from([None, 0, 50, 200, 4096, 65_536])), max_size=12))
def test_what_is_encoded_is_what_is_decoded(rounds: list[tuple[Any, int | None]]) -> None:
    """
    Whatever the fields are, and while the table grows and shrinks; secrets stay secrets.
    """
    encoder, decoder = Encoder(), hpack.Decoder(max_header_list_size=1_000_000)
    for fields, limit in rounds:
        if limit is not None:
            encoder.resize(limit)
        given = [
            Secret((name, value)) if secret else (name, value) for name, value, secret in fields
        ]
        decoded = list(decoder.decode(encoder.encode(given), raw=True))
        assert [(name, value) for name, value, _ in fields] == decoded
        assert [not secret for _, _, secret in fields if secret] == [
            each.indexable for each, field in zip(decoded, fields, strict=True) if field[2]
        ]


@settings(max_examples=100)
@given(BLOCKS, BLOCKS)
def test_equal_fields_are_equal_bytes_in_one_version(one: Any, other: Any) -> None:
    """
    What was encoded without a change of the table is encoded the same again, until there is one.
    """
    encoder = Encoder()
    fields = [(name, value) for name, value, _ in one]
    encoder.encode(fields)
    version = encoder.version
    block = encoder.encode(fields)
    if encoder.version == version:
        assert block == encoder.encode(fields)
        encoder.encode([(name, value) for name, value, _ in other])
        if encoder.version == version:
            assert block == encoder.encode(fields)


def test_what_changes_from_request_to_request_leaves_the_table_alone() -> None:
    """
    A path is not indexed, so that the other fields stay where they are.
    """
    encoder = Encoder()
    for number in range(3):
        encoder.encode([(b":path", b"/%d" % number), (b"content-length", b"%d" % number)])
    assert 0 == encoder.version


# Decoding.


@settings(max_examples=200)
@given(
    st.lists(st.tuples(BLOCKS, st.booleans(), st.sampled_from([None, 0, 60, 4096])), max_size=10)
)
def test_decoders_read_what_hpack_writes(rounds: list[tuple[Any, bool, int | None]]) -> None:
    """
    With Huffman's code and without, with tables of every size; block by block.
    """
    for kind in (PlainDecoder, CompiledDecoder):
        if kind is CompiledDecoder and http2_unpacking._jh2 is None:
            continue
        encoder = hpack.Encoder()
        decoder, other = kind(MOST), hpack.Decoder(MOST)
        for fields, huffman, limit in rounds:
            if limit is not None:
                encoder.header_table_size = limit
            block = encoder.encode(fields, huffman=huffman)
            expected = by_hpack(other, block)
            assert expected == outcome(decoder, block)
            if isinstance(expected, type):
                break


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_decoders_refuse_what_hpack_refuses(blocks: list[bytes]) -> None:
    """
    Bytes of any kind: the same fields, or the same kind of error, which ends it.
    """
    decoder, other = PlainDecoder(MOST), hpack.Decoder(MOST)
    for block in blocks:
        expected = by_hpack(other, block)
        assert expected == outcome(decoder, block)
        if isinstance(expected, type):
            break


@settings(max_examples=100)
@given(st.lists(BLOCKS, min_size=1, max_size=6), st.booleans())
def test_equal_bytes_are_equal_fields_in_one_version(blocks: list[Any], huffman: bool) -> None:
    """
    What was read and kept is what would be read again: a reader that keeps, and one that never does.
    """
    for kind in (PlainDecoder, CompiledDecoder):
        if kind is CompiledDecoder and http2_unpacking._jh2 is None:
            continue
        encoder = hpack.Encoder()
        decoder, other = kind(1_000_000), hpack.Decoder(1_000_000)
        kept: dict[bytes, Any] = {}
        version = decoder.version
        for fields in [each for block in blocks for each in (block, block, block)]:
            block = encoder.encode(fields, huffman=huffman)
            if decoder.version != version:
                kept.clear()
                version = decoder.version
            expected = by_hpack(other, block)
            assert kept.get(block, expected) == expected
            found = decoder.decode(block)
            assert expected == found
            if decoder.version == version:
                kept[block] = found


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # entry 0
        b"\xff\xff\xff\xff\xff\xff\x00",  # an endless number
        b"\xbe",  # an entry that is not there
        b"\x40",  # nothing after it
        b"\x40\x01a\x05b",  # a value that ends early
        b"\x88\x20",  # a change of size in the midst
        b"\x3f\xe2\x1f",  # 4097
        b"\x00\x01a\x84\xff\xff\xff\xff",  # its end of a string
    ],
)
def test_blocks_that_are_broken(kind: type[Decoder], block: bytes) -> None:
    """
    Each is an error of ours.
    """
    with pytest.raises(CompressionFault):
        kind(MOST).decode(block)


def test_a_string_that_ends_in_the_midst_of_a_character() -> None:
    """
    Huffman's code is to be padded with ones (RFC 7541 section 5.2); the compiled decoder does not mind.
    """
    with pytest.raises(CompressionFault):
        PlainDecoder(MOST).decode(b"\x00\x01a\x81\x00")


def test_a_block_of_too_many_fields(kind: type[Decoder]) -> None:
    """
    It is given up as soon as they are too many.
    """
    with pytest.raises(Oversized):
        kind(MOST).decode(b"\x88" * 1000)


def test_a_table_of_no_size_does_not_change(kind: type[Decoder]) -> None:
    """
    Servers that keep none write what would be indexed all the same.
    """
    decoder = kind(MOST)
    decoder.decode(b"\x20\x88\x76\x05nginx")
    version = decoder.version
    for _ in range(2):
        assert [(b":status", b"200"), (b"server", b"nginx")] == decoder.decode(b"\x88\x76\x05nginx")
    assert version == decoder.version


def test_blocks_that_were_read_before(kind: type[Decoder], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The third of the same bytes is not decoded again; one that changes the table makes that necessary.
    """
    monkeypatch.setattr("scallion.transports.http2_blocks.DECODER", kind)
    blocks = FieldBlocks(MOST)
    one = b"\x88\x76\x05nginx"
    blocks.read(one)
    again = b"\x88\xbe"
    assert blocks.read(again) is blocks.read(again)
    assert [(b"server", b"nginx")] == blocks.read(again).fields
    blocks.read(b"\x88\x76\x04else")
    assert [(b"server", b"else")] == blocks.read(again).fields


# The choice.


@pytest.mark.parametrize("installed", [True, False])
def test_the_decoder_is_chosen_at_import(installed: bool) -> None:
    """
    jh2's where it is installed, and the one in Python, silently, where it is not.
    """
    if installed:
        pytest.importorskip(
            "jh2", reason="jh2 is missing: install it (pip install scallion[speed])"
        )
    hide = "" if installed else "sys.modules['jh2'] = None; "
    program = f"import sys; {hide}from scallion.transports.http2_unpacking import DECODER; print(DECODER.__name__)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert ("CompiledDecoder" if installed else "PlainDecoder", "") == (
        done.stdout.strip(),
        done.stderr,
    )
