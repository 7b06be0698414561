"""Conversations for the fuzzer: ordinary ones, odd ones, damaged ones, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import TypeVar

from . import vocabulary
from .conversing import Case, Exchange
from .vocabulary import Field

__all__ = ["Generator"]

T = TypeVar("T")


class Generator:
    """An endless row of conversations; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._random = self._rng.random

    def case(self) -> Case:
        """Mostly one exchange; several are mostly ordinary, as the connection would not serve the next one else."""
        if self._random() < 0.8:
            return (self._switching() if self._random() < 0.02 else self._exchange(0.6),)
        count = 2 + int(self._random() * 3)
        return (*(self._exchange(0.06) for _ in range(count - 1)), self._exchange(0.6))

    def _pick(self, among: Sequence[T]) -> T:
        return among[int(self._random() * len(among))]

    # Requests

    def _exchange(self, oddity: float) -> Exchange:
        chance = self._random
        odd = chance() < oddity * 0.25
        method = self._pick(vocabulary.METHODS)
        target = self._pick(vocabulary.TARGETS)
        headers = vocabulary.DEFAULTS[: 1 + int(chance() * len(vocabulary.DEFAULTS))]
        if odd:
            method = self._pick(vocabulary.ODD_METHODS) if chance() < 0.2 else method
            target = self._pick(vocabulary.ODD_TARGETS) if chance() < 0.15 else target
            headers = self._odd_headers(headers)
        body: bytes | tuple[bytes, ...] = b""
        answers: frozenset[int] = frozenset()
        if method in (b"POST", b"PUT", b"PATCH") or (odd and chance() < 0.3):
            headers, body = self._body(headers, odd=odd)
            if isinstance(body, tuple) and chance() < 0.4:
                answers = frozenset(n for n in range(1, len(body) + 1) if chance() < 0.5)
        if chance() < 0.03:
            answers |= {0}
        arrivals = self._arrivals(oddity)
        at_once, past = chance() < 0.7, chance() < 0.3
        return Exchange(method, target, tuple(headers), body, answers, arrivals, at_once, past)

    def _switching(self) -> Exchange:
        """A request that may end HTTP on its connection, and an answer that may do so."""
        asked = [(b"Connection", b"upgrade"), (b"Upgrade", self._pick([b"x", b"websocket"]))]
        headers = (*vocabulary.DEFAULTS[:1], *asked[int(self._random() * 3) :])
        method = self._pick([b"GET", b"CONNECT", b"CONNECT"])
        arrivals = self._split(self._pick(vocabulary.SWITCHED))
        return Exchange(method, b"/", headers, b"", frozenset(), tuple(arrivals))

    def _odd_headers(self, headers: list[Field]) -> list[Field]:
        chance = self._random
        headers = headers[int(chance() < 0.1) :]
        for _ in range(int(chance() * 3)):
            kind = chance()
            if kind < 0.6:
                field = self._pick(vocabulary.REQUEST_FIELDS)
            elif kind < 0.9:
                field = self._pick(vocabulary.ODD_FIELDS)
            else:
                field = (self._noise(6), self._noise(8))
            headers.insert(int(chance() * (len(headers) + 1)), field)
        return headers

    def _body(
        self, headers: list[Field], *, odd: bool
    ) -> tuple[list[Field], bytes | tuple[bytes, ...]]:
        chance = self._random
        pieces = tuple(self._pick(vocabulary.BODIES) for _ in range(int(chance() * 4)))
        whole = b"".join(pieces)
        if not odd or chance() < 0.5:
            size = len(whole) + (self._pick([-1, 1, 2]) if odd and chance() < 0.2 else 0)
            framing = (
                (b"Content-Length", b"%d" % size)
                if chance() < 0.5
                else (b"Transfer-Encoding", b"chunked")
            )
            headers = [*headers, framing]
        return headers, whole if chance() < 0.4 else pieces

    # Responses

    def _arrivals(self, oddity: float) -> tuple[bytes, ...]:
        chance = self._random
        # Cases: ordinary; ordinary but for one damage, which may or may not matter; odd, and perhaps damaged.
        kind = chance() / oddity
        odd = kind < 0.5
        stream = self._stream(odd=odd)
        if kind < 0.2 or 0.5 <= kind < 1:
            stream = self._damaged(stream)
        pieces = self._split(stream)
        if chance() < (0.5 if odd else 0.1):
            pieces.append(b"")
        return tuple(pieces)

    def _stream(self, *, odd: bool) -> bytes:
        chance = self._random
        # Cases: something real; made of parts; noise behind a status line; noise.
        kind = chance()
        if not odd:
            stream = self._pick(vocabulary.REAL) if kind < 0.2 else self._made(odd=False)
            return stream + self._pick(vocabulary.TAILS) if chance() < 0.01 else stream
        if kind < 0.2:
            stream = self._pick(vocabulary.REAL)
        elif kind < 0.9:
            stream = self._made(odd=True)
        elif kind < 0.96:
            stream = vocabulary.OK + self._noise(60)
        else:
            stream = self._noise(60)
        if chance() < 0.1:
            stream = self._pick(vocabulary.INTERIM) * (100 if chance() < 0.02 else 1) + stream
        if chance() < 0.1:
            stream += self._pick(vocabulary.TAILS)
        return stream

    def _made(self, *, odd: bool) -> bytes:
        chance = self._random
        start = vocabulary.OK if chance() < 0.7 else self._pick(vocabulary.STATUS_LINES)
        if odd and chance() < 0.25:
            start = self._pick(vocabulary.ODD_STATUS_LINES)
        lines = [self._pick(vocabulary.LINES) for _ in range(int(chance() * 5))]
        if odd:
            for _ in range(int(chance() * 2.5)):
                line = (
                    self._pick(vocabulary.FRAMING)
                    if chance() < 0.6
                    else self._pick(vocabulary.ODD_LINES)
                )
                lines.insert(int(chance() * (len(lines) + 1)), line)
            if chance() < 0.003:
                lines.append(self._large())
        # Cases: chunks; a length; neither.
        kind = chance()
        if kind < 0.4:
            framing = b"Transfer-Encoding: chunked\r\n"
            if odd and chance() < 0.5:
                body = self._chunks()
            else:
                body = self._pick(vocabulary.ODD_CHUNKED if odd else vocabulary.CHUNKED)
        elif kind < 0.85 or not odd:
            body = self._pick(vocabulary.BODIES)
            off = self._pick([-1, 1, 7]) if odd and chance() < 0.2 else 0
            framing = b"Content-Length: %d\r\n" % max(0, len(body) + off)
        else:
            framing = b""
            body = self._pick(vocabulary.BODIES)
        lines.insert(int(chance() * (len(lines) + 1)), framing)
        return b"%s%s\r\n%s" % (start, b"".join(lines), body)

    def _chunks(self) -> bytes:
        """A chunked body, line by line, some of which may end otherwise than they should."""
        chance = self._random
        lines: list[bytes] = []
        for _ in range(int(chance() * 4)):
            data = self._pick(vocabulary.BODIES)
            lines += [self._pick([b"%x", b"%x", b"%X", b"0%x"]) % len(data), data]
        lines += [b"0", b""]
        ends = (self._pick(vocabulary.ENDS) if chance() < 0.1 else b"\r\n" for _ in lines)
        return b"".join(line + end for line, end in zip(lines, ends, strict=True))

    def _large(self) -> bytes:
        """A head at the bounds of what is kept of it."""
        size = 100 * 1024 + int((self._random() - 0.5) * 2000)
        if self._random() < 0.5:
            return b"X-Large: %s\r\n" % (b"x" * size)
        return b"X-Many: abc\r\n" * (size // 13)

    def _noise(self, most: int) -> bytes:
        return self._rng.randbytes(int(self._random() * (most + 1)))

    def _damaged(self, stream: bytes) -> bytes:
        chance = self._random
        for _ in range(1 + int(chance() * 1.3)):
            size = len(stream)
            at = int(chance() * (size + 1))
            # Cases: a line's end replaced; a byte; something inserted; a range cut out; cut off; doubled; spliced with another.
            kind = chance()
            if kind < 0.15:
                lines = stream.split(b"\r\n")
                at = 1 + int(chance() * (len(lines) - 1))
                stream = (
                    b"\r\n".join(lines[:at])
                    + self._pick(vocabulary.ENDS)
                    + b"\r\n".join(lines[at:])
                )
            elif kind < 0.3:
                stream = stream[:at] + bytes([int(chance() * 256)]) + stream[at + 1 :]
            elif kind < 0.6:
                stream = stream[:at] + self._pick(vocabulary.TOKENS) + stream[at:]
            elif kind < 0.75:
                stream = stream[:at] + stream[at + 1 + int(chance() * 4) :]
            elif kind < 0.85:
                stream = stream[:at]
            elif kind < 0.92:
                stream = stream[: at + 1 + int(chance() * 20)] + stream[at:]
            else:
                other = self._pick(vocabulary.REAL)
                stream = stream[:at] + other[int(chance() * len(other)) :]
        return stream

    def _split(self, stream: bytes) -> list[bytes]:
        chance = self._random
        kind = chance()
        size = len(stream)
        if kind < 0.5 or size < 2:
            return [stream] if stream else []
        # Cases: behind the head; at lines' ends; anywhere; in several places; everywhere.
        if kind < 0.6:
            cuts = {stream.find(b"\r\n\r\n") + 4 + int((chance() - 0.5) * 4)}
        elif kind < 0.76:
            ends = (stream.find(b"\n", int(chance() * size)) for _ in range(1 + int(chance() * 3)))
            cuts = {end + int(chance() * 3) - 1 for end in ends}
        elif kind < 0.85:
            cuts = {int(chance() * size)}
        elif kind < 0.98 or size > 400:
            cuts = {int(chance() * size) for _ in range(2 + int(chance() * 4))}
        else:
            cuts = set(range(1, size))
        edges = [0, *sorted(cut for cut in cuts if 0 < cut < size), size]
        return [stream[start:end] for start, end in pairwise(edges)]
