"""Options of requests: which are known, and what is said about the others."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from scallion.pipeline.errors import UnknownOption
from scallion.pipeline.layer import Layer, check_options

INSTALLED = frozenset({"scallion.Retries", "mine"})


@pytest.mark.parametrize(
    "extensions",
    [
        {},
        {"timeout": {}},
        {"trace": print, "sni_hostname": "x", "target": b"/"},
        {"middlewares": []},
        {"scallion.Retries": 1},
        {"mine": 1},
        {"x_request_id": "1", "respx": 1, "vcr": 1},
        {"scallions": 1},
        {1: "not even text"},
    ],
)
def test_known_and_foreign_options_pass(extensions: dict[Any, Any]) -> None:
    """
    A transport's, an installed layer's, and what belongs to somebody else.
    """
    check_options(extensions, INSTALLED)


def test_an_option_for_a_layer_that_is_not_installed_is_refused() -> None:
    """
    The hint names the layer and how to install it.
    differences: "unknown options".
    """
    with pytest.raises(UnknownOption) as info:
        check_options({"timeout": {}, "scallion.Cache": 1}, INSTALLED)

    assert str(info.value) == (
        "The request carries an option for Cache, and this client's pipeline has no such layer. Install it, "
        "Client(pipeline=client.pipeline.per_call(Cache(...))) for example, or drop the option."
    )


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("timeouts", "timeout"),
        ("time_out", "timeout"),
        ("sni-hostname", "sni_hostname"),
        ("server_hostname", None),
        ("targets", "target"),
        ("middleware", "middlewares"),
        ("Scallion.Retries", "scallion.Retries"),
    ],
)
def test_a_misspelt_option_is_refused(key: str, meant: str | None) -> None:
    """
    What is close to a known key is a mistake; what is not is somebody else's.
    differences: "unknown options".
    """
    if meant is None:
        check_options({key: 1}, INSTALLED)
        return
    with pytest.raises(UnknownOption) as info:
        check_options({key: 1}, INSTALLED)

    assert f"Unknown request option {key!r}: did you mean {meant!r}?" == str(info.value)


def test_a_misspelt_layer_is_refused() -> None:
    """
    An option in our name that no layer has is never ignored.
    """
    with pytest.raises(UnknownOption, match="no such layer"):
        check_options({"scallion.Retrys": 1}, INSTALLED)


def test_unknown_option_is_a_type_error() -> None:
    """
    As an unknown keyword would be.
    """
    assert issubclass(UnknownOption, TypeError)


def test_every_httpx_option_is_known() -> None:
    """
    What httpx puts there itself passes.
    """
    check_options(httpx.Client().build_request("GET", "http://x/").extensions, frozenset())


def test_a_layer_is_colourless_and_reads_nothing() -> None:
    """
    The defaults of the base class.
    """
    assert Layer.colourless
    assert Layer.option is None
