"""Every way to end: a status that scripts can rely on, one line that says why, and never a traceback."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from scallion._cli import main
from scallion._cli.outcome import EXIT_STATUS
from support.servers import (
    Answer,
    HTTPServer,
    ProxyServer,
    Received,
    ScriptedServer,
    close,
    expect,
    reset,
    send,
)

Serve = Callable[..., HTTPServer]
PROGRAM = [sys.executable, "-m", "scallion"]


def answer(request: Received) -> Answer:
    if request.target == "/loop":
        return Answer(302, b"", [("Location", "/loop")])
    if request.target == "/gzip":
        return Answer(200, b"no gzip", [("Content-Encoding", "gzip")])
    return Answer(int(request.target[1:]), b"body")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("status", "plain", "check", "fail"),
    [(200, 0, 0, 0), (299, 0, 0, 0), (304, 1, 3, 1), (404, 1, 4, 22), (503, 1, 5, 22)],
)
def test_the_answers_status_decides(
    serve: Serve, run: Any, status: int, plain: int, check: int, fail: int
) -> None:
    """
    As with httpx's command; more finely with --check-status, and as with curl's --fail.
    """
    server = serve(answer)
    url = f"{server.url}/{status}"
    results = [run(url), run(url, "--check-status"), run(url, "--fail")]

    assert [plain, check, fail] == [result.exit_code for result in results]
    assert {""} == {result.stderr for result in results}
    body = b"" if status == 304 else b"body"
    assert [body, body, b"" if fail == 22 else body] == [result.stdout_bytes for result in results]


def refused(result: Any, code: int, *words: str) -> None:
    assert code == result.exit_code
    assert code in EXIT_STATUS
    assert "" == result.stdout
    assert result.stderr.startswith("scallion: ")
    assert 1 == result.stderr.count("\n")
    assert [] == [word for word in words if word not in result.stderr]


def test_nobody_listens(run: Any) -> None:
    """
    The line names the URL, without secrets.
    """
    url = "http://user:hush@127.0.0.1:1/x?token=hush"
    result = run(url)

    refused(
        result,
        7,
        "cannot connect to 127.0.0.1:1",
        "(GET http://REDACTED:REDACTED@127.0.0.1:1/x?token=REDACTED)",
    )
    assert "hush" not in result.stderr


def test_nobody_is_called_so(run: Any) -> None:
    """
    A name that does not resolve has a status of its own.
    """
    refused(run("http://nobody.invalid"), 6, "nobody.invalid")


@pytest.mark.parametrize(
    "script",
    [
        [expect(), send(b"SSH-2.0-OpenSSH\r\n\r\n"), close],
        [
            expect(),
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
            close,
        ],
        [expect(), close],
        [expect(), send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), close],
    ],
    ids=["junk", "lengths", "silence", "chunks"],
)
def test_it_is_no_http(run: Any, script: list[Any]) -> None:
    """
    Whatever the server says instead.
    """
    with ScriptedServer(script) as server:
        refused(run(server.url), 8, "not a proper HTTP answer: ")


def test_the_connection_breaks(run: Any) -> None:
    """
    A reset is no answer.
    """
    with ScriptedServer([expect(), reset]) as server:
        refused(run(server.url), 56, "the connection broke: ")


@pytest.mark.parametrize("option", ["--timeout", "--max-time"])
def test_it_takes_too_long(run: Any, option: str) -> None:
    """
    For one step, or in all.
    """
    with ScriptedServer([]) as server:
        refused(run(server.url, option, "0.02"), 28, "timed out: ")


def test_redirects_do_not_end(serve: Serve, run: Any) -> None:
    """
    The limit can be set.
    """
    server = serve(answer)
    refused(run(f"{server.url}/loop", "-L", "--max-redirects", "3"), 47, "too many redirects")
    assert 4 == len(server.requests)


def test_a_body_is_damaged(serve: Serve, run: Any) -> None:
    """
    It says that it is compressed, and is not.
    """
    refused(run(f"{serve(answer).url}/gzip"), 61, "cannot decompress the body: ")


def test_a_body_cannot_be_sent_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Standard input is read once.
    """
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "wb") as sending:
        thread = threading.Thread(target=lambda: (sending.write(b"x" * 1_100_000), sending.close()))
        thread.start()
        redirect = send(b"HTTP/1.1 307 X\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")
        with ScriptedServer([expect(b"0\r\n\r\n"), redirect]) as server, os.fdopen(ours) as stdin:
            # CliRunner's own standard input could be read again.
            monkeypatch.setattr("scallion._cli.arguments._opened", lambda stack, path: stdin.buffer)
            result = run(server.url, "-L", "-c", "@-")
        thread.join(10)

    refused(result, 65, "cannot send the body again: ")
    assert b"x" * 1000 in server.connections[0].received


def test_a_certificate_is_refused(serve: Serve, run: Any) -> None:
    """
    That differs from a handshake that fails.
    """
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    refused(run(serve(tls=tls).url), 60, "certificate")


def test_a_handshake_fails(run: Any) -> None:
    """
    The server does not speak TLS at all.
    """
    with ScriptedServer([send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), close]) as server:
        refused(run(f"https://localhost:{server.port}"), 35, "TLS with localhost failed")


def test_a_proxy_refuses(run: Any) -> None:
    """
    With its own words.
    """
    with ProxyServer(refuse=403) as proxy:
        refused(run("https://example.org", "--proxy", proxy.url), 97, "the proxy failed: ", "403")


# As a program of its own.


def start(*args: str, **settings: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings
    )


def test_the_reader_of_the_output_goes_away() -> None:
    """
    As in `scallion URL | head -1`: quietly, while writing.
    """
    endless = send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n", *[b"line\n" * 20_000] * 40
    )
    with ScriptedServer([expect(), endless]) as server, start(server.url) as program:
        assert program.stdout is not None
        assert b"line\n" == program.stdout.readline()
        program.stdout.close()
        assert (141, b"") == (program.wait(10), program.stderr.read() if program.stderr else None)


def test_the_reader_was_never_there() -> None:
    """
    Quietly, though it shows only when the last buffer is written.
    """
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as nobody:
        done = subprocess.run(
            [*PROGRAM, "--help"], stdout=nobody, stderr=subprocess.PIPE, check=False
        )

    assert (141, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"terminated")],
)
def test_a_signal_ends_a_download(
    tmp_path: Path, number: signal.Signals, status: int, said: bytes
) -> None:
    """
    With a shell's status, one line, and nothing left of the file.
    """
    begun, over = threading.Event(), threading.Event()
    script = [
        expect(),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"),
        lambda peer: begun.set(),
        lambda peer: over.wait(10),
    ]
    with ScriptedServer(script) as server, start(server.url, "-o", "out", cwd=tmp_path) as program:
        assert begun.wait(10)
        program.send_signal(number)
        out, err = program.communicate(timeout=10)
        over.set()

    assert (status, b"", b"scallion: %s\n" % said) == (program.returncode, out, err)
    assert [] == names_in(tmp_path)


def test_ctrl_c_at_a_question(serve: Serve, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nothing is sent.
    """
    server = serve()
    result = run(server.url, "--auth", "user", "-", input=b"")

    assert 130 == result.exit_code
    assert [] == server.requests


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_the_extra_is_missing(
    missing: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One line says what to install; importing the package did no harm.
    """
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as ended:
        main(["http://127.0.0.1:1"])

    assert 1 == ended.value.code
    assert (
        "",
        f"scallion: the command line needs {missing}: pip install 'scallion[cli]'\n",
    ) == tuple(capsys.readouterr())


def test_importing_the_command_line_needs_no_extra() -> None:
    """
    Nor does it load anything else that is large.
    """
    code = (
        "import sys; sys.modules['click'] = sys.modules['rich'] = None; import scallion._cli\n"
        "print({'asyncio', 'pathlib', 'ssl', 'socket', 'scallion._client'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )

    assert ("set()\n", "") == (done.stdout, done.stderr)


def test_plain_output_loads_no_rich(serve: Serve) -> None:
    """
    A program in a pipe starts fast.
    """
    server = serve()
    code = f"import sys; from scallion._cli import main; main([{server.url!r}], standalone_mode=False); print('rich.console' in sys.modules, 'pygments' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("okFalse False\n", "") == (done.stdout, done.stderr)


def test_the_version_is_told(run: Any) -> None:
    """
    And nothing else.
    """
    import scallion

    assert (0, f"scallion {scallion.__version__}\n") == (
        run("--version").exit_code,
        run("--version").stdout,
    )


def test_a_closed_standard_output_is_told(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As by `>&-`: Python has none then.
    """
    server = serve()
    monkeypatch.setattr(sys, "stdout", None)

    assert 23 == main([server.url], standalone_mode=False)
    assert "scallion: cannot write the output: it is closed\n" == capsys.readouterr().err
    monkeypatch.setattr(sys, "stderr", None)
    assert 23 == main([server.url], standalone_mode=False)
