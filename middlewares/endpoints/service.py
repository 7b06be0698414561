"""`Service`: the endpoints of one service, who is in use, and what each attempt does there.

Rules:

- Everything that several threads or tasks change is changed under one lock, which nobody holds while waiting.
- The source is asked by one at a time in each event loop (or among all threads). Where endpoints are known, that goes
  on beside the requests; where none are, requests wait for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any

from scallion.pipeline.errors import NoEndpoint
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

# A child process has its parent's books, but not the thread that was asking.
_LONGEST_QUESTION = 60.0
_MOST_NEWS = 64


class Service:
    """The endpoints of one service.

    Attributes:
        name: As it stands in URLs.
        lock: Guards the members and the lists of them.
        members: All endpoints.
        news: Events to tell, by the next request that somebody observes.
        lost: Uses whose responses were forgotten.
        clock: Seconds, for `state`.
        background: What asks the source at this moment, beside the requests; the last one that did.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        choice: Choice,
        ejection: Ejection | None,
        slow_start: float,
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
        self._ejection = ejection
        self._slow_start = slow_start
        self._random = random
        self._layout: Any = None
        self._uneven = False
        self._out = 0
        # When to ask the source again; None for never.
        self._stale_at: float | None = 0.0
        self._error: str | None = None
        self._asking: dict[Hashable, tuple[float, list[Event]]] = {}
        self._began = False
        if isinstance(source, Static):
            self._endpoints: tuple[Endpoint, ...] = source.endpoints  # type: ignore[assignment]
            self._stale_at = None

    # What is known

    def is_stale(self, now: float) -> bool:
        """Whether the source is to be asked."""
        return self._stale_at is not None and (not self.members or now >= self._stale_at)

    async def refresh(self, request: Request, runtime: Runtime) -> None:
        """Ask the source: beside the request if there is something to go on with, else first.

        Raises:
            NoEndpoint: nothing is known, and cannot be told now.
        """
        while True:
            now = runtime.clock()
            with self.lock:
                if not self.members and self._error is not None and now < (self._stale_at or 0.0):
                    raise self._unknown(request, now)
                waiting = self._begin(runtime.key, now)
                if waiting is None:
                    break
                if self.members:
                    return
                event = runtime.event()
                waiting.append(event)
            left = None if request.deadline is None else max(0.0, request.deadline - now)
            if not await event.wait(left):
                raise self._unknown(request, runtime.clock())
            if self.members:
                return
        if not self.members:
            await self._ask(runtime)
            if not self.members:
                raise self._unknown(request, runtime.clock())
        elif runtime.blocking:
            thread = threading.Thread(target=lambda: run(self._ask(runtime)), daemon=True)
            self.background = thread
            thread.start()
        else:
            from scallion.pipeline.runtime_tasks import start

            self.background = start(partial(self._ask, runtime))

    def _begin(self, key: Hashable, now: float) -> list[Event] | None:
        """Who waits for the question that is under way; None if it is the caller's to put it. Under the lock."""
        asked = self._asking.get(key)
        if asked is not None and now - asked[0] < _LONGEST_QUESTION:
            return asked[1]
        self._asking[key] = (now, [])
        return None

    async def _ask(self, runtime: Runtime) -> None:
        try:
            found = await self._source.find(self.name, runtime)
        except Exception as error:  # noqa: BLE001  # whatever it is, what was good remains good
            with self.lock:
                self._error = f"{type(error).__name__}: {error}"
                self._stale_at = runtime.clock() + RETRY
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
        self._stale_at = None if found.good_for is None else now + found.good_for
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
        self.members = members
        self._uneven = len({endpoint.weight for endpoint in endpoints}) > 1
        self._layout = self._choice.laid_out(members)
        self._out = sum(member.out for member in members)

    # Choosing

    def begin(self, now: float) -> None:
        """The first request: endpoints that were always known enter now."""
        if self._began:
            return
        with self.lock:
            if self._stale_at is None and not self.members:
                self._enter(self._endpoints, now)
            self._began = True

    def choose(self, request: Request, tried: Tried, now: float, key: Key, *, secure: bool) -> Use:
        """Who is to be asked.

        Args:
            request: What is to be sent.
            tried: Where its call has been.
            now: The clock.
            key: What the request's option says it belongs to.
            secure: Whether it must not go to an endpoint without TLS.

        Raises:
            NoEndpoint: there is none.
        """
        with self.lock:
            while self.lost:
                self.lost.popleft().over(now, failed=False)
            if self._out:
                self._bring_back(now)
            among = self.members
            if secure:
                among = [each for each in among if each.endpoint.scheme != "http"]
            if not among:
                raise self._unknown(request, now)
            every, panic = among, False
            if self._out:
                among = [each for each in every if not each.out]
                panic = not among
                among = among or every
            if tried.failed or tried.pending:
                among = (
                    [e for e in among if e not in tried.failed and e not in tried.pending]
                    or [e for e in among if e not in tried.pending]
                    or among
                )
            member = self._choice.pick(self._draw(among, now, request, key))
            member.pending += 1
            member.sent += 1
            tried.pending.append(member)
            return Use(self, member, tried, now, panic=panic)

    def others(self, tried: Tried, *, secure: bool) -> bool:
        """Whether there is an endpoint in use where the call has not been; arguments as of `choose`."""
        with self.lock:
            return any(
                not (member.out or member in tried.failed or member in tried.pending)
                and not (secure and member.endpoint.scheme == "http")
                for member in self.members
            )

    def _draw(self, among: list[Member], now: float, request: Request, key: Key) -> Draw:
        def ramp(member: Member) -> float:
            return member.ramp(now, self._slow_start)

        weights = None
        if self._uneven or (self._slow_start and any(each.warm_from is not None for each in among)):
            weights = [each.endpoint.weight * ramp(each) for each in among]
        return Draw(among, weights, now, self._random, request, key, self._layout, ramp)

    # Judging. All under the lock.

    def measure(self, member: Member, seconds: float, now: float, *, failed: bool | None) -> None:
        """Take a latency into the average. Only a success may improve it."""
        decay = self._choice.averaged_over
        if failed is False or seconds > member.faded(now, decay):
            member.observe(seconds, now, decay)

    def count_failure(self, member: Member, now: float) -> None:
        """Count a failure, and eject the endpoint if it is time."""
        member.failures += 1
        member.failed += 1
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
        after = None if self._stale_at is None else max(0.0, self._stale_at - now)
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
            members = list(self.members) or [
                Member(endpoint, now, 0.0) for endpoint in getattr(self, "_endpoints", ())
            ]
            decay = self._choice.averaged_over
            return ServiceState(
                self.name,
                tuple(
                    EndpointState(
                        str(member.endpoint),
                        member.endpoint.weight,
                        member.ramp(now, self._slow_start),
                        member.returns_in(now) if member.out else None,
                        member.pending,
                        member.faded(now, decay),
                        member.sent,
                        member.failed,
                        member.failures,
                        member.ejections,
                    )
                    for member in members
                ),
                self._error,
            )
