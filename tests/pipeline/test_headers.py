"""Headers: a multi-dict that behaves as httpx's, masks secrets and hands out bytes quickly."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.pipeline.headers import SENSITIVE_HEADERS, Headers

PAIRS = [("Accept", "a"), ("X-Thing", "1"), ("x-thing", "2, 3"), ("Host", "h")]
RAW = [(b"Accept", b"a"), (b"X-Thing", b"1"), (b"x-thing", b"2, 3"), (b"Host", b"h")]

NAMES = st.sampled_from(["a", "A", "b", "B", "content-type", "Content-Type", "x"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


def seen(headers: Headers | httpx.Headers) -> dict[str, Any]:
    """All that can be read from headers."""
    return {
        "raw": headers.raw,
        "keys": list(headers.keys()),
        "values": list(headers.values()),
        "items": list(headers.items()),
        "multi_items": headers.multi_items(),
        "iter": list(headers),
        "len": len(headers),
        "encoding": headers.encoding,
        "get_list": [headers.get_list(name) for name in headers],
        "split": [headers.get_list(name, split_commas=True) for name in headers],
        "get": [headers.get(name.upper()) for name in headers],
        "in": ["a" in headers, "A" in headers, "zzz" in headers],
        "bool": bool(headers),
    }


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"Accept": "a", "host": "h"},
        {b"Accept": b"a", b"X": b"\xe9"},
        PAIRS,
        tuple(PAIRS),
        RAW,
        [(b"x", "text")],
        [(b"x", "é".encode())],
        [(b"x", b"\xe9"), (b"y", "é".encode())],
        [(b"x", b"\xc3"), (b"\xa9", b"y")],
    ],
)
@pytest.mark.parametrize("encoding", [None, "utf-8", "iso-8859-1"])
def test_construction_agrees_with_httpx(given: Any, encoding: str | None) -> None:
    """
    What the constructor takes, and what is then read, is the same.
    """
    try:
        expected = seen(httpx.Headers(given, encoding))
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            seen(Headers(given, encoding))
        return

    assert expected == seen(Headers(given, encoding))
    assert seen(httpx.Headers(httpx.Headers(given, encoding))) == seen(
        Headers(Headers(given, encoding))
    )


@settings(max_examples=150, deadline=None)
@given(
    FIELDS,
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), NAMES, VALUES),
            st.tuples(st.just("delete"), NAMES),
            st.tuples(st.just("update"), FIELDS),
            st.tuples(st.just("setdefault"), NAMES, VALUES),
            st.tuples(st.just("pop"), NAMES),
            st.tuples(st.just("copy")),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_changes_agree_with_httpx(
    start: list[tuple[str, str]], steps: list[tuple[Any, ...]], indexed: bool
) -> None:
    """
    Any sequence of changes leads to the same fields, whether or not lookups came in between.
    """
    ours: Any = Headers(start)
    theirs: Any = httpx.Headers(start)
    for step, *arguments in steps:
        if indexed:
            assert ("a" in theirs) == ("a" in ours)
        for headers in (ours, theirs):
            if step == "set":
                headers[arguments[0]] = arguments[1]
            elif step == "delete":
                if arguments[0] in headers:
                    del headers[arguments[0]]
            elif step == "pop":
                headers.pop(arguments[0], None)
            elif step == "update":
                headers.update(arguments[0])
            elif step == "setdefault":
                headers.setdefault(*arguments)
        if step == "copy":
            ours, theirs = ours.copy(), theirs.copy()
    assert seen(theirs) == seen(ours)
    assert Headers(theirs.raw) == ours


def test_lookup_ignores_case_and_joins() -> None:
    """
    A name in any case finds its values, joined with ", " or apart.
    """
    headers = Headers(PAIRS)

    assert "1, 2, 3" == headers["X-THING"] == headers.get("x-Thing")
    assert ["1", "2, 3"] == headers.get_list("X-thing")
    assert ["1", "2", "3"] == headers.get_list("x-thing", split_commas=True)
    assert [] == headers.get_list("absent")
    assert headers.get("absent") is None
    assert "default" == headers.get("absent", "default")


def test_missing_names_raise_key_error() -> None:
    """
    Reading or deleting what is not there names it as it was asked for.
    """
    headers = Headers()

    with pytest.raises(KeyError, match="Absent"):
        headers["Absent"]
    with pytest.raises(KeyError, match="Absent"):
        del headers["Absent"]


def test_setting_replaces_in_place() -> None:
    """
    The first field of the name is replaced, spelling included; further ones go.
    """
    headers = Headers(PAIRS)

    headers["X-THING"] = "new"

    assert [(b"Accept", b"a"), (b"X-THING", b"new"), (b"Host", b"h")] == headers.raw


def test_update_appends() -> None:
    """
    Updating removes the old fields and puts all the new ones at the end.
    """
    headers = Headers(PAIRS)

    headers.update([("accept", "1"), ("accept", "2")])

    assert [*RAW[1:], (b"accept", b"1"), (b"accept", b"2")] == headers.raw
    assert "1, 2" == headers["accept"]


def test_update_with_itself_changes_nothing() -> None:
    """
    Updating from the same object loses no field.
    """
    headers = Headers(PAIRS)

    headers.update(headers)

    assert RAW == headers.raw


def test_raw_is_a_copy() -> None:
    """
    Changing the list that `raw` returns does not change the headers.
    """
    headers = Headers(PAIRS)

    headers.raw.clear()

    assert RAW == headers.raw


def test_copies_are_independent() -> None:
    """
    A change to a copy, indexed or not, leaves the original alone.
    """
    original = Headers(PAIRS)
    for _ in range(2):
        for copied in (original.copy(), Headers(original), copy.copy(original)):
            copied["accept"] = "changed"
            copied["new"] = "1"
            del copied["host"]
        assert RAW == original.raw
        assert "a" == original["accept"]
        assert "new" not in original


def test_from_raw_takes_a_parsers_list() -> None:
    """
    Names may have any case, and nothing is copied.
    """
    raw = [(b"Set-Cookie", b"a=b"), (b"SET-COOKIE", b"c=d"), (b"x", b"\xff")]

    headers = Headers.from_raw(raw)

    assert headers._list is raw
    assert b"a=b, c=d" == headers.get_raw(b"set-cookie")
    assert b"\xff" == headers.get_raw(b"x")
    assert headers.get_raw(b"absent") is None
    assert headers.has(b"set-cookie")
    assert not headers.has(b"absent")
    assert ["a=b", "c=d"] == headers.get_list("set-cookie")


def test_bytes_lookups_follow_changes() -> None:
    """
    What was looked up before a change is not remembered after it.
    """
    headers = Headers({"a": "1"})
    assert headers.has(b"a")

    headers["A"] = "2"
    assert b"2" == headers.get_raw(b"a")
    del headers["a"]
    assert not headers.has(b"a")
    headers.update({"a": "3"})
    assert b"3" == headers.get_raw(b"a")


@pytest.mark.parametrize(
    ("raw", "encoding", "text"),
    [
        (b"plain", "ascii", "plain"),
        ("é".encode(), "utf-8", "é"),
        (b"\xe9", "iso-8859-1", "é"),
    ],
)
def test_encoding_is_the_narrowest_that_fits(raw: bytes, encoding: str, text: str) -> None:
    """
    ASCII, UTF-8, ISO-8859-1: the first that decodes everything.
    """
    headers = Headers([(b"x", raw)])

    assert encoding == headers.encoding
    assert text == headers["x"] == headers.get("X")
    assert [text] == headers.get_list("x")


def test_encoding_can_be_set() -> None:
    """
    A chosen encoding decodes and encodes from then on.
    """
    headers = Headers([(b"x", "é".encode())])
    headers.encoding = "iso-8859-1"

    assert "Ã©" == headers["x"]
    headers["y"] = "é"
    assert (b"y", b"\xe9") == headers.raw[1]


def test_reading_does_not_fix_the_encoding() -> None:
    """
    After plain fields were read, text beyond ASCII can still be set.
    """
    headers = Headers({"x": "1"})
    assert "ascii" == headers.encoding

    headers["y"] = "é"

    assert "é" == headers["y"]
    assert (b"y", "é".encode()) == headers.raw[1]


def test_names_beyond_ascii_are_found() -> None:
    """
    A name that is no token is still found by the str that set it, and no other is an error.
    """
    headers = Headers({"x": "1"})

    assert "É" not in headers
    headers["É"] = "2"
    assert "2" == headers["É"]
    del headers["É"]
    assert [(b"x", b"1")] == headers.raw


@pytest.mark.parametrize("given", [{"x": "é"}, [("é", "x")]])
def test_constructor_wants_ascii(given: Any) -> None:
    """
    Text beyond ASCII needs an encoding, as in httpx.
    """
    for kind in (httpx.Headers, Headers):
        with pytest.raises(UnicodeEncodeError):
            kind(given)
    assert [(k, v) for k, v in dict(given).items()] == Headers(given, "utf-8").multi_items()


@pytest.mark.parametrize("value", [1, None, 1.5, ["a"]])
def test_other_types_are_refused(value: Any) -> None:
    """
    Names and values are text or bytes, and the error says which type was given.
    """
    message = f"Header value must be str or bytes, not {type(value)}"
    with pytest.raises(TypeError) as caught:
        Headers({"x": value})
    assert message == str(caught.value)
    with pytest.raises(TypeError) as caught:
        Headers()["x"] = value
    assert message == str(caught.value)
    with pytest.raises(TypeError, match="Header name must be str or bytes"):
        Headers([(value, "x")])


def test_lookups_want_text() -> None:
    """
    A bytes name is refused, not quietly absent.
    """
    headers: Any = Headers({"x": "1"})
    for lookup in (headers.get, headers.__getitem__, headers.__contains__):
        with pytest.raises(TypeError, match="Header name must be str, not <class 'bytes'>"):
            lookup(b"x")


def test_equality_ignores_case_and_order() -> None:
    """
    Equal are the same fields in any order and spelling, however they are given.
    """
    headers = Headers([("A", "1"), ("b", "2"), ("b", "3")])

    assert headers == Headers([("B", "3"), ("a", "1"), ("B", "2")])
    assert headers == [(b"b", b"2"), (b"b", b"3"), (b"a", b"1")]
    assert Headers({"a": "1"}) == {"A": "1"}
    assert headers != {"a": "1", "b": "2, 3"}
    assert Headers({"a": "v"}) != {"a": "V"}
    assert headers != Headers({"a": "1"})


@pytest.mark.parametrize("other", [5, None, "text", {"a": 1}, {"a": "é"}, object()])
def test_other_things_are_unequal(other: Any) -> None:
    """
    Comparing with what is no headers is False, never an error.
    """
    assert Headers({"a": "1"}) != other


def test_headers_are_a_mutable_mapping_without_hash() -> None:
    """
    They pass for a mapping and cannot be a dictionary's key.
    """
    assert isinstance(Headers(), MutableMapping)
    assert isinstance(Headers(), Mapping)
    assert {"a": "1, 2"} == dict(Headers([("A", "1"), ("a", "2")]))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


def test_union_merges() -> None:
    """
    The right side of `|` wins; neither side changes; a dict may stand on either.
    """
    left = Headers([("A", "1"), ("b", "2")])
    right = {"a": "3", "c": "4"}

    assert [("b", "2"), ("a", "3"), ("c", "4")] == (left | right).multi_items()
    assert [("c", "4"), ("a", "1"), ("b", "2")] == (right | left).multi_items()
    assert [(b"A", b"1"), (b"b", b"2")] == left.raw
    assert isinstance(right | left, Headers)


def test_union_in_place_keeps_the_object() -> None:
    """
    `|=` updates, and takes pairs as well.
    """
    headers = same = Headers({"a": "1"})

    headers |= {"b": "2"}
    headers |= [("a", "3")]

    assert same is headers
    assert [("b", "2"), ("a", "3")] == same.multi_items()


def test_union_wants_mappings() -> None:
    """
    `|` with anything else is a type error.
    """
    headers: Any = Headers()
    with pytest.raises(TypeError, match="unsupported operand"):
        headers | 5
    with pytest.raises(TypeError, match="unsupported operand"):
        [("a", "1")] | headers


@pytest.mark.parametrize("name", sorted(SENSITIVE_HEADERS))
def test_repr_masks_secrets(name: str) -> None:
    """
    Values of sensitive names do not appear, in whatever case the name is given.
    """
    for headers in (Headers({name.title(): "hunter2"}), Headers([(name, "hunter2"), (name, "x")])):
        assert "hunter2" not in repr(headers)
        assert f"{name}': '[secure]'" in repr(headers) or f"{name}', '[secure]'" in repr(headers)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"A": "1", "Authorization": "x"},
        [("a", "1"), ("A", "2"), ("Proxy-Authorization", "x")],
        [(b"a", "é".encode())],
    ],
)
def test_repr_agrees_with_httpx(given: Any) -> None:
    """
    A dict if names are single, else a list; the encoding if it is not ASCII.
    """
    assert repr(httpx.Headers(given)) == repr(Headers(given))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_headers_pickle(protocol: int) -> None:
    """
    Order, spelling and a chosen encoding survive.
    """
    headers = Headers([*RAW, (b"x", b"\xe9")], encoding="iso-8859-1")
    assert "a" == headers["accept"]

    restored = pickle.loads(pickle.dumps(headers, protocol))

    assert headers.raw == restored.raw
    assert "iso-8859-1" == restored.encoding
    assert seen(headers) == seen(restored)


def test_text_that_the_present_fields_cannot_hold_becomes_utf_8() -> None:
    """
    Beside ISO-8859-1 fields, what fits is written so, and what does not is never an error.
    """
    headers = Headers([(b"x", b"\xe9")])

    headers["y"] = "é"
    headers["z"] = "€"

    assert [(b"y", b"\xe9"), (b"z", "€".encode())] == headers.raw[1:]


def test_any_mapping_will_do() -> None:
    """
    A mapping that is no dict is read by its items.
    """
    given: Any = MappingProxyType({"A": "1"})

    assert [(b"A", b"1")] == Headers(given).raw
    assert Headers({"b": "2"}) | given == {"a": "1", "b": "2"}


# One like another shares what is known of its names


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.__setitem__("Accept", "text/plain"),
        lambda headers: headers.__setitem__("X-New", "1"),
        lambda headers: headers.set_raw(b"X-New", b"x-new", b"1"),
        lambda headers: headers.set_raw(b"ACCEPT", b"accept", b"text/plain"),
        lambda headers: headers.__delitem__("Accept"),
        lambda headers: headers.update({"Accept": "text/plain", "X-New": "1"}),
    ],
)
def test_what_changes_in_one_does_not_change_in_another(change: Callable[[Headers], None]) -> None:
    """
    Neither in the model, nor in others like it; and lookups agree with the fields.
    """
    model = Headers.from_raw([(b"Host", b"example.org"), (b"Accept", b"*/*")])
    changed, other = Headers.like(model), Headers.like(model)
    change(changed)
    plain = Headers([(b"Host", b"example.org"), (b"Accept", b"*/*")])
    change(plain)

    assert plain.raw == changed.raw
    assert dict(Headers(plain.raw).by_name) == dict(changed.by_name)
    for untouched in (model, other):
        assert [(b"Host", b"example.org"), (b"Accept", b"*/*")] == untouched.raw
        assert {b"host": b"example.org", b"accept": b"*/*"} == dict(untouched.by_name)


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.__setitem__("Accept", "text/plain"),
        lambda headers: headers.__setitem__("X-New", "1"),
        lambda headers: headers.pop("Accept", None),
        lambda headers: headers.update({"Accept": "text/plain"}),
        lambda headers: headers.copy().update({"Accept": "text/plain"}),
    ],
)
@pytest.mark.parametrize("looked_into", [False, True])
def test_a_snapshot_stays_as_it_is(
    change: Callable[[Headers], None],
    looked_into: bool,
) -> None:
    """
    Whatever becomes of the headers, whether they were looked into before, and however often they change.
    """
    headers = Headers([("Host", "example.org"), ("Accept", "*/*"), ("accept", "text/html")])
    if looked_into:
        assert headers.has(b"host")
    expected = {b"host": b"example.org", b"accept": b"*/*, text/html"}

    snapshot = headers.snapshot()
    change(headers)
    second = headers.snapshot()
    between = dict(second)
    change(headers)
    headers["host"] = "elsewhere"

    assert expected == dict(snapshot)
    assert between == dict(second)
    assert "elsewhere" == headers["host"]


def test_a_copy_and_its_original_are_independent() -> None:
    """
    Whichever is changed first, and whether they were looked into before.
    """
    for looked_into in (False, True):
        for change in range(2):
            headers = Headers({"a": "1", "b": "2"})
            if looked_into:
                assert "1" == headers["a"]
            pair = headers, headers.copy()
            pair[change]["a"] = "3"
            del pair[change]["b"]
            pair[1 - change]["c"] = "4"

            assert {"a": "3"} == dict(pair[change])
            assert {"a": "1", "b": "2", "c": "4"} == dict(pair[1 - change])
            assert pair[change] != pair[1 - change]
