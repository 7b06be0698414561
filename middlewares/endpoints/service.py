"""`Service`: the endpoints of one service, who is in use, and what each attempt does there.

Rules:

- Everything that several threads or tasks change is changed under one lock, which nobody holds while waiting.
- The source is asked by one at a time in each event loop (or among all threads), beside the requests. Where endpoints
  are known these go on meanwhile; where none are they wait for the answer, each for as long as it may. Whoever gives up
  waiting leaves the question to the others, and its answer to all that come later.
- A forked child goes on from what its parent has learned, with nothing under way.
- In a `Client`, a request without a deadline asks by itself: nothing ends its thread, and it needs no other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable
from copy import copy
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import NoEndpoint
from scallion.pipeline.forking import renewed_in_children
from scallion.pipeline.incoming import unbounded
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Event, Runtime, run

from .choices import Choice, Draw, Key
from .ejection import Ejection
from .endpoint import Endpoint
from .members import Member
from .sources import Found, Source, Static
from .state import EndpointState, ServiceState
from .uses import Tried, Use

if TYPE_CHECKING:
    from scallion.pipeline.runtime_tasks import Task

__all__ = ["Service"]

RETRY = 1.0
"""Seconds after a failure until the source is asked again."""

# Who asks may be gone with its event loop.
_LONGEST_QUESTION = 60.0
_MOST_NEWS = 64

# Half the price of `Draw(...)`.
_new = tuple.__new__


class Service:
    """The endpoints of one service.

    Attributes:
        name: As it stands in URLs.
        lock: Guards the members and the lists of them.
        members: All endpoints.
        news: Events to tell, by the next request that somebody observes.
        lost: Uses whose responses were forgotten.
        stale_at: When `refresh` is to be called next, on the runtime's clock; also whenever there are no members.
        clock: Seconds, for `state`.
        decay: Seconds in which what was measured loses most of its weight.
        background: What asks the source at this moment, beside the requests; the last one that did.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        choice: Choice,
        ejection: Ejection | None,
        slow_start: float,
        longest_pause: float,
        random: Callable[[], float],
    ) -> None:
        self.name = name
        self.lock = threading.Lock()
        self.members: list[Member] = []
        self.news: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MOST_NEWS)
        self.lost: deque[Use] = deque()
        self.clock: Callable[[], float] | None = None
        self.background: threading.Thread | Task | None = None
        self._source = source
        self._choice = choice
        self.decay = choice.averaged_over
        self._ejection = ejection
        self._slow_start = slow_start
        self._longest_pause = longest_pause
        self._random = random
        self._layout: Any = None
        self._uneven = self._tiered = self._clear = False
        self._out = 0
        # Until when one of them, at least, is to be left alone.
        self._paused_until = -inf
        self.stale_at = -inf
        self._error: str | None = None
        self._asking: dict[Hashable, tuple[float, list[Event]]] = {}
        # Those that are always the same.
        self._fixed: tuple[Endpoint, ...] = ()
        if isinstance(source, Static):
            self._fixed = source.endpoints  # type: ignore[assignment]
        renewed_in_children(self)

    def renew(self) -> None:
        """After a fork, in the child; see `pipeline/forking.py`."""
        self.lock = threading.Lock()
        self.lost.clear()
        self.background = None
        if self._asking:
            # Who was asking may have noted a part of the answer.
            self.stale_at = -inf
            self._asking = {}
        # Copies: what was under way, and ends here after all, ends at those that were.
        members = [copy(member) for member in self.members]
        for member in members:
            member.pending = 0
        if members:
            self._have(members)

    # What is known

    async def refresh(self, request: Request, runtime: Runtime) -> None:
        """Have the source asked, and wait for the answer if there is nothing to go on with.

        Raises:
            NoEndpoint: nothing is known, and cannot be told now, or not until the request's deadline.
        """
        if self._fixed:
            with self.lock:
                if not self.members:
                    self._enter(self._fixed, runtime.clock())
                self.stale_at = inf
            return
        deadline = inf if request.deadline is None else request.deadline
        while True:
            now = runtime.clock()
            event: Event | None = None
            with self.lock:
                if not self.members and self._error is not None and now < self.stale_at:
                    raise self._unknown(request, now)
                begins, waiting = self._begin(runtime.key, now)
                if not self.members:
                    event = runtime.event()
                    waiting.append(event)
            if begins:
                await self._put(runtime, alone=event is not None and deadline == inf)
            if event is None:
                return
            left = max(0.0, deadline - now)
            # Whoever asked may be gone with its loop.
            answered = await event.wait(min(_LONGEST_QUESTION, left))
            if self.members:
                return
            if not answered and left <= _LONGEST_QUESTION:
                raise self._unknown(request, runtime.clock())

    async def _put(self, runtime: Runtime, *, alone: bool) -> None:
        """Put the question: by this thread if it is `alone` and its own master, else beside the requests."""
        if not runtime.blocking:
            from scallion.pipeline.runtime_tasks import start

            self.background = start(partial(self._ask, runtime))
        elif alone:
            await self._ask(runtime)
        else:
            thread = threading.Thread(target=lambda: run(self._ask(runtime)), daemon=True)
            self.background = thread
            thread.start()

    def _begin(self, key: Hashable, now: float) -> tuple[bool, list[Event]]:
        """Whether it is the caller's to put the question, and who waits for the answer. Under the lock."""
        asked = self._asking.get(key)
        if asked is not None and now - asked[0] < _LONGEST_QUESTION:
            return False, asked[1]
        # Those that wait for one that got lost learn the answer too.
        waiting: list[Event] = [] if asked is None else asked[1]
        self._asking[key] = (now, waiting)
        return True, waiting

    async def _ask(self, runtime: Runtime) -> None:
        try:
            # The deadline of who happens to ask is none of the others'.
            with unbounded():
                found = await self._source.find(self.name, runtime)
        except Exception as error:  # noqa: BLE001  # whatever it is, what was good remains good
            with self.lock:
                self._error = f"{type(error).__name__}: {error}"
                self.stale_at = runtime.clock() + RETRY
                self._told("resolve_failed", error=self._error, known=len(self.members))
        else:
            with self.lock:
                self._take(found, runtime.clock())
        finally:
            with self.lock:
                _, waiting = self._asking.pop(runtime.key, (0.0, []))
            for event in waiting:
                event.set()

    def _take(self, found: Found, now: float) -> None:
        self._error = None
        self.stale_at = inf if found.good_for is None else now + found.good_for
        before = [member.endpoint for member in self.members]
        if set(before) != set(found.endpoints):
            self._enter(found.endpoints, now)
            keys, old = {each.key for each in found.endpoints}, {each.key for each in before}
            self._told(
                "resolved",
                endpoints=len(found.endpoints),
                added=len(keys - old),
                removed=len(old - keys),
            )

    def _enter(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """Have these endpoints; what is known of those that stay is kept."""
        before = {member.endpoint.key: member for member in self.members}
        members = []
        for endpoint in endpoints:
            member = before.get(endpoint.key)
            if member is None:
                member = Member(endpoint, now, self._random() * endpoint.weight)
                # The first ones are all new, and none of them is to be spared.
                if before and self._slow_start:
                    member.warm_from = now
            member.endpoint = endpoint
            members.append(member)
        self._have(members)

    def _have(self, members: list[Member]) -> None:
        endpoints = [member.endpoint for member in members]
        self.members = members
        self._uneven = len({endpoint.weight for endpoint in endpoints}) > 1
        self._tiered = len({endpoint.priority for endpoint in endpoints}) > 1
        self._clear = any(endpoint.scheme == "http" for endpoint in endpoints)
        self._layout = self._choice.laid_out(members)
        self._out = sum(member.out for member in members)

    # Choosing

    def choose(
        self,
        request: Request,
        tried: Tried,
        now: float,
        key: Key,
        secure: bool,
        refused: Collection[Member] = (),
    ) -> Use:
        """Who is to be asked.

        Args:
            request: What is to be sent.
            tried: Where its call has been.
            now: The clock.
            key: What the request's option says it belongs to.
            secure: Whether it must not go to an endpoint without TLS.
            refused: Who has refused this very attempt.

        Raises:
            NoEndpoint: there is none.
        """
        with self.lock:
            if self.lost:
                self._settle(now)
            if self._out:
                self._bring_back(now)
            among, panic = self.members, False
            if (
                tried.failed
                or tried.pending
                or refused
                or self._out
                or self._tiered
                or now < self._paused_until
                or (secure and self._clear)
            ):
                among, panic = self._preferred(tried, now, secure=secure, refused=refused)
            if not among:
                raise self._unknown(request, now)
            # Who asked for credentials gets them: another server may not know its nonce.
            challengers = tried.challengers
            member = None if challengers is None else challengers.pop(request, None)
            if member is None or member not in among:
                member = self._choice.pick(self._draw(among, now, request, key))
            member.pending += 1
            member.sent += 1
            tried.pending.append(member)
            return Use(self, member, tried, now, panic)

    def _preferred(
        self, tried: Tried, now: float, *, secure: bool, refused: Collection[Member]
    ) -> tuple[list[Member], bool]:
        """Who is left when all are passed over that can be, and whether these are ejected, as all are."""
        among, panic = self._usable(secure=secure)
        # Each wish in its turn, unless nobody would be left.
        if refused:
            among = [each for each in among if each not in refused] or among
        if now < self._paused_until:
            among = [each for each in among if each.paused_until <= now] or among
        if tried.failed or tried.pending:
            among = (
                [e for e in among if e not in tried.failed and e not in tried.pending]
                or [e for e in among if e not in tried.pending]
                or among
            )
        if self._tiered and among:
            best = min(each.endpoint.priority for each in among)
            among = [each for each in among if each.endpoint.priority == best]
        return among, panic

    def _usable(self, *, secure: bool) -> tuple[list[Member], bool]:
        """Who is in use, or all if all are ejected, and whether they are."""
        among = self.members
        if secure and self._clear:
            among = [each for each in among if each.endpoint.scheme != "http"]
        if not self._out:
            return among, False
        usable = [each for each in among if not each.out]
        return usable or among, not usable

    def others(self, tried: Tried, refused: Collection[Member], *, secure: bool) -> bool:
        """Whether there is an endpoint in use that has not refused, nor is being asked; arguments as of `choose`."""
        with self.lock:
            return any(
                not (member.out or member in refused or member in tried.pending)
                and not (secure and member.endpoint.scheme == "http")
                for member in self.members
            )

    def pause(
        self,
        member: Member,
        seconds: float,
        now: float,
        *,
        secure: bool,
        refused: Collection[Member] = (),
    ) -> float:
        """Leave `member` alone for so long, or as long as it may ask for, while there are others.

        Returns:
            Seconds until an endpoint may be asked that does not want to be left alone; other arguments as of `choose`.
        """
        with self.lock:
            member.asks_until = now + seconds
            member.paused_until = now + min(seconds, self._longest_pause)
            self._paused_until = max(self._paused_until, member.paused_until)
            among, _ = self._usable(secure=secure)
            return min(
                each.asks_until - now if each.paused_until > now else 0.0
                for each in [each for each in among if each not in refused] or [member]
            )

    def _draw(self, among: list[Member], now: float, request: Request, key: Key) -> Draw:
        slow_start = self._slow_start
        weights: list[float] | None = None
        ramp = _all_of_it
        if slow_start:

            def ramp(member: Member) -> float:
                return member.ramp(now, slow_start)

        if self._uneven or (slow_start and any(each.warm_from is not None for each in among)):
            weights = [each.endpoint.weight * ramp(each) for each in among]
        return _new(Draw, (among, weights, now, self._random, request, key, self._layout, ramp))

    # Judging. All under the lock.

    def measure(self, member: Member, seconds: float, now: float, *, failed: bool | None) -> None:
        """Take in how long there was no answer, which cannot better the average; failures are as slow as answers usually."""
        if failed:
            seconds = max(seconds, self._usual(member, now))
        if seconds > member.faded(now, self.decay):
            member.observe(seconds, now, self.decay)

    def _usual(self, member: Member, now: float) -> float:
        """The median of the others' latencies."""
        others = (each.faded(now, self.decay) for each in self.members if each is not member)
        known = sorted(latency for latency in others if latency)
        return known[len(known) // 2] if known else 0.0

    def count_success(self, member: Member, now: float) -> None:
        """Count a success of an endpoint that has failed of late."""
        member.failures = 0
        member.forgiven(now, self.decay)

    def count_failure(self, member: Member, now: float) -> None:
        """Count a failure, and eject the endpoint if it is time."""
        member.failures += 1
        member.failed += 1
        member.blamed(now, self.decay)
        if self._ejection is None or member not in self.members:
            return
        seconds = self._ejection.seconds_for(member, self.members, now)
        if seconds is not None:
            member.ejected_until = now + seconds
            self._out += 1
            self._told(
                "ejected",
                endpoint=str(member.endpoint),
                reason="consecutive failures",
                failures=member.failures,
                seconds=seconds,
                ejections=member.ejections,
            )

    def _settle(self, now: float) -> None:
        """End what was forgotten."""
        while self.lost:
            self.lost.popleft().over(now, failed=False)

    def _bring_back(self, now: float) -> None:
        for member in self.members:
            until = member.ejected_until
            if until is not None and now >= until:
                member.ejected_until = None
                member.failures = 0
                member.in_since = now
                member.warm_from = now if self._slow_start else None
                self._out -= 1
                self._told("returned", endpoint=str(member.endpoint))

    # Telling

    def _told(self, event: str, **fields: Any) -> None:
        self.news.append((f"endpoint.{event}", {"service": self.name, **fields}))

    def tell(self, request: Request) -> None:
        """Let the observers of `request` know what happened since somebody was told."""
        while self.news and request.observers:
            try:
                event, fields = self.news.popleft()
            except IndexError:
                # Another thread was quicker.
                return
            request.note(event, **fields)

    def _unknown(self, request: Request, now: float) -> NoEndpoint:
        after = max(0.0, self.stale_at - now) if abs(self.stale_at) < inf else None
        if self.members:
            return NoEndpoint(
                f"The service {self.name!r} has endpoints without TLS only, and the request is an https one: "
                "give https endpoints, or call it by http",
                request=request,
            )
        why = f": {self._error}" if self._error else ""
        return NoEndpoint(
            f"No endpoint of the service {self.name!r} is known ({self._source!r}){why}",
            request=request,
            retry_after=after,
        )

    def state(self) -> ServiceState:
        """What is known now."""
        import time

        now = (self.clock or time.monotonic)()
        with self.lock:
            self._settle(now)
            members = self.members or [Member(endpoint, now, 0.0) for endpoint in self._fixed]
            return ServiceState(
                self.name,
                tuple(
                    EndpointState(
                        str(member.endpoint),
                        member.endpoint.weight,
                        member.ramp(now, self._slow_start),
                        member.returns_in(now) if member.out else None,
                        member.pending,
                        member.faded(now, self.decay),
                        member.sent,
                        member.failed,
                        member.failures,
                        member.ejections,
                        member.endpoint.priority,
                        member.paused_until - now if member.paused_until > now else None,
                        member.penalty(now, self.decay),
                    )
                    for member in members
                ),
                self._error,
            )


def _all_of_it(member: Member) -> float:  # noqa: ARG001
    return 1.0
