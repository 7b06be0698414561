"""Saving a body: complete under its name, or not at all; its name, if that is left to the server; the progress bar."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from scallion.pipeline.percent import unescape
from scallion.pipeline.response import Response

from .formatting import neutral
from .screen import Screen

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Saved", "remote_name", "save"]

_FALLBACK = "download"
_LONGEST_NAME = 150
_PARAMETER = re.compile(
    r";\s*(filename\*?)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\s]*))", re.IGNORECASE
)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069<>:\"|?*]")
# Names that are devices on Windows, whatever their ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class Saved:
    """A file that appears under its name when it is complete: `with Saved(path) as saved: ...; saved.commit()`.

    Until then it has a temporary name beside that; without `commit` nothing is left of it, and what stood
    there before stands there still. What is no regular file, such as `/dev/null`, is written directly.

    Args:
        path: Where to.
        replace: Whether an existing file may be replaced.

    Raises:
        OSError: it cannot be written; `FileExistsError` if it must not be replaced.
    """

    def __init__(self, path: Path, *, replace: bool = True) -> None:
        # A link stays a link; what it leads to is replaced.
        self.path = Path(os.path.realpath(path))
        self._replace = replace
        self._mode = _mode_of(self.path)
        self._partial: Path | None = None
        self.file: BinaryIO

    def __enter__(self) -> Self:
        if self._mode is not None and not self._replace:
            raise FileExistsError(17, "the file exists", str(self.path))
        if self._mode is not None and not stat.S_ISREG(self._mode):
            self.file = self.path.open("wb")
            return self
        if self._mode is not None and not os.access(self.path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(self.path))
        partial = self.path.with_name(f".{self.path.name[:60]}.{secrets.token_hex(4)}.part")
        try:
            self.file = partial.open("xb")
        except OSError as error:
            # The user knows the name that was given.
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._partial = partial
        return self

    def commit(self) -> None:
        """It is complete."""
        self.file.close()
        partial = self._partial
        if partial is None:
            return
        if self._mode is not None:
            partial.chmod(stat.S_IMODE(self._mode))
        if self._replace:
            partial.replace(self.path)
        else:
            _move_to_new(partial, self.path)
        self._partial = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        # Closing writes what is still held back, which may fail as the writing did.
        with contextlib.suppress(OSError):
            self.file.close()
        if self._partial is not None:
            with contextlib.suppress(OSError):
                self._partial.unlink()


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _move_to_new(partial: Path, path: Path) -> None:
    """Give `partial` the name `path`, unless somebody took it meanwhile."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this file system.
        if path.exists():
            raise FileExistsError(17, "the file exists", str(path)) from None
        partial.replace(path)
    else:
        partial.unlink()


def remote_name(response: Response) -> str:
    """The server's name for the body (RFC 6266), else the last segment of the URL's path, made harmless.

    It names a file in this directory: no other directory, no hidden file, no device.
    """
    given = _disposition(response.headers.get("content-disposition") or "")
    return _harmless(given) or _harmless(response.url.path) or _FALLBACK


def _disposition(value: str) -> str:
    found = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(value)}
    # RFC 8187: charset'language'value; it goes before the simple form (RFC 6266 section 4.3).
    charset, _, rest = found.get("filename*", "").partition("'")
    encoded = rest.partition("'")[2]
    if encoded and charset.lower() in ("utf-8", "iso-8859-1"):
        return unescape(encoded) if charset.lower() == "utf-8" else encoded
    return re.sub(r"\\(.)", r"\1", found.get("filename", ""))


def _harmless(name: str) -> str:
    last = re.split(r"[/\\]", name.strip())[-1]
    last = _UNSAFE.sub("_", last).strip(" ").lstrip(".").rstrip(". ")
    if _DEVICE.fullmatch(last):
        last = f"_{last}"
    while len(last.encode("utf-8", "replace")) > _LONGEST_NAME:
        last = last[1:]
    return last.encode("utf-8", "replace").decode("utf-8")


def save(response: Response, file: BinaryIO, name: str, screen: Screen, *, quiet: bool) -> None:
    """Write the decoded body into `file`, with a progress bar on `screen` if that is a terminal."""
    if quiet or not screen.is_terminal:
        file.writelines(response.iter_bytes())
        return
    from rich.markup import escape

    length = response.headers.get("content-length", "")
    total = int(length) if length.isascii() and length.isdecimal() else None
    with _progress(screen) as progress:
        task = progress.add_task(escape(neutral(name)), total=total)
        for piece in response.iter_bytes():
            file.write(piece)
            # On the wire the body may be compressed; the length that was announced is that one's.
            progress.update(task, completed=response.num_bytes_downloaded)
        if total is None:
            progress.update(task, total=response.num_bytes_downloaded)


def _progress(screen: Screen) -> Progress:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=screen.console,
    )
