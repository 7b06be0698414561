"""Saving a body: whole under its name or not at all, under harmless names, in bounded memory."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scallion import Request, Response
from scallion._cli import main
from scallion._cli.download import Saved, remote_name
from support.servers import Answer, HTTPServer, ScriptedServer, expect, send

Serve = Callable[..., HTTPServer]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("option", ["-o", "--output", "--download"])
def test_the_body_is_saved(serve: Serve, run: Any, tmp_path: Path, option: str) -> None:
    """
    Under the name that was given, with nothing beside it and nothing on standard output.
    """
    server = serve(lambda request: Answer(200, bytes(range(256))))
    result = run(server.url, option, str(tmp_path / "out"))

    assert (0, "", "") == (result.exit_code, result.stdout, result.stderr)
    assert bytes(range(256)) == (tmp_path / "out").read_bytes()
    assert ["out"] == names_in(tmp_path)


def test_a_dash_is_standard_output(serve: Serve, look: Any) -> None:
    """
    Whatever it is, and even a terminal gets the bytes then.
    """
    server = serve(lambda request: Answer(200, b"\x1b[31m\x01", [("Content-Type", "image/png")]))

    assert (0, "\x1b[31m\x01") == look(server.url, "-o", "-")


def test_an_existing_file_is_replaced_and_keeps_its_mode_and_its_links(
    serve: Serve, run: Any, tmp_path: Path
) -> None:
    """
    A symbolic link stays one; what it leads to is new.
    """
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"before")
    real.chmod(0o640)
    link.symlink_to(real)

    assert 0 == run(serve().url, "-o", str(link)).exit_code
    assert link.is_symlink()
    assert (b"ok", 0o640) == (real.read_bytes(), real.stat().st_mode & 0o777)


def test_a_body_that_breaks_off_leaves_what_was_there(run: Any, tmp_path: Path) -> None:
    """
    No part of it is taken for the whole.
    """
    file = tmp_path / "out"
    file.write_bytes(b"before")
    answer = send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    with ScriptedServer([expect(), answer, lambda peer: peer.sock.close()]) as server:
        result = run(server.url, "-o", str(file))

    assert (8, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("scallion: not a proper HTTP answer: ")
    assert b"before" == file.read_bytes()
    assert ["out"] == names_in(tmp_path)


@pytest.mark.parametrize("path", ["missing/out", "file/out", "folder"])
def test_what_cannot_be_written_is_said_before_anything_is_sent(
    serve: Serve, run: Any, tmp_path: Path, path: str
) -> None:
    """
    In one line that names the file.
    """
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    server = serve()
    result = run(server.url, "-o", str(tmp_path / path))

    assert 23 == result.exit_code
    assert result.stderr.startswith(f"scallion: cannot write '{tmp_path / path}': ")
    assert [] == server.requests


def test_what_is_no_regular_file_is_written_directly(serve: Serve, run: Any) -> None:
    """
    /dev/null stays what it is, and a full device is told of.
    """
    server = serve()
    assert 0 == run(server.url, "-o", os.devnull).exit_code
    assert not Path(os.devnull).is_file()
    if Path("/dev/full").exists():
        result = run(server.url, "-o", "/dev/full")
        assert (23, "scallion: cannot write the output: No space left on device\n") == (
            result.exit_code,
            result.stderr,
        )


def test_with_fail_an_error_is_not_saved(serve: Serve, run: Any, tmp_path: Path) -> None:
    """
    Without it the error's body is, as httpx does.
    """
    server = serve(lambda request: Answer(500, b"sorry"))
    assert 22 == run(server.url, "--fail", "-o", str(tmp_path / "out")).exit_code
    assert [] == names_in(tmp_path)
    assert 1 == run(server.url, "-o", str(tmp_path / "out")).exit_code
    assert b"sorry" == (tmp_path / "out").read_bytes()


def test_memory_is_bounded(tmp_path: Path) -> None:
    """
    16 MB pass through in pieces.
    """
    piece = b"x" * 65_536
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * len(piece))
    with ScriptedServer([expect(), send(head, *[piece] * 256)]) as server:
        main(["--version"], standalone_mode=False)
        tracemalloc.start()
        try:
            assert 0 == main([server.url, "-o", str(tmp_path / "out")], standalone_mode=False)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert 16 * 1024 * 1024 == (tmp_path / "out").stat().st_size
    assert peak < 4 * 1024 * 1024


def named(disposition: str | None, url: str = "http://a/path/file.txt") -> str:
    headers = {} if disposition is None else {"Content-Disposition": disposition}
    return remote_name(Response(200, headers=headers, request=Request("GET", url)))


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        (None, "http://a/path/file.txt?x=y#z", "file.txt"),
        (None, "http://a/path/%C3%BC%20x", "ü x"),
        (None, "http://a/path/", "download"),
        (None, "http://a", "download"),
        (None, "http://a/..%2f..%2fetc%2fpasswd", "passwd"),
        (None, "http://a/%2e%2e", "download"),
        (None, "http://a/.bashrc", "bashrc"),
        ("attachment", "http://a/x", "x"),
        ('attachment; filename="a b;c.txt"', "http://a/x", "a b;c.txt"),
        ("attachment; filename=plain.txt; size=3", "http://a/x", "plain.txt"),
        ('inline; FileName="q\\"uote"', "http://a/x", "q_uote"),
        ("attachment; filename=\"no\"; filename*=UTF-8''%e2%82%ac.txt", "http://a/x", "€.txt"),
        ('attachment; filename="../../etc/passwd"', "http://a/x", "passwd"),
        ('attachment; filename="..\\\\..\\\\boot.ini"', "http://a/x", "boot.ini"),
        ("attachment; filename*=UTF-8''..%2F..%2Fx%00y", "http://a/x", "x_y"),
        ('attachment; filename=".."', "http://a/x", "x"),
        ('attachment; filename="C:\\\\nul"', "http://a/x", "_nul"),
        ('attachment; filename="COM1.txt"', "http://a/x", "_COM1.txt"),
        ('attachment; filename="a\x1b[31m|b"', "http://a/x", "a_[31m_b"),
        ('attachment; filename="  .hidden. "', "http://a/x", "hidden"),
    ],
)
def test_the_servers_name_names_a_file_here(disposition: str | None, url: str, name: str) -> None:
    """
    RFC 6266's name, else the URL's last segment; never another directory, a hidden file or a device.
    """
    assert name == named(disposition, url)


def test_a_long_name_is_cut_at_its_front() -> None:
    """
    The ending stays, and the name fits in any file system.
    """
    name = named(f"attachment; filename*=UTF-8''{'%C3%BC' * 400}.tar.gz")
    assert name.endswith("ü.tar.gz")
    assert len(name.encode()) <= 150


def test_the_servers_name_never_replaces_a_file(
    serve: Serve, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The first run saves and says the name, the second refuses.
    """
    monkeypatch.chdir(tmp_path)
    disposition = [("Content-Disposition", 'attachment; filename="../report.pdf"')]
    server = serve(lambda request: Answer(200, b"new", disposition))

    result = run(server.url, "-O")
    assert (0, "", "Saved as report.pdf\n") == (result.exit_code, result.stdout, result.stderr)
    (tmp_path / "report.pdf").write_bytes(b"mine")
    result = run(server.url, "--remote-name")
    assert 23 == result.exit_code
    assert "report.pdf': the file exists" in result.stderr
    assert b"mine" == (tmp_path / "report.pdf").read_bytes()
    assert ["report.pdf"] == names_in(tmp_path)


def test_a_name_that_is_taken_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """
    Between the check and the end somebody else may come.
    """
    with Saved(tmp_path / "out", replace=False) as saved:
        saved.file.write(b"new")
        (tmp_path / "out").write_bytes(b"theirs")
        with pytest.raises(FileExistsError):
            saved.commit()

    assert b"theirs" == (tmp_path / "out").read_bytes()
    assert ["out"] == names_in(tmp_path)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_progress_is_shown_on_a_terminal(
    serve: Serve, look: Any, tmp_path: Path, chunked: bool, compressed: bool
) -> None:
    """
    On standard error, with the length known or not, and counted as it comes over the wire.
    """
    body = os.urandom(20_000)
    coded = gzip.compress(body) if compressed else body
    headers = [("Content-Encoding", "gzip")] if compressed else []
    server = serve(lambda request: Answer(200, coded, headers, chunked=chunked))
    seen = look(server.url, "-o", str(tmp_path / "a[b].bin"), at=("stderr",))

    assert 0 == seen.code
    assert "a[b].bin" in seen.text
    assert f"{len(coded) / 1000:.1f}/{len(coded) / 1000:.1f} kB" in seen.text
    assert body == (tmp_path / "a[b].bin").read_bytes()


def test_quiet_shows_no_progress(serve: Serve, look: Any, tmp_path: Path) -> None:
    """
    Nor does a name get told.
    """
    assert (0, "") == look(serve().url, "-q", "-o", str(tmp_path / "out"), at=("stderr",))
