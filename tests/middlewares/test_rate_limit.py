"""RateLimit: who may go, who waits and how long, who is refused; in memory, on the runtime's clock."""

from __future__ import annotations

import copy
import pickle
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import limits
import limits.aio.storage
import limits.storage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from scallion.middlewares.rate_limit import RateLimit
from scallion.middlewares.rate_limit_memory import memory_on
from scallion.middlewares.rate_limit_storage import until_lower
from scallion.pipeline.errors import RateLimited
from scallion.pipeline.onion import Send, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import run
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.together import together
from support.worlds import World, noted, play

URL = "http://example.org/"
SECRET = "hunter2"


def get(url: str = URL, **extensions: Any) -> Request:
    return Request("GET", url, extensions=extensions)


def always() -> Any:
    """A script that answers for ever."""
    return iter(lambda: Response(200), None)


def sender(layer: Any, world: World, drive: Drive) -> Send:
    world.blocking = drive.blocking
    return compose([layer], world.transport, world)


# Who may go


def test_so_many_go_at_once_and_the_next_one_waits(drive: Drive) -> None:
    """
    The moving window lets one more pass when the oldest request has left it.
    """
    world = World(always())
    send = sender(RateLimit("2/second"), world, drive)
    went: list[float] = []

    async def scenario() -> None:
        for _ in range(5):
            await send(get())
            went.append(world.now - 1000.0)
            world.now += 0.25

    drive(scenario)

    assert [0.0, 0.25, 1.0, 1.25, 2.0] == pytest.approx(went, abs=0.002)
    assert [0.5, 0.5] == pytest.approx(world.slept, abs=0.002)


def test_a_fixed_window_begins_anew(drive: Drive) -> None:
    """
    It is as long as the rate says, from its first request on.
    """
    world = World(always())
    send = sender(RateLimit("2/second", strategy="fixed"), world, drive)

    async def scenario() -> None:
        for _ in range(5):
            await send(get())

    drive(scenario)

    assert [1.0, 1.0] == pytest.approx(world.slept, abs=0.002)


def test_a_sliding_window_forgets_by_and_by(drive: Drive) -> None:
    """
    What the window before had counts the less, the longer ago it was.
    """
    world = World(always())
    send = sender(RateLimit("4/second", strategy="sliding"), world, drive)
    went: list[float] = []

    async def scenario() -> None:
        for _ in range(8):
            await send(get())
            went.append(world.now - 1000.0)

    drive(scenario)

    assert [0, 0, 0, 0, 1.0, 1.25, 1.5, 1.75] == pytest.approx(went, abs=0.01)


@given(
    strategy=st.sampled_from(["moving", "fixed", "sliding"]),
    amount=st.integers(1, 5),
    pauses=st.lists(st.floats(0, 1.5), min_size=1, max_size=30),
)
@settings(max_examples=150, deadline=None)
def test_no_window_has_more_than_its_share(strategy: Any, amount: int, pauses: list[float]) -> None:
    """
    Whenever requests come: in any second go as many as the rate says; in a fixed window's second, and around its end,
    twice as many at most. And whoever waits gets through.
    """
    world = World(always())
    send = compose([RateLimit(f"{amount}/second", strategy=strategy)], world.transport, world)
    went: deque[float] = deque()
    for pause in pauses:
        world.now += pause
        run(send(get()))
        went.append(world.now)
        while went[0] <= world.now - 0.999:
            went.popleft()
        # The sliding window guesses how the requests before were spread.
        assert len(went) <= (amount if strategy == "moving" else 2 * amount)


@given(
    amount=st.integers(1, 50),
    previous=st.integers(0, 50),
    current=st.integers(0, 50),
    left=st.floats(0, 10),
)
def test_a_sliding_window_tells_when_it_has_room(
    amount: int, previous: int, current: int, left: float
) -> None:
    """
    A moment after that, the weighted count is lower; a moment before, it is not.
    """
    wait = until_lower(amount, 10.0, previous, left, current, left + 10.0)

    def room(after: float) -> bool:
        return int(previous * (left - after) / 10.0) + current < amount

    if current < amount and 0 < wait <= left:
        assert room(wait + 1e-6)
        assert wait < 1e-5 or not room(wait - 1e-6)
    elif current >= amount:
        assert left == pytest.approx(wait)


# What is counted together


def test_each_origin_has_its_own_count(drive: Drive) -> None:
    """
    One that is used up does not hold up another.
    """
    world = World(always())
    send = sender(RateLimit("1/second", wait=False), world, drive)

    async def scenario() -> None:
        await send(get("http://a.example/x"))
        await send(get("https://a.example/x"))
        await send(get("http://b.example/x"))
        with pytest.raises(RateLimited, match=r"http://a\.example:80"):
            await send(get("http://a.example/y"))

    drive(scenario)


def test_a_name_counts_all_together(drive: Drive) -> None:
    """
    Whatever their origins.
    """
    world = World(always())
    send = sender(RateLimit("1/second", key="partner", wait=False), world, drive)

    async def scenario() -> None:
        await send(get("http://a.example/x"))
        with pytest.raises(RateLimited, match="'partner'"):
            await send(get("http://b.example/x"))

    drive(scenario)


def test_a_function_says_what_counts_together(drive: Drive) -> None:
    """
    None is not limited; the name itself shows nowhere, as it may be a secret.
    """
    layer = RateLimit("1/second", key=lambda request: request.headers.get("x-tenant"), wait=False)
    world = World(always())
    send = sender(layer, world, drive)
    refused = Request("GET", URL, headers={"X-Tenant": SECRET})
    events = noted(refused)

    async def scenario() -> None:
        for _ in range(3):
            await send(get())
        await send(Request("GET", URL, headers={"X-Tenant": SECRET}))
        await send(Request("GET", URL, headers={"X-Tenant": "other"}))
        with pytest.raises(RateLimited) as raised:
            await send(refused)
        assert SECRET not in f"{raised.value}{events}{layer!r}"

    drive(scenario)


def test_clients_share_their_layer() -> None:
    """
    A layer in two pipelines counts once; so does one in both colours.
    """
    layer = RateLimit("3/second", wait=False)
    world = World(always())
    sends = [compose([layer], world.transport, world) for _ in range(2)]
    for send in (*sends, sends[0]):
        run(send(get()))

    with pytest.raises(RateLimited):
        run(sends[1](get()))


# Who waits, and how long


def test_those_who_wait_go_in_order(drive: Drive) -> None:
    """
    Only the first of them asks; with ten a second, forty take four seconds.
    """
    world = World(always(), patient=True)
    send = sender(RateLimit("10/second", patience=None), world, drive)
    came: list[int] = []
    went: list[int] = []

    async def ask(number: int) -> None:
        came.append(number)
        await send(get())
        went.append(number)

    async def scenario() -> None:
        await together(drive, *[lambda number=number: ask(number) for number in range(40)])

    drive(scenario)

    assert set(range(40)) == set(went)
    if not drive.blocking:
        assert came == went
    assert 1003.0 <= world.now < 1003.5
    assert len(world.slept) < 40


def test_a_wait_that_would_be_too_long_is_not_begun(drive: Drive) -> None:
    """
    The refusal tells when it may be worth another try.
    """
    world = World(always())
    send = sender(RateLimit("1 per 10 seconds", patience=5), world, drive)
    request = get()
    events = noted(request)

    async def scenario() -> None:
        await send(get())
        world.now += 2
        with pytest.raises(RateLimited) as raised:
            await send(request)
        assert 8.0 == raised.value.retry_after
        assert request is raised.value.request
        assert (
            "The rate limit of http://example.org:80, 1 per 10 second, is reached for 8 s, "
            "and the request would wait longer than its patience"
        ) == str(raised.value)

    drive(scenario)

    assert [] == world.slept
    assert [
        (
            "rate_limit.refused",
            {"limit": "1 per 10 second", "reason": "patience", "retry_after": 8.0},
        )
    ] == events


@pytest.mark.parametrize(("deadline", "passes"), [(1010.0, False), (1010.5, True)])
def test_the_deadline_bounds_the_wait(drive: Drive, deadline: float, passes: bool) -> None:
    """
    What could go at the very deadline would go too late.
    """
    world = World(always())
    send = sender(RateLimit("1 per 10 seconds"), world, drive)
    request = get()
    request.deadline = deadline
    events = noted(request)

    async def scenario() -> None:
        await send(get())
        if passes:
            await send(request)
        else:
            with pytest.raises(RateLimited, match="the request's deadline comes first"):
                await send(request)

    drive(scenario)

    assert (2 if passes else 1) == len(world.asked)
    if passes:
        assert [
            ("rate_limit.waiting", {"limit": "1 per 10 second", "wait": 10.0, "ahead": 0}),
            ("rate_limit.admitted", {"limit": "1 per 10 second", "waited": 10.0}),
        ] == events


class Held(World):
    """Sleeps take their time only once they are let go."""

    def __init__(self, *, patient: bool) -> None:
        super().__init__(always(), blocking=False, patient=patient)
        self.let_go = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        await self.let_go.wait()
        await super().sleep(seconds)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_who_comes_late_is_told_so_at_once(colour: Any) -> None:
    """
    A place in the queue that takes longer than the patience is refused when it is asked for.
    """
    outcomes: list[Any] = []

    async def scenario() -> None:
        world = Held(patient=True)
        send = compose([RateLimit("2 per 10 seconds", patience=25)], world.transport, world)

        async def ask() -> None:
            try:
                outcomes.append((await send(get())).status_code)
            except RateLimited as error:
                outcomes.append(error.retry_after)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert [200, 200, *[30.0] * 4] == outcomes
            world.let_go.set()

    Drive(colour)(scenario)

    assert [200] * 4 == outcomes[6:]


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_place_is_given_up_when_patience_ends(colour: Any) -> None:
    """
    A wait in the queue lasts no longer than its patience; the others move on.
    """
    outcomes: list[str] = []

    async def scenario() -> None:
        world = Held(patient=False)
        layer = RateLimit("1 per 10 seconds", patience=None)
        send = compose([layer], world.transport, world)

        async def ask(name: str, **extensions: Any) -> None:
            try:
                await send(get(**extensions))
                outcomes.append(name)
            except RateLimited as error:
                outcomes.append(f"{name} refused, {error.retry_after} s")

        async with anyio.create_task_group() as group:
            for name, option in (
                ("first", {}),
                ("second", {}),
                ("third", RateLimit.option_for(patience=24)),
                ("fourth", {}),
            ):
                group.start_soon(lambda name=name, option=option: ask(name, **option))
                await anyio.wait_all_tasks_blocked()
            world.let_go.set()
        assert not layer._counts.queues

    Drive(colour)(scenario)

    assert ["first", "third refused, 0.0 s", "second", "fourth"] == outcomes


@pytest.mark.parametrize("option", [{"wait": False}, {"patience": 0}])
def test_one_request_may_be_less_patient(drive: Drive, option: dict[str, Any]) -> None:
    """
    The option wins over the layer's settings.
    """
    world = World(always())
    send = sender(RateLimit("1/second"), world, drive)

    async def scenario() -> None:
        await send(get())
        with pytest.raises(RateLimited) as raised:
            await send(get(**RateLimit.option_for(**option)))
        assert 1.0 == raised.value.retry_after

    drive(scenario)


def test_one_request_may_go_uncounted(drive: Drive) -> None:
    """
    The layer is not there for it.
    """
    world = World(always())
    send = sender(RateLimit("1/second", wait=False), world, drive)

    async def scenario() -> None:
        for _ in range(3):
            await send(get(**RateLimit.option_for(enabled=False)))
        await send(get())
        with pytest.raises(RateLimited):
            await send(get(**RateLimit.option_for(wait=None)))

    drive(scenario)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_a_cancelled_wait_leaves_no_place_behind(colour: Any) -> None:
    """
    Wherever a waiting request is cancelled, the queue goes on without it.
    """
    layer = RateLimit("1/second", patience=None)
    world = World(always(), blocking=False)
    send = compose([layer], world.transport, world)

    async def work() -> None:
        await send(get())

    async def company() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(work)

    async def check() -> None:
        assert not layer._counts.queues
        # The next one gets through.
        assert 200 == (await send(get())).status_code

    async def scenario() -> None:
        await send(get())
        assert await cancelled_everywhere(work, check) > 0
        await cancelled_everywhere(company, check)

    Drive(colour)(scenario)


def test_threads_get_their_share_and_no_more() -> None:
    """
    Of many threads that ask at once, as many get through as the rate says.
    """
    drive = Drive("sync")
    world = World([], patient=True)
    passed: list[int] = []

    async def answer(request: Request) -> Response:
        passed.append(1)
        return Response(200)

    send = compose([RateLimit("50/minute", wait=False)], answer, world)

    async def hammer() -> None:
        for _ in range(20):
            try:
                await send(get())
            except RateLimited:
                pass

    async def scenario() -> None:
        await together(drive, *[hammer] * 8)

    drive(scenario)

    assert 50 == len(passed)


def test_loops_and_threads_have_queues_of_their_own(drive: Drive) -> None:
    """
    A layer goes from one event loop to the next, though somebody's wait was left behind in the first.
    """
    layer = RateLimit("1/second")
    for _ in range(2):
        world = World(always(), blocking=drive.blocking, now=1000.0)
        send = compose([layer], world.transport, world)

        async def scenario(send: Send = send) -> None:
            for _ in range(3):
                await send(get())

        drive(scenario)

        assert 3 == len(world.asked)


# Storages


def test_any_storage_of_limits_will_do(drive: Drive) -> None:
    """
    One that was made elsewhere is asked, off the event loop, and shared with whoever else has it.
    """
    storage = limits.storage.MemoryStorage()
    layers = [RateLimit("1/hour", storage=storage, wait=False) for _ in range(2)]
    world = World(always())
    first, second = (sender(layer, world, drive) for layer in layers)

    async def scenario() -> None:
        await first(get())
        with pytest.raises(RateLimited):
            await second(get())

    drive(scenario)


class Broken(limits.storage.MemoryStorage):
    """A storage that cannot be asked."""

    STORAGE_SCHEME = None
    error: Exception | None = ConnectionRefusedError(SECRET)
    asked = 0

    def acquire_entry(self, *args: Any, **kwargs: Any) -> bool:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return super().acquire_entry(*args, **kwargs)


def test_a_storage_that_fails_lets_pass_if_open(drive: Drive) -> None:
    """
    It is left alone for a while, and then one request tries it again. Every request that it let pass is told of.
    """
    storage = Broken()
    world = World(always())
    send = sender(RateLimit("1/hour", storage=storage, wait=False, storage_pause=2), world, drive)
    request = get()
    events = noted(request)

    async def scenario() -> None:
        for _ in range(5):
            await send(request)
        assert 1 == storage.asked
        world.now += 2
        await send(request)
        await send(request)
        assert 2 == storage.asked
        storage.error = None
        world.now += 2
        await send(request)
        with pytest.raises(RateLimited, match="does not wait"):
            await send(request)

    drive(scenario)

    failed = (
        "rate_limit.storage_failed",
        {"error": "ConnectionRefusedError", "then": "open"},
    )
    assert [failed] * 7 == events[:-1]


def test_a_storage_that_fails_refuses_if_closed(drive: Drive) -> None:
    """
    The error names the storage's, not what that says, and when it will be asked again.
    """
    world = World(always())
    layer = RateLimit("1/hour", storage=Broken(), on_failure="closed")
    send = sender(layer, world, drive)
    request = get()
    events = noted(request)

    async def scenario() -> None:
        for expected in (1.0, 0.25):
            with pytest.raises(RateLimited, match=r"failed \(ConnectionRefusedError\)") as raised:
                await send(request)
            assert expected == raised.value.retry_after
            assert SECRET not in str(raised.value)
            assert raised.value.__cause__ is None
            world.now += 0.75

    drive(scenario)

    assert ["rate_limit.storage_failed", "rate_limit.refused"] * 2 == [name for name, _ in events]
    assert [] == world.asked


def test_mistakes_are_no_failures_of_the_storage(drive: Drive) -> None:
    """
    A bug is raised as what it is.
    """
    storage = Broken()
    storage.error = TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        play([RateLimit("1/hour", storage=storage)], get(), World(always()), drive)


def test_memory_is_cleared_of_what_is_over() -> None:
    """
    Keys that nobody asks for any more do not stay.
    """
    now = [0.0]
    memory: Any = memory_on(lambda: now[0])
    for number in range(10_000):
        now[0] += 0.01
        memory.acquire_entry(f"moving {number}", 5, 1)
        memory.incr(f"fixed {number}", 1)
        memory.acquire_sliding_window_entry(f"sliding {number}", 5, 1)

    assert len(memory._held) < 5_000


def test_memory_is_cleared_of_requests_whose_time_is_over() -> None:
    """
    However many there may be, no more stay than twice as many as count, or a few.
    """
    now = [0.0]
    memory: Any = memory_on(lambda: now[0])
    for _ in range(10_000):
        now[0] += 0.01
        assert memory.take("key", 1_000_000, 1)

    assert len(memory._held["key"].times) <= 200


def test_threads_take_at_once_what_is_left() -> None:
    """
    Another one takes the last place between the look and the taking: this one is refused, and nothing is counted twice.
    """
    memory: Any = memory_on(lambda: 10.0)
    assert memory.take("key", 2, 1)

    class Times(deque[float]):
        def append(self, time: float) -> None:
            super().append(time)
            super().append(time)

    memory._held["key"].times = Times(memory._held["key"].times)

    assert not memory.take("key", 2, 1)
    assert 2 == len(memory._held["key"].times)


class Finding(dict[str, Any]):
    """The windows, of which one has been found when another thread does something."""

    meanwhile: Callable[[], object] | None = None

    def get(self, key: str, default: Any = None) -> Any:
        found = super().get(key, default)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return found


@pytest.mark.parametrize("cleared", [False, True], ids=["renewed", "cleared up"])
def test_a_window_that_another_thread_renews_meanwhile(cleared: bool) -> None:
    """
    Who has found it just before does not note his request where nobody looks.
    """
    now = [10.0]
    memory: Any = memory_on(lambda: now[0])
    memory._held = held = Finding()
    assert memory.take("key", 5, 1)

    def meanwhile() -> None:
        now[0] += 2.0
        if cleared:
            memory._many = 0
            memory.take("another", 5, 1)
        assert [True] * 5 == [memory.take("key", 5, 1) for _ in range(5)]

    held.meanwhile = meanwhile

    assert not memory.take("key", 5, 1)
    assert 5 == len(memory._held["key"].times)


def test_what_was_cleared_counts_no_more() -> None:
    """
    Nor does anybody go on counting there.
    """
    memory: Any = memory_on(lambda: 10.0)
    for clear in (lambda: memory.clear("key"), memory.reset):
        assert memory.take("key", 2, 1)
        held = memory._held = Finding(memory._held)
        held.meanwhile = clear
        assert memory.take("key", 2, 1)
        assert 1 == len(memory._held["key"].times)
        memory.reset()


def test_memory_does_what_the_storages_of_limits_do() -> None:
    """
    It is one of them: its counts can be looked at, cleared and reset.
    """
    memory: Any = memory_on(lambda: 10.0)
    item = limits.parse("2/second")
    for kind in (
        limits.strategies.MovingWindowRateLimiter,
        limits.strategies.FixedWindowRateLimiter,
        limits.strategies.SlidingWindowCounterRateLimiter,
    ):
        limiter: Any = kind(memory)
        assert [True, True, False] == [limiter.hit(item, kind.__name__) for _ in range(3)]
        assert not limiter.test(item, kind.__name__)
        assert 0 == limiter.get_window_stats(item, kind.__name__).remaining
        limiter.clear(item, kind.__name__)
        assert limiter.test(item, kind.__name__)
    assert memory.check()
    assert 3 == memory.reset()
    assert () == memory.base_exceptions


# Construction


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: RateLimit("often"), ValueError, "reads like '10/second'.*'often'"),
        (lambda: RateLimit("1/second; 5/minute"), ValueError, "give each a layer of its own"),
        (lambda: RateLimit("0/second"), ValueError, "at least 1"),
        (lambda: RateLimit(5), TypeError, r"limits\.RateLimitItem: 5"),  # type: ignore[arg-type]
        (lambda: RateLimit("1/second", key=3), TypeError, "function of the request: 3"),  # type: ignore[arg-type]
        (lambda: RateLimit("1/second", key=""), TypeError, "function of the request"),
        (lambda: RateLimit("1/second", patience=-1), ValueError, "patience must be at least 0"),
        (lambda: RateLimit.option_for(patience=-1), ValueError, "patience must be at least 0"),
        (lambda: RateLimit("1/second", strategy="best"), ValueError, "'moving' or 'fixed'"),  # type: ignore[arg-type]
        (lambda: RateLimit("1/second", on_failure="ajar"), ValueError, "'open' or 'closed'"),  # type: ignore[arg-type]
        (lambda: RateLimit("1/second", storage_timeout=0), ValueError, "more than 0"),
        (lambda: RateLimit("1/second", storage_pause=-1), ValueError, "at least 0"),
        (lambda: RateLimit("1/second", storage=3), TypeError, "int"),  # type: ignore[arg-type]
        (
            lambda: RateLimit("1/second", storage=f"ftp://:{SECRET}@host"),
            ValueError,
            r"redis, rediss.*ftp://REDACTED",
        ),
        (
            lambda: RateLimit("1/second", storage=limits.aio.storage.MemoryStorage()),  # type: ignore[arg-type]
            TypeError,
            "asynchronous",
        ),
    ],
)
def test_settings_are_validated(make: Callable[[], object], error: Any, match: str) -> None:
    """
    The message says what was given and what is allowed, and no password.
    """
    with pytest.raises(error, match=match) as raised:
        make()

    assert SECRET not in str(raised.value)


def test_an_url_that_cannot_be_read_shows_no_password(drive: Drive) -> None:
    layer = RateLimit("1/second", storage=f"redis://:{SECRET}@host:port/0")

    with pytest.raises(ValueError, match="cannot be read") as raised:
        play([layer], get(), World(), drive)

    assert SECRET not in f"{raised.value}{raised.value.__cause__}"


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The message says what to install.
    """
    monkeypatch.setattr("scallion.middlewares.rate_limit_storage.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install redis"):
        RateLimit("1/second", storage="redis://localhost")

    monkeypatch.setitem(sys.modules, "limits", None)
    with pytest.raises(ImportError, match=r"pip install 'scallion\[limits\]'"):
        RateLimit("1/second")


def test_an_item_may_have_a_namespace() -> None:
    item = limits.RateLimitItemPerMinute(3, namespace="shop")

    assert RateLimit(item) == RateLimit(item)
    assert "RateLimit('3 per 1 minute', key=<origin>" in repr(RateLimit(item))


def test_repr_shows_the_effective_numbers() -> None:
    """
    Those of a server only where there is one, and never its password.
    """
    assert (
        "RateLimit('10 per 1 second', key=<origin>, wait=True, patience=30.0, strategy='moving', storage='memory://')"
        == repr(RateLimit("10/second"))
    )
    shown = repr(
        RateLimit("5 per 2 minutes", key="all", wait=False, storage=f"redis://u:{SECRET}@host/0")
    )
    assert (
        "RateLimit('5 per 2 minute', key='all', wait=False, strategy='moving', "
        "storage='redis://REDACTED:REDACTED@host/0', on_failure='open', storage_timeout=0.25, storage_pause=1.0)"
    ) == shown


def test_copies_count_for_themselves() -> None:
    """
    A copy or a pickle has the settings.
    """
    layer = RateLimit("1/second", wait=False)
    world = World(always())
    run(compose([layer], world.transport, world)(get()))

    for made in (copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert layer == made
        assert 200 == run(compose([made], world.transport, world)(get())).status_code


def test_stray_options_are_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match=r"RateLimit\.option_for"):
        play([RateLimit("1/second")], get(**{"scallion.RateLimit": 3}), World(), drive)


class Counting(RuleBasedStateMachine):
    """The memory beside a list of all that ever passed, which is asked in the simplest way there is."""

    AMOUNT, EXPIRY = 3, 10

    def __init__(self) -> None:
        super().__init__()
        # In quarters, so that nothing is lost in rounding.
        self.now = 1000.0
        self.memory: Any = memory_on(lambda: self.now)
        self.passed: dict[tuple[str, str], list[float]] = {}

    @rule(quarters=st.integers(1, 60))
    def wait(self, quarters: int) -> None:
        self.now += quarters / 4

    @rule(key=st.sampled_from("ab"))
    def moving(self, key: str) -> None:
        passed = self.passed.setdefault(("moving", key), [])
        recent = [at for at in passed if at > self.now - self.EXPIRY]

        name = f"moving {key}"
        assert (self.now if not recent else recent[0], len(recent)) == (
            self.memory.get_moving_window(name, self.AMOUNT, self.EXPIRY)
        )
        self.took_moving(key, self.memory.acquire_entry(name, self.AMOUNT, self.EXPIRY))

    @rule(key=st.sampled_from("ab"))
    def moving_as_the_layer_does(self, key: str) -> None:
        # Nothing has looked at the window before.
        self.took_moving(key, self.memory.take(f"moving {key}", self.AMOUNT, self.EXPIRY))

    def took_moving(self, key: str, took: bool) -> None:
        passed = self.passed.setdefault(("moving", key), [])
        recent = [at for at in passed if at > self.now - self.EXPIRY]
        assert took == (len(recent) < self.AMOUNT)
        if took:
            passed.append(self.now)

    @rule(key=st.sampled_from("ab"))
    def fixed(self, key: str) -> None:
        passed = self.passed.setdefault(("fixed", key), [])
        if passed and passed[0] + self.EXPIRY <= self.now:
            passed.clear()
        passed.append(self.now)

        name = f"fixed {key}"
        assert len(passed) == self.memory.incr(name, self.EXPIRY) == self.memory.get(name)
        assert passed[0] + self.EXPIRY == self.memory.get_expiry(name)

    @rule(key=st.sampled_from("ab"))
    def sliding(self, key: str) -> None:
        passed = self.passed.setdefault(("sliding", key), [])
        begins = self.now // self.EXPIRY * self.EXPIRY
        previous = len([at for at in passed if begins - self.EXPIRY <= at < begins])
        current = len([at for at in passed if at >= begins])
        left = begins + self.EXPIRY - self.now

        name = f"sliding {key}"
        assert (previous, left, current, left + self.EXPIRY) == (
            self.memory.get_sliding_window(name, self.EXPIRY)
        )
        room = int(previous * left / self.EXPIRY) + current < self.AMOUNT
        assert room == self.memory.acquire_sliding_window_entry(name, self.AMOUNT, self.EXPIRY)
        if room:
            passed.append(self.now)


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
