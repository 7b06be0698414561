"""A recording in memory: which entries are there, which of them answer, which are new, and when it is written.

Safe to share between threads: what changes changes under one lock, held for no wait but the file's own.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scallion.pipeline.bodies import EMPTY
from scallion.pipeline.errors import RequestError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from . import files
from .entries import Har, comparable, error_entry, request_entry, response_entry
from .matching import Matcher, likeness, matchers
from .redacting import redacted_entries, redacted_request
from .redaction import Redaction, Redactor
from .tees import Taken, taken

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Exchange", "Mode", "NotRecorded", "Tape"]

Mode: TypeAlias = Literal["once", "none", "all", "new"]

_KEPT = ("http_version", "reason_phrase", "trailers")
_MODES = ("once", "none", "all", "new")
_HINTS = {
    "once": 'to record it, delete the file, or use mode="new"',
    "none": 'to record it, use mode="new" (or "all", which records everything anew)',
    "new": "",
    "all": "",
}


class NotRecorded(AssertionError):
    """A request has no answer in the recording, or its answer was not recorded as far as it was read now.

    It is no `RequestError`, so that retries and handlers of network failures do not take it for one.
    """


@dataclass
class _Entry:
    """One recorded exchange.

    Attributes:
        request: What is compared; None if it cannot be replayed, such as what a browser blocked.
        answered: How often it has answered.
    """

    har: Har
    request: Request | None
    answered: int = 0


@dataclass(eq=False)
class Exchange:
    """One that is being recorded.

    Attributes:
        number: Its place among those of this recording, by when they began.
        sent: The request as it was then.
        response: The response's head, once it is there.
        error: What the program got instead, or in the midst of the body.
        done: Whether it is over.
    """

    number: int
    sent: Request
    request_body: Taken
    body: Taken
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=time.perf_counter)
    answered: float | None = None
    ended: float | None = None
    response: Response | None = None
    error: RequestError | None = None
    done: bool = False

    def respond(self, response: Response) -> None:
        """Keep what a response's head says now; its trailers are still to come.

        Its stream is not kept: a response that is forgotten gives its connection back when it is collected.
        """
        self.answered = time.perf_counter()
        self.response = Response(
            response.status_code,
            headers=response.headers.copy(),
            stream=EMPTY,
            extensions=response.extensions,
        )

    def end(self) -> None:
        self.ended = time.perf_counter()
        if self.response is not None:
            # The others lead to the connection.
            known = self.response.extensions
            self.response.extensions = {name: known[name] for name in _KEPT if name in known}
        self.done = True

    def har(self, *, errors: bool) -> Har:
        """The entry, of what there is by now."""
        answered = self.answered or self.ended or time.perf_counter()
        wait = _milliseconds(answered - self.began)
        receive = _milliseconds((self.ended or time.perf_counter()) - answered)
        request = request_entry(self.sent, self.request_body)
        if self.response is None:
            response = error_entry()
        else:
            response = response_entry(self.response, self.body)
            request["httpVersion"] = response["httpVersion"]
        entry: Har = {
            "startedDateTime": self.started.isoformat(timespec="milliseconds").replace(
                "+00:00", "Z"
            ),
            "time": wait + receive,
            "request": request,
            "response": response,
            "cache": {},
            "timings": {"send": 0, "wait": wait, "receive": receive},
        }
        error = self.error or self.body.error
        if error is not None and errors:
            entry["_error"] = {"type": type(error).__name__, "message": str(error)}
        return entry


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


class Tape:
    """The entries of one file, and those that are added to it. Arguments as of `Recorder`.

    Attributes:
        replays: Whether recorded entries answer.
        records: Whether requests without an entry are sent and recorded.
        needs_body: Whether a request's body is compared.
    """

    def __init__(
        self,
        path: Path,
        mode: Mode,
        match: Sequence[Matcher],
        redact: Redaction | None,
        *,
        repeat: bool,
        errors: bool,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode is one of {', '.join(map(repr, _MODES))}, not {mode!r}")
        self.path = path
        self.mode = mode
        self.errors = errors
        self._repeat = repeat
        self._matchers = matchers(match)
        self.needs_body = any(callable(item) or item in ("body", "raw_body") for item in match)
        self._redactor = None if redact is None else Redactor(redact)
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._began = 0
        self._seen = files.read(path)
        there = self._seen is not None
        self.replays = mode in ("none", "new") or (mode == "once" and there)
        self.records = mode in ("all", "new") or (mode == "once" and not there)
        self._log = files.new_log()
        # What the file will hold besides what is recorded now.
        self._kept: list[Har] = []
        self._entries: list[_Entry] = []
        if self._seen is not None and mode != "all":
            self._load(self._seen)

    def _load(self, data: bytes) -> None:
        self._log = files.parsed(data, self.path)
        self._kept = self._redacted(self._log["entries"])
        self._entries = [_Entry(har, _comparable(har)) for har in self._kept]

    def _redacted(self, entries: list[Har]) -> list[Har]:
        # Browsers' recordings are redacted as well: they are compared with what is, and may be written again.
        return entries if self._redactor is None else redacted_entries(entries, self._redactor)

    # Replaying.

    def play(self, request: Request, body: Taken | None) -> Har | None:
        """The next entry that answers `request`, None if there is none."""
        with self._lock:
            live = self._live(request, body)
            last = None
            for entry in self._entries:
                if entry.request is None or self._differences(live, entry.request):
                    continue
                if not entry.answered:
                    entry.answered += 1
                    return entry.har
                last = entry
            if last is None or not self._repeat:
                return None
            last.answered += 1
            return last.har

    def refusal(self, request: Request, body: Taken | None) -> NotRecorded:
        """The error for a request that no entry answers: it names the nearest and the difference."""
        with self._lock:
            live = self._live(request, body)
            entries = [
                (number, entry, entry.request)
                for number, entry in enumerate(self._entries, 1)
                if entry.request is not None
            ]
            asked = f"{live.method} {live.url}"
            mode = f'mode="{self.mode}"'
            if not entries:
                what = "is empty" if self._seen is not None else "does not exist"
                return NotRecorded(
                    f"{asked} is not recorded: {self.path} {what} ({mode}); {_HINTS[self.mode]}."
                )
            judged = [
                (self._differences(live, recorded), number, entry, recorded)
                for number, entry, recorded in entries
            ]
            answered = [number for different, number, _, _ in judged if not different]
            if answered:
                return NotRecorded(
                    f"{asked} was asked for more often than it is recorded: in {self.path} ({mode}) {_numbers(answered)} "
                    f"answered already; to use the last one again and again, give repeat=True; {_HINTS[self.mode]}."
                )
            different, number, entry, recorded = max(
                judged, key=lambda item: likeness(live, item[3], len(item[0]))
            )
            lines = "".join(f"\n  {name}: {difference}" for name, difference in different)
            spent = ", which has answered already" if entry.answered else ""
            return NotRecorded(
                f"{asked} is not recorded in {self.path} ({mode}); {_HINTS[self.mode]}.\n"
                f"The nearest of {len(entries)} is entry {number}, {recorded.method} {recorded.url}{spent}; "
                f"it differs in{lines}"
            )

    def _live(self, request: Request, body: Taken | None) -> Request:
        har = request_entry(request, body or taken(b"", None))
        return comparable(har if self._redactor is None else redacted_request(har, self._redactor))

    def _differences(self, live: Request, recorded: Request) -> list[tuple[str, str]]:
        found = [(name, matcher(live, recorded)) for name, matcher in self._matchers]
        return [(name, difference) for name, difference in found if difference is not None]

    @property
    def unused(self) -> list[str]:
        with self._lock:
            return [
                f"{entry.request.method} {entry.request.url}"
                for entry in self._entries
                if entry.request is not None and not entry.answered
            ]

    # Recording.

    def begin(self, sent: Request, request_body: Taken, body: Taken) -> Exchange:
        with self._lock:
            self._began += 1
            exchange = Exchange(self._began, sent, request_body, body)
            self._exchanges.append(exchange)
            return exchange

    def drop(self, exchange: Exchange) -> None:
        """It is not to be recorded."""
        with self._lock:
            self._exchanges = [other for other in self._exchanges if other is not exchange]

    def discard(self) -> None:
        """Forget what has been recorded and not been written."""
        with self._lock:
            self._exchanges.clear()

    @property
    def unwritten(self) -> int:
        return len(self._exchanges)

    def save(self, *, everything: bool) -> None:
        """Write what is new, if anything is; with `everything`, responses that are still open as well.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            ready = [exchange for exchange in self._exchanges if everything or exchange.done]
            if not ready:
                return
            new = [exchange.har(errors=self.errors) for exchange in ready]
            with files.changing(self.path):
                self._adopt(files.read(self.path))
                entries = self._redacted([*self._kept, *new])
                data = files.printed({**self._log, "entries": entries})
                files.write(self.path, data)
            self._seen, self._kept = data, entries
            self._exchanges = [exchange for exchange in self._exchanges if exchange not in ready]
        for entry in self._kept[-len(new) :]:
            _warn_of_omissions(entry, self.path)

    def _adopt(self, current: bytes | None) -> None:
        """Keep what others have written since this recording was opened."""
        if current is None or current == self._seen:
            return
        self._log = files.parsed(current, self.path)
        self._kept = self._log["entries"]

    def __repr__(self) -> str:
        state: list[Any] = []
        with self._lock:
            if self.replays:
                answered = sum(1 for entry in self._entries if entry.answered)
                state.append(f"{answered} of {len(self._entries)} entries have answered")
            if self.records:
                state.append(f"{len(self._exchanges)} recorded, not written")
        return f'{self.path} mode="{self.mode}", {", ".join(state)}'


def _warn_of_omissions(entry: Har, path: Path) -> None:
    for what, body in (
        ("response", entry["response"]["content"]),
        ("request", entry["request"].get("postData") or {}),
    ):
        if "_omitted" in body:
            warnings.warn(
                f"{path} lacks the {what}'s body of {entry['request']['method']} {entry['request']['url']}: it is "
                f"{body['_omitted']}; see Recorder(max_body=...)",
                UserWarning,
                stacklevel=2,
            )


def _numbers(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"entry {numbers[0]} has"
    return f"entries {', '.join(map(str, numbers))} have"


def _comparable(har: Har) -> Request | None:
    # Cases: of ours, an error; of a browser, what it blocked or aborted; what no HTTP client can ask for.
    if not har["response"]["status"] and not isinstance(har.get("_error"), dict):
        return None
    try:
        return comparable(har["request"])
    except ValueError:
        return None
