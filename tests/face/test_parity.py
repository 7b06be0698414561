"""One API: `Client`, `AsyncClient`, the functions, and httpx's have the same arguments."""

from __future__ import annotations

import inspect
from typing import Any

import httpx
import pytest

import scallion
from scallion import AsyncClient, Client
from scallion._base import BaseClient
from scallion._request_defaults import RequestDefaults

# Where the two colours differ by name.
NAMES = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
TYPES = {"BaseTransport": "AsyncBaseTransport", "AnyMiddleware": "Middleware"}

# What scallion takes besides: older spellings, and layers.
OURS = {"allow_redirects", "app", "params_mode", "pipeline", "proxies", "middlewares", "resolver"}
OURS_IN = {"send": {"timeout"}}
HTTPX_S = ["delete", "get", "head", "options", "patch", "post", "put", "request", "send", "stream"]
SENDING = [*HTTPX_S, "query", "sse"]
FUNCTIONS = [name for name in SENDING if name not in ("send", "sse")]


def methods(cls: type) -> set[str]:
    return {
        name
        for name, value in vars(cls).items()
        if callable(value)
        and (not name.startswith("_") or name in ("__init__", *NAMES, *NAMES.values()))
    }


def parameters(function: Any) -> list[tuple[str, Any, Any, str]]:
    return [
        (name, parameter.kind, parameter.default, str(parameter.annotation))
        for name, parameter in inspect.signature(function).parameters.items()
    ]


def test_both_have_the_same_methods() -> None:
    """
    But for `close` and the context manager's, which are named after the colour.
    """
    assert {NAMES.get(name, name) for name in methods(Client)} == methods(AsyncClient)


@pytest.mark.parametrize("name", sorted(methods(Client)))
def test_both_have_the_same_signatures(name: str) -> None:
    """
    Names, kinds, defaults and types of the arguments, in their order.
    """
    other = getattr(AsyncClient, NAMES.get(name, name))
    expected = [
        (parameter, kind, default, _asynchronous(annotation))
        for parameter, kind, default, annotation in parameters(getattr(Client, name))
    ]

    assert expected == parameters(other)


def _asynchronous(annotation: str) -> str:
    for blocking, asynchronous in TYPES.items():
        annotation = annotation.replace(blocking, asynchronous)
    return annotation


@pytest.mark.parametrize("name", sorted(methods(Client)))
def test_both_return_the_same(name: str) -> None:
    """
    What the one returns the other returns awaited; `stream` and `sse` give a context manager of their colour.
    """
    blocking, asynchronous = getattr(Client, name), getattr(AsyncClient, NAMES.get(name, name))

    expected = inspect.signature(blocking).return_annotation

    assert expected == inspect.signature(asynchronous).return_annotation.replace(
        "AsyncSubscription", "Subscription"
    )
    if name not in ("__init__", "sse", "stream"):
        assert inspect.iscoroutinefunction(asynchronous)


@pytest.mark.parametrize("name", sorted(methods(Client) - {"__init__"}))
def test_both_say_the_same(name: str) -> None:
    """
    Docstrings are equal.
    """
    assert getattr(Client, name).__doc__ == getattr(AsyncClient, NAMES.get(name, name)).__doc__


@pytest.mark.parametrize("name", SENDING)
def test_docstrings_are_there(name: str) -> None:
    """
    Every public method has one, in good English.
    """
    doc = getattr(Client, name).__doc__

    assert doc
    assert " a OPTIONS" not in doc


def test_both_share_their_properties() -> None:
    """
    Properties and building live in one base.
    """
    assert {"auth", "base_url", "cookies", "event_hooks", "headers", "is_closed", "params"} | {
        "pipeline",
        "timeout",
        "trust_env",
        "build_request",
    } <= {*vars(BaseClient), *vars(RequestDefaults)}


# The functions, next to the client


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_what_the_client_s_method_takes(name: str) -> None:
    """
    And what a client is made with that matters for one call; but no extensions and no middlewares.
    """
    method = {p[0] for p in parameters(getattr(Client, name))} - {
        "self",
        "extensions",
        "middlewares",
    }
    function = {p[0] for p in parameters(getattr(scallion, name))}

    assert method | {"proxy", "proxies", "verify", "cert", "trust_env"} == function


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_same_types(name: str) -> None:
    """
    An argument of a function has the type that it has in the client, but for "the client's own".
    """
    taken = {p[0]: p[3] for p in parameters(getattr(Client, name))}
    made = {p[0]: p[3] for p in parameters(Client.__init__)}

    for parameter, _, _, annotation in parameters(getattr(scallion, name)):
        expected = taken.get(parameter, made.get(parameter))
        assert expected is not None
        if parameter in ("auth", "params_mode", "timeout"):
            expected = expected.replace("UseClientDefault | ", "").replace(
                " | UseClientDefault", ""
            )
        assert expected == annotation, parameter


# Next to httpx


def default_of(value: Any) -> str:
    """Defaults by their meaning: unset is what the client, or False, stands for."""
    shown = repr(value)
    return "unset" if "UseClientDefault" in shown or "USE_CLIENT_DEFAULT" in shown else shown


@pytest.mark.parametrize("colour", ["Client", "AsyncClient"])
@pytest.mark.parametrize("name", ["__init__", "build_request", *HTTPX_S])
def test_every_argument_of_httpx_is_there(colour: str, name: str) -> None:
    """
    Under its name, of its kind, with its default; what is ours stands apart.
    """
    theirs = {p[0]: p for p in parameters(getattr(getattr(httpx, colour), name))}
    ours = {p[0]: p for p in parameters(getattr(getattr(scallion, colour), name))}

    assert set(theirs) <= set(ours)
    assert set(ours) - set(theirs) <= OURS | OURS_IN.get(name, set())
    for parameter, (_, kind, default, _) in theirs.items():
        assert kind == ours[parameter][1]
        if (name, parameter) == ("__init__", "follow_redirects"):
            continue  # unset, so that both spellings can be told; the attribute is False
        assert default_of(default) == default_of(ours[parameter][2]), parameter


@pytest.mark.parametrize("name", [name for name in HTTPX_S if name != "send"])
def test_every_argument_of_httpx_s_functions_is_there(name: str) -> None:
    """
    The same for the functions.
    """
    theirs = {p[0]: p for p in parameters(getattr(httpx, name))}
    ours = {p[0]: p for p in parameters(getattr(scallion, name))}

    assert set(theirs) <= set(ours)
    assert set(ours) - set(theirs) <= OURS | {"cert"}
    for parameter, (_, kind, default, _) in theirs.items():
        assert kind == ours[parameter][1]
        if parameter != "follow_redirects":
            assert default_of(default) == default_of(ours[parameter][2]), parameter


@pytest.mark.parametrize("colour", ["Client", "AsyncClient"])
def test_every_public_attribute_of_httpx_is_there(colour: str) -> None:
    """
    Methods, properties and plain attributes.
    """
    theirs = {name for name in dir(getattr(httpx, colour)()) if not name.startswith("_")}

    assert theirs <= set(dir(getattr(scallion, colour)()))


def test_private_names_that_others_use() -> None:
    """
    Libraries around httpx reach for these.
    """
    for client in (Client(), AsyncClient()):
        assert client._transport is client._transport_for_url(scallion.URL("http://example.org/"))
        assert {} == client._mounts
        assert "http://x/a/b" == str(type(client)(base_url="http://x/a")._merge_url("/b"))
