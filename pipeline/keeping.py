"""A body that is kept as a whole, while it arrives: room to receive into, and bytes without a copy at the end.

Room is made as bytes arrive, a mebibyte ahead at most, whatever length was announced: who lies about it
gains nothing. `BytesIO` lends its memory to be written to, and gives it away as `bytes` uncopied; a list of
pieces would have to be joined, which costs as much again in memory, and in time.
"""

from __future__ import annotations

from io import BytesIO

__all__ = ["STEP", "Kept"]

STEP = 1024 * 1024
"""The most room that is made at a time, in bytes."""


class _File(BytesIO):
    """One that can be forgotten together with what it has lent: since Python 3.13 its finaliser would complain of that."""

    __slots__ = ()

    def close(self) -> None:
        try:
            super().close()
        except BufferError:
            pass


class Kept:
    """What has arrived so far.

    Attributes:
        size: How many bytes that is.
    """

    __slots__ = ("_file", "_lent", "_only", "_room", "size")

    def __init__(self) -> None:
        self.size = 0
        # A body of one piece is that piece.
        self._only = b""
        self._file: _File | None = None
        # The file's memory as long as it is lent: all of it, and the part that is still to be filled.
        self._lent: tuple[memoryview, ...] = ()
        # Where the room ends that was made, counted from the body's first byte.
        self._room = 0

    def add(self, piece: bytes) -> None:
        """Take a piece that came by itself."""
        if self.size:
            file = self._taken_back()
            file.seek(self.size)
            file.write(piece)
        else:
            self._only = piece
        self.size += len(piece)

    def room(self, left: int) -> memoryview:
        """Where to put the next of `left` bytes that are to come: `took` says how many came.

        It is no longer good when any other method has been called.
        """
        file = self._taken_back(left)
        if self._room <= self.size:
            self._room = self.size + min(left, STEP)
            file.seek(self._room - 1)
            file.write(b"\x00")
        whole = file.getbuffer()
        room = whole[self.size : min(self._room, self.size + left)]
        self._lent = (room, whole)
        return room

    def took(self, count: int) -> None:
        """So many bytes were put into the room."""
        self.size += count

    def _taken_back(self, left: int = 0) -> _File:
        """The file, none of its memory lent."""
        for view in self._lent:
            view.release()
        self._lent = ()
        if self._file is None:
            only, self._only = self._only, b""
            if not left:
                self._file = _File(only)
            else:
                # Zeros that the system has at hand, where bytes would be written twice.
                self._room = len(only) + min(left, STEP)
                self._file = _File(bytes(self._room))
                self._file.write(only)
        return self._file

    def content(self) -> bytes:
        """All of it. Nothing can be added afterwards."""
        if self._file is None:
            return self._only
        file = self._taken_back()
        file.truncate(self.size)
        return file.getvalue()
