"""`Use`: one attempt at one endpoint. It ends once: when its body has ended, was closed, or was forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .members import Member

if TYPE_CHECKING:
    from scallion.pipeline.request import Request

    from .service import Service

__all__ = ["Tried", "Use"]


class Tried:
    """Where the attempts of one request have been. Shared by all of them, hedges included.

    Attributes:
        failed: Endpoints that failed it, or refused it; forgotten when one has answered.
        pending: Endpoints that it is at now.
        challengers: Endpoints that have asked for credentials, by copy, as each has a login of its own; None where
            none has, which is mostly so.
    """

    __slots__ = ("challengers", "failed", "pending")

    def __init__(self) -> None:
        self.failed: set[Member] = set()
        self.pending: list[Member] = []
        self.challengers: WeakKeyDictionary[Request, Member] | None = None

    def challenged(self, request: Request, member: Member) -> None:
        """`member` has asked `request` for credentials."""
        if self.challengers is None:
            self.challengers = WeakKeyDictionary()
        self.challengers[request] = member


class Use:
    """One attempt at one endpoint.

    Attributes:
        member: Which one.
        panic: Whether it was chosen although it is ejected, as all are.
        since: When it began.
        is_open: Whether the exchange goes on.
    """

    __slots__ = ("_judged", "_service", "_tried", "is_open", "member", "panic", "since")

    def __init__(
        self, service: Service, member: Member, tried: Tried, since: float, panic: bool
    ) -> None:
        self.member = member
        self.panic = panic
        self.since = since
        self.is_open = True
        self._service = service
        self._tried = tried
        self._judged = False

    def answered(self, now: float, *, failed: bool | None, ended: bool = False) -> None:
        """The head of a response is here, or an error is; with `ended` the exchange is over."""
        service = self._service
        with service.lock:
            if failed is False:
                self.member.observe(now - self.since, now, service.decay)
                if self._tried.failed:
                    self._tried.failed.clear()
            else:
                service.measure(self.member, now - self.since, now, failed=failed)
                if failed:
                    self._judge(now, failed=True)
            if ended:
                self.over(now, failed=False)

    def waited(self, now: float) -> None:
        """It was cancelled: nobody's fault, but it shows how long there was no answer."""
        with self._service.lock:
            self._service.measure(self.member, now - self.since, now, failed=None)

    def refused(self) -> None:
        """A layer further in let nothing be sent there."""
        with self._service.lock:
            self._tried.failed.add(self.member)
            self.member.sent -= 1

    def end(self, now: float, *, failed: bool | None = False) -> None:
        """The exchange is over, its body included."""
        with self._service.lock:
            self.over(now, failed=failed)

    def over(self, now: float, *, failed: bool | None) -> None:
        """The same, for who has the service's lock."""
        if self.is_open:
            self.is_open = False
            self.member.pending -= 1
            self._tried.pending.remove(self.member)
            if failed is not None:
                self._judge(now, failed=failed)

    def lost(self) -> None:
        """The response was forgotten: said by a finaliser, which must not wait for a lock."""
        if self.is_open:
            self._service.lost.append(self)

    def _judge(self, now: float, *, failed: bool) -> None:
        if self._judged:
            return
        self._judged = True
        if failed:
            self._tried.failed.add(self.member)
            self._service.count_failure(self.member, now)
        elif self.member.failures or self.member.blame:
            self._service.count_success(self.member, now)
