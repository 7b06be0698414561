"""Recorder: modes, what is replayed, streams, errors, threads, files."""

from __future__ import annotations

import gc
import gzip
import json
import threading
import weakref
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

import scallion
from scallion import Request, Response
from scallion.pipeline.headers import Headers
from scallion.testing.recording import Mode, NotRecorded, Recorder
from support.colours import Drive
from support.recordings import Asking, Pieces, entries_of
from support.servers import Answer, HTTPServer, ScriptedServer, close, expect, send

URL = "http://shop.example"


class Shop:
    """Counts what it is asked, and answers with the number."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        return Response(200, json={"answer": len(self.asked), "path": request.url.path})

    @property
    def transport(self) -> scallion.MockTransport:
        return scallion.MockTransport(self)


def never(request: Request) -> Response:
    raise AssertionError(f"{request} was sent")


OFFLINE = scallion.MockTransport(never)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "shop.har"


def ask(drive: Drive, recorder: Recorder, *paths: str, **settings: Any) -> list[Response]:
    """GET each of `paths` with one client."""

    async def scenario() -> list[Response]:
        async with Asking(drive, recorder, base_url=URL) as asking:
            return [await asking.get(path, **settings) for path in paths]

    return drive(scenario)


# Modes.


def test_once_records_what_it_does_not_have_and_then_replays(drive: Drive, path: Path) -> None:
    """
    The first run asks the server, the second only the file, with the same answers.
    """
    shop = Shop()
    first = ask(drive, Recorder(path, transport=shop.transport), "/a", "/b", "/a")
    second = ask(drive, Recorder(path, transport=OFFLINE), "/a", "/b", "/a")

    assert 3 == len(shop.asked)
    assert [1, 2, 3] == [response.json()["answer"] for response in second]
    assert [item.headers for item in first] == [item.headers for item in second]
    assert [item.content for item in first] == [item.content for item in second]


def test_once_refuses_what_is_new(drive: Drive, path: Path) -> None:
    """
    A file that is there is not added to; the error tells the nearest entry, the difference and the way out.
    """
    ask(drive, Recorder(path, transport=Shop().transport), "/items?page=1", "/items?page=2")

    with pytest.raises(NotRecorded) as caught:
        ask(drive, Recorder(path, transport=OFFLINE), "/items?page=3")

    assert (
        f'GET {URL}/items?page=3 is not recorded in {path} (mode="once"); to record it, delete the file, or '
        'use mode="new".\n'
        f"The nearest of 2 is entry 1, GET {URL}/items?page=1; it differs in\n"
        "  query: page='3', recorded '1'"
    ) == str(caught.value)


def test_none_only_replays(drive: Drive, path: Path) -> None:
    """
    Without a file every request is refused, and none is made.
    """
    with pytest.raises(NotRecorded, match=r"does not exist \(mode=\"none\"\)"):
        ask(drive, Recorder(path, "none", OFFLINE), "/a")

    assert not path.exists()


def test_all_records_everything_anew(drive: Drive, path: Path) -> None:
    """
    Nothing is replayed, and the old entries are gone.
    """
    shop = Shop()
    ask(drive, Recorder(path, transport=shop.transport), "/a", "/old")
    ask(drive, Recorder(path, "all", shop.transport), "/a")

    assert 3 == len(shop.asked)
    assert [f"{URL}/a"] == [entry["request"]["url"] for entry in entries_of(path)]
    assert ["3"] == [
        str(json.loads(entry["response"]["content"]["text"])["answer"])
        for entry in entries_of(path)
    ]


def test_new_replays_what_is_there_and_records_the_rest(drive: Drive, path: Path) -> None:
    """
    Only what the file lacks is asked for; it is added at the end.
    """
    shop = Shop()
    ask(drive, Recorder(path, transport=shop.transport), "/a")
    responses = ask(drive, Recorder(path, "new", shop.transport), "/a", "/b", "/a")

    assert [1, 2, 3] == [response.json()["answer"] for response in responses]
    assert ["/a", "/b", "/a"] == [
        entry["request"]["url"].removeprefix(URL) for entry in entries_of(path)
    ]
    assert [1, 2, 3] == [
        response.json()["answer"]
        for response in ask(drive, Recorder(path, "none", OFFLINE), "/a", "/b", "/a")
    ]


@pytest.mark.parametrize("mode", ["once", "all", "new", "none"])
def test_nothing_is_written_if_nothing_was_recorded(drive: Drive, path: Path, mode: Mode) -> None:
    """
    A run without requests leaves no file, and an old one as it is.
    """
    ask(drive, Recorder(path, mode, OFFLINE))
    assert not path.parent.exists()

    ask(drive, Recorder(path, transport=Shop().transport), "/a")
    before = path.read_bytes()
    ask(drive, Recorder(path, mode, OFFLINE))
    assert before == path.read_bytes()


def test_each_entry_answers_once_in_order(drive: Drive, path: Path) -> None:
    """
    Asked for more often than recorded, it is refused; with repeat the last one answers again.
    """
    ask(drive, Recorder(path, transport=Shop().transport), "/a", "/a")

    with pytest.raises(NotRecorded, match=r"entries 1, 2 have answered already.*repeat=True"):
        ask(drive, Recorder(path, transport=OFFLINE), "/a", "/a", "/a")
    again = ask(drive, Recorder(path, transport=OFFLINE, repeat=True), "/a", "/a", "/a", "/a")

    assert [1, 2, 2, 2] == [response.json()["answer"] for response in again]


def test_what_was_not_asked_for_is_told(drive: Drive, path: Path) -> None:
    """
    `unused` and the repr tell what is left over.
    """
    ask(drive, Recorder(path, transport=Shop().transport), "/a", "/b")
    recorder = Recorder(path, transport=OFFLINE)
    ask(drive, recorder, "/b")

    assert [f"GET {URL}/a"] == recorder.unused
    assert path == recorder.path
    assert f'<Recorder {path} mode="once", 1 of 2 entries have answered>' == repr(recorder)


# What the program gets.


def coded(name: str, content: bytes) -> bytes:
    return {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": zstandard.compress,
        "gzip, br": lambda plain: brotli.compress(gzip.compress(plain)),
    }[name](content)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_coded_content_is_readable_in_the_file_and_coded_again_for_the_program(
    drive: Drive, path: Path, coding: str
) -> None:
    """
    The file has the text; the program gets the header that it got, and content that it decodes.
    """
    content = b'{"left": 12}'
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}

    def handler(request: Request) -> Response:
        return Response(200, headers=headers, content=coded(coding, content))

    ask(drive, Recorder(path, transport=scallion.MockTransport(handler)), "/a")
    (response,) = ask(drive, Recorder(path, transport=OFFLINE), "/a")

    assert '{"left": 12}' == entries_of(path)[0]["response"]["content"]["text"]
    assert 12 == entries_of(path)[0]["response"]["content"]["size"]
    assert content == response.content
    assert coding == response.headers["content-encoding"]


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        ("naïve ☃ 𝄞\r\n\ttab".encode(), "text/plain; charset=utf-8", "naïve ☃ 𝄞\r\n\ttab"),
        ("naïve".encode("latin-1"), "text/html; charset=iso-8859-1", "naïve"),
        ("naïve".encode("utf-16"), "text/html; charset=utf-16", "naïve"),
        ("naïve".encode("latin-1"), "text/plain", None),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png", None),
        (b"<svg/>", "image/svg+xml", "<svg/>"),
        (b"\x00\x01", "application/octet-stream", None),
        (b"plain after all", "application/octet-stream", "plain after all"),
        (b"\xff", "text/plain; charset=nonsense", None),
        (b"", "text/plain", ""),
    ],
)
def test_text_is_text_and_all_else_base64(
    drive: Drive, path: Path, content: bytes, content_type: str, text: str | None
) -> None:
    """
    Either way the very same bytes come back.
    """

    def handler(request: Request) -> Response:
        return Response(200, headers={"Content-Type": content_type}, content=content)

    ask(drive, Recorder(path, transport=scallion.MockTransport(handler)), "/a")
    (response,) = ask(drive, Recorder(path, transport=OFFLINE), "/a")

    stored = entries_of(path)[0]["response"]["content"]
    assert content == response.content
    assert ("base64" if text is None else None) == stored.get("encoding")
    assert text is None or text == stored["text"]


def test_the_head_is_replayed_as_it_was(drive: Drive, path: Path) -> None:
    """
    Repeated fields, their spelling and octets, the version, the reason, the status.
    """
    head = (
        b"HTTP/1.0 299 Quite Fine\r\nX-Mixed: 1\r\nWarning: a\r\nWarning: b\r\n"
        b"X-Latin: caf\xe9\r\nX-Utf8: caf\xc3\xa9\r\nConnection: close\r\n\r\nbody"
    )
    with ScriptedServer([expect(), send(head), close]) as server:

        async def scenario(recorder: Recorder) -> Response:
            async with Asking(drive, recorder, base_url=server.url) as asking:
                return await asking.get("/")

        live = drive(lambda: scenario(Recorder(path)))
        replayed = drive(lambda: scenario(Recorder(path)))

    assert live.headers.raw == replayed.headers.raw
    assert ["a", "b"] == replayed.headers.get_list("warning")
    assert ("HTTP/1.0", 299, "Quite Fine", b"body") == (
        replayed.http_version,
        replayed.status_code,
        replayed.reason_phrase,
        replayed.content,
    )


def test_trailers_come_at_the_end_of_the_body(drive: Drive, path: Path) -> None:
    """
    They are in the file, and there for the program when it has read the body.
    """
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n"
    )
    with ScriptedServer([expect(), send(answer)]) as server:

        async def scenario(recorder: Recorder) -> tuple[Response, list[bytes]]:
            async with Asking(drive, recorder) as asking:
                response = await asking.open("GET", server.url)
                return response, await asking.raw(response)

        drive(lambda: scenario(Recorder(path)))
        response, pieces = drive(lambda: scenario(Recorder(path)))

    assert [b"hi"] == pieces
    assert Headers({"X-Sum": "7"}) == response.trailers
    assert [{"name": "X-Sum", "value": "7"}] == entries_of(path)[0]["response"]["_trailers"]


def test_head_keeps_its_length(drive: Drive, path: Path) -> None:
    """
    An answer to HEAD tells the length of a body that it does not have.
    """
    transport = scallion.MockTransport(lambda _: Response(200, headers={"Content-Length": "5000"}))

    async def scenario(recorder: Recorder) -> Response:
        async with Asking(drive, recorder) as asking:
            return await asking.request("HEAD", URL)

    drive(lambda: scenario(Recorder(path, transport=transport)))
    response = drive(lambda: scenario(Recorder(path, transport=OFFLINE)))

    assert ("5000", b"") == (response.headers["content-length"], response.content)


# Streams.


def test_a_stream_is_recorded_while_it_is_read(drive: Drive, path: Path) -> None:
    """
    Nothing is read ahead of the program, and its pieces come back as they came.
    """
    body = Pieces(b"data: 1\n\n", b"data: two\n\n", b"data: 3\n\n")
    given: list[int] = []

    async def scenario(recorder: Recorder) -> list[bytes]:
        async with Asking(drive, recorder) as asking:
            response = await asking.open("GET", URL)
            given.append(body.given)
            return await asking.raw(response)

    transport = scallion.MockTransport(lambda _: Response(200, stream=body))
    live = drive(lambda: scenario(Recorder(path, transport=transport)))
    replayed = drive(lambda: scenario(Recorder(path, transport=OFFLINE)))

    assert 0 == given[0]
    assert list(body.pieces) == live == replayed
    assert "9 11 9" == entries_of(path)[0]["response"]["content"]["_pieces"]


def test_a_body_half_read_is_recorded_as_such(drive: Drive, path: Path) -> None:
    """
    What was read comes back; reading on is refused, as nobody knows what follows.
    """

    async def scenario(recorder: Recorder, most: int) -> list[bytes]:
        async with Asking(drive, recorder) as asking:
            return await asking.raw(await asking.open("GET", URL), most)

    transport = scallion.MockTransport(lambda _: Response(200, stream=Pieces(b"1", b"2", b"3")))
    drive(lambda: scenario(Recorder(path, transport=transport), 2))

    assert entries_of(path)[0]["response"]["content"]["_truncated"] is True
    assert [b"1", b"2"] == drive(lambda: scenario(Recorder(path), 2))
    with pytest.raises(NotRecorded, match="ends here: it was read no further"):
        drive(lambda: scenario(Recorder(path), 3))


def test_half_of_a_gzip_body_is_decoded_as_far_as_it_goes(drive: Drive, path: Path) -> None:
    """
    The file has the text that the program had.
    """
    squeeze = zlib.compressobj(wbits=31)
    first = squeeze.compress(b"first line\n") + squeeze.flush(zlib.Z_SYNC_FLUSH)
    second = squeeze.compress(b"second line\n") + squeeze.flush()

    def handler(request: Request) -> Response:
        return Response(200, headers={"Content-Encoding": "gzip"}, stream=Pieces(first, second))

    async def scenario(recorder: Recorder) -> None:
        async with Asking(drive, recorder) as asking:
            await asking.raw(await asking.open("GET", URL), 1)

    drive(lambda: scenario(Recorder(path, transport=scallion.MockTransport(handler))))

    assert "first line\n" == entries_of(path)[0]["response"]["content"]["text"]


def test_a_response_left_open_is_written_when_the_recorder_closes(drive: Drive, path: Path) -> None:
    """
    `save()` waits for it; closing takes what there is.
    """
    transport = scallion.MockTransport(lambda _: Response(200, stream=Pieces(b"1", b"2")))
    recorder = Recorder(path, transport=transport)

    async def scenario() -> None:
        async with Asking(drive, recorder) as asking:
            response = await asking.open("GET", URL)
            recorder.save()
            assert not path.exists()
            response.stream = Pieces()  # nobody closes it

    drive(scenario)

    assert entries_of(path)[0]["response"]["content"]["_truncated"] is True


def test_an_upload_is_copied_while_it_is_sent(drive: Drive, path: Path) -> None:
    """
    A body from a generator is streamed to the server, and in the file in the end.
    """
    order: list[str] = []

    def pieces() -> Iterator[bytes]:
        for piece in (b"first ", b"second"):
            order.append(f"made {piece.decode().strip()}")
            yield piece

    async def async_pieces() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    with HTTPServer(lambda request: Answer(body=request.body)) as server:

        async def scenario(recorder: Recorder) -> Response:
            async with Asking(drive, recorder) as asking:
                content = pieces() if drive.blocking else async_pieces()
                return await asking.request("POST", server.url, content=content)

        live = drive(lambda: scenario(Recorder(path)))
        replayed = drive(lambda: scenario(Recorder(path, transport=OFFLINE)))

    assert b"first second" == live.content == replayed.content
    assert "first second" == entries_of(path)[0]["request"]["postData"]["text"]
    # Replaying takes the body as well, as a network would.
    assert ["made first", "made second"] * 2 == order


def test_long_bodies_are_passed_on_and_left_out(drive: Drive, path: Path) -> None:
    """
    The program gets all of it, the file a remark; replaying says why it cannot.
    """
    transport = scallion.MockTransport(lambda _: Response(200, stream=Pieces(b"12345", b"678")))
    recorder = Recorder(path, transport=transport, max_body=7)

    with pytest.warns(UserWarning, match="lacks the response's body of GET .*longer than 7 bytes"):
        (live,) = ask(drive, recorder, "/long")

    assert b"12345678" == live.content
    assert "longer than 7 bytes" == entries_of(path)[0]["response"]["content"]["_omitted"]
    with pytest.raises(NotRecorded, match="too long to be stored, max_body says"):
        ask(drive, Recorder(path), "/long")


def test_a_small_body_that_inflates_beyond_the_bound_is_left_out(drive: Drive, path: Path) -> None:
    """
    The bound holds for what it decodes to.
    """

    def handler(request: Request) -> Response:
        content = gzip.compress(bytes(100_000))
        return Response(200, headers={"Content-Encoding": "gzip"}, content=content)

    with pytest.warns(UserWarning, match="longer than 10000 bytes when decoded"):
        ask(drive, Recorder(path, transport=scallion.MockTransport(handler), max_body=10_000), "/")


# Errors.


def test_errors_are_recorded_if_wanted_and_raised_again(drive: Drive, path: Path) -> None:
    """
    The same class, the same words, and the program's request.
    """

    def refuses(request: Request) -> Response:
        raise scallion.ConnectTimeout("nobody there")

    recorder = Recorder(path, transport=scallion.MockTransport(refuses), errors=True)
    with pytest.raises(scallion.ConnectTimeout):
        ask(drive, recorder, "/a")
    with pytest.raises(scallion.ConnectTimeout, match="nobody there") as caught:
        ask(drive, Recorder(path, transport=OFFLINE), "/a")

    assert f"{URL}/a" == str(caught.value.request.url)
    assert {"type": "ConnectTimeout", "message": "nobody there"} == entries_of(path)[0]["_error"]


def test_errors_are_not_recorded_unless_asked_for(drive: Drive, path: Path) -> None:
    """
    They pass to the program, whose request they name, and leave no entry.
    """

    def refuses(request: Request) -> Response:
        raise scallion.ConnectError("nobody there", request=request)

    recorder = Recorder(path, transport=scallion.MockTransport(refuses))

    async def scenario() -> None:
        async with Asking(drive, recorder) as asking:
            # A stream is sent by a copy of the request, and the error must not name that.
            sent = Request("POST", URL, stream=Pieces(b"x"))
            with pytest.raises(scallion.ConnectError) as caught:
                await asking.send(sent)
            assert sent is caught.value.request

    drive(scenario)
    assert not path.exists()


def test_a_body_that_broke_off_breaks_off_again(drive: Drive, path: Path) -> None:
    """
    With errors=True the program gets the pieces and then the error.
    """
    body = Pieces(b"half", scallion.ReadError("reset by peer"))
    transport = scallion.MockTransport(lambda _: Response(200, stream=body))

    async def scenario(recorder: Recorder) -> None:
        async with Asking(drive, recorder) as asking:
            response = await asking.open("GET", URL)
            with pytest.raises(scallion.ReadError, match="reset by peer"):
                await asking.raw(response)

    drive(lambda: scenario(Recorder(path, transport=transport, errors=True)))
    drive(lambda: scenario(Recorder(path, transport=OFFLINE)))

    assert "half" == entries_of(path)[0]["response"]["content"]["text"]


def test_a_refusal_is_not_retried_nor_taken_for_a_failure_of_the_network(path: Path) -> None:
    """
    Retries are for errors of transports; this one is the test's own.
    """
    assert not issubclass(NotRecorded, scallion.HTTPError)
    pipeline = scallion.compatible().per_call(scallion.Retries(attempts=3))
    recorder = Recorder(path, "none")
    with scallion.Client(transport=recorder, pipeline=pipeline) as client:
        with pytest.raises(NotRecorded):
            client.get(URL)


@pytest.mark.parametrize(("on_error", "kept"), [("save", True), ("discard", False)])
def test_what_a_failing_test_recorded_is_kept_or_not(
    drive: Drive, path: Path, on_error: Any, kept: bool
) -> None:
    """
    `on_error` says so, for the client's `with` and for the recorder's around it.
    """

    async def scenario() -> None:
        with Recorder(path, transport=Shop().transport, on_error=on_error) as recorder:
            async with Asking(drive, recorder, base_url=URL) as asking:
                await asking.get("/a")
            assert not path.exists()
            raise KeyError("expectation")

    with pytest.raises(KeyError):
        drive(scenario)

    assert kept is path.exists()


# With the rest of a client.


def test_redirects_cookies_and_retries_work_above_it(drive: Drive, path: Path) -> None:
    """
    Each attempt and each step of a redirect is an entry; cookies are set and sent again.
    """
    flaky = iter([503, 200])

    def site(request: Request) -> Response:
        if request.url.path == "/login":
            cookie = {"Set-Cookie": "session=s3cr3t-0123456789; Path=/", "Location": "/home"}
            return Response(303, headers=cookie)
        return Response(next(flaky), json={"cookie": "cookie" in request.headers})

    async def scenario(recorder: Recorder) -> Response:
        pipeline = scallion.compatible().per_call(
            scallion.Retries(attempts=2, wait=lambda state: 0)
        )
        settings: Any = {"follow_redirects": True, "pipeline": pipeline, "base_url": URL}
        async with Asking(drive, recorder, **settings) as asking:
            return await asking.get("/login")

    drive(lambda: scenario(Recorder(path, transport=scallion.MockTransport(site))))
    response = drive(lambda: scenario(Recorder(path, transport=OFFLINE)))

    assert {"cookie": True} == response.json()
    assert [303, 503, 303, 200] == [entry["response"]["status"] for entry in entries_of(path)]
    assert f"{URL}/home" == str(response.url)


def test_several_threads_share_one_recorder(path: Path) -> None:
    """
    Each exchange is recorded once, and each answers once.
    """
    shop = scallion.MockTransport(lambda request: Response(200, text=request.url.path))
    failures: list[BaseException] = []

    def play(recorder: Recorder) -> None:
        def work(number: int) -> None:
            try:
                for turn in range(20):
                    path = f"/{number}/{turn}"
                    assert path == client.get(path).text
            except BaseException as error:
                failures.append(error)

        with scallion.Client(transport=recorder, base_url=URL) as client:
            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    play(Recorder(path, transport=shop))
    replaying = Recorder(path, transport=OFFLINE)
    play(replaying)

    assert [] == failures
    assert 80 == len(entries_of(path))
    assert [] == replaying.unused


def test_concurrent_tasks_are_recorded_in_the_order_in_which_they_began(path: Path) -> None:
    """
    However they end, the file is the same.
    """
    import anyio

    async def main() -> None:
        turns = [anyio.Event() for _ in range(4)]
        turns[3].set()

        async def backwards(request: Request) -> Response:
            number = int(request.url.path[1:])
            await turns[number + 1 if number < 3 else 3].wait()
            turns[number].set()
            return Response(200, text=str(number))

        recorder = Recorder(path, transport=scallion.MockTransport(backwards))
        async with scallion.AsyncClient(transport=recorder, base_url=URL) as client:
            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(client.get, f"/{number}")
                    await anyio.lowlevel.checkpoint()

    anyio.run(main)

    assert ["/0", "/1", "/2", "/3"] == [
        entry["request"]["url"].removeprefix(URL) for entry in entries_of(path)
    ]


def test_one_recorder_serves_clients_of_both_colours(path: Path) -> None:
    """
    The transport of each colour is made when it is needed, and closed with the recorder.
    """
    import anyio

    with HTTPServer(lambda request: Answer(body=b"hi")) as server:
        with Recorder(path) as recorder:
            with scallion.Client(transport=recorder) as client:
                client.get(server.url)

            async def main() -> None:
                async with scallion.AsyncClient(transport=recorder) as client:
                    await client.get(server.url)

            anyio.run(main)
            assert not path.exists()

    assert 2 == len(entries_of(path))


def test_the_transport_inside_is_entered_and_closed_with_the_client(
    drive: Drive, path: Path
) -> None:
    """
    Once each, by the client's `with`; one that is not needed is left alone.
    """
    told: list[str] = []

    class Inner(scallion.MockTransport):
        def __enter__(self) -> Any:
            told.append("enter")
            return self

        def __exit__(self, *raised: object) -> None:
            told.append("exit")

        async def __aenter__(self) -> Any:
            return self.__enter__()

        async def __aexit__(self, *raised: object) -> None:
            told.append("exit")

    ask(drive, Recorder(path, transport=Inner(Shop())), "/a")
    ask(drive, Recorder(path, transport=Inner(Shop())), "/a")

    assert ["enter", "exit"] == told


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_transport_of_the_other_colour_is_refused(path: Path, asynchronous: bool) -> None:
    """
    The error says which client it is for.
    """
    inner: Any = scallion.AsyncBaseTransport() if asynchronous else scallion.BaseTransport()
    recorder = Recorder(path, transport=inner)
    if asynchronous:
        with scallion.Client(transport=recorder) as client:
            with pytest.raises(TypeError, match="is for an AsyncClient"):
                client.get(URL)
    else:
        import anyio

        async def main() -> None:
            async with scallion.AsyncClient(transport=recorder) as client:
                with pytest.raises(TypeError, match="is for a Client"):
                    await client.get(URL)

        anyio.run(main)


def test_timing_is_replayed_if_wanted(
    drive: Drive, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An answer waits as long as it took; by default it does not.
    """
    from scallion.pipeline.runtime import AsyncRuntime, BlockingRuntime

    ask(drive, Recorder(path, transport=Shop().transport), "/a")
    log = json.loads(path.read_bytes())
    log["log"]["entries"][0]["timings"]["wait"] = 1500
    path.write_text(json.dumps(log))
    slept: list[float] = []

    async def sleep(self: Any, seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(BlockingRuntime, "sleep", sleep)
    monkeypatch.setattr(AsyncRuntime, "sleep", sleep)
    ask(drive, Recorder(path), "/a")
    ask(drive, Recorder(path, timing=True), "/a")

    assert [1.5] == slept


# The file.


def test_two_recorders_on_one_file_lose_nothing(drive: Drive, path: Path) -> None:
    """
    Both found no file and recorded: who writes second adds to the first.
    """
    first = Recorder(path, transport=Shop().transport)
    second = Recorder(path, transport=Shop().transport)
    ask(drive, first, "/a")
    ask(drive, second, "/b")
    ask(drive, first, "/c")

    assert ["/a", "/b", "/c"] == [
        entry["request"]["url"].removeprefix(URL) for entry in entries_of(path)
    ]


def test_threads_that_write_one_file_at_once_do_not_corrupt_it(path: Path) -> None:
    """
    Whoever reads it meanwhile sees a whole file.
    """

    def work(number: int) -> None:
        with scallion.Client(
            transport=Recorder(path, "new", scallion.MockTransport(lambda _: Response(200))),
            base_url=URL,
        ) as client:
            client.get(f"/{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            entries_of(path)
    for thread in threads:
        thread.join()

    assert {f"/{number}" for number in range(12)} == {
        entry["request"]["url"].removeprefix(URL) for entry in entries_of(path)
    }
    assert [path] == list(path.parent.iterdir())


def test_a_failing_disk_leaves_the_old_file(
    drive: Drive, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The new one takes the old one's place only when it is complete.
    """
    ask(drive, Recorder(path, transport=Shop().transport), "/a")
    before = path.read_bytes()
    recorder = Recorder(path, "new", Shop().transport)

    def full(self: Path, target: Path) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="disk full"):
            ask(drive, recorder, "/b")
    assert before == path.read_bytes()
    assert [path] == list(path.parent.iterdir())

    recorder.save()
    assert 2 == len(entries_of(path))


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"{", "as it is no JSON"),
        (b"\xff", "as it is no JSON"),
        (b"[]", "has no list log.entries"),
        (b'{"log": {"entries": [1]}}', "entry 1 is no object"),
        (b'{"log": {"entries": [{"request": {}}]}}', "entry 1 lacks a request or a response"),
        (
            b'{"log": {"entries": [{"request": {"method": "GET"}, "response": {}}]}}',
            "without method or url",
        ),
    ],
)
def test_what_is_no_recording_is_refused_by_name(path: Path, content: bytes, wrong: str) -> None:
    """
    The error tells the file and what is wrong with it.
    """
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(ValueError, match=wrong) as caught:
        Recorder(path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"mode": "some"}, ValueError, "mode is one of 'once', 'none', 'all', 'new', not 'some'"),
        ({"match": "method"}, TypeError, "several matchers"),
        ({"match": ("verb",)}, ValueError, "no matcher 'verb'"),
        ({"match": (1,)}, TypeError, "not 1"),
        ({"redact": "token"}, TypeError, "redact is a Redaction or None"),
        ({"on_error": "keep"}, ValueError, "on_error is"),
        ({"max_body": -1}, ValueError, "max_body"),
        ({"transport": "http"}, TypeError, "needs a transport"),
    ],
)
def test_bad_arguments_are_refused(
    path: Path, settings: dict[str, Any], error: type[Exception], told: str
) -> None:
    """
    At once, and with what is expected.
    """
    with pytest.raises(error, match=told):
        Recorder(path, **settings)


def test_recordings_that_nobody_wrote_are_told_of(path: Path) -> None:
    """
    A client that was never closed would lose them silently.
    """
    recorder = Recorder(path, transport=Shop().transport)
    recorder.handle_request(Request("GET", URL)).read()

    with pytest.warns(ResourceWarning, match="1 exchanges were recorded and never written"):  # noqa: PT031
        del recorder
        gc.collect()


def test_a_response_that_is_forgotten_is_collected(path: Path) -> None:
    """
    What records it does not keep it, nor the connection behind it.
    """
    body = Pieces(b"1", b"2")
    kept = weakref.ref(body)
    transport = scallion.MockTransport(Script(Response(200, stream=body)))
    with scallion.Client(transport=Recorder(path, transport=transport)) as client:
        del body
        client.send(client.build_request("GET", URL), stream=True)
        gc.collect()

        assert kept() is None


class Script:
    """Answers with each response once, and forgets it."""

    def __init__(self, *answers: Response) -> None:
        self._answers = list(answers)

    def __call__(self, request: Request) -> Response:
        return self._answers.pop(0)
