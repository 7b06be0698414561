"""Rules on what is said: the request's line and headers, the response's status and headers."""

from __future__ import annotations

from typing import Any

from scallion.pipeline.streams import AsyncByteStream, SyncByteStream

from .bench import Bench
from .protocol import COOKIES, FIELDS, TRAILERS, Fields
from .rules import Rules, holds, same

__all__ = ["rules"]

rules = Rules()


@rules("RFC 9110 section 9.1")
async def method_arrives(bench: Bench) -> None:
    """The method reaches the server as it is, one that is not registered too."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"):
        same(method, (await bench.told(method)).method, "the method that arrived")


@rules("RFC 9110 section 7.1, RFC 3986 section 3.4")
async def target_arrives(bench: Bench) -> None:
    """Path and query reach the server encoded as the URL has them, the query's order and empty values included."""
    for target in (
        "/told",
        "/told/a/b;c=d",
        "/told?",
        "/told?b=2&a=1&b=3&empty=&bare",
        "/told?q=%C3%A9+%2B%26&slash=/%2F?",
    ):
        told = await bench.told("GET", target)
        same(target.rstrip("?"), told.target.rstrip("?"), "the target that arrived")


@rules("RFC 3986 section 2.1")
async def escapes_in_the_path_arrive(bench: Bench) -> None:
    """What is percent-encoded in the path means the same to the server."""
    from urllib.parse import unquote

    told = await bench.told("GET", "/told/%C3%A9/a%20b")
    # An application in this process may get the path decoded: its octets, as PEP 3333 says.
    seen = unquote(told.target, "latin-1")
    same("/told/Ã©/a b", seen, "the path's octets that arrived")


@rules("RFC 9110 section 7.2")
async def host_arrives(bench: Bench) -> None:
    """The authority that the request names reaches the server."""
    request = bench.request()
    expected = request.headers["host"]
    told = await bench.told(headers={"Host": expected})
    same(expected, told.get("host"), "the host that arrived")


@rules("RFC 9110 section 5.3")
async def request_headers_arrive(bench: Bench) -> None:
    """Header fields arrive with their values, repeated ones in their order, alone or joined by commas."""
    told = await bench.told(
        headers=[
            ("X-One", "1"),
            ("X-Many", "a"),
            ("X-Two", 'with "quotes"; and = signs'),
            ("X-Many", "b, c"),
            ("X-Empty", ""),
        ]
    )
    same("1", told.get("x-one"), "X-One")
    same("a, b, c", told.get("x-many"), "the values of X-Many, joined")
    same('with "quotes"; and = signs', told.get("x-two"), "X-Two")
    same("", told.get("x-empty"), "X-Empty")


@rules("RFC 9110 section 5.5")
async def header_octets_arrive(bench: Bench) -> None:
    """A value beyond ASCII arrives with the same octets."""
    told = await bench.told(headers=[(b"X-Latin", b"caf\xe9")])
    same("caf\xe9", told.get("x-latin"), "X-Latin, read as ISO-8859-1")


@rules("RFC 9112 section 5, scallion: names keep their spelling", needs=["header-case"])
async def header_spelling_is_kept(bench: Bench) -> None:
    """Over HTTP/1.1 names are spelt, and fields ordered, as the request and the server have them."""
    sent = [("X-Camel-Case", "1"), ("x-lower", "2"), ("X-UPPER", "3"), ("x-lower", "4")]
    told = await bench.told(headers=sent)
    kept = [field for field in told.headers if field[0].lower().startswith("x-")]
    same(sent, kept, "the fields that arrived")
    response = await bench.open(path="/fields")
    await bench.read(response)
    names = [name for name, _ in FIELDS]
    received = [name for name, _ in response.headers.raw if name in names]
    same(names, received, "the names of the response's fields")


@rules("RFC 9110 section 5.2, RFC 6265 section 5.4")
async def request_cookies_arrive(bench: Bench) -> None:
    """The Cookie field arrives, its pairs in their order, joined by semicolons if it was split."""
    told = await bench.told(headers={"Cookie": "a=1; b=2"})
    same("a=1; b=2", told.get("cookie", "; "), "the Cookie field that arrived")


@rules("RFC 9112 section 6.3")
async def no_body_means_none(bench: Bench) -> None:
    """A GET without a body announces none, and a POST without one has a length of 0."""
    told = await bench.told("GET")
    same(0, told.size, "bytes of a body that a GET had")
    holds(told.get("content-length") in (None, "", "0"), "a GET without a body announced one")
    holds(told.get("transfer-encoding") is None, "a GET without a body announced chunks")
    same(0, (await bench.told("POST")).size, "bytes of a body that a bare POST had")


@rules("RFC 9110 section 10.1.1", needs=["network"])
async def expectations_are_met(bench: Bench) -> None:
    """A request that says `Expect: 100-continue` is answered with the final response, its body sent."""
    told = await bench.told("POST", content=b"body", headers={"Expect": "100-continue"})
    same(4, told.size, "bytes of the body that arrived")


@rules("scallion: BaseTransport; the caller's request is the caller's")
async def request_is_not_changed(bench: Bench) -> None:
    """Sending leaves the request's method, URL, headers, extensions and deadline as they were."""
    request = bench.request("POST", content=b"body", headers={"X-One": "1"}, extensions={"mine": 1})
    before = _state(request)
    await bench.read(await bench.send(request))
    for name, value in _state(request).items():
        same(before[name], value, f"the request's {name} afterwards")


@rules("RFC 9110 section 15")
async def status_arrives(bench: Bench) -> None:
    """Each final status arrives, unknown ones too; errors and redirects are answers like others."""
    for status in (200, 201, 204, 206, 299, 301, 304, 307, 401, 404, 418, 500, 503, 599):
        response = await bench.open(path=f"/status/{status}")
        await bench.read(response)
        same(status, response.status_code, "the status")


@rules("RFC 9112 section 4", needs=["reason"])
async def reason_arrives(bench: Bench) -> None:
    """The server's own reason phrase is `response.reason_phrase`."""
    response = await bench.open(path="/reason")
    await bench.read(response)
    same("Quite All Right", response.reason_phrase, "the reason phrase")


@rules("RFC 9110 section 5.3")
async def response_headers_arrive(bench: Bench) -> None:
    """The response's fields arrive: repeated ones apart and in their order, empty ones, octets beyond ASCII."""
    response = await bench.open(path="/fields")
    await bench.read(response)
    same(_of(FIELDS), _of(response.headers.raw, {name for name, _ in _of(FIELDS)}), "the fields")


@rules("RFC 6265 section 3")
async def set_cookie_fields_stay_apart(bench: Bench) -> None:
    """Several Set-Cookie fields are never joined, as their dates have commas."""
    response = await bench.open(path="/cookies")
    await bench.read(response)
    same(_of(COOKIES), _of(response.headers.raw, {b"set-cookie"}), "the Set-Cookie fields")
    response.request = bench.request()
    same({"one": "1", "two": "2"}, dict(response.cookies), "the response's cookies")


@rules("RFC 9110 section 15.2")
async def interim_responses_are_passed_over(bench: Bench) -> None:
    """A 103 (or any other 1xx) before the answer is not taken for the answer."""
    response = await bench.open(path="/interim")
    body = await bench.read(response)
    same((200, b"ok"), (response.status_code, body), "the final answer")


@rules("RFC 9110 section 6.5, scallion: Response.trailers", needs=["trailers"])
async def trailers_arrive(bench: Bench) -> None:
    """Trailer fields are in `extensions["trailers"]` after the body, and are not mixed with the headers."""
    response = await bench.open(path="/trailers")
    same(b"rows", await bench.read(response), "the body")
    trailers: Any = response.extensions.get("trailers")
    holds(trailers is not None, 'there is no extensions["trailers"]')
    same(_of(TRAILERS), _of(trailers.raw), "the trailers")
    holds("x-checksum" not in response.headers, "a trailer stands among the headers")


@rules("scallion: BaseTransport; the colours of streams")
async def stream_has_the_colour(bench: Bench) -> None:
    """The response's stream is a `SyncByteStream` for a Client, and an `AsyncByteStream` for an AsyncClient."""
    for path in ("/told", "/status/204", "/chunks/10"):
        response = await bench.open(path=path)
        kind = SyncByteStream if bench.blocking else AsyncByteStream
        holds(
            isinstance(response.stream, kind),
            f"the stream of {path} is a {type(response.stream).__name__}, which is no {kind.__name__}",
        )
        await bench.close(response)


def _state(request: Any) -> dict[str, Any]:
    return {
        "method": request.method,
        "URL": str(request.url),
        "headers": list(request.headers.raw),
        "extensions": {
            key: dict(value) if isinstance(value, dict) else value
            for key, value in request.extensions.items()
        },
        "deadline": request.deadline,
    }


def _of(fields: Any, names: Any = None) -> Fields:
    """The fields of these names; compared without regard to the names' spelling and to how names interleave."""
    chosen = [
        (name.lower(), value) for name, value in fields if names is None or name.lower() in names
    ]
    return tuple(sorted(chosen, key=lambda field: field[0]))
