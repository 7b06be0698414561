"""Keys of a service's rate limit: texts, and what requests they count together."""

from __future__ import annotations

import pickle

import pytest

from scallion.middlewares.rate_limit_keys import HeaderKey, ServiceKey, key_of
from scallion.pipeline import Request

SERVICE = "http://orders:80"


def request(*, at_endpoint: bool, **headers: str) -> Request:
    made = Request("GET", "http://10.0.0.7:8080/", headers=headers)
    if at_endpoint:
        made.memory["scallion.Endpoints"] = object()
    return made


def test_texts_are_keys() -> None:
    """
    The layer's own for origins, which a service without endpoints is.
    """
    assert key_of("origin", SERVICE) is None
    assert key_of("service") is None
    assert ServiceKey(SERVICE) == key_of("service", SERVICE)
    assert HeaderKey("X-Tenant", None) == key_of("header:X-Tenant")


@pytest.mark.parametrize("text", ["", "tenant", "header:", "header:a b", "Header:X"])
def test_others_are_refused(text: str) -> None:
    """
    With what there is.
    """
    with pytest.raises(ValueError, match="must be 'service', 'origin', or a header such as"):
        key_of(text)


def test_endpoints_count_together() -> None:
    """
    What goes elsewhere, a login's request for example, counts for its origin.
    """
    key = ServiceKey(SERVICE)

    assert SERVICE == key(request(at_endpoint=True))
    assert "http://10.0.0.7:8080" == key(request(at_endpoint=False))


def test_a_headers_values_count_each_by_itself() -> None:
    """
    For the service, and unseen: a value may be a credential. Those without it count together.
    """
    key = HeaderKey("X-Tenant", SERVICE)

    def counted(**headers: str) -> str:
        return key(request(at_endpoint=True, **headers))

    assert counted(**{"X-Tenant": "fruit"}) == counted(**{"x-tenant": "fruit"})
    assert counted(**{"X-Tenant": "fruit"}) != counted(**{"X-Tenant": "nuts"})
    assert counted(**{"X-Tenant": "fruit"}).startswith(f"{SERVICE} ")
    assert "fruit" not in counted(**{"X-Tenant": "fruit"})
    assert SERVICE == counted()


def test_keys_pickle() -> None:
    """
    A pipeline that has them does.
    """
    for key in (ServiceKey(SERVICE), HeaderKey("X-Tenant", None)):
        assert key == pickle.loads(pickle.dumps(key))
