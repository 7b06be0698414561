"""A run from its arguments to its exit status: every way to end passes here, and none shows a traceback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from .exchange import exchange
from .formatting import neutral
from .options import parse
from .outcome import BROKEN_PIPE, INTERRUPTED, TERMINATED, USAGE, WRITING, Failure

__all__ = ["run"]


class _Terminated(KeyboardInterrupt):
    """Somebody else wants the run to end; what Ctrl-C cleans up, this does."""


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """While it lasts, SIGTERM is an exception."""

    def end(*_: object) -> None:
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:
        # Not the main thread, whose business signals are.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(args: Sequence[str]) -> int:
    """Run the command line on these arguments; returns the exit status."""
    try:
        with _ended_in_order():
            parsed = parse(args)
            code = parsed if isinstance(parsed, int) else exchange(parsed)
            # What is still held back is written here, where a failure can be told.
            if sys.stdout is not None:
                sys.stdout.flush()
    except click.ClickException as error:
        return _complain(f"{error.format_message()} (see scallion --help)", USAGE)
    except Failure as failure:
        return _complain(str(failure), failure.code)
    except _Terminated:
        return _complain("terminated", TERMINATED)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _give_up_output()
        return BROKEN_PIPE
    except OSError as error:
        _give_up_output()
        named = f" {error.filename!r}" if error.filename else ""
        return _complain(
            f"cannot write{named or ' the output'}: {error.strerror or error}", WRITING
        )
    return code


def _complain(message: str, code: int) -> int:
    """One line on standard error."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"scallion: {neutral(' '.join(message.split()))}\n")
            sys.stderr.flush()
    except OSError:
        _give_up_output()
    return code


def _give_up_output() -> None:
    """Let what is still held back go nowhere: the interpreter flushes it when it ends, and would fail aloud."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                try:
                    os.dup2(nowhere, stream.fileno())
                except (OSError, ValueError, AttributeError):
                    continue
    finally:
        os.close(nowhere)
