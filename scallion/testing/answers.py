"""What a route answers: replies, responses, errors, functions, and delays before any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from scallion.pipeline.headers import Headers
from scallion.pipeline.onion import name_of
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.streams import ByteStream

from .bodies import Pause, Time, fresh, waiting
from .faults import FAULTS, FaultName
from .handlers import Handler, call_handler, check_handler
from .replies import Reply, check_status

__all__ = ["Answer", "Delayed", "check_answer", "perform"]


@dataclass(frozen=True)
class Delayed:
    """An answer that takes its time. Longer than the request's read timeout, it is a `ReadTimeout`.

    Attributes:
        seconds: How long, on the router's `runtime`.
        answer: What comes then.

    Raises:
        ValueError: the time is negative.
        TypeError: there is no such answer.
    """

    seconds: float
    answer: Answer = 200

    def __post_init__(self) -> None:
        Pause(self.seconds)
        check_answer(self.answer)


Answer: TypeAlias = (
    Reply | Delayed | Response | int | FaultName | Exception | type[Exception] | Handler
)
"""A reply, a response, a status, a fault's name, an exception to raise, or a function that returns one of these.

A function takes the `Request`, and by name those values of the route's URL that it has parameters for. An `async def`
is for an `AsyncClient` only.
"""


def check_answer(answer: object, names: Sequence[str] = ()) -> None:
    """Refuse what cannot be an answer.

    Args:
        answer: What was given.
        names: Of the values that a function may ask for.

    Raises:
        TypeError: it is none; or a function that asks for something else.
        ValueError: a status or a fault that does not exist.
    """
    if isinstance(answer, str):
        if answer not in FAULTS:
            raise ValueError(f"There is no fault {answer!r}: there are {', '.join(FAULTS)}")
    elif isinstance(answer, int):
        check_status(answer)
    elif isinstance(answer, Delayed):
        check_answer(answer.answer, names)
    elif isinstance(answer, (Reply, Response, Exception)):
        pass
    elif isinstance(answer, type):
        if not issubclass(answer, Exception):
            raise TypeError(f"A class that is an answer is an exception's, not {answer.__name__}")
    elif callable(answer):
        check_handler(answer, names)
    else:
        raise TypeError(
            f"No answer: {answer!r}; give a status, a Reply, a Response, a function, an exception, or a fault's name"
        )


async def perform(answer: Any, request: Request, values: Mapping[str, Any], time: Time) -> Response:
    """Give an answer.

    Raises:
        TypeError: a function returned no answer, or is asynchronous in a `Client`.
        Exception: what the answer says.
    """
    if isinstance(answer, Delayed):
        await waiting(answer.seconds, request, time)
        return await perform(answer.answer, request, values, time)
    if isinstance(answer, str) and answer in FAULTS:
        fault = FAULTS[answer]
        if not isinstance(fault, Reply):
            raise fault()
        answer = fault
    if isinstance(answer, int):
        answer = Reply(answer)
    if isinstance(answer, Reply):
        return answer.response(request, time)
    if isinstance(answer, Response):
        return _unread(answer)
    if isinstance(answer, Exception):
        raise fresh(answer)
    if isinstance(answer, type) and issubclass(answer, Exception):
        raise answer(f"{answer.__name__} of the mock")
    returned = call_handler(answer, request, values)
    if hasattr(returned, "__await__"):
        returned = await _awaited(answer, returned, time)
    if callable(returned) and not isinstance(returned, type):
        raise TypeError(f"{name_of(answer)} returned {returned!r}, which is no answer")
    try:
        check_answer(returned)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name_of(answer)} returned no answer: {error}") from None
    return await perform(returned, request, values, time)


async def _awaited(handler: Handler, returned: Any, time: Time) -> Any:
    if time.blocking:
        if hasattr(returned, "close"):
            returned.close()
        raise TypeError(
            f"{name_of(handler)} is async, and the client is not: make it `def`, or use an AsyncClient"
        )
    return await returned


def _unread(response: Response) -> Response:
    """A response that nobody has read yet; bodies that are bytes can be given again and again."""
    stream = response.stream
    if type(stream) is ByteStream:
        return Response(
            response.status_code,
            headers=Headers(response.headers),
            stream=ByteStream(b"".join(stream)),
            extensions=dict(response.extensions),
        )
    if response.is_stream_consumed or response.is_closed:
        raise TypeError(
            f"The body of {response!r} was given to an earlier call: for several, use Reply(chunks=...) or a function"
        )
    return response
