"""The public surface next to httpx's, by introspection; and what calls give, well formed and not."""

from __future__ import annotations

import inspect
import weakref
from typing import Any

import httpx
import httpx2
import pytest

import scallion
from compat.edge_inputs import DIFFERENT, SAME
from compat.surface import bases, evaluate, kind, members, parameters, public_members
from face.differences import DIFFERENCES

DATACLASS = ("__replace__", "__weakref__")
CLASSES = [name for name in httpx.__all__ if inspect.isclass(getattr(httpx, name))]
FUNCTIONS = [name for name in httpx.__all__ if inspect.isfunction(getattr(httpx, name))]
METHODS = [
    (name, method)
    for name in CLASSES
    for method in public_members(getattr(httpx, name))
    if callable(inspect.getattr_static(getattr(httpx, name), method))
    and not issubclass(getattr(httpx, name), int)
]

# What scallion's functions and methods take besides, everywhere the same.
CALLING = {"allow_redirects", "middlewares", "params_mode"}
OURS: dict[str, set[str]] = {
    "Client": {
        "allow_redirects",
        "app",
        "middlewares",
        "params_mode",
        "pipeline",
        "proxies",
        "resolver",
    },
    "HTTPTransport": {"resolver", "tcp_keepalive"},
    "Limits": {"max_connection_age", "max_connections_per_host", "ping_after"},
    "Timeout": {"total"},
    "ASGITransport": {"grace", "lifespan"},
    "StreamConsumed": {"message"},
    "StreamClosed": {"message"},
    "ResponseNotRead": {"message"},
    "RequestNotRead": {"message"},
    "build_request": {"params_mode"},
    "send": {"allow_redirects", "middlewares", "timeout"},
    **dict.fromkeys(
        ["delete", "get", "head", "options", "patch", "post", "put", "request", "stream"], CALLING
    ),
}
OURS["AsyncClient"] = OURS["Client"]
OURS["AsyncHTTPTransport"] = OURS["HTTPTransport"]
OURS_IN_FUNCTIONS = {"allow_redirects", "cert", "params_mode", "proxies"}


# What is there


@pytest.mark.parametrize("name", httpx.__all__)
def test_every_name_is_there(name: str) -> None:
    """
    As the same kind of thing, and at home in the package.
    """
    theirs, ours = getattr(httpx, name), getattr(scallion, name)

    assert inspect.isclass(theirs) == inspect.isclass(ours)
    assert callable(theirs) == callable(ours)
    assert name in scallion.__all__
    if not isinstance(theirs, str) and name != "main":
        assert theirs.__module__ == "httpx" or name == "USE_CLIENT_DEFAULT"
        assert "scallion" == ours.__module__
        assert getattr(theirs, "__name__", None) == getattr(ours, "__name__", None)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_of_the_same_kinds(name: str) -> None:
    """
    What `isinstance` and `except` say of it, by name; it may be of further kinds.
    """
    theirs = bases(getattr(httpx, name))

    assert theirs <= bases(getattr(scallion, name))


@pytest.mark.parametrize("name", CLASSES)
def test_every_member_is_there(name: str) -> None:
    """
    Methods, properties, constants and special methods, each of its sort: settable or not, awaited or not.
    differences: "values have slots".
    """
    theirs, ours = getattr(httpx, name), getattr(scallion, name)
    slotted = {"__weakref__"} if name in ("Limits", "Timeout") else set()
    expected = {member: kind(theirs, member) for member in set(public_members(theirs)) - slotted}
    missing = sorted(member for member in expected if not hasattr(ours, member))

    assert [] == missing
    assert expected == {member: kind(ours, member) for member in expected}


INSTANCES: dict[str, Any] = {
    "Client": lambda lib: lib.Client(),
    "AsyncClient": lambda lib: lib.AsyncClient(),
    "Request": lambda lib: lib.Request("POST", "http://h", content=b"x"),
    "Response": lambda lib: lib.Response(200, content=b"x", request=lib.Request("GET", "http://h")),
    "URL": lambda lib: lib.URL("http://h"),
    "Headers": lambda lib: lib.Headers(),
    "Cookies": lambda lib: lib.Cookies(),
    "QueryParams": lambda lib: lib.QueryParams(),
    "Timeout": lambda lib: lib.Timeout(5),
    "Limits": lambda lib: lib.Limits(),
    "Proxy": lambda lib: lib.Proxy("http://h"),
    "HTTPTransport": lambda lib: lib.HTTPTransport(),
    "AsyncHTTPTransport": lambda lib: lib.AsyncHTTPTransport(),
    "MockTransport": lambda lib: lib.MockTransport(len),
    "ASGITransport": lambda lib: lib.ASGITransport(len),
    "WSGITransport": lambda lib: lib.WSGITransport(len),
    "Auth": lambda lib: lib.Auth(),
    "BasicAuth": lambda lib: lib.BasicAuth("u", "p"),
    "DigestAuth": lambda lib: lib.DigestAuth("u", "p"),
    "ByteStream": lambda lib: lib.ByteStream(b""),
    "RequestError": lambda lib: lib.RequestError("x"),
    "HTTPStatusError": lambda lib: lib.HTTPStatusError(
        "x", request=lib.Request("GET", "http://h"), response=lib.Response(500)
    ),
    "InvalidURL": lambda lib: lib.InvalidURL("x"),
}


@pytest.mark.parametrize("name", INSTANCES)
def test_every_attribute_of_instances_is_there(name: str) -> None:
    """
    Those that only an instance has among them.
    """
    make = INSTANCES[name]

    assert set() == set(members(make(httpx))) - set(members(make(scallion)))


@pytest.mark.parametrize(
    "name", ["URL", "Headers", "Cookies", "QueryParams", "Request", "Response", "Client", "Proxy"]
)
def test_weak_references_are_possible(name: str) -> None:
    """
    Caches of others hold their keys so.
    """
    value = INSTANCES[name](scallion)

    assert weakref.ref(value)() is value


# Signatures


def compare_signatures(path: str, theirs: Any, ours: Any, besides: set[str]) -> None:
    expected, found = parameters(theirs), parameters(ours)
    if expected is None or found is None:
        assert expected is found
        return
    if "args" in expected or "args" in found or path in UNLIKE:
        return
    for name, (sort, default) in expected.items():
        assert name in found, f"{path}({name})"
        assert sort == found[name][0], f"{path}({name})"
        if name != "follow_redirects":
            assert default == found[name][1], f"{path}({name})"
    positional = [name for name, (sort, _) in expected.items() if "POSITIONAL" in sort]
    assert positional == [
        name for name, (sort, _) in found.items() if "POSITIONAL" in sort and name in expected
    ]
    assert set(found) - set(expected) <= besides, path
    for name in set(found) - set(expected):
        assert found[name][1] != "<class 'inspect._empty'>", f"{path}({name}) must be optional"


# Exceptions and enumerations whose signatures Python makes up.
UNLIKE = {"codes"}


@pytest.mark.parametrize("name", CLASSES)
def test_every_constructor_takes_the_same(name: str) -> None:
    """
    Names, order, kinds and defaults; what is ours has a default. `follow_redirects` is unset, so that both of its
    spellings can be told; a client has it as False all the same.
    differences: "older spellings".
    """
    compare_signatures(name, getattr(httpx, name), getattr(scallion, name), OURS.get(name, set()))


@pytest.mark.parametrize(("name", "method"), METHODS, ids=".".join)
def test_every_method_takes_the_same(name: str, method: str) -> None:
    """
    Names, order, kinds and defaults.
    """
    theirs, ours = getattr(getattr(httpx, name), method), getattr(getattr(scallion, name), method)
    if method.startswith("__") and method not in (
        "__enter__",
        "__exit__",
        "__aenter__",
        "__aexit__",
    ):
        return

    compare_signatures(f"{name}.{method}", theirs, ours, OURS.get(method, set()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_the_same(name: str) -> None:
    """
    Names, order, kinds and defaults.
    """
    compare_signatures(name, getattr(httpx, name), getattr(scallion, name), OURS_IN_FUNCTIONS)


def test_clients_do_not_follow_redirects() -> None:
    """
    Unset is False.
    """
    for lib in (httpx, scallion):
        assert lib.Client().follow_redirects is False
        assert lib.AsyncClient().follow_redirects is False


# Calls

EXACT = {
    "CookieConflict",
    "HTTPStatusError",
    "KeyError",
    "RequestNotRead",
    "ResponseNotRead",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "TooManyRedirects",
}
"""Errors whose messages are httpx's to the letter; others may say more."""


def lines(table: dict[str, str]) -> list[Any]:
    return [
        pytest.param(group, line.strip(), id=f"{group}: {line.strip()}"[:100])
        for group, text in table.items()
        for line in text.strip().splitlines()
    ]


@pytest.mark.parametrize(("group", "expression"), lines(SAME))
def test_calls_give_the_same(group: str, expression: str) -> None:
    """
    Values by their reprs, warnings, classes of errors, and messages where programs read them.
    differences: "error messages".
    """
    theirs, ours = evaluate(httpx, expression), evaluate(scallion, expression)

    if theirs[0] == ours[0] == "error" and theirs[1] not in EXACT:
        theirs, ours = theirs[:2], ours[:2]
    assert theirs == ours


@pytest.mark.parametrize(("reason", "expression"), lines(DIFFERENT))
def test_calls_that_differ_do_so_for_a_reason(reason: str, expression: str) -> None:
    """
    A reason that is listed; a difference that is gone is noticed.
    differences: "wrong types", differences: "ports over 65535", differences: "schemes in capitals",
    differences: "equal params hash alike", differences: "names without values", differences: "values have slots",
    differences: "secrets are masked", differences: "settings are validated", differences: "methods are tokens",
    differences: "truncated content", differences: "reprs say more", differences: "errors pickle",
    differences: "unknown events", differences: "bodies that are there already",
    differences: "relative URLs with cookies", differences: "cookies of one request",
    differences: "single timeouts win", differences: "older spellings".
    """
    assert reason in DIFFERENCES
    assert evaluate(httpx, expression) != evaluate(scallion, expression)


def test_wrong_types_are_told_by_an_error_for_it() -> None:
    """
    Not by one from within.
    """
    for line in DIFFERENT["wrong types"].strip().splitlines():
        outcome = evaluate(scallion, line.strip())
        if outcome[0] == "error":
            assert outcome[1] in ("TypeError", "ValueError", "InvalidURL", "RuntimeError"), line


# httpx2's additions

ADDED = ["EventSource", "FunctionAuth", "Origin", "SSEError", "ServerSentEvent", "query"]
NOT_ADDED = {"alias_httpx", "websocket"}
ADDED_CALLS = [
    'lib.Origin("https://user:pass@Example.org:443/x")',
    'lib.Origin("http://[::1]:8/").host',
    'lib.Origin("foo://h").port',
    'lib.Origin("/path")',
    "lib.Origin(1)",
    "lib.Origin()",
    'lib.Origin("http://h:port")',
    'lib.Origin("http://h") == lib.Origin("http://h:80/x")',
    'lib.Origin("http://h") == "http://h"',
    'hash(lib.Origin("http://h")) == hash(lib.Origin("http://h:80"))',
    'setting(lib.Origin("http://h"), "host", "x")',
    'again(lib.Origin("http://h"))',
    'copies(lib.Origin("http://h"))',
    'URL("https://h/x").origin',
    'URL("/x").origin',
    'setting(URL("http://h"), "origin", 1)',
    'Headers({"A": "1"}) | {"a": "2", "b": "3"}',
    'Headers([("A", "1"), ("a", "2")]) | {"b": "3"}',
    '{"a": "0", "c": "3"} | Headers({"A": "1"})',
    'Headers({"A": "1"}) | 5',
    '(h := Headers({"A": "1"})).__ior__({"b": "2"}) is h',
    "lib.ServerSentEvent()",
    'lib.ServerSentEvent(event="e", data="d", id="i", retry=5)',
    'lib.ServerSentEvent(data="[1]").json()',
    'lib.ServerSentEvent(data="x").json()',
    "lib.ServerSentEvent() == lib.ServerSentEvent()",
    'lib.SSEError("x")',
    'again(lib.SSEError("x"))',
    'isinstance(lib.SSEError("x"), TransportError)',
    "lib.FunctionAuth(lambda request: request).requires_request_body",
    'served(ok).query("http://h", content=b"x").request',
    'served(ok).query("http://h", json={"a": 1}).request.headers["content-type"]',
    'lib.query("http://h:port")',
    'lib.query("/x")',
]


def test_httpx2_s_names_are_there() -> None:
    """
    But for two: the one is `scallion.compat.install_as_httpx`, and there are no WebSockets.
    differences: "WebSockets".
    """
    added = set(httpx2.__all__) - set(httpx.__all__)

    assert added == {*ADDED, *NOT_ADDED}
    assert set(ADDED) <= set(scallion.__all__)
    assert set() == NOT_ADDED & set(scallion.__all__)


@pytest.mark.parametrize("name", ADDED)
def test_httpx2_s_additions_are_the_same(name: str) -> None:
    """
    Kinds, members and signatures.
    """
    theirs, ours = getattr(httpx2, name), getattr(scallion, name)

    assert inspect.isclass(theirs) == inspect.isclass(ours)
    compare_signatures(name, theirs, ours, OURS_IN_FUNCTIONS)
    if inspect.isclass(theirs):
        assert bases(theirs) <= bases(ours)
        plain = [member for member in public_members(theirs) if not member.startswith("__")]
        assert [] == [member for member in plain if not hasattr(ours, member)]


@pytest.mark.parametrize("colour", ["Client", "AsyncClient"])
@pytest.mark.parametrize("method", ["query", "sse"])
def test_httpx2_s_methods_are_the_same(colour: str, method: str) -> None:
    """
    Signatures, with what is ours after theirs.
    """
    theirs = getattr(getattr(httpx2, colour), method)
    ours = getattr(getattr(scallion, colour), method)

    compare_signatures(f"{colour}.{method}", theirs, ours, CALLING | {"reconnect"})


def test_httpx2_s_members_are_there() -> None:
    """
    Of the classes that both httpx and httpx2 have.
    """
    missing = {
        f"{name}.{member}"
        for name in CLASSES
        for member in public_members(getattr(httpx2, name))
        if not hasattr(getattr(scallion, name), member)
    }

    # Theirs are dataclasses, which Python 3.13 gives another method.
    slotted = {f"{name}.{own}" for name in ("Limits", "Timeout") for own in DATACLASS}
    missing -= slotted
    assert {"AsyncClient.websocket", "Client.websocket"} == missing


@pytest.mark.parametrize("expression", ADDED_CALLS)
def test_httpx2_s_additions_give_the_same(expression: str) -> None:
    """
    Values by their reprs, and classes of errors.
    """
    theirs, ours = evaluate(httpx2, expression), evaluate(scallion, expression)

    if theirs[0] == ours[0] == "error":
        theirs, ours = theirs[:2], ours[:2]
    assert theirs == ours


@pytest.mark.parametrize(
    "name", ["CONTENT_TOO_LARGE", "URI_TOO_LONG", "RANGE_NOT_SATISFIABLE", "UNPROCESSABLE_CONTENT"]
)
def test_httpx2_s_codes_are_there(name: str) -> None:
    """
    As second names: the first, and the phrases, are httpx's. The older names do not warn.
    """
    code = scallion.codes[name]

    assert httpx2.codes[name].value == code
    assert httpx.codes(code.value).name == code.name
    assert httpx.codes.get_reason_phrase(code) == scallion.codes.get_reason_phrase(code)
    assert code == getattr(scallion.codes, name.lower())
