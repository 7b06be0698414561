"""Nothing is lost that the policy promised to keep, and nothing is sent twice that must not be: real servers, under load.

Every test has a client of each colour and each protocol at once. What is asserted stands in the ledgers; nothing is said
of speed, so that a busy machine does not matter.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .calls import BEGUN, KINDS
from .fleet import Fleet, running
from .house import Behaviour
from .reconcile import Report
from .storm import SETTINGS, Script, storm

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGSTOP") or not Path("/proc/self/fd").exists(),
    reason="it stops processes, and counts files, as Linux does",
)

# Of those who can be sent elsewhere, nobody fails while an endpoint is well, but where half an answer was here already.
KEPT = {"allowed": {BEGUN}}
# A server that fails goes on being asked.
UNFORGIVING: dict[str, Any] = {"breaker": False, "endpoints": {"eject": False}}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Three servers."""
    with running(3) as servers:
        yield servers


def sound(report: Report) -> Report:
    assert [] == report.faults, str(report)
    assert report.counts["succeeded"] > 50
    return report


def behaving(seconds: float, behaviour: Behaviour, *which: int) -> Script:
    """Some servers, all by default, behave so for a while."""

    def script(fleet: Fleet) -> None:
        time.sleep(0.3)
        for index in which or range(len(fleet.servers)):
            fleet[index].behave(behaviour)
        time.sleep(seconds)

    return script


def test_one_of_three_is_killed_and_comes_back(fleet: Fleet) -> None:
    """
    What it was given is sent elsewhere, if it may be; whatever was to connect to it in vain is, and arrives once.
    """

    def script(fleet: Fleet) -> None:
        for _ in range(2):
            time.sleep(0.3)
            fleet[0].kill()
            time.sleep(0.5)
            fleet[0].start()

    kinds = ("get", "put", "keyed post", "upload", "post", "post", "post")
    report = sound(storm(fleet, script, UNFORGIVING, promise=KEPT, kinds=kinds))
    assert report.counts["tried again, as it never left"] > 0


def test_one_of_three_is_stopped_and_goes_on(fleet: Fleet) -> None:
    """
    Connections to it stand, and nothing comes back. What it answers in the end, to whom has left, is nobody else's answer.
    """

    def script(fleet: Fleet) -> None:
        time.sleep(0.3)
        fleet[0].stop()
        time.sleep(1.3)
        fleet[0].go_on()
        time.sleep(0.3)

    report = sound(storm(fleet, script, promise=KEPT))
    assert report.counts["retries"] > 0
    assert report.counts["attempts that arrived"] > report.counts["calls"]


def test_one_of_three_becomes_a_hundred_times_slower(fleet: Fleet) -> None:
    """
    Hedges are sent elsewhere and win; what they leave behind is gone, and none is sent for what has no name.
    """
    hedging = {"delay": 0.1, "most_load": 0.5}
    script = behaving(1.3, Behaviour(slow=0.4), 0)
    report = sound(storm(fleet, script, {"hedging": hedging}, promise=KEPT))
    assert report.counts["hedges that won"] > 0


def test_all_are_replaced_one_after_the_other(fleet: Fleet) -> None:
    """
    A server that is told to end answers what it has begun, and says so to HTTP/2's clients.
    """

    def script(fleet: Fleet) -> None:
        for server in fleet.servers:
            time.sleep(0.3)
            server.end()
            time.sleep(0.1)
            server.start()

    sound(storm(fleet, script, promise=KEPT))


def test_all_are_down_for_a_while(fleet: Fleet) -> None:
    """
    Every call ends, in time and for a reason that has a name; afterwards circuits close, and all is as before.
    """

    def script(fleet: Fleet) -> None:
        time.sleep(0.3)
        fleet.kill()
        time.sleep(0.7)
        fleet.start()

    report = sound(storm(fleet, script))
    assert report.counts["breaks of circuits"] > 0
    assert report.counts["calls"] > report.counts["succeeded"]


def test_all_are_stopped_for_longer_than_a_call_may_take(fleet: Fleet) -> None:
    """
    The deadline bounds every call, and the bulkhead how many wait for nothing.
    """

    def script(fleet: Fleet) -> None:
        time.sleep(0.3)
        for server in fleet.servers:
            server.stop()
        time.sleep(1.5)
        for server in fleet.servers:
            server.go_on()

    timeouts = {"connect": 1.0, "read": 5.0, "pool": 1.0, "attempt": None, "total": 0.8}
    bulkhead = {"limit": 3, "queue": 1, "patience": 0.3}
    report = sound(
        storm(fleet, script, {"timeouts": timeouts, "bulkhead": bulkhead, **UNFORGIVING})
    )
    reasons = {reason for _, reason in report.reasons}
    assert {"the deadline passed", "BulkheadFull"} <= reasons


@pytest.mark.parametrize("cut", ["head", "body", "applied"])
def test_one_of_three_cuts_every_connection(fleet: Fleet, cut: str) -> None:
    """
    Before, while and after it carries out a request. A key makes the second sending of it harmless.
    """
    script = behaving(0.9, Behaviour(cut=cut), 0)
    report = sound(storm(fleet, script, UNFORGIVING, promise=KEPT))
    assert report.counts["retries"] > 0
    assert (report.counts["times a key was known already"] > 0) == (cut == "applied")


def test_one_of_three_dies_in_the_midst_of_an_answer(fleet: Fleet) -> None:
    """
    Half an answer is an error, and never an answer.
    """

    def script(fleet: Fleet) -> None:
        for _ in range(3):
            time.sleep(0.2)
            fleet[0].behave(Behaviour(cut="answer", die=True))
            time.sleep(0.3)
            fleet[0].heal()

    report = sound(storm(fleet, script, promise=KEPT))
    assert BEGUN in {reason for _, reason in report.reasons}


def test_idle_connections_are_closed_as_requests_arrive(fleet: Fleet) -> None:
    """
    What was lost with an idle connection is sent once more, if it may be.
    """
    script = behaving(1.5, Behaviour(keep_alive=0.05))
    load: dict[str, Any] = {"pace": 0.05, "workers": 3}
    sound(storm(fleet, script, UNFORGIVING, protocols=("h1",), promise=KEPT, **load))


def test_streams_are_refused_unprocessed(fleet: Fleet) -> None:
    """
    What an HTTP/2 server says it has not touched is sent again, whatever it is.
    """
    script = behaving(1.2, Behaviour(cut="refuse", rate=0.5), 0)
    report = sound(storm(fleet, script, protocols=("h2",)))
    assert report.counts["refused unprocessed (HTTP/2)"] > 0
    assert report.counts["resent by the transport"] > 0


def test_every_attempt_is_counted_on_both_sides(fleet: Fleet) -> None:
    """
    Where nothing is lost on the way, the servers have seen each attempt that the clients know of, and no other.
    """
    timeouts = {**SETTINGS["timeouts"], "read": 10.0, "attempt": 10.0, "total": 20.0}
    settings = {"timeouts": timeouts, **UNFORGIVING}
    script = behaving(1.2, Behaviour(status=503), 0)
    kinds = tuple(name for name, kind in KINDS.items() if kind.patience is None)
    report = sound(storm(fleet, script, settings, promise={**KEPT, "exact": True}, kinds=kinds))
    assert report.counts["retries"] > 0


def test_the_endpoints_are_others_from_one_moment_to_the_next(fleet: Fleet, tmp_path: Path) -> None:
    """
    A watched file names the servers: who is taken out may end or die, and who is new is asked.
    """
    file = tmp_path / "endpoints.json"

    def name(*indexes: int) -> None:
        (tmp_path / "new").write_text(json.dumps({"ledger": [fleet[i].url for i in indexes]}))
        (tmp_path / "new").replace(file)

    def script(fleet: Fleet) -> None:
        time.sleep(0.3)
        name(1, 2)
        time.sleep(1.0)
        fleet[0].replace()
        name(2, 0)
        time.sleep(1.0)
        fleet[1].kill()
        time.sleep(0.3)

    name(0, 1)
    settings = {"endpoints": {"addresses": (), "file": str(file), "refresh": 0.1}}
    report = sound(storm(fleet, script, settings, promise=KEPT))
    assert 0 == report.counts["ejections"]


OUTAGE = {"budget": {"share": 0.2, "window": 1.0, "floor": 1.0}, **UNFORGIVING}


def test_an_outage_is_not_made_worse(fleet: Fleet) -> None:
    """
    All answer 503; the servers see a fifth more than the callers asked for, and what the floor gives.
    """
    report = sound(storm(fleet, behaving(1.3, Behaviour(status=503)), OUTAGE, pace=0.05))
    assert report.counts["refusals by the budget"] > 0


# What the ledgers say of policies that are wrong.


def test_without_a_budget_the_ledgers_tell_of_a_retry_storm(fleet: Fleet) -> None:
    """
    The same outage, and clients that were not told to keep to the budget.
    """
    report = storm(
        fleet,
        behaving(1.3, Behaviour(status=503)),
        {**OUTAGE, "budget": False},
        promise=OUTAGE["budget"],
        pace=0.05,
    )
    assert any("would have been allowed" in fault for fault in report.faults)


@pytest.mark.parametrize("protocols", [("h1",), ("h2",)])
def test_a_post_without_a_key_that_is_retried_is_seen_twice(
    fleet: Fleet, protocols: tuple[str, ...]
) -> None:
    """
    Whoever calls POST idempotent has it applied twice, and the servers' ledger says so.
    """
    methods = ("GET", "PUT", "POST")
    script = behaving(1.0, Behaviour(cut="applied"), 0)
    settings = {
        "retries": {**SETTINGS["retries"], "methods": methods},
        **UNFORGIVING,
    }
    report = storm(fleet, script, settings, protocols=protocols, kinds=("get", "post"))
    assert any("(post): sent twice" in fault for fault in report.faults)
    assert any("(post): applied 2 times" in fault for fault in report.faults)
    assert all("(post)" in fault for fault in report.faults), report.faults
