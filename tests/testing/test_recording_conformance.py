"""While it records, a Recorder is as good a transport as the one inside."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from scallion import AsyncHTTPTransport, HTTPTransport, MockTransport
from scallion.testing.conformance import HTTP1, HTTP2, IN_PROCESS, Reference, check_transport
from scallion.testing.recording import Recorder


def http(reference: Reference, **settings: Any) -> HTTPTransport | AsyncHTTPTransport:
    kind = HTTPTransport if reference.colour == "sync" else AsyncHTTPTransport
    return kind(limits=reference.limits, **settings)


CASES: dict[str, tuple[Any, frozenset[str]]] = {
    "HTTP/1.1": (http, HTTP1),
    "HTTP/2": (lambda reference: http(reference, http1=False, http2=True), HTTP2),
    "MockTransport": (
        lambda reference: MockTransport(reference.handler),
        IN_PROCESS | {"reason"},
    ),
}


# One of the rules uploads without an end.
@pytest.mark.filterwarnings("ignore:.* lacks the request's body:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_recording_changes_nothing_for_the_program(tmp_path: Path, name: str) -> None:
    """
    Every rule of the transport inside holds: ownership, streaming both ways, deadlines, cancellation.
    """
    factory, features = CASES[name]
    numbers = itertools.count()

    def recording(reference: Reference) -> Recorder:
        return Recorder(tmp_path / f"{next(numbers)}.har", "all", factory(reference), errors=True)

    check_transport(recording, features=features)
