"""The reconciliation finds what it looks for: two ledgers that agree, and each way in which they might not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from scallion.middlewares.retry_state import Attempt

from .calls import Call
from .ledger import Line
from .reconcile import Policy, reconcile

POLICY = Policy(total=2.0, slack=0.5, share=0.0, floor=0.0, window=1.0)


@dataclass
class Books:
    """Both ledgers of a few calls.

    Attributes:
        lines: By the number of the call, from 0.
    """

    calls: list[Call] = field(default_factory=list)
    lines: list[list[Line]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)

    def faults(self, policy: Policy = POLICY) -> list[str]:
        lines = [line for each in self.lines for line in each]
        report = reconcile(
            self.calls, lines, policy, seconds=1.0, killed=self.killed, keys=self.keys
        )
        return report.faults

    def change(self, call: int, event: str, **changes: object) -> None:
        """Change the line of an event."""
        self.lines[call] = [
            replace(line, **changes) if line.event == event else line  # type: ignore[arg-type]
            for line in self.lines[call]
        ]

    def drop(self, call: int, *events: str) -> None:
        self.lines[call] = [line for line in self.lines[call] if line.event not in events]


METHODS = {"get": "GET", "put": "PUT", "post": "POST", "keyed post": "POST"}
POST, KEYED, GET, FAILED, RETRIED = range(5)


def books() -> Books:
    """A POST, a keyed one, a GET, a POST that failed, and a GET that was tried twice."""
    made = Books()
    for number, kind in enumerate(("post", "keyed post", "get", "post", "get")):
        call = Call(f"x.{number}", "x", kind, began=10.0, ended=10.1, status=200)
        call.outcome = "answered"
        call.events.append(("endpoint.chosen", {}))
        key = f"key-{number}" if kind.startswith("keyed") else None
        line = Line("head", call.id, METHODS[kind], key=key, server="a", pid=1)
        events = ["head", "arrived", *(() if kind == "get" else ("applied",))]
        lines = [replace(line, event=event) for event in events]
        answer = replace(line, event="answering", answer=f"a.{number}", status=200)
        lines += [answer, replace(answer, event="answered")]
        call.told = {"call": call.id, "answer": f"a.{number}", "attempt": 1}
        call.told["digest"] = hashlib.sha256(b"" if kind == "get" else call.body).hexdigest()
        made.calls.append(call)
        made.lines.append(lines)
    made.keys["key-1"] = "x.1"
    _fail(made.calls[FAILED])
    made.drop(FAILED, "applied", "answering", "answered")
    _try_twice(made)
    return made


def _fail(call: Call) -> None:
    call.outcome, call.status, call.told = "ReadError", None, {}
    call.events.append(("retry.end", {"reason": "not idempotent"}))


def _try_twice(made: Books) -> None:
    call = made.calls[RETRIED]
    call.events += [("retry", {}), ("endpoint.chosen", {})]
    call.attempts = (Attempt(1, 503, None, 0.1), Attempt(2, 200, None, 0.0))
    call.told["attempt"] = 2
    first = [replace(line, server="b", pid=2) for line in made.lines[RETRIED]]
    first = [replace(line, answer="b.4", status=503) if line.answer else line for line in first]
    made.lines[RETRIED] = first + [replace(line, attempt=2) for line in made.lines[RETRIED]]


LENIENT = replace(POLICY, share=0.2)


def test_ledgers_that_agree_have_no_fault() -> None:
    """
    Failures that the policy names, and attempts that the budget has room for, are none.
    """
    assert [] == books().faults(LENIENT)
    assert [] == books().faults(replace(LENIENT, exact=True))


def sent_twice(made: Books) -> None:
    made.lines[POST] *= 2


def sent_twice_of_which_one_half(made: Books) -> None:
    made.lines[FAILED].append(replace(made.lines[FAILED][0], server="b"))


def key_applied_twice(made: Books) -> None:
    made.lines[KEYED].append(next(x for x in made.lines[KEYED] if x.event == "applied"))


def other_key(made: Books) -> None:
    made.change(KEYED, "arrived", key="key-9")


def key_lost(made: Books) -> None:
    made.lines[KEYED] = [replace(line, key=None) for line in made.lines[KEYED]]


def key_of_another(made: Books) -> None:
    made.keys["key-1"] = "x.0"


def key_not_asked_for(made: Books) -> None:
    made.lines[POST] = [replace(line, key="key-0") for line in made.lines[POST]]


def key_shared(made: Books) -> None:
    made.lines[POST] = [replace(line, key="key-1") for line in made.lines[POST]]


def answer_of_another(made: Books) -> None:
    made.calls[GET].told = made.calls[POST].told


def answer_from_nowhere(made: Books) -> None:
    made.drop(GET, "answering")


def answer_given_twice(made: Books) -> None:
    made.change(GET, "answering", answer="a.0")


def answer_not_ended(made: Books) -> None:
    made.drop(GET, "answered")


def answer_of_another_status(made: Books) -> None:
    made.calls[GET].status = 503


def not_applied(made: Books) -> None:
    made.drop(POST, "applied")


def not_arrived(made: Books) -> None:
    made.drop(GET, "arrived")


def body_of_another(made: Books) -> None:
    made.calls[POST].told["digest"] = made.calls[KEYED].digest


def wrong_number(made: Books) -> None:
    made.lines[GET] = [replace(line, attempt=2) for line in made.lines[GET]]


def number_repeated(made: Books) -> None:
    made.lines[RETRIED] = [replace(line, attempt=2) for line in made.lines[RETRIED]]


def history_lost(made: Books) -> None:
    made.calls[RETRIED].attempts = ()


def history_made_up(made: Books) -> None:
    made.lines[RETRIED] = [line for line in made.lines[RETRIED] if line.status != 503]


def more_came_than_were_sent(made: Books) -> None:
    made.calls[RETRIED].events.remove(("endpoint.chosen", {}))


def never_ended(made: Books) -> None:
    made.calls[GET].ended = None


def too_late(made: Books) -> None:
    made.calls[GET].ended = 13.0


def without_a_reason(made: Books) -> None:
    made.calls[FAILED].events.pop()


def failed_though_promised(made: Books) -> None:
    _fail(made.calls[GET])


def from_nobody(made: Books) -> None:
    made.calls.pop()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (sent_twice, "x.0 (post): sent twice: 2 times 'head'"),
        (sent_twice, "x.0 (post): applied 2 times"),
        (sent_twice_of_which_one_half, "x.3 (post): sent twice: 2 times 'head'"),
        (key_applied_twice, "applied 2 times"),
        (other_key, "attempts with different keys"),
        (key_lost, "the key is {None}"),
        (key_of_another, "its key stands for {'x.0'}"),
        (key_not_asked_for, "x.0 (post): the key is {'key-0'}"),
        (key_shared, "one key for several calls: key-1, ['x.0', 'x.1']"),
        (answer_of_another, "x.2 (get): the answer is for x.0"),
        (answer_from_nowhere, "0 of 0 lines have its answer a.2"),
        (answer_given_twice, "1 of 2 lines have its answer a.0"),
        (answer_not_ended, "the answer a.2 has no end"),
        (answer_of_another_status, "answered 200, received 503"),
        (not_applied, "it succeeded without having been applied"),
        (not_arrived, "it succeeded without having arrived"),
        (body_of_another, "another body arrived"),
        (wrong_number, "x.2 (get): attempts [2] of 1"),
        (number_repeated, "an attempt came oftener than 1 times: {2: 2}"),
        (history_lost, "1 retries, and a history of 0"),
        (history_made_up, "nobody answered Attempt 1: status 503"),
        (more_came_than_were_sent, "2 attempts came, and 1 were sent"),
        (never_ended, "it never ended"),
        (too_late, "it took 3.00 s of 2"),
        (without_a_reason, "it failed without a reason of the policy's (None): ReadError"),
        (failed_though_promised, "it was promised, and failed, as not idempotent"),
        (from_nobody, "x.4: the servers saw a call that nobody made"),
    ],
)
def test_each_difference_is_a_fault(spoil: Callable[[Books], None], told: str) -> None:
    """
    It says which call, and what of it.
    """
    made = books()
    spoil(made)
    assert _tells(made.faults(replace(LENIENT, allowed=())), told)


def test_attempts_beyond_the_budget_are_a_fault() -> None:
    """
    Six came of five calls, and no share of them was granted.
    """
    told = "x: 6 attempts for 5 calls, and 5 would have been allowed"
    assert [told] == books().faults()


def test_what_does_not_arrive_is_a_fault_where_nothing_is_lost() -> None:
    """
    Elsewhere a killed server may have had it.
    """
    made = books()
    made.lines[FAILED] = []
    assert [] == made.faults(LENIENT)
    assert _tells(made.faults(replace(LENIENT, exact=True)), "1 attempts were sent, and 0 came")


def test_a_killed_server_need_not_have_ended_its_answer() -> None:
    """
    The bytes had left, and the line had not been written.
    """
    made = books()
    made.drop(GET, "answered")
    made.killed.add(1)
    assert [] == made.faults(LENIENT)


def _tells(faults: Sequence[str], told: str) -> bool:
    return any(told in fault for fault in faults)
