"""What both server-side middlewares share: what they read, whom they tell, and the variables they set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scallion.middlewares.validation import check_number
from scallion.pipeline.incoming import IncomingDeadline, current_deadline, live_deadline
from scallion.pipeline.request import Observer
from scallion.pipeline.timeout_forms import TimeoutForm, check_form, check_header, read_timeout

if TYPE_CHECKING:
    from contextvars import ContextVar, Token

__all__ = ["Incoming", "Settings", "log"]

_SHOWN = 40


def log(event: str, fields: dict[str, Any]) -> None:
    """The observer by default: one line of the logger "scallion.incoming", at level WARNING."""
    import logging

    logging.getLogger("scallion.incoming").warning(
        "%s %s", event, " ".join(f"{name}={value!r}" for name, value in fields.items())
    )


class Settings:
    """What a middleware is constructed with. `DeadlineMiddleware` tells about the arguments."""

    def __init__(
        self,
        app: Any,
        header: str = "X-Request-Timeout",
        form: TimeoutForm = "seconds",
        most: float = 300.0,
        *,
        request_id: str | None = "X-Request-Id",
        observer: Observer = log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        name = type(self).__name__
        if not callable(app):
            raise TypeError(f"{name} wraps an application, which is callable: {app!r}")
        check_header(name, "header", header)
        check_form(name, form)
        check_number(f"{name} most", most, 0, above=True)
        if request_id is not None:
            check_header(name, "request_id", request_id)
        self.app = app
        self.header = header
        self.form = form
        self.most = most
        self.request_id = request_id
        self.observer = observer
        self.clock = clock

    def _incoming(self, timeout: str | None, request_id: str | None) -> Incoming:
        """What a request's headers say: values as they stand there, or None."""
        return Incoming(
            None if timeout is None else self._deadline(timeout),
            None if request_id is None else self._id(request_id),
        )

    def _deadline(self, value: str) -> IncomingDeadline | None:
        seconds = read_timeout(value, self.form)
        if seconds is None:
            self.observer(
                "deadline.ignored",
                {"header": self.header, "value": value[:_SHOWN], "form": self.form},
            )
            return None
        if seconds > self.most:
            self.observer(
                "deadline.cut", {"header": self.header, "asked": seconds, "most": self.most}
            )
            seconds = self.most
        at = self.clock() + seconds
        # An application in this process is called in the context of its caller.
        outer = live_deadline()
        return IncomingDeadline(at if outer is None else min(at, outer))

    def _id(self, value: str) -> str | None:
        # What may go into logs and on to other services. Only who reads ids pays for the import.
        from scallion.middlewares.request_id import is_id

        if is_id(value):
            return value
        self.observer("request_id.ignored", {"header": self.request_id, "value": value[:_SHOWN]})
        return None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({getattr(self.app, '__name__', self.app)!s}, header={self.header!r}, "
            f"form={self.form!r}, most={self.most}, request_id={self.request_id!r})"
        )


class Incoming:
    """One request's values, which are those of the context variables while it is entered.

    It may be entered again after it was left, in another context too.
    """

    def __init__(self, deadline: IncomingDeadline | None, request_id: str | None) -> None:
        self._deadline = deadline
        self._values: list[tuple[ContextVar[Any], Any]] = []
        if deadline is not None:
            self._values.append((current_deadline, deadline))
        if request_id is not None:
            self._values.append((_request_id_variable(), request_id))
        self._tokens: list[tuple[ContextVar[Any], Token[Any]]] = []

    def answered(self) -> None:
        """Nobody waits any more."""
        if self._deadline is not None:
            self._deadline.is_over = True

    def __enter__(self) -> None:
        self._tokens = [(variable, variable.set(value)) for variable, value in self._values]

    def __exit__(self, *error: object) -> None:
        tokens, self._tokens = self._tokens, []
        for variable, token in tokens:
            try:
                variable.reset(token)
            except ValueError:
                # A coroutine that nobody awaited to its end is closed in some other context.
                pass


def _request_id_variable() -> ContextVar[str | None]:
    from scallion.middlewares.request_id import current_request_id

    return current_request_id
