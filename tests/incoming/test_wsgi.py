"""WSGIDeadlineMiddleware: the same for WSGI applications, whose pieces are made by and by."""

from __future__ import annotations

import wsgiref.util
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import pytest

import scallion
from scallion.incoming import WSGIDeadlineMiddleware, current_deadline
from scallion.middlewares.request_id import current_request_id
from scallion.pipeline.incoming import live_deadline

URL = "http://service.example/"
HEADER = "X-Request-Timeout"


def clock() -> float:
    return 1000.0


def ask(app: Any, **headers: str) -> scallion.Response:
    with scallion.Client(transport=scallion.WSGITransport(app)) as client:
        return client.get(URL, headers={name.replace("_", "-"): headers[name] for name in headers})


def environ(value: str = "2.5") -> dict[str, Any]:
    made: dict[str, Any] = {"HTTP_X_REQUEST_TIMEOUT": value}
    wsgiref.util.setup_testing_defaults(made)
    return made


def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
    return None


class Pieces:
    """An iterable that looks at the deadline whenever it does something."""

    def __init__(self) -> None:
        self.found: list[tuple[str, float | None]] = []

    def app(self, environ: Any, start_response: Any) -> Pieces:
        self.found.append(("app", live_deadline()))
        start_response("200 OK", [])
        return self

    def __iter__(self) -> Iterator[bytes]:
        for piece in (b"one", b"two"):
            self.found.append((piece.decode(), live_deadline()))
            yield piece

    def close(self) -> None:
        self.found.append(("close", live_deadline()))


@pytest.mark.parametrize(
    ("settings", "value", "expected"),
    [
        ({}, "2.5", 1002.5),
        ({"form": "milliseconds"}, "2500", 1002.5),
        ({"form": "grpc"}, "2500m", 1002.5),
        ({"most": 1.0}, "2.5", 1001.0),
        ({}, "soon", None),
    ],
)
def test_the_callers_patience_is_the_apps_deadline(
    settings: dict[str, Any], value: str, expected: float | None
) -> None:
    """
    For the application and each piece; whoever closes it has what he wants.
    """
    pieces = Pieces()
    app = WSGIDeadlineMiddleware(
        pieces.app, clock=clock, observer=lambda event, fields: None, **settings
    )

    assert "onetwo" == ask(app, X_Request_Timeout=value).text
    assert [
        ("app", expected),
        ("one", expected),
        ("two", expected),
        ("close", None),
    ] == pieces.found


def test_between_the_pieces_the_thread_is_the_servers() -> None:
    """
    What a server does there, for other requests say, is not bounded.
    """
    pieces = WSGIDeadlineMiddleware(Pieces().app, clock=clock)(environ(), start_response)

    for _ in pieces:
        assert current_deadline.get() is None
    pieces.close()  # type: ignore[attr-defined]


def test_a_list_is_handed_on_as_it_is() -> None:
    """
    Servers know its length by it; the application has answered.
    """
    kept: list[Any] = []
    answer = [b"done"]

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        kept.append(current_deadline.get())
        return answer

    assert answer is WSGIDeadlineMiddleware(app)(environ(), start_response)
    assert kept[0].is_over
    assert current_deadline.get() is None


def test_a_servers_own_file_is_handed_on_as_it_is() -> None:
    """
    It may know a way to send it without this process.
    """
    file = wsgiref.util.FileWrapper(BytesIO(b"content"))
    given = {**environ(), "wsgi.file_wrapper": wsgiref.util.FileWrapper}

    assert file is WSGIDeadlineMiddleware(lambda environ, start: file)(given, start_response)


def test_an_app_that_fails_leaves_nothing() -> None:
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        kept.append(current_deadline.get())
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError, match="no answer"):
        WSGIDeadlineMiddleware(app)(environ(), start_response)
    assert kept[0].is_over
    assert current_deadline.get() is None


def test_an_iterable_without_close_can_be_closed() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        return iter([b"done"])

    pieces: Any = WSGIDeadlineMiddleware(app)(environ(), start_response)
    assert [b"done"] == list(pieces)
    pieces.close()


def test_outgoing_calls_are_bounded() -> None:
    """
    A call that the application makes for a request whose time is over is not sent.
    """

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        with scallion.Client(transport=scallion.MockTransport(lambda request: None)) as client:  # type: ignore[arg-type,return-value]
            client.get(URL)
        raise AssertionError("it was sent")

    with pytest.raises(scallion.TotalTimeout, match="The incoming request's deadline had passed"):
        ask(WSGIDeadlineMiddleware(app), X_Request_Timeout="0")


def test_the_requests_id_is_known() -> None:
    found: list[str | None] = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        found.append(current_request_id.get())
        start_response("200 OK", [])
        return [b""]

    for settings in ({}, {"request_id": None}):
        ask(WSGIDeadlineMiddleware(app, **settings), X_Request_Id="a1")  # type: ignore[arg-type]

    assert ["a1", None] == found
    assert current_request_id.get() is None


def test_it_names_itself() -> None:
    with pytest.raises(ValueError, match="WSGIDeadlineMiddleware form"):
        WSGIDeadlineMiddleware(Pieces().app, form="hours")  # type: ignore[arg-type]
    assert repr(WSGIDeadlineMiddleware(Pieces().app)).startswith("WSGIDeadlineMiddleware(app, ")
