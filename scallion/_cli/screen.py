"""Where text goes: standard output or standard error, as a terminal or as a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TextIO

from .formatting import neutral

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Screen"]


class Screen:
    """One of the standard streams.

    Attributes:
        is_terminal: Whether a person sits in front of it.
        shown: Whether a person will see it: a terminal, or `FORCE_COLOR` is set, for a pager say.
        coloured: Whether in colours: not so with `--no-color`, `NO_COLOR` (no-color.org) or a dumb terminal.
    """

    def __init__(self, stream: TextIO | None, *, no_color: bool = False) -> None:
        self._stream = stream
        self._console: Console | None = None
        environment = os.environ
        plain = no_color or bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
        self.is_terminal = stream is not None and stream.isatty()
        self.coloured = not plain and (self.is_terminal or bool(environment.get("FORCE_COLOR")))
        self.shown = self.is_terminal or self.coloured

    @property
    def stream(self) -> TextIO:
        """The stream.

        Raises:
            OSError: it is closed.
        """
        if self._stream is None:
            raise OSError("it is closed")
        return self._stream

    @property
    def console(self) -> Console:
        """Rich's view of it."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self.stream,
                force_terminal=self.shown,
                no_color=not self.coloured,
                highlight=False,
                soft_wrap=True,
            )
        return self._console

    def write(self, text: str, style: str = "") -> None:
        """Write text that terminals may see: nothing in it commands one."""
        text = self._encodable(neutral(text))
        if self.coloured and style:
            from rich.text import Text

            self.console.print(Text(text, style=style), end="")
        else:
            self.stream.write(text)

    def line(self, text: str, style: str = "") -> None:
        self.write(f"{text}\n", style)

    def code(self, text: str, kind: str) -> None:
        """Write text in the colours of its language, which is `kind` to pygments."""
        if not (self.coloured and kind):
            self.write(text)
            return
        from rich.syntax import Syntax

        syntax = Syntax("", kind, theme="ansi_dark", background_color="default")
        self.console.print(syntax.highlight(self._encodable(neutral(text))), end="")

    def raw(self, data: bytes) -> None:
        """Write bytes as they are, at once."""
        stream = self.stream
        stream.flush()
        binary: Any = stream.buffer
        binary.write(data)
        binary.flush()

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def _encodable(self, text: str) -> str:
        encoding = self.stream.encoding or "utf-8"
        return text.encode(encoding, "replace").decode(encoding)
