"""The options of the command line: one table, from which click parses and the help is written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import click

from scallion._version import __version__

from .outcome import EXIT_STATUS

__all__ = ["Options", "command", "parse"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for. Each attribute is the option of its name; seconds are floats, None is no limit."""

    url: str
    method: str | None
    params: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[tuple[str, str], ...]
    content: str | None
    data: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    json: str | None
    auth: tuple[str, str] | None
    digest: bool
    bearer: str | None
    follow_redirects: bool
    max_redirects: int
    timeout: float | None
    connect_timeout: float | None
    max_time: float | None
    retry: int
    proxy: str | None
    http2: bool
    prior_knowledge: bool
    verify: bool
    cacert: str | None
    cert: str | None
    key: str | None
    output: str | None
    remote_name: bool
    include: bool
    stream: bool
    no_color: bool
    quiet: bool
    verbose: bool
    show_secrets: bool
    fail: bool
    check_status: bool


def _seconds(given: Any) -> float | None:
    try:
        seconds = inf if given == "none" else float(given)
    except ValueError:
        seconds = -1
    if not seconds >= 0:
        raise click.BadParameter(f"{given!r} is neither seconds, 0 or more, nor 'none'")
    return None if seconds == inf else seconds


def _count(given: Any) -> int:
    try:
        count = int(given)
    except ValueError:
        count = -1
    if count < 0:
        raise click.BadParameter(f"{given!r} is no whole number of at least 0")
    return count


_PAIR = (str, str)
_READABLE = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)
_TRUSTED = click.Path(exists=True, readable=True)


def _option(group: str, *names: str, **settings: Any) -> tuple[str, click.Option]:
    return group, click.Option(names, **settings)


def _flag(group: str, *names: str, **settings: Any) -> tuple[str, click.Option]:
    return _option(group, *names, is_flag=True, **{"default": False, **settings})


def _pairs(group: str, *names: str, metavar: str = "NAME VALUE", **settings: Any) -> Any:
    return _option(group, *names, type=_PAIR, multiple=True, metavar=metavar, **settings)


_REQUEST, _LOGIN, _CONNECTION, _TIME, _OUTPUT, _OTHER = (
    "Request",
    "Login",
    "Connection",
    "Redirects, time, retries",
    "Output",
    "Other",
)

_TABLE: Sequence[tuple[str, click.Option]] = (
    _option(
        _REQUEST,
        "-m",
        "--method",
        metavar="METHOD",
        help="GET, POST, PUT, ... [default: GET, or POST with a body]",
    ),
    _pairs(_REQUEST, "-p", "--params", help="Add a parameter to the URL's query."),
    _pairs(_REQUEST, "-h", "--headers", help="Add a header."),
    _pairs(_REQUEST, "--cookies", help="Send a cookie."),
    _option(
        _REQUEST,
        "-c",
        "--content",
        metavar="TEXT",
        help="Send this body; @FILE sends a file, @- standard input, @@... a text that begins with @.",
    ),
    _option(
        _REQUEST, "-j", "--json", metavar="TEXT", help="Send this JSON; @FILE and @- as above."
    ),
    _pairs(_REQUEST, "-d", "--data", help="Send a field of a form."),
    _option(
        _REQUEST,
        "-f",
        "--files",
        type=(str, _READABLE),
        multiple=True,
        metavar="NAME FILE",
        help="Send a file of a multipart form.",
    ),
    _option(
        _LOGIN,
        "--auth",
        type=_PAIR,
        default=None,
        metavar="USER PASS",
        help="Log in; a password of - is asked for.",
    ),
    _flag(_LOGIN, "--digest", help="Log in by Digest, not by Basic."),
    _option(
        _LOGIN, "--bearer", metavar="TOKEN", help="Log in with a bearer token; - is asked for."
    ),
    _option(_CONNECTION, "--proxy", metavar="URL", help="Send through this proxy."),
    _flag(_CONNECTION, "--http2", help="Offer HTTP/2 to the server."),
    _flag(
        _CONNECTION,
        "--http1.1",
        "http1",
        expose_value=False,
        help="Speak HTTP/1.1, which is the default.",
    ),
    _flag(
        _CONNECTION,
        "--http2-prior-knowledge",
        "prior_knowledge",
        help="Speak HTTP/2 unasked, over http:// too.",
    ),
    _flag(
        _CONNECTION,
        "--no-verify",
        "verify",
        flag_value=False,
        default=True,
        help="Do not check the server's certificate.",
    ),
    _option(
        _CONNECTION,
        "--cacert",
        type=_TRUSTED,
        metavar="PATH",
        help="Trust the authorities in this file or directory.",
    ),
    _option(
        _CONNECTION, "--cert", type=_READABLE, metavar="FILE", help="Show this client certificate."
    ),
    _option(
        _CONNECTION,
        "--key",
        type=_READABLE,
        metavar="FILE",
        help="The key of --cert, if that has none in it.",
    ),
    _flag(
        _TIME,
        "-L",
        "--follow-redirects",
        "--allow-redirects",
        "follow_redirects",
        help="Follow redirects.",
    ),
    _option(
        _TIME,
        "--max-redirects",
        type=_count,
        default=20,
        metavar="N",
        help="How many in a row. [default: 20]",
    ),
    _option(
        _TIME,
        "--timeout",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="For each step: connecting, each read, each write; 'none' for no limit. [default: 5]",
    ),
    _option(
        _TIME,
        "--connect-timeout",
        type=_seconds,
        default=None,
        metavar="SECONDS",
        help="For connecting, in the place of --timeout.",
    ),
    _option(
        _TIME,
        "--max-time",
        type=_seconds,
        default=None,
        metavar="SECONDS",
        help="For everything together, retries and body included.",
    ),
    _option(
        _TIME,
        "--retry",
        type=_count,
        default=0,
        metavar="N",
        help="Try up to N times more after transient failures, if that does no harm.",
    ),
    _option(
        _OUTPUT,
        "-o",
        "--output",
        "--download",
        "output",
        metavar="FILE",
        help="Save the body; - is standard output, whatever the body is.",
    ),
    _flag(
        _OUTPUT,
        "-O",
        "--remote-name",
        help="Save the body under the server's name for it; never over an existing file.",
    ),
    _flag(
        _OUTPUT,
        "-i",
        "--include",
        help="Show the answer's head, even if the output is no terminal.",
    ),
    _flag(_OUTPUT, "-N", "--stream", help="Show text as it arrives, unformatted."),
    _flag(
        _OUTPUT,
        "--no-color",
        help="No colours. So do NO_COLOR; FORCE_COLOR wants them even in a pipe.",
    ),
    _flag(_OUTPUT, "-q", "--quiet", help="No progress bar."),
    _flag(
        _OUTPUT, "-v", "--verbose", help="Show connections, requests and answers on standard error."
    ),
    _flag(_OUTPUT, "--show-secrets", help="Show logins and cookies with --verbose."),
    _flag(_OUTPUT, "--fail", help="Show no body of a 4xx or 5xx."),
    _flag(_OUTPUT, "--check-status", help="Exit with 3, 4 or 5 for 3xx, 4xx, 5xx."),
    (
        _OTHER,
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=lambda context, _, given: _version(context, given),
            help="Show the version and exit.",
        ),
    ),
    (
        _OTHER,
        click.Option(
            ["--help"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=lambda context, _, given: _help(context, given),
            help="Show this message and exit.",
        ),
    ),
)


class _Command(click.Command):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for group, option in _TABLE:
            record = option.get_help_record(ctx)
            assert record is not None
            groups.setdefault(group, []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=28)
        with formatter.section("Exit status"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_STATUS.items()])


class _Said(Exception):
    """All that was asked for is this text. It is written outside click, which has an ending of its own for broken pipes."""


def _version(context: click.Context, given: bool) -> None:
    if given and not context.resilient_parsing:
        raise _Said(f"scallion {__version__}")


def _help(context: click.Context, given: bool) -> None:
    if given and not context.resilient_parsing:
        raise _Said(context.get_help())


command = _Command(
    "scallion",
    params=[click.Argument(["url"], metavar="URL"), *(option for _, option in _TABLE)],
    callback=Options,
    add_help_option=False,
    options_metavar="[OPTIONS]",
    help=(
        "Send a request and show the answer.\n\n"
        "A URL without a scheme is https://, on this machine http://. On a terminal the answer's head and body are "
        "shown, the body formatted; anywhere else the body is written, byte for byte."
    ),
    # The same text everywhere.
    context_settings={"terminal_width": 88, "max_content_width": 88},
)


def parse(args: Sequence[str]) -> Options | int:
    """What was asked for; or the exit status, if all was said already, as by `--help`.

    Raises:
        click.UsageError: the arguments make no sense; it says why.
        click.Abort: Ctrl-C, while a password was asked for.
    """
    try:
        parsed = command.main(args=list(args), prog_name="scallion", standalone_mode=False)
    except _Said as said:
        if sys.stdout is not None:
            sys.stdout.write(f"{said}\n")
        return 0
    assert isinstance(parsed, (Options, int))
    return parsed
