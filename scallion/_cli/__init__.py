"""The command line: `scallion URL` and `python -m scallion URL`.

Its parts need the extra `cli`. This module needs nothing, so that a program without the extra can say what is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

__all__ = ["main"]

_EXTRA = ("click", "rich")


class _Main:
    """`main()` runs the command line on `sys.argv`, or on the arguments given, and exits with its status.

    It takes what a click command takes, so `click.testing.CliRunner` and others that expect one work with it.
    """

    name = "scallion"

    def __call__(
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **_: Any
    ) -> int:
        """Run; then exit, or with `standalone_mode=False` return the exit status."""
        code = _run(sys.argv[1:] if args is None else list(args))
        if standalone_mode:
            sys.exit(code)
        return code

    main = __call__

    def __repr__(self) -> str:
        return "<scallion.main, the command line>"


def _run(args: list[str]) -> int:
    missing = [name for name in _EXTRA if not _is_installed(name)]
    if missing:
        if sys.stderr is not None:
            sys.stderr.write(
                f"scallion: the command line needs {' and '.join(missing)}: pip install 'scallion[cli]'\n"
            )
        return 1
    try:
        from .run import run
    except KeyboardInterrupt:
        return 130
    return run(args)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:
        # It is in `sys.modules`, without a spec.
        return sys.modules[name] is not None


main = _Main()
