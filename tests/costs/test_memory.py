"""What stays in memory, while nothing happens and while responses are kept."""

from __future__ import annotations

import pytest

from .conftest import Measure
from .limits import CONNECTION_BYTES, RESPONSE_OBJECTS


@pytest.mark.parametrize("colour", RESPONSE_OBJECTS)
def test_connections_and_responses_keep_little(colour: str, server: str, measure: Measure) -> None:
    """
    An idle connection has no buffer of its own, and a response has few parts.
    """
    kept = measure("memory", colour, server)

    what = f"Objects per response that is kept, {colour}"
    RESPONSE_OBJECTS[colour].check(what, kept["objects per response"])
    if colour in CONNECTION_BYTES:
        what = f"Bytes per idle connection, {colour}"
        CONNECTION_BYTES[colour].check(what, kept["bytes per connection"])
