"""huggingface_hub: one shared client from a factory, event hooks, retries of its own, errors that subclass ours."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# They are read at import.
HOME = tempfile.TemporaryDirectory()
os.environ.update(
    HF_HOME=HOME.name,
    HF_HUB_DISABLE_XET="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_TOKEN="hf_secret",
)

import httpx2  # noqa: E402
import huggingface_hub  # noqa: E402
import huggingface_hub.utils._http as hub_http  # noqa: E402
from huggingface_hub import (  # noqa: E402
    HfApi,
    HfFileSystem,
    InferenceClient,
    close_session,
    get_hf_file_metadata,
    get_session,
    hf_hub_download,
    set_async_client_factory,
    set_client_factory,
    snapshot_download,
)
from huggingface_hub.errors import (  # noqa: E402
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    InferenceTimeoutError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # noqa: E402
    get_async_session,
    hf_raise_for_status,
    http_backoff,
    http_stream_backoff,
)
from scripted import HANG_UP, Answer, Received, Server, serve  # noqa: E402

COMMIT = "c" * 40
FILES = {"config.json": b'{"a": 1}', "big.bin": b"x" * 300_000}
failures: list[Any] = []
"""What is answered, one after the other, before the hub works."""


def hub(request: Received) -> Any:
    if failures:
        failure = failures.pop(0)
        return failure if failure is HANG_UP else Answer(failure, {"x-request-id": "r1"}, b"")
    if request.path.startswith("/api/"):
        return _api(request)
    repository, _, rest = request.path.strip("/").partition("/resolve/")
    _, _, name = rest.partition("/")
    if repository != "me/model":
        return Answer(404, {"X-Error-Code": "RepoNotFound", "x-request-id": "r1"})
    if name not in FILES:
        return Answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
    content = FILES[name]
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
    if name == "big.bin":
        # As with large files: what it is stands on a redirect.
        linked = {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(len(content))}
        return Answer(302, {**headers, **linked, "Location": _storage(request, name)})
    return Answer(200, headers, content)


def _storage(request: Received, name: str) -> str:
    """Another origin, where no token may go."""
    return f"http://localhost:{request.headers['Host'].rpartition(':')[2]}/storage/{name}"


def with_storage(request: Received) -> Any:
    """The hub, and where large files are."""
    if not request.path.startswith("/storage/"):
        return hub(request)
    content = FILES[request.path.rpartition("/")[2]]
    asked = request.headers["Range"]
    if asked:
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return Answer(206, headers, content[start:])
    return Answer(200, {}, content)


def _api(request: Received) -> Answer:
    if request.path == "/api/whoami-v2":
        if request.headers["Authorization"] != "Bearer hf_secret":
            return _json({"error": "who?"}, 401)
        return _json({"name": "me", "agent": request.headers["User-Agent"]})
    if request.path == "/api/models":
        page = request.query.get("page", ["1"])[0]
        link = f'<http://{request.headers["Host"]}/api/models?page=2>; rel="next"'
        answer = _json([{"id": f"me/m{page}", "tags": request.query.get("filter", [])}])
        if page == "1":
            answer.headers["Link"] = link
        return answer
    if request.path.startswith("/api/models/me/model"):
        if "/tree/" in request.path:
            return _json([_entry(name, content) for name, content in FILES.items()])
        if request.path.endswith("/revision/nowhere"):
            return Answer(404, {"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": name} for name in FILES]
        return _json({"id": "me/model", "sha": COMMIT, "siblings": siblings})
    if request.path == "/api/repos/create":
        made = json.loads(request.body)
        return _json({"url": f"http://{request.headers['Host']}/me/{made['name']}"})
    if request.path.startswith("/api/models/me/gated"):
        return Answer(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "ask for access"})
    return Answer(401, {"X-Error-Code": "RepoNotFound", "x-request-id": "r1"})


def _entry(name: str, content: bytes) -> dict[str, Any]:
    return {
        "type": "file",
        "path": name,
        "size": len(content),
        "oid": hashlib.sha1(content).hexdigest(),
    }


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _raises(kind: type[Exception], call: Any) -> Any:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def _download(server: Server, name: str, cache: str, **options: Any) -> Path:
    failures.clear()
    return Path(hf_hub_download("me/model", name, endpoint=server.url, cache_dir=cache, **options))


def check_identity() -> None:
    import scallion

    assert hub_http.httpx2.Client is scallion.Client
    assert huggingface_hub.utils.httpx.Client is scallion.Client
    assert type(get_session()) is scallion.Client
    assert issubclass(HfHubHTTPError, scallion.HTTPError)
    assert issubclass(HfHubHTTPError, OSError)


def check_api() -> None:
    with serve(hub) as server:
        api = HfApi(endpoint=server.url, library_name="mine", library_version="1.0")
        me = api.whoami()
        assert "me" == me["name"]
        assert me["agent"].startswith("mine/1.0;")
        assert ["me/m1", "me/m2"] == [model.id for model in api.list_models(filter=["a", "b"])]
        info = api.model_info("me/model")
        assert (COMMIT, list(FILES)) == (info.sha, [one.rfilename for one in info.siblings])
        assert api.repo_exists("me/model")
        assert not api.repo_exists("me/nothing")
        assert api.create_repo("me/new").endswith("/me/new")
        assert b'"name":"new"' in server.received[-1].body.replace(b" ", b"")
        # The hook of the client adds an id to each request.
        assert all(one.headers["X-Amzn-Trace-Id"] for one in server.received)


def check_downloads() -> None:
    with serve(with_storage) as server, tempfile.TemporaryDirectory() as cache:
        path = _download(server, "config.json", cache)
        assert FILES["config.json"] == path.read_bytes()
        assert COMMIT in str(path)
        assert FILES["big.bin"] == _download(server, "big.bin", cache).read_bytes()
        methods = [one.method for one in server.received]
        assert {"HEAD", "GET"} == set(methods)
        assert "identity" == server.received[0].headers["Accept-Encoding"]
        # What is there is not fetched again.
        before = methods.count("GET")
        _download(server, "config.json", cache)
        assert before == [one.method for one in server.received].count("GET")
        _download(server, "config.json", cache, force_download=True)
        assert before + 1 == [one.method for one in server.received].count("GET")
        metadata = get_hf_file_metadata(
            f"{server.url}/me/model/resolve/main/big.bin", endpoint=server.url
        )
        assert (COMMIT, 300_000) == (metadata.commit_hash, metadata.size)
        assert (
            f"{server.url}/storage/big.bin".replace("127.0.0.1", "localhost") == metadata.location
        )
        # The token does not leave the hub.
        tokens = {
            one.path.startswith("/storage/"): one.headers["Authorization"]
            for one in server.received
        }
        assert {False: "Bearer hf_secret", True: None} == tokens


def check_broken_downloads_are_resumed() -> None:
    from huggingface_hub import constants

    # What arrived is written in pieces of this size, and only what was written is not asked for again.
    constants.DOWNLOAD_CHUNK_SIZE = 50_000
    whole = FILES["big.bin"]
    asked: list[str | None] = []

    def storage(request: Received) -> Any:
        if not request.path.startswith("/storage/"):
            return hub(request)
        asked.append(request.headers["Range"])
        if len(asked) > 1:
            return with_storage(request)

        def part() -> Iterator[bytes]:
            yield whole[:100_000]
            raise ConnectionAbortedError

        return Answer(200, {}, part())

    with serve(storage) as server, tempfile.TemporaryDirectory() as cache, _no_waiting():
        assert whole == _download(server, "big.bin", cache).read_bytes()
    assert [None, "bytes=100000-"] == asked


class _no_waiting:
    """huggingface_hub waits between tries: not here."""

    def __enter__(self) -> list[float]:
        import huggingface_hub.file_download as download

        self.modules = [hub_http.time, download.time]
        self.kept = hub_http.time.sleep
        self.slept: list[float] = []
        for module in self.modules:
            module.sleep = self.slept.append
        return self.slept

    def __exit__(self, *_: object) -> None:
        for module in self.modules:
            module.sleep = self.kept


def check_snapshots() -> None:
    with serve(with_storage) as server, tempfile.TemporaryDirectory() as cache:
        failures.clear()
        path = Path(snapshot_download("me/model", endpoint=server.url, cache_dir=cache))
        assert FILES == {file.name: file.read_bytes() for file in path.iterdir()}


def check_errors() -> None:
    with serve(hub) as server, tempfile.TemporaryDirectory() as cache:
        api = HfApi(endpoint=server.url)
        error = _raises(RepositoryNotFoundError, lambda: api.model_info("me/nothing"))
        assert ("r1", 401) == (error.request_id, error.response.status_code)
        assert isinstance(error, httpx2.HTTPError)
        _raises(RevisionNotFoundError, lambda: api.model_info("me/model", revision="nowhere"))
        gated = _raises(GatedRepoError, lambda: api.model_info("me/gated"))
        assert "ask for access" in str(gated)
        _raises(EntryNotFoundError, lambda: _download(server, "nothing.txt", cache))
        again = pickle.loads(pickle.dumps(gated))
        assert (type(gated), str(gated), 403) == (
            type(again),
            str(again),
            again.response.status_code,
        )
        gated.append_to_message(" (twice)")
        assert str(gated).endswith(" (twice)")
        response = httpx2.get(f"{server.url}/api/x")
        assert isinstance(
            _raises(HfHubHTTPError, lambda: hf_raise_for_status(response)).__cause__,
            httpx2.HTTPStatusError,
        )
    assert isinstance(InferenceTimeoutError("late"), TimeoutError)
    _raises(LocalEntryNotFoundError, lambda: _download(server, "config.json", HOME.name))


def check_retries() -> None:
    with serve(hub) as server, _no_waiting() as slept:
        # On a connection that was used before, scallion sends a GET again by itself.
        close_session()
        failures[:] = [HANG_UP, 503, 429]
        response = http_backoff(
            "GET", f"{server.url}/api/whoami-v2", headers={"Authorization": "Bearer hf_secret"}
        )
        assert ("me", 4) == (response.json()["name"], len(server.received))
        assert [1, 2, 4] == slept
        failures[:] = [500] * 3
        error = _raises(
            HfHubHTTPError, lambda: http_backoff("GET", f"{server.url}/api/x", max_retries=2)
        )
        assert 500 == error.response.status_code
        failures[:] = [503]
        url = f"{server.url}/me/model/resolve/main/config.json"
        with http_stream_backoff("GET", url) as streamed:
            assert FILES["config.json"] == b"".join(streamed.iter_bytes())
    with _no_waiting():
        _raises(
            httpx2.ConnectError, lambda: http_backoff("GET", "http://127.0.0.1:1/", max_retries=1)
        )
    # Failing to connect closes the shared client; the next one is another.
    assert not get_session().is_closed


def check_factories() -> None:
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return httpx2.Response(200, json={"name": "mocked"})

    set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer)))
    try:
        assert get_session() is get_session()
        assert "mocked" == HfApi(endpoint="http://hub.invalid").whoami()["name"]
        assert ["http://hub.invalid/api/whoami-v2"] == seen
        before = get_session()
        close_session()
        assert before.is_closed
        assert not get_session().is_closed
    finally:
        set_client_factory(hub_http.default_client_factory)
    assert get_session().follow_redirects
    assert httpx2.Timeout(None) == get_session().timeout


def check_offline_mode() -> None:
    from huggingface_hub import constants

    with serve(with_storage) as server, tempfile.TemporaryDirectory() as cache:
        path = _download(server, "config.json", cache)
        constants.HF_HUB_OFFLINE = True
        try:
            assert path == _download(server, "config.json", cache)
            before = len(server.received)
            _raises(LocalEntryNotFoundError, lambda: _download(server, "big.bin", cache))
            _raises(OfflineModeIsEnabled, lambda: get_session().get(server.url))
            assert before == len(server.received)
        finally:
            constants.HF_HUB_OFFLINE = False


def check_file_system_and_inference() -> None:
    def chat(request: Received) -> Answer:
        if not request.path.startswith("/v1/"):
            return with_storage(request)
        asked = json.loads(request.body)
        choice: dict[str, Any] = {"index": 0, "finish_reason": None}
        base = {"id": "c", "created": 1, "model": "m", "system_fingerprint": "f"}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "hello"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            return _json({**base, "choices": [{**choice, "message": message}], "usage": usage})

        def events() -> Iterator[bytes]:
            for word in ("hel", "lö"):
                delta = {"role": "assistant", "content": word}
                chunk = {**base, "choices": [{**choice, "delta": delta}]}
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
            yield b"data: [DONE]\n\n"

        return Answer(200, {"Content-Type": "text/event-stream"}, events())

    with serve(chat) as server:
        client = InferenceClient(base_url=f"{server.url}/v1", api_key="k")
        ask: Any = [{"role": "user", "content": "hi"}]
        assert "hello" == client.chat_completion(ask).choices[0].message.content
        chunks = client.chat_completion(ask, stream=True)
        assert ["hel", "lö"] == [chunk.choices[0].delta.content for chunk in chunks]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            files = HfFileSystem(endpoint=server.url)
        assert server.url == files.endpoint


async def check_async() -> None:
    with serve(hub) as server:
        failures.clear()
        async with get_async_session() as client:
            response = await client.get(
                f"{server.url}/api/whoami-v2", headers={"Authorization": "Bearer hf_secret"}
            )
            assert "me" == response.json()["name"]
            refused = await client.get(f"{server.url}/api/x")
            assert isinstance(
                _raises(HfHubHTTPError, lambda: hf_raise_for_status(refused)), httpx2.HTTPError
            )
    set_async_client_factory(
        lambda: httpx2.AsyncClient(
            transport=httpx2.MockTransport(lambda _: httpx2.Response(200, text="mocked"))
        )
    )
    try:
        async with get_async_session() as client:
            assert "mocked" == (await client.get("http://hub.invalid")).text
    finally:
        set_async_client_factory(hub_http.default_async_client_factory)
