"""Arguments: the URL that is meant, the body that is sent, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scallion._cli.arguments import complete_url
from support.servers import HTTPServer

Serve = Callable[..., HTTPServer]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("example.org", "https://example.org"),
        ("example.org:8080/a?u=http://b", "https://example.org:8080/a?u=http://b"),
        ("//example.org/a", "https://example.org/a"),
        ("user:pass@example.org", "https://user:pass@example.org"),
        ("user@localhost:1", "http://user@localhost:1"),
        ("localhost", "http://localhost"),
        ("LOCALHOST:8000/a", "http://localhost:8000/a"),
        ("api.localhost/a", "http://api.localhost/a"),
        ("notlocalhost", "https://notlocalhost"),
        ("localhost.example", "https://localhost.example"),
        ("127.0.0.1:80", "http://127.0.0.1"),
        ("127.8.9.1", "http://127.8.9.1"),
        ("128.0.0.1", "https://128.0.0.1"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[::2]", "https://[::2]"),
        (":8000/a", "http://localhost:8000/a"),
        ("http://example.org", "http://example.org"),
        ("HTTPS://localhost", "https://localhost"),
    ],
)
def test_a_url_gets_the_scheme_that_is_meant(given: str, meant: str) -> None:
    """
    https, on this machine http; a scheme that is there stays.
    """
    assert meant == str(complete_url(given))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://a", "http://a?x=1&y=a+b"),
        ("http://a/?q=%41#f", "http://a/?q=%41&x=1&y=a+b#f"),
    ],
)
def test_params_join_the_query(given: str, meant: str) -> None:
    """
    What the URL has stays as it is written.
    """
    assert meant == str(complete_url(given, [("x", "1"), ("y", "a b")]))


@pytest.mark.parametrize(
    ("args", "input", "body"),
    [
        (["-c", "@{file}"], None, b"\xff\x00 file"),
        (["-c", "@-"], b"piped", b"piped"),
        (["-c", "@@text"], None, b"@text"),
        (["-c", ""], None, b""),
        (["-c", "@{json}"], None, b' {"a" : 1}'),
        (["-j", "@{json}"], None, b'{"a":1}'),
        (["-j", "@-"], b"[1]", b"[1]"),
        (["-j", "-"], b"[1]", b"[1]"),
    ],
)
def test_a_body_may_be_a_file_or_standard_input(
    serve: Serve, run: Any, tmp_path: Path, args: list[str], input: bytes | None, body: bytes
) -> None:
    """
    With its length told, by POST.
    """
    file, json = tmp_path / "file", tmp_path / "json"
    file.write_bytes(b"\xff\x00 file")
    json.write_bytes(b' {"a" : 1}')
    server = serve()

    result = run(
        server.url,
        *(arg.format(file=file, json=json) if arg.startswith("@{") else arg for arg in args),
        input=input,
    )

    assert (0, b"ok") == (result.exit_code, result.stdout_bytes)
    (request,) = server.requests
    assert ("POST", body, str(len(body))) == (
        request.method,
        request.body,
        request.get("content-length"),
    )


def test_a_file_of_a_form_may_be_standard_input(serve: Serve, run: Any) -> None:
    """
    As for httpx's command.
    """
    server = serve()
    assert 0 == run(server.url, "-f", "up", "-", input=b"piped").exit_code
    assert b"\r\n\r\npiped\r\n" in server.requests[0].body


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["http://[::1"], "invalid URL: "),
        (["http://a:99999"], "invalid URL: Invalid port: '99999'"),
        (["ftp://127.0.0.1"], "cannot send: Request URL has an unsupported protocol 'ftp://'"),
        ([], "Missing argument 'URL'"),
        (["a", "b"], "Got unexpected extra argument"),
        (["a", "--nonsense"], "No such option"),
        (["a", "-p", "x"], "requires 2 arguments"),
        (["a", "-j", "{"], "--json is not valid JSON: "),
        (["a", "-j", "[NaN]"], "--json is not valid JSON: NaN is no JSON value"),
        (["a", "-j", "[" * 100_000], "--json is not valid JSON: "),
        (["a", "-c", "@/nonexistent/x"], "cannot read '/nonexistent/x': No such file or directory"),
        (["a", "-c", "@/"], "cannot read '/': Is a directory"),
        (["a", "-f", "x", "/nonexistent/x"], "'/nonexistent/x' does not exist"),
        (["a", "-f", "x", "/"], "is a directory"),
        (["a", "-c", "x", "-j", "1"], "one body only: --content and --json exclude each other"),
        (
            ["a", "-c", "x", "-d", "a", "1"],
            "one body only: --content and --data or --files exclude",
        ),
        (["a", "-m", "G T"], "cannot send: Invalid method 'G T'"),
        (["a", "--timeout", "soon"], "'soon' is neither seconds, 0 or more, nor 'none'"),
        (["a", "--max-time", "-1"], "'-1' is neither seconds"),
        (["a", "--timeout", "nan"], "'nan' is neither seconds"),
        (["a", "--retry", "1.5"], "'1.5' is no whole number of at least 0"),
        (["a", "--proxy", "socks9://x"], "Unknown scheme for proxy URL"),
        (["a", "--proxy", "://"], ""),
        (["a", "--digest"], "--digest needs --auth"),
        (["a", "--auth", "u", "p", "--bearer", "t"], "one login only"),
        (["a", "--bearer", "two words"], "--bearer: "),
        (["a", "--key", "{file}"], "--key needs --cert"),
        (["a", "--cert", "{file}"], "no usable certificate in {file}"),
        (["a", "--cacert", "{file}"], "no usable certificate in {file}"),
        (["a", "--cacert", "/nonexistent/x"], "'/nonexistent/x' does not exist"),
        (["a", "-o", "x", "-O"], "one name only: --output and --remote-name exclude each other"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    run: Any, tmp_path: Path, args: list[str], message: str
) -> None:
    """
    On standard error, with exit status 2, before anything is sent.
    """
    file = tmp_path / "file"
    file.write_bytes(b"no certificate")
    result = run(*(arg.replace("{file}", str(file)) for arg in args))

    assert 2 == result.exit_code
    assert "" == result.stdout
    assert result.stderr.startswith("scallion: ")
    assert 1 == result.stderr.count("\n")
    assert message.replace("{file}", str(file)) in result.stderr


@pytest.mark.parametrize("header", [("a b", "c"), ("a", "b\nc"), ("a\r\nb", "")])
def test_what_is_no_header_is_refused(serve: Serve, run: Any, header: tuple[str, str]) -> None:
    """
    Nothing of the request leaves.
    """
    server = serve()
    result = run(server.url, "-h", *header)

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("scallion: cannot send: ")
    assert 1 == result.stderr.count("\n")
    assert [] == server.requests


def test_a_password_is_asked_for(serve: Serve, run: Any) -> None:
    """
    `-` stands for it; the question is not on standard output.
    """
    server = serve()
    result = run(server.url, "--auth", "user", "-", input=b"secret\n")

    assert (0, b"ok") == (result.exit_code, result.stdout_bytes)
    assert "Basic dXNlcjpzZWNyZXQ=" == server.requests[0].get("authorization")
    assert "secret" not in result.stderr


def test_a_token_is_a_login(serve: Serve, run: Any) -> None:
    """
    By --bearer, given or asked for.
    """
    server = serve()
    run(server.url, "--bearer", "abc")
    run(server.url, "--bearer", "-", input=b"def\n")

    assert ["Bearer abc", "Bearer def"] == [r.get("authorization") for r in server.requests]


def test_a_method_without_a_name(run: Any) -> None:
    """
    It is bad usage, and not a GET.
    """
    result = run("http://localhost:1/", "--method", "")

    assert 2 == result.exit_code
    assert "--method takes the name of a method" in result.stderr
