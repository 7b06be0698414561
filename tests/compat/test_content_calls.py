"""Contents as they come over the wire: encodings, JSON, codings, links, streams and their states."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

from compat.comparing import Case, case, each_of
from compat.stage import raw, reply

GET = "c.get(at('/'))"
TEXT = "Content-Type: text/plain"

_SAMPLE = "caf\xe9 \u20ac \U0001f600\r\nline two\n"
ENCODINGS = [
    *(
        case(
            GET,
            reply(200, f"Content-Type: {kind}", body=_SAMPLE.encode(encoding, "replace")),
            name=f"{kind} in {encoding}",
        )
        for kind, encoding in (
            ("text/plain", "utf-8"),
            ("text/plain; charset=utf-8", "utf-8"),
            ("text/plain; charset=UTF-8", "utf-8"),
            ('text/plain; charset="utf-8"', "utf-8"),
            ("text/plain; charset='utf-8'", "utf-8"),
            ("text/plain; charset=iso-8859-1", "latin-1"),
            ("text/plain; charset=latin1", "latin-1"),
            ("text/plain; charset=windows-1252", "cp1252"),
            ("text/plain; charset=utf-16", "utf-16"),
            ("text/plain; charset=utf-16-le", "utf-16-le"),
            ("text/plain; charset=utf-32", "utf-32"),
            ("text/plain; charset=utf-8-sig", "utf-8-sig"),
            ("text/plain; charset=utf-8", "utf-8-sig"),
            ("text/plain; charset=shift_jis", "shift_jis"),
            ("text/plain; charset=unknown", "utf-8"),
            ("text/plain; charset=", "utf-8"),
            ("text/plain; charset", "utf-8"),
            ("text/plain; Charset=latin-1", "latin-1"),
            ("text/plain;charset=latin-1;x=y", "latin-1"),
            ("text/plain; x=y; charset=latin-1", "latin-1"),
            ("text/html", "utf-8"),
            ("application/json", "utf-8"),
            ("application/octet-stream", "utf-8"),
            ("", "utf-8"),
            ("text/plain", "latin-1"),
            ("text/plain", "utf-16"),
        )
    ),
    case(
        GET,
        reply(200, TEXT, body=_SAMPLE.encode("latin-1", "replace")),
        settings="default_encoding='latin-1'",
    ),
    case(GET, reply(200, TEXT, body=b""), settings="default_encoding='latin-1'"),
    case(
        GET,
        reply(200, TEXT, body=b"\xe9"),
        settings="default_encoding=lambda content: 'latin-1' if content else 'utf-8'",
    ),
    case(
        GET,
        reply(200, "Content-Type: x; charset=utf-8", body=b"\xe9"),
        settings="default_encoding='latin-1'",
    ),
    case(
        GET,
        reply(200, "Content-Type: x; charset=nope", body=b"\xe9"),
        settings="default_encoding='latin-1'",
    ),
]

JSON = [
    case(GET, reply(200, "Content-Type: application/json", body=body), name=repr(body))
    for body in (
        b'{"a": 1}',
        b"[1, 2.5, null, true]",
        b'"text"',
        b"",
        b"{",
        b"NaN",
        b"\xef\xbb\xbf{}",
        '{"a": "\u20ac"}'.encode(),
        '{"a": "\u20ac"}'.encode("utf-16"),
        '{"a": "\u20ac"}'.encode("utf-16-le"),
        '{"a": "\u20ac"}'.encode("utf-32"),
        b'{"a": "\xe9"}',
        b"not json",
    )
]

_PLAIN = b"The quick brown fox jumps over the lazy dog. " * 20
_RAW_DEFLATE = zlib.compressobj(wbits=-15)


def _deflated() -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(_PLAIN) + packer.flush()


def _brotli() -> bytes:
    import brotli

    packed: bytes = brotli.compress(_PLAIN)
    return packed


def _zstd() -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(_PLAIN)


CODINGS = [
    case(
        GET,
        reply(200, f"Content-Encoding: {coding}", TEXT, body=body),
        name=f"{coding}: {len(body)} bytes",
        differs=differs,
    )
    for coding, body, differs in (
        ("gzip", gzip.compress(_PLAIN, mtime=0), None),
        ("GZIP", gzip.compress(_PLAIN, mtime=0), None),
        ("deflate", zlib.compress(_PLAIN), None),
        ("deflate", _deflated(), None),
        ("br", _brotli(), None),
        ("zstd", _zstd(), None),
        ("identity", _PLAIN, None),
        ("", _PLAIN, None),
        ("unknown", _PLAIN, None),
        ("gzip, identity", gzip.compress(_PLAIN, mtime=0), None),
        ("deflate, gzip", gzip.compress(zlib.compress(_PLAIN), mtime=0), None),
        ("gzip, gzip", gzip.compress(gzip.compress(_PLAIN, mtime=0), mtime=0), None),
        ("gzip,unknown", gzip.compress(_PLAIN, mtime=0), None),
        ("gzip", b"", None),
        ("deflate", b"", None),
        ("br", b"", None),
        ("zstd", b"", None),
        ("gzip", b"not gzip", None),
        ("deflate", b"not deflate", None),
        ("br", b"not brotli", None),
        ("zstd", b"not zstd", None),
        ("zstd", _zstd()[:-5], None),
        ("zstd", _zstd() + _zstd(), None),
        ("gzip", gzip.compress(b"", mtime=0), None),
        ("gzip", gzip.compress(_PLAIN, mtime=0) + b"trailing", None),
        (
            "gzip",
            gzip.compress(_PLAIN, mtime=0) + gzip.compress(b"second", mtime=0),
            "gzip by its RFCs",
        ),
        ("deflate", zlib.compress(_PLAIN) + b"trailing", None),
        ("zstd", _zstd() + b"trailing", None),
        ("br", _brotli() + b"trailing", None),
        ("gzip", gzip.compress(b"x" * 1_000_000, mtime=0), None),
        ("x-gzip", gzip.compress(_PLAIN, mtime=0), "gzip by its RFCs"),
        ("gzip, gzip, gzip, gzip, gzip, gzip", b"x", "many codings"),
        ("gzip", gzip.compress(_PLAIN, mtime=0)[:-12], "truncated content"),
        ("deflate", zlib.compress(_PLAIN)[:-8], "truncated content"),
        ("br", _brotli()[:-5], "truncated content"),
    )
]

LINKS = [
    case(GET, reply(200, f"Link: {link}"), name=link)
    for link in (
        '</page/2>; rel="next"',
        '</page/2>; rel="next", </page/9>; rel="last"',
        "</page/2>; rel=next; title=x",
        "</x>",
        "</x>; rel='next'",
        '<http://a/?b=c,d>; rel="next"',
        "",
    )
] + [case(GET, reply(200, "Link: junk"), differs="links by RFC 8288")]

STREAMS = [
    case(
        f"c.streamed('GET', at('/'), lambda r, a: getattr(r, a + {how[0]!r})({how[1]}))",
        raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"8\r\nab\ncd\r\ne\r\n3\r\nf\ng\r\n4\r\n\xe2\x82\xac\n\r\n0\r\n\r\n",
            "keep",
        ),
        name=f"{how[0]}({how[1]})",
    )
    for how in (
        ("iter_bytes", "1"),
        ("iter_bytes", "4"),
        ("iter_bytes", "100"),
        ("iter_raw", "3"),
        ("iter_text", "2"),
        ("iter_text", "5"),
        ("iter_lines", ""),
        ("read", ""),
    )
] + [
    case(
        f"c.streamed('GET', at('/'), lambda r, a: getattr(r, a + {how[0]!r})({how[1]}))",
        reply(200, "Content-Encoding: gzip", TEXT, body=gzip.compress(_PLAIN, mtime=0)),
        name=f"gzip {how[0]}({how[1]})",
    )
    for how in (
        ("iter_bytes", "100"),
        ("iter_raw", "50"),
        ("iter_text", "64"),
        ("iter_lines", ""),
        ("read", ""),
    )
]


def _steps(*steps: str) -> Callable[[Any], Any]:
    """Does each step to a streamed response, and tells what came of it and how the response then stands."""

    async def call(c: Any) -> Any:
        response = await c.sent("GET", c.at("/"))
        seen: list[Any] = []
        a = "" if c.blocking else "a"
        for step in steps:
            try:
                if step.startswith("."):
                    result = getattr(response, step[1:])
                else:
                    name, _, argument = step.partition(" ")
                    arguments = [int(argument)] if argument else []
                    result = await c.got(getattr(response, a + name)(*arguments))
                seen.append(
                    result if isinstance(result, (str, bytes, list, int)) else type(result).__name__
                )
            except Exception as error:
                seen.append(error)
            seen.append(
                (response.is_closed, response.is_stream_consumed, response.num_bytes_downloaded)
            )
        await c.got(response.close() if c.blocking else response.aclose())
        return seen

    return call


STATES = [
    case(_steps(*steps), reply(200, TEXT, body="line one\nline two"), name=" | ".join(steps))
    for steps in (
        (".content",),
        (".text",),
        (".encoding", ".charset_encoding"),
        ("read", ".content", ".text", ".elapsed"),
        ("read", "read"),
        ("read", "iter_bytes", "iter_bytes 3", "iter_text 4", "iter_lines"),
        ("read", "iter_raw"),
        ("iter_bytes 100", "iter_bytes 100"),
        ("iter_bytes 100", "read"),
        ("iter_bytes 100", ".content"),
        ("iter_raw 100", "iter_bytes"),
        ("iter_raw 100", ".text"),
        ("iter_lines", "iter_lines"),
        ("close", "read"),
        ("close", "iter_bytes"),
        ("close", "close"),
        ("close", ".content", ".elapsed"),
        ("read", "close", ".content"),
    )
] + [
    case(_steps(".elapsed"), reply(), name=".elapsed of a body that is there"),
    case(
        _steps(".elapsed"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "wait"),
        name=".elapsed of a body under way",
    ),
]

ALL = {
    "encodings": ENCODINGS,
    "json": JSON,
    "codings": CODINGS,
    "links": LINKS,
    "streams": STREAMS,
    "states": STATES,
}


@each_of(ALL)
def test_responses_are_read_as_by_httpx(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    What a server's bytes become, value or error, is what httpx makes of them.

    differences: "gzip by its RFCs", differences: "links by RFC 8288",
    differences: "many codings", differences: "truncated content".
    """
    compare(case, colour)
