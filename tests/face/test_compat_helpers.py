"""httpx's private helpers, in scallion's terms: they do what httpx's do."""

from __future__ import annotations

import importlib
import io
from typing import Any

import httpx
import pytest

import scallion
from scallion.compat import content, helpers


def of_httpx(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"httpx.{module}"), name)


def body(encoded: Any) -> tuple[dict[str, str], bytes]:
    headers, stream = encoded
    return headers, b"".join(stream)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("encode_json", ({"a": [1, None, "ü"]},)),
        ("encode_json", (None,)),
        ("encode_json", ([],)),
        ("encode_urlencoded_data", ({"a": "1 2", "b": [True, None], "c": 3},)),
        ("encode_urlencoded_data", ({},)),
        ("encode_multipart_data", ({"a": "1"}, {"f": ("x.txt", b"content")}, b"boundary")),
        ("encode_text", ("täxt",)),
        ("encode_html", ("<p>",)),
    ],
)
def test_bodies_are_made_as_httpx_makes_them(name: str, arguments: Any) -> None:
    """
    The same headers and the same bytes.
    """
    assert body(of_httpx("_content", name)(*arguments)) == body(getattr(content, name)(*arguments))


def test_boundaries_are_found() -> None:
    """
    In a header's bytes; None where there is none.
    """
    find = content.get_multipart_boundary_from_content_type

    assert b"abc" == find(b'multipart/form-data; boundary="abc"')
    assert None is find(b"text/plain")
    assert None is find(None)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("is_ipv4_hostname", ("127.0.0.1",)),
        ("is_ipv4_hostname", ("10.0.0.0/8",)),
        ("is_ipv4_hostname", ("localhost",)),
        ("is_ipv6_hostname", ("::1",)),
        ("is_ipv6_hostname", ("fe80::/10",)),
        ("is_ipv6_hostname", ("127.0.0.1",)),
        ("primitive_value_to_str", (True,)),
        ("primitive_value_to_str", (None,)),
        ("primitive_value_to_str", (1.5,)),
        ("to_bytes", ("ü",)),
        ("to_bytes", (b"x",)),
        ("to_str", (b"\xc3\xbc",)),
        ("to_str", ("x",)),
        ("to_bytes_or_str", ("x", b"")),
        ("to_bytes_or_str", ("x", "")),
        ("unquote", ('"quoted"',)),
        ("unquote", ("plain",)),
        ("peek_filelike_length", (io.BytesIO(b"12345"),)),
        ("peek_filelike_length", (iter(()),)),
    ],
)
def test_small_functions_do_what_httpxs_do(name: str, arguments: Any) -> None:
    """
    On texts, numbers, addresses and files.
    """
    assert of_httpx("_utils", name)(*arguments) == getattr(helpers, name)(*arguments)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a.example/", "https://a.example/"),
        ("http://a.example:80/x", "http://a.example/y"),
        ("http://a.example/", "https://b.example/"),
        ("http://a.example:81/", "https://a.example/"),
        ("https://a.example/", "http://a.example/"),
        ("ftp://a.example/", "x://a.example/"),
    ],
)
def test_origins_are_compared_as_httpx_compares_them(one: str, other: str) -> None:
    """
    Which steps are to the same origin, and which only add TLS.
    """
    for name in ("_same_origin", "_is_https_redirect"):
        assert of_httpx("_client", name)(httpx.URL(one), httpx.URL(other)) == getattr(
            helpers, name
        )(scallion.URL(one), scallion.URL(other))
    assert of_httpx("_client", "_port_or_default")(httpx.URL(one)) == helpers._port_or_default(
        scallion.URL(one)
    )


def test_urls_are_taken_apart() -> None:
    """
    `urlparse` gives httpx's parts, and takes its keywords.
    """
    parsed = helpers.urlparse("https://u@example.org:8443/a b?c", fragment="d")

    assert ("https", "u", "example.org", 8443, "/a%20b", "c", "d") == tuple(parsed)


def test_errors_learn_their_request() -> None:
    """
    Those that belong to one; what they had is replaced, and others pass.
    """
    request = scallion.Request("GET", "http://example.org/")

    with pytest.raises(scallion.ReadError) as caught, helpers.request_context(request):
        raise scallion.ReadError("broken")
    assert caught.value.request is request
    with pytest.raises(scallion.ReadError) as caught, helpers.request_context():
        raise scallion.ReadError("broken")
    assert None is caught.value._request
    with pytest.raises(KeyError), helpers.request_context(request):
        raise KeyError("mine")
