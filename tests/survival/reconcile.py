"""Two ledgers are compared: what the callers were told, and what the servers saw. Each difference is a fault, in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .calls import KINDS, Call, reason_of
from .ledger import Line

__all__ = ["REASONS", "Policy", "Report", "reconcile"]

REASONS = frozenset(
    {
        "no attempts left",
        "not idempotent",
        "the body cannot be sent again",
        "the retry budget is exhausted",
        "the deadline comes first",
        "the deadline passed",
        "the answer had begun",
        "CircuitOpen",
        "BulkheadFull",
    }
)
"""Why a call may fail."""


@dataclass(frozen=True)
class Policy:
    """What the clients promise.

    Attributes:
        total: Seconds that a call takes at most.
        slack: Seconds by which a busy machine may be late with that.
        share, floor, window: Those of the retry budget.
        allowed: For which reasons a call that the policy repeats may fail nevertheless.
        exact: Whether the servers saw everything that was sent: none was killed or stopped, and nobody gave up.
    """

    total: float
    slack: float = 3.0
    share: float = 0.2
    floor: float = 10.0
    window: float = 10.0
    allowed: Collection[str] = REASONS
    exact: bool = False


@dataclass
class Report:
    """What was found. `str` is a table for people.

    Attributes:
        faults: What should not be.
        kinds: Calls, by kind.
        reasons: Failures, by kind and reason.
        counts: How many calls, successes, attempts on the servers and so on.
    """

    faults: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        self.faults += other.faults
        self.kinds += other.kinds
        self.reasons += other.reasons
        self.counts += other.counts

    def __str__(self) -> str:
        lines = [f"{name:34} {many:7}" for name, many in self.counts.items()]
        for kind, many in sorted(self.kinds.items()):
            failed = ", ".join(
                f"{number} {reason}" for (of, reason), number in self.reasons.items() if of == kind
            )
            lines.append(f"{kind:34} {many:7}" + (f"  failed: {failed}" if failed else ""))
        lines.append(f"{'faults':34} {len(self.faults):7}")
        return "\n".join([*lines, *self.faults])


def reconcile(
    calls: Sequence[Call],
    lines: Sequence[Line],
    policy: Policy,
    *,
    seconds: float,
    killed: Collection[int] = (),
    keys: Mapping[str, str] | None = None,
) -> Report:
    """Compare the callers' ledger with the servers'.

    Args:
        calls: All that were made.
        lines: Of all servers.
        policy: What is promised.
        seconds: For how long calls were made.
        killed: The ids of servers' processes that had no time to end.
        keys: The idempotency keys that the servers know, and for which call; None if nobody asks.
    """
    report = Report()
    by_call: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_call[line.call].append(line)
    unknown = by_call.keys() - {call.id for call in calls}
    report.faults += [f"{name}: the servers saw a call that nobody made" for name in unknown]
    answers = Counter(line.answer for line in lines if line.event == "answering")
    for call in calls:
        seen = by_call.get(call.id, [])
        for check in _CHECKS:
            report.faults += [f"{call.id} ({call.kind}): {one}" for one in check(call, seen)]
        report.faults += [
            f"{call.id} ({call.kind}): {one}"
            for one in (
                *_promise(call, policy),
                *_answer(call, seen, answers, killed),
                *(_exactness(call, seen) if policy.exact else ()),
                *(_store(call, seen, keys) if keys is not None else ()),
            )
        ]
    report.faults += _shared_keys(lines)
    report.faults += _budget(calls, by_call, policy, seconds)
    _count(report, calls, lines)
    return report


# Each says what is wrong with one call.


def _once(call: Call, seen: list[Line]) -> Iterator[str]:
    """What must not be sent twice arrives once at most; what has a key is applied once at most."""
    kind = KINDS[call.kind]
    # A PUT whose body nobody has touched yet may begin anew.
    for event in ("head", "arrived"):
        many = _many(seen, event)
        if many > 1 and kind.once and (event == "arrived" or kind.method == "POST"):
            yield f"sent twice: {many} times {event!r}"
    if (kind.once or kind.keyed) and _many(seen, "applied") > 1:
        yield f"applied {_many(seen, 'applied')} times"


def _keys(call: Call, seen: list[Line]) -> Iterator[str]:
    """All attempts of a call have one key, if it is to have one."""
    keys = {line.key for line in seen}
    if len(keys) > 1:
        yield f"attempts with different keys: {keys}"
    if seen and (None not in keys) != KINDS[call.kind].keyed:
        yield f"the key is {keys}"


def _numbers(call: Call, seen: list[Line]) -> Iterator[str]:
    """The servers saw no more attempts than were made, and each under its number."""
    heads = Counter(line.attempt for line in seen if line.event == "head")
    attempts = max(1, len(call.attempts), call.count("retry") + 1)
    wrong = [number for number in heads if not 1 <= number <= attempts]
    if wrong:
        yield f"attempts {wrong} of {attempts}"
    copies = 1 + call.count("hedge.sent") + call.resent
    if any(many > copies for many in heads.values()):
        yield f"an attempt came oftener than {copies} times: {dict(heads)}"
    if heads.total() > call.sent:
        yield f"{heads.total()} attempts came, and {call.sent} were sent"
    # Cancelled, a caller is told nothing.
    if call.outcome != "cancelled" and max(1, len(call.attempts)) != call.count("retry") + 1:
        yield (
            f"{call.count('retry')} retries, and a history of {len(call.attempts)}: "
            f"{call.outcome} {call.status} {call.error}"
        )
    answered = {(line.attempt, line.status) for line in seen if line.event == "answering"}
    for attempt in call.attempts:
        if attempt.status is not None and (attempt.number, attempt.status) not in answered:
            yield f"nobody answered {attempt}"


def _end(call: Call, seen: list[Line]) -> Iterator[str]:
    """Each call ends."""
    if call.ended is None:
        yield "it never ended"


_CHECKS = (_once, _keys, _numbers, _end)


def _promise(call: Call, policy: Policy) -> Iterator[str]:
    """It ends in time, and fails only for a reason that the policy names."""
    took = 0.0 if call.ended is None else call.ended - call.began
    if took > policy.total + policy.slack:
        yield f"it took {took:.2f} s of {policy.total:g}"
    if call.succeeded or call.outcome == "cancelled":
        return
    reason = reason_of(call)
    told = f"{call.outcome} {call.status} {call.error}"
    if reason not in REASONS:
        yield f"it failed without a reason of the policy's ({reason}): {told}"
    elif KINDS[call.kind].promised and reason not in policy.allowed:
        yield f"it was promised, and failed, as {reason}: {told}"


def _answer(
    call: Call, seen: list[Line], answers: Counter[str | None], killed: Collection[int]
) -> Iterator[str]:
    """The answer is one that a server gave to this very call, and what was to be done is done."""
    if call.outcome != "answered":
        return
    told = call.told
    if told.get("call") != call.id:
        yield f"the answer is for {told.get('call')}"
    name = told.get("answer")
    given = [line for line in seen if line.event == "answering" and line.answer == name]
    if len(given) != 1 or answers[name] != 1:
        yield f"{len(given)} of {answers[name]} lines have its answer {name}"
        return
    line = given[0]
    if line.status != call.status:
        yield f"answered {line.status}, received {call.status}"
    if line.attempt != max(1, len(call.attempts)) or told.get("attempt") != line.attempt:
        yield f"attempt {len(call.attempts)}, answered as {line.attempt}"
    gone = line.pid in killed
    if not gone and not any(one.event == "answered" and one.answer == name for one in seen):
        yield f"the answer {name} has no end"
    if call.status != 200:
        return
    kind = KINDS[call.kind]
    if call.digest is not None and told.get("digest") != call.digest:
        yield "another body arrived"
    done = [one.event for one in seen if one.pid == line.pid]
    if "arrived" not in done:
        yield "it succeeded without having arrived"
    if kind.method != "GET" and not {"applied", "replayed"} & set(done):
        yield "it succeeded without having been applied"


def _exactness(call: Call, seen: list[Line]) -> Iterator[str]:
    if call.outcome == "cancelled":
        return
    many = _many(seen, "head") + _many(seen, "refused")
    if many != call.sent:
        yield f"{call.sent} attempts were sent, and {many} came"


def _store(call: Call, seen: list[Line], keys: Mapping[str, str]) -> Iterator[str]:
    """What succeeded under a key stands in the store under it."""
    if KINDS[call.kind].keyed and call.succeeded:
        known = {keys.get(line.key or "") for line in seen}
        if known != {call.id}:
            yield f"its key stands for {known}"


# Each says what is wrong with all of them.


def _shared_keys(lines: Sequence[Line]) -> Iterator[str]:
    owners: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if line.key is not None:
            owners[line.key].add(line.call)
    for key, calls in owners.items():
        if len(calls) > 1:
            yield f"one key for several calls: {key}, {sorted(calls)}"


def _budget(
    calls: Sequence[Call], by_call: Mapping[str, list[Line]], policy: Policy, seconds: float
) -> Iterator[str]:
    """Each client's attempts keep to its budget. In `seconds` and one window there is room for what the floor gives."""
    for load in sorted({call.load for call in calls}):
        own = [call for call in calls if call.load == load]
        came = sum(_many(by_call.get(call.id, []), "head") for call in own)
        most = (
            len(own) * (1 + policy.share)
            + policy.floor * (seconds + policy.window)
            + sum(call.resent for call in own)
        )
        if came > most:
            yield f"{load}: {came} attempts for {len(own)} calls, and {most:.0f} would have been allowed"


def _many(lines: Sequence[Line], event: str) -> int:
    return sum(line.event == event for line in lines)


def _count(report: Report, calls: Sequence[Call], lines: Sequence[Line]) -> None:
    counts = report.counts
    counts["calls"] = len(calls)
    counts["succeeded"] = sum(call.succeeded for call in calls)
    counts["cancelled by their callers"] = sum(call.outcome == "cancelled" for call in calls)
    counts["attempts sent"] = sum(call.sent for call in calls)
    counts["attempts that arrived"] = _many(lines, "head")
    counts["retries"] = sum(call.count("retry") for call in calls)
    counts["hedges"] = sum(call.count("hedge.sent") for call in calls)
    counts["hedges that won"] = sum(call.count("hedge.won") for call in calls)
    counts["tried again, as it never left"] = sum(
        call.succeeded and KINDS[call.kind].once and len(call.attempts) > 1 for call in calls
    )
    counts["resent by the transport"] = sum(call.resent for call in calls)
    counts["refused unprocessed (HTTP/2)"] = _many(lines, "refused")
    counts["times a key was known already"] = _many(lines, "replayed")
    counts["breaks of circuits"] = sum(call.count("breaker.opened") for call in calls)
    counts["ejections"] = sum(call.count("endpoint.ejected") for call in calls)
    counts["refusals by the budget"] = sum(call.count("retry.budget_exhausted") for call in calls)
    for call in calls:
        report.kinds[call.kind] += 1
        if not (call.succeeded or call.outcome == "cancelled"):
            report.reasons[call.kind, reason_of(call) or "?"] += 1
