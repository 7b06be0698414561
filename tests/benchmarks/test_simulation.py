"""Simulations: virtual time is exact and never waits, servers queue as theory says, and each failure shows, and is mended."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scallion import URL

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

# It is a package among programs: found once, and nothing else there shadows anything.
sys.path.append(str(BENCHMARKS))
try:
    from simulation import __main__ as command
    from simulation import clockwork, page, servers, stored, world
    from simulation.ledger import Call, percentile
    from simulation.scenarios import (
        dead_dependency,
        fan_out,
        overload,
        slow_replica,
        storm,
        two_choices,
    )
finally:
    sys.path.remove(str(BENCHMARKS))

STORM = storm.Setting(servers=4, rate=60.0, stall_at=5, stall=5, seconds=45)


# The clock


def test_an_hour_passes_at_once() -> None:
    """
    Sleeping moves the clock by exactly as long, and takes no time.
    """

    async def program(loop: clockwork.VirtualLoop) -> float:
        await asyncio.sleep(3600.0)
        return loop.time() - clockwork.BEGINNING

    began = time.perf_counter()
    passed = clockwork.run(program)

    assert 3600.0 == passed
    assert time.perf_counter() - began < 30.0


def test_timers_ring_in_the_order_of_their_times() -> None:
    """
    Whoever waits less is woken first, whatever the order in which they began; each at its own time.
    """
    rung: list[tuple[float, str]] = []

    async def wait(loop: clockwork.VirtualLoop, seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        rung.append((round(loop.time() - clockwork.BEGINNING, 9), name))

    async def program(loop: clockwork.VirtualLoop) -> None:
        waits = [(3.0, "c"), (1.0, "a"), (2.0, "b"), (1.0, "a again")]
        await asyncio.gather(*(wait(loop, seconds, name) for seconds, name in waits))

    clockwork.run(program)

    assert [(1.0, "a"), (1.0, "a again"), (2.0, "b"), (3.0, "c")] == rung


def test_what_cannot_end_is_reported() -> None:
    """
    Where no timer is left, waiting is an error that says how many wait, and not for ever.
    """

    async def program(loop: clockwork.VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(clockwork.Deadlock, match="1 tasks wait"):
        clockwork.run(program)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda loop: asyncio.open_connection("127.0.0.1", 9),
        lambda loop: asyncio.to_thread(time.sleep, 0),
        lambda loop: loop.getaddrinfo("localhost", 80),
    ],
    ids=["connection", "thread", "name"],
)
def test_nothing_real_can_be_waited_for(attempt: Any) -> None:
    """
    Sockets, threads and names are refused at once, and not mixed into virtual time.
    """

    async def program(loop: clockwork.VirtualLoop) -> None:
        await attempt(loop)

    with pytest.raises(RuntimeError, match="in virtual time"):
        clockwork.run(program)


def test_the_runtime_keeps_deadlines_and_timeouts_on_that_clock() -> None:
    """
    Work is ended at its deadline to the instant, and an event's wait when its time is up.
    """

    async def program(loop: clockwork.VirtualLoop) -> tuple[float, float]:
        runtime = clockwork.VirtualTime(loop)
        began = runtime.clock()
        with pytest.raises(TimeoutError):
            await runtime.bounded(runtime.sleep(100.0), began + 7.0)
        first = runtime.clock() - began
        assert not await runtime.event().wait(5.0)
        return first, runtime.clock() - began - first

    bounded, waited = clockwork.run(program)

    assert 7.0 == bounded
    # Alarms are up to half a millisecond early.
    assert 5.0 == pytest.approx(waited, abs=0.001)


# The servers


def queue(load: float, workers: int, requests: int) -> tuple[float, float, float]:
    """Requests that wait for a server whose work is exponential, and that come at random: mean time there, mean
    number there, and how long it went, all in service times."""
    mean = 1.0
    kept: list[servers.Server] = []

    async def scene(place: world.World) -> None:
        server = servers.Server(place.loop, workers, servers.exponential(place.random, mean))
        kept.append(server)
        place.connect({"queue": server}, 1, world.settings_of(world.BARE))
        seconds = requests * mean / load / workers
        place.offer(load * workers / mean, "http://queue/", seconds)
        await place.pass_time(seconds)

    played = world.play(scene, 7)
    took = [call.took for call in played.ledger.calls]
    return sum(took) / len(took), kept[0].area / played.ledger.now, len(took) / played.ledger.now


@pytest.mark.parametrize(
    ("load", "workers", "expected"),
    # M/M/1: 1 / (1 - load). M/M/2: 1 / (1 - load ** 2).
    [(0.5, 1, 2.0), (0.7, 1, 1 / 0.3), (0.7, 2, 1 / 0.51)],
)
def test_a_queue_is_as_long_as_theory_says(load: float, workers: int, expected: float) -> None:
    """
    The mean time at a server is that of queueing theory, and Little's law holds between time, number and rate.
    """
    mean, number, rate = queue(load, workers, 12_000)

    assert expected == pytest.approx(mean, rel=0.1)
    assert number == pytest.approx(rate * mean, rel=0.02)


def answers(server_of: Any, count: int, *, expires: float = float("inf")) -> Any:
    """A server that was sent so many requests at once, and what each was answered after ten seconds."""

    async def program(loop: clockwork.VirtualLoop) -> Any:
        server = server_of(loop)
        jobs = [servers.Job(loop.create_future(), loop.time() + expires) for _ in range(count)]
        for job in jobs:
            server.submit(job)
        await asyncio.sleep(10.0)
        return server, [job.answer.result() if job.answer.done() else None for job in jobs]

    return clockwork.run(program)


def test_a_full_queue_refuses() -> None:
    """
    One is worked on, as many as there is room for wait, and the others are answered 503.
    """
    server, statuses = answers(lambda loop: servers.Server(loop, 1, lambda: 1.0, room=2), 5)

    assert [200, 200, 200, 503, 503] == statuses
    assert 2 == server.refused


def test_a_server_that_heeds_deadlines_drops_what_has_expired() -> None:
    """
    When its turn comes, a request whose sender waits no longer is no work; without the heed it is.
    """
    heeding, statuses = answers(
        lambda loop: servers.Server(loop, 1, lambda: 1.0, heeds_deadlines=True), 4, expires=1.5
    )
    other, _ = answers(lambda loop: servers.Server(loop, 1, lambda: 1.0), 4, expires=1.5)

    assert [200, 200, 504, 504] == statuses
    assert (2, 2) == (heeding.started, heeding.dropped)
    assert (4, 0) == (other.started, other.dropped)


def test_a_server_works_on_for_who_has_left() -> None:
    """
    A caller that gives up saves the server nothing.
    """

    async def program(loop: clockwork.VirtualLoop) -> servers.Server:
        server = servers.Server(loop, 1, lambda: 1.0)
        answer = loop.create_future()
        server.submit(servers.Job(answer))
        answer.cancel()
        await asyncio.sleep(5.0)
        return server

    server = clockwork.run(program)

    assert (1, 1) == (server.started, server.wasted)


def test_servers_fail_in_their_ways() -> None:
    """
    Refusing, silence and unreachability come out of the stack as the errors of the real transport.
    """
    timeouts = {"timeouts": {"connect": 1.0, "read": 2.0}}

    async def scene(place: world.World) -> None:
        server = servers.Server(place.loop, 1, lambda: 0.1)
        place.connect({"one": server}, 1, world.settings_of(world.BARE, timeouts))
        (process,) = place.processes
        for health in servers.Health:
            server.become(health)
            began = place.loop.time()
            outcome = await world.outcome_of(process, URL("http://one/"))
            found[health.name] = outcome, round(place.loop.time() - began, 3)

    found: dict[str, tuple[str, float]] = {}
    world.play(scene, 1)

    assert {
        "UP": ("200", 0.1),
        "STALLED": ("ReadTimeout", 2.0),
        "REFUSING": ("ConnectError", 0.0),
        "SILENT": ("ReadTimeout", 2.0),
        "UNREACHABLE": ("ConnectTimeout", 1.0),
    } == found


# What is counted


def test_percentiles_are_nearest_ranks() -> None:
    """
    The p-th percentile is the least value that p percent of all do not exceed.
    """
    values = [float(value) for value in range(100, 0, -1)]

    assert [50.0, 99.0, 100.0] == [percentile(values, share) for share in (0.5, 0.99, 0.999)]
    assert 0.0 == percentile([], 0.5)


def test_a_call_is_well_answered_by_200_alone() -> None:
    """
    Other statuses and errors are no good answers.
    """
    outcomes = ("200", "503", "ReadTimeout")

    assert [True, False, False] == [Call(0.0, 1.0, outcome).good for outcome in outcomes]


# The failures, in small


def played(name: str, **changes: Any) -> dict[str, Any]:
    setting = storm.Setting(**{**vars(STORM), **changes})
    return storm.storm(1, storm.VARIANTS[name], setting)


def test_naive_retries_keep_an_outage_alive() -> None:
    """
    Five seconds of standing still never end for those who try three times; without retries they do.
    """
    naive, none = played("naive retries"), played("no retries")

    assert naive["amplification after"] > 2.5
    assert naive["recovered after"] is None
    assert 1.0 == none["amplification"]
    assert none["recovered after"] < 25


def test_a_budget_bounds_the_load() -> None:
    """
    Attempts for each call stay below one, the share, and the floor of each process; and the servers come back.
    """
    # The floor of 5 processes would be 50 a second, for 60 calls.
    variant = storm.Variant((storm.BARE, storm.TIMES, storm.THREE, storm.floor(1.0)))
    found = storm.storm(1, variant, STORM)

    assert 1.1 < found["amplification after"] < 1 + 0.2 + 5 / STORM.rate + 0.1
    assert found["recovered after"] is not None


def test_a_breaker_takes_the_load_away() -> None:
    """
    With circuits open, servers get less than one attempt a call, and come back where naive retries never end.
    """
    found = played("jitter, breaker")

    assert found["amplification after"] < 1.0
    assert found["recovered after"] is not None


def test_deadlines_that_are_heeded_end_the_storm_at_once() -> None:
    """
    Servers that drop what has expired are well again within seconds, and work for hardly anybody in vain.
    """
    parts = (storm.BARE, storm.TIMES, storm.THREE, storm.BUDGET, {"deadline_propagation": True})
    heeded, other = (
        storm.storm(1, storm.Variant(parts, heed=heed), STORM) for heed in (True, False)
    )

    assert heeded["recovered after"] <= 4
    assert other["recovered after"] is None or heeded["recovered after"] < other["recovered after"]
    assert heeded["wasted"] < other["wasted"] / 3


def test_a_slow_replica_shows_less_with_two_choices_and_least_with_hedging_too() -> None:
    """
    Round robin's p99 is the slow one's; power of two avoids it, and hedging cuts off what is left.
    """
    setting = slow_replica.Setting(processes=5, rate=200.0, seconds=30, warm=10)
    names = ("round robin", "round robin, hedging 15 %", "power of two", "power of two, hedging")
    found = {
        name: slow_replica.slow_replica(1, slow_replica.VARIANTS[name], setting) for name in names
    }

    p99 = {name: each["p99"] for name, each in found.items()}
    assert p99["round robin, hedging 15 %"] < p99["round robin"] / 2
    assert p99["power of two"] < p99["round robin"] / 2
    assert found["power of two, hedging"]["p99.9"] < found["power of two"]["p99.9"]
    assert found["power of two, hedging"]["load"] < 1.06
    assert found["power of two"]["share of the slow one"] < 0.03


def test_hedging_saves_a_fan_out() -> None:
    """
    With one answer in a hundred slow, most pages of a hundred are; with a hedge hardly any, for some percent more load.
    """
    setting = fan_out.Setting(pages=60)
    none, one = (
        fan_out.fan_out(1, *fan_out.VARIANTS[name], setting)
        for name in ("1 % slow, no hedging", "1 % slow, a hedge after 10 ms")
    )

    assert 0.63 == pytest.approx(none["pages over 1 s"], abs=0.2)
    assert one["pages over 1 s"] < 0.1
    assert one["load"] < 1.05


def test_two_choices_are_as_good_as_theory_says() -> None:
    """
    The real chooser, by pending requests alone, comes to the fixed point's mean; random choice to that of single queues.
    """
    setting = two_choices.Setting(servers=30, requests=9_000)
    one, two = (
        two_choices.two_choices(1, two_choices.CHOICES[name], 0.7, setting)
        for name in ("random", "least of two")
    )

    assert two_choices.theory_time(0.7, 2) == pytest.approx(two["mean"], rel=0.1)
    assert two_choices.theory_time(0.7, 1) == pytest.approx(one["mean"], rel=0.25)
    assert two_choices.theory_queues(0.7, 2, 2) == pytest.approx(two["at least"][:2], rel=0.1)


def test_theory_has_known_values() -> None:
    """
    One choice is M/M/1; of two, the sum ends soon, and the shares fall doubly exponentially.
    """
    assert 10.0 == pytest.approx(two_choices.theory_time(0.9, 1))
    assert 1 + 0.25 + 0.5**6 + 0.5**14 == pytest.approx(two_choices.theory_time(0.5, 2), abs=1e-4)
    assert [0.5, 0.5**3, 0.5**7] == pytest.approx(two_choices.theory_queues(0.5, 2, 3))


def test_a_breaker_frees_the_tasks_that_a_dead_dependency_holds() -> None:
    """
    Without limits calls pile up for ever; a timeout holds them at what Little's law says; a breaker at next to none.
    """
    setting = dead_dependency.Setting(processes=4, rate=40.0, dies=3, revives=33, seconds=36)
    nothing, timeout, breaker = (
        dead_dependency.dead_dependency(1, *dead_dependency.VARIANTS[name], setting)
        for name in ("nothing", "attempt timeout of 1 s", "attempt timeout, breaker")
    )

    assert nothing["most held"] > 1000
    assert 40.0 == pytest.approx(timeout["held"], rel=0.15)
    assert timeout["little"] == pytest.approx(timeout["held"], rel=0.1)
    assert breaker["held"] < 5


def test_adaptive_concurrency_keeps_the_goodput() -> None:
    """
    At twice of what the servers can do nothing is in time without limits, and most of it is with them.
    """
    setting = overload.Setting()
    goodput = {}
    for name in ("no limits", "AIMD", "gradient"):
        ledger, _ = overload.overload(1, overload.VARIANTS[name], [(2.0, 20)], setting)
        goodput[name] = overload.figures(ledger, 10, 20)["goodput"]

    assert goodput["no limits"] < 0.1
    assert goodput["AIMD"] > 0.6
    assert goodput["gradient"] > 0.6


# The same again


@pytest.mark.parametrize(
    "variant", [*overload.VARIANTS.values(), *overload.WATCHED.values(), *storm.VARIANTS.values()]
)
def test_what_takes_minutes_to_play_has_settings_that_are_heeded(variant: Any) -> None:
    """
    Not all of it is played here, and what is not would be refused only then.
    """
    assert world.settings_of(*variant.parts).endpoints is None


def test_the_same_seed_gives_the_same_figures() -> None:
    """
    Twice in this process it is the same to the last digit, and another seed gives others.
    """
    first, again = played("service stack", seconds=20), played("service stack", seconds=20)
    other = storm.storm(
        2, storm.VARIANTS["service stack"], storm.Setting(**{**vars(STORM), "seconds": 20})
    )

    assert first == again
    assert first["attempts by second"] != other["attempts by second"]


def test_no_figure_depends_on_how_a_process_hashes() -> None:
    """
    Other processes, whose sets of strings have another order, find the same.
    """
    program = (
        "import json; from simulation.scenarios import slow_replica as s\n"
        "setting = s.Setting(processes=3, rate=100.0, seconds=6, warm=1)\n"
        "print(json.dumps(s.slow_replica(3, s.VARIANTS['power of two, hedging, ejection'], setting)))"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=BENCHMARKS,
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        ).stdout
        for seed in ("1", "2")
    ]

    assert found[0] == found[1]
    assert json.loads(found[0])["p50"] > 0


def test_playing_leaves_the_programs_own_dice_alone() -> None:
    """
    The random numbers of whoever plays a scenario are not seeded by it.
    """
    random.seed(5)
    expected = random.random()

    random.seed(5)
    queue(0.5, 1, 100)

    assert expected == random.random()


# The page


def test_the_page_is_made_of_what_is_kept() -> None:
    """
    docs/simulation.md is what the page's words and the kept figures give: nobody has edited it, or forgot to make it.
    """
    results = stored.read(BENCHMARKS / "simulation" / "results.json")
    made = page.page(results)

    assert (BENCHMARKS.parent / "docs" / "simulation.md").read_text("utf-8") == made
    assert "<!--" not in made
    assert "{{" not in made


def test_every_plot_of_the_page_is_there() -> None:
    """
    Each scenario's plot is a file without a date, which reruns would change.
    """
    plots = [*(BENCHMARKS.parent / "docs" / "simulation").glob("*.svg")]
    text = (BENCHMARKS.parent / "docs" / "simulation.md").read_text("utf-8")

    assert plots
    for plot in plots:
        assert f"(simulation/{plot.name})" in text
        assert "<dc:date>" not in plot.read_text("utf-8")


def test_an_unknown_scenario_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A name that is none ends the run before anything is played, and the message has those that there are.
    """
    with pytest.raises(SystemExit):
        command.main(["--scenario", "storm,nonsense"])

    assert "no scenario 'nonsense'; there are storm, slow-replica" in capsys.readouterr().err


def test_a_scenario_that_is_played_replaces_its_figures_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The others stay as they were kept; while some are missing there is no page.
    """
    monkeypatch.setitem(command.SCENARIOS, "storm", lambda seed: {"of": seed})
    kept = tmp_path / "results.json"
    stored.write(kept, {name: {"seed": 1, "figures": {"of": 1}} for name in ("storm", "fan-out")})

    command.main(
        ["--scenario", "storm", "--seed", "7", "--results", str(kept), "--docs", str(tmp_path)]
    )

    assert {"storm": 7, "fan-out": 1} == {
        name: each["figures"]["of"] for name, each in stored.read(kept).items()
    }
    assert not (tmp_path / "simulation.md").exists()
    assert "storm, seed 7" in capsys.readouterr().out


def test_a_figure_that_is_missing_is_named() -> None:
    """
    Where page.md asks for what no scenario found, the error has the path.
    """
    with pytest.raises(KeyError, match=r"storm/[\w ,]+/[\w ]+: no '[\w ,]+' among"):
        page.page(
            {
                **stored.read(BENCHMARKS / "simulation" / "results.json"),
                "storm": {"seed": 1, "figures": {}},
            }
        )


def test_what_is_kept_reads_as_it_was_written(tmp_path: Path) -> None:
    """
    Figures keep five digits, and a series stands on one line.
    """
    kept = tmp_path / "results.json"
    stored.write(
        kept, {"storm": {"seed": 1, "figures": {"a": [1, 2, 3], "b": 0.123456789, "c": None}}}
    )

    assert {"a": [1, 2, 3], "b": 0.12346, "c": None} == stored.read(kept)["storm"]["figures"]
    assert "[1, 2, 3]" in kept.read_text("utf-8")
