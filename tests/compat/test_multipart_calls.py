"""Multipart bodies on the wire, by httpx and by scallion; the random boundary is the same for both."""

from __future__ import annotations

from collections.abc import Callable

from compat.comparing import Case, case, each_of

FILES = [
    case(f"c.post(at('/'), files={value})")
    for value in (
        "{'f': b'bytes'}",
        "{'f': 'text \\u20ac'}",
        "{'f': b''}",
        "{'f': io.BytesIO(b'file')}",
        "{'f': ('a.txt', b'bytes')}",
        "{'f': ('a.txt', 'text')}",
        "{'f': ('a.txt', io.BytesIO(b'file'))}",
        "{'f': ('a.json', b'{}')}",
        "{'f': ('a.png', b'x')}",
        "{'f': ('a', b'x')}",
        "{'f': ('a.unknown', b'x')}",
        "{'f': ('a.tar.gz', b'x')}",
        "{'f': ('a.txt', b'bytes', 'text/x')}",
        "{'f': ('a.txt', b'bytes', None)}",
        "{'f': ('a.txt', b'bytes', '')}",
        "{'f': ('a.txt', b'bytes', 'text/x', {'X-A': '1', 'X-B': '2'})}",
        "{'f': ('a.txt', b'bytes', 'text/x', {'Content-Type': 'text/y'})}",
        "{'f': ('a.txt', b'bytes', None, {'content-type': 'text/y'})}",
        "{'f': ('a.txt', b'bytes', None, {})}",
        "{'f': (None, b'bytes')}",
        "{'f': (None, 'text')}",
        "{'f': (None, b'bytes', 'text/x')}",
        "{'f': (None, b'bytes', 'text/x', {'X': '1'})}",
        "{'f': ('', b'bytes')}",
        "[('f', b'1'), ('f', b'2')]",
        "[('f', ('a', b'1')), ('g', ('b', b'2'))]",
        "(('f', b'1'),)",
        "{'f': ('quote\".txt', b'x')}",
        "{'f': ('back\\\\slash.txt', b'x')}",
        "{'f': ('line\\r\\nbreak.txt', b'x')}",
        "{'f': ('\\u20ac\\xe9.txt', b'x')}",
        "{'f': ('tab\\t\\x00\\x1b\\x7f.txt', b'x')}",
        "{'f': ('per%cent.txt', b'x')}",
        "{'f': ('a/b/c.txt', b'x')}",
        "{'name \"x\"': b'x'}",
        "{'n\\r\\nX: y': b'x'}",
        "{'\\u20ac': b'x'}",
        "{'': b'x'}",
        "{'f': io.StringIO('x')}",
        "{'f': ('a', io.StringIO('x'))}",
        "{'f': b'x' * 70000}",
        "{'f': io.BytesIO(b'x' * 70000)}",
        "{}",
        "[]",
    )
]

WITH_DATA = [
    case(f"c.post(at('/'), data={data}, files={{'f': ('n', b'x')}})")
    for data in (
        "None",
        "{}",
        "{'a': '1'}",
        "{'a': ['1', '2']}",
        "{'a': ('1', '2')}",
        "{'a': []}",
        "{'a': b'bytes \\xff'}",
        "{'a': 1, 'b': 1.5, 'c': True, 'd': False, 'e': None}",
        "{'a': ''}",
        "{'\\u20ac': '\\xe9'}",
        "{'q\"': 'x\\r\\ny'}",
        "{'f': 'same name'}",
    )
]

HEADERS = [
    case(f"c.post(at('/'), files={{'f': b'x'}}, headers={headers})")
    for headers in (
        "{'Content-Type': 'multipart/form-data; boundary=mine'}",
        "{'content-type': 'multipart/form-data; boundary=\"quoted\"'}",
        "{'Content-Type': 'multipart/form-data; charset=x; boundary=mine'}",
        "{'Content-Type': 'multipart/form-data'}",
        "{'Content-Type': 'multipart/form-data; boundary=a+b'}",
        "{'Content-Type': 'text/plain'}",
        "{'Content-Length': '5'}",
        "{'X': '1'}",
    )
]

MORE = [
    case("c.put(at('/'), files={'f': b'x'})"),
    case("c.request('GET', at('/'), files={'f': b'x'})"),
    case("c.post(at('/'), files={'f': b'x'}, json={'a': 1})"),
    case("c.post(at('/'), files={'f': b'x'}, content=b'y')"),
    case("c.post(at('/'), files={'f': b'x'}, params={'a': '1'})"),
]

DIFFERENT = [
    case("c.post(at('/'), files={'f': 1})", differs="wrong types"),
    case("c.post(at('/'), files={'f': None})", differs="wrong types"),
    case("c.post(at('/'), files={'f': ('a',)})"),
    case("c.post(at('/'), files={'f': ['a', b'x']})", differs="several files of one name"),
    case(
        "c.post(at('/'), files={'f': ('a', b'x', 't', {'X': 'a\\r\\nb: c'})})",
        differs="line breaks in multipart headers",
    ),
    case("c.post(at('/'), data={'a': object()}, files={'f': b'x'})"),
    case("c.post(at('/'), data={'a': {'b': 1}}, files={'f': b'x'})"),
    case("c.post(at('/'), data={1: 'x'}, files={'f': b'x'})"),
    case("c.post(at('/'), files={1: b'x'})"),
]

ALL = {"files": FILES, "data": WITH_DATA, "headers": HEADERS, "more": MORE, "different": DIFFERENT}


@each_of(ALL)
def test_multipart_bodies_are_the_same_on_the_wire(
    case: Case, colour: str, compare: Callable[[Case, str], None]
) -> None:
    """
    Boundaries, dispositions, types and lengths are httpx's, byte for byte.

    differences: "line breaks in multipart headers", differences: "several files of one name",
    differences: "wrong types".
    """
    compare(case, colour)
