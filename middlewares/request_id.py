"""A request id: one name for a call, the same in the logs of all who take part in it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

from scallion.pipeline.layer import Bound, Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .random_uuid import random_uuid
from .validation import check_callable

__all__ = ["RequestId", "RequestIdOption", "current_request_id"]

_OPTION = "scallion.RequestId"

# RFC 9110 section 5.6.2: a field's name is a token.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible characters of ASCII. What comes from outside may be anything, and ends up in headers and logs.
_ID = re.compile(r"[!-~]{1,200}")

current_request_id: ContextVar[str | None] = ContextVar("scallion.current_request_id", default=None)
"""The id of the request that this program is serving, for the requests that it makes meanwhile; None for none."""


@dataclass(frozen=True, slots=True)
class RequestIdOption:
    """What one request asks of `RequestId`; see `RequestId.option_for`."""

    id: str | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        if self.id is not None and not is_id(self.id):
            raise ValueError(f"RequestId {_EXPECTED}: {self.id!r}")


@dataclass(frozen=True, repr=False)
class RequestId(Layer):
    """Send an id along with each request: the caller's, that of the request being served, or a new one.

    The first of these counts: what stands in the header already; the option; `current_request_id`, if it is made of 1
    to 200 visible ASCII characters; what `make` returns. It is the same over all attempts and redirects of a call, and
    stays in `response.request.headers`; a `Request` that is sent again keeps it.

    Observers are told `request_id`, with `id` and `source` ("option", "incoming" or "made").

    Attributes:
        header: The name of the header.
        make: Makes an id; by default the 32 hexadecimal digits of a random UUID (RFC 9562 section 5.4).

    Request extension `"scallion.RequestId"`: a `RequestIdOption`, made by `option_for`.

    Raises:
        TypeError, ValueError: a setting is of the wrong kind; from a call: what `make` returned is no id.

    Order: outside redirects, retries and hedging, so that all requests of a call bear one id; inside the call's span
    and log, so that these hear of it. Inside retries each attempt would seem to be another call.
    """

    option: ClassVar[str | None] = _OPTION

    header: str = "X-Request-Id"
    make: Callable[[], str] = random_uuid

    def __post_init__(self) -> None:
        if not isinstance(self.header, str):
            raise TypeError(f"RequestId header must be a header's name: {self.header!r}")
        if not _TOKEN.fullmatch(self.header):
            raise ValueError(f"RequestId header must be a header's name: {self.header!r}")
        check_callable("RequestId make", self.make)

    @staticmethod
    def option_for(id: str | None = None, *, enabled: bool = True) -> dict[str, Any]:  # noqa: A002
        """The request extension for one request.

        Args:
            id: To be sent; None for what the layer does otherwise.
            enabled: False to send none, unless the header is there already.

        Raises:
            ValueError: `id` is not made of 1 to 200 visible ASCII characters.
        """
        return {_OPTION: RequestIdOption(id, enabled)}

    def bind(self, send: Bound, call_next: Next) -> Bound:  # noqa: ARG002
        name = self.header.encode("ascii")
        lower_name = name.lower()

        def through(request: Request) -> Awaitable[Response]:
            option = request.extensions.get(_OPTION)
            if option is not None:
                if not isinstance(option, RequestIdOption):
                    raise TypeError(f"Expected RequestId.option_for(...), not {option!r}")
                if not option.enabled:
                    return send(request)
            headers = request.headers
            if headers.has(lower_name):
                return send(request)
            given, source = self._id(option)
            headers.set_raw(name, lower_name, given.encode("ascii"))
            if request.observers:
                request.note("request_id", id=given, source=source)
            return send(request)

        return through

    def _id(self, option: RequestIdOption | None) -> tuple[str, str]:
        if option is not None and option.id is not None:
            return option.id, "option"
        incoming = current_request_id.get()
        if incoming is not None and is_id(incoming):
            return incoming, "incoming"
        make = self.make
        made = make()
        # Our own need no looking at.
        if make is not random_uuid and not is_id(made):
            raise ValueError(f"RequestId make: {_EXPECTED}: {made!r}")
        return made, "made"

    def __repr__(self) -> str:
        make = (
            ""
            if self.make is random_uuid
            else f", make={getattr(self.make, '__name__', self.make)}"
        )
        return f"RequestId(header={self.header!r}{make})"


_EXPECTED = "expects an id of 1 to 200 visible ASCII characters"


def is_id(given: object) -> bool:
    """Whether this can be sent and logged as it is."""
    return isinstance(given, str) and _ID.fullmatch(given) is not None
