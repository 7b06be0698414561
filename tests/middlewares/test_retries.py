"""Retries: the dialogue with the rest of the onion."""

from __future__ import annotations

import pickle
import ssl
import sys
from typing import Any

import pytest
import tenacity

from scallion.middlewares.retries import (
    Attempt,
    FullJitter,
    Retries,
    RetriesOption,
    RetryState,
    Transient,
    attempt_of,
)
from scallion.middlewares.retry_budget import RetryBudget
from scallion.middlewares.transient import idle_timeout
from scallion.pipeline.bodies import IteratorByteStream
from scallion.pipeline.errors import (
    AttemptTimeout,
    CircuitOpen,
    ConnectError,
    ConnectTimeout,
    DecodingError,
    InvalidURL,
    LocalProtocolError,
    PoolTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TotalTimeout,
    TransportError,
    UnsupportedProtocol,
    WriteError,
)
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.testing import check_middleware
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.worlds import After, OpenStream, World, noted, play

URL = "http://example.org/"
NO_WAIT = FullJitter(0.0, 0.0)


def halfway() -> float:
    return 0.5


def get(**settings: Any) -> Request:
    return Request("GET", URL, **settings)


def steady(*args: Any, **settings: Any) -> Retries:
    """Retries whose waits are 0.1, 0.2, 0.4 seconds and so on."""
    settings.setdefault("wait", FullJitter(0.2, 2.0, random=halfway))
    return Retries(*args, **settings)


def unavailable(**headers: str) -> Response:
    return Response(503, headers={name.replace("_", "-"): value for name, value in headers.items()})


# What is tried again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_transient_answers_are_closed_and_asked_again(drive: Drive, status: int) -> None:
    """
    Such an answer is closed before the wait; the first good one is returned.
    """
    body = OpenStream(b"busy")
    ok = Response(200)
    world = World([Response(status, stream=body), ok])

    assert ok is play([steady()], get(), world, drive)
    assert body.closed
    assert [0.1] == world.slept


@pytest.mark.parametrize("status", [200, 304, 400, 404, 408, 500, 501])
def test_other_answers_are_returned(drive: Drive, status: int) -> None:
    """
    500 is among them: it is more often a bug than a moment's trouble.
    """
    world = World([Response(status)])

    response = play([steady()], get(), world, drive)

    assert status == response.status_code
    assert "attempts" not in response.extensions


@pytest.mark.parametrize(
    "error",
    [
        ConnectError,
        ConnectTimeout,
        ReadError,
        ReadTimeout,
        WriteError,
        RemoteProtocolError,
        PoolTimeout,
        AttemptTimeout,
    ],
)
def test_transient_errors_are_tried_again(drive: Drive, error: type[TransportError]) -> None:
    """
    What the network or the server did to one attempt need not happen to the next.
    """
    world = World([error("no luck"), Response(200)])

    assert 200 == play([steady()], get(), world, drive).status_code
    assert [0.1] == world.slept


@pytest.mark.parametrize(
    "error",
    [
        TotalTimeout("late"),
        LocalProtocolError("ours"),
        UnsupportedProtocol("gopher"),
        InvalidURL("no"),
        DecodingError("what"),
        ValueError("a bug"),
    ],
)
def test_errors_that_would_come_again_are_raised(drive: Drive, error: Exception) -> None:
    """
    There is no second attempt, and the error has no notes.
    """
    world = World([error])

    with pytest.raises(type(error)) as raised:
        play([steady()], get(), world, drive)

    assert error is raised.value
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("error", [TotalTimeout("late"), LocalProtocolError("ours")])
def test_no_setting_retries_what_is_final(drive: Drive, error: Exception) -> None:
    """
    Neither `on` nor a predicate overrules it.
    """
    for retries in (
        steady(on=(Exception,)),
        steady(retry=tenacity.retry_if_exception_type(Exception)),
    ):
        world = World([error])
        with pytest.raises(type(error)):
            play([retries], get(), world, drive)
        assert 1 == len(world.asked)


def refused_certificate(*, explicit: bool) -> ConnectError:
    try:
        try:
            raise ssl.SSLCertVerificationError("self-signed")
        except ssl.SSLError as cause:
            if explicit:
                raise ConnectError("TLS failed") from cause
            raise ConnectError("TLS failed")  # noqa: B904  # the implicit chain is the case
    except ConnectError as error:
        return error


@pytest.mark.parametrize("explicit", [True, False])
def test_a_refused_certificate_is_not_tried_again(drive: Drive, explicit: bool) -> None:
    """
    The next handshake would show the same certificate.
    """
    world = World([refused_certificate(explicit=explicit)])

    with pytest.raises(ConnectError):
        play([steady()], get(), world, drive)

    assert [] == world.slept


def test_another_tls_failure_is_tried_again(drive: Drive) -> None:
    """
    A handshake that was cut off may work the next time.
    """
    error = ConnectError("TLS failed")
    error.__cause__ = ssl.SSLEOFError("cut off")
    world = World([error, Response(200)])

    assert 200 == play([steady()], get(), world, drive).status_code


# The classifier


def test_a_classifier_takes_the_place_of_statuses_and_errors(drive: Drive) -> None:
    """
    The value that other layers are given as well.
    """
    retries = steady(transient=Transient({404}, DecodingError))  # type: ignore[arg-type]
    world = World([Response(404), DecodingError("what"), Response(503)])

    assert 503 == play([retries], get(), world, drive).status_code
    assert [0.1, 0.2] == world.slept


def test_a_function_classifies(drive: Drive) -> None:
    """
    It is asked of each outcome, but for final errors.
    """
    seen: list[object] = []

    def slow_start(outcome: Response | Exception) -> bool:
        seen.append(outcome)
        return isinstance(outcome, Response) and "warming" in outcome.headers

    warming, ready = Response(200, headers={"Warming": "up"}), Response(200)
    world = World([warming, ready])
    assert ready is play([steady(transient=slow_start)], get(), world, drive)
    assert [warming, ready] == seen

    world = World([TotalTimeout("late")])
    with pytest.raises(TotalTimeout):
        play([steady(transient=lambda outcome: True)], get(), world, drive)


def test_a_classifier_that_fails_loses_no_response(drive: Drive) -> None:
    """
    Its error is the caller's, and the response is closed.
    """
    body = OpenStream(b"fine")
    retries = steady(transient=Transient(also=lambda outcome: 1 / 0))  # type: ignore[arg-type,return-value]

    with pytest.raises(ZeroDivisionError):
        play([retries], get(), World([Response(200, stream=body)]), drive)

    assert body.closed


@pytest.mark.parametrize(("connection", "tries"), [("close", 2), ("keep-alive", 1)])
def test_a_server_that_waited_for_a_request_in_vain_gets_it_again(
    drive: Drive, connection: str, tries: int
) -> None:
    """
    It says so by a 408, and closes the connection; all else passes without being asked about.
    """
    retries = steady(transient=Transient(also=idle_timeout))
    world = World([Response(408, headers={"Connection": connection}), Response(200)])

    play([retries], get(), world, drive)

    assert tries == len(world.asked)
    assert {408, 429, 502, 503, 504} == retries._asked


@pytest.mark.parametrize(
    "settings",
    [
        {"statuses": {503}},
        {"on": (ReadError,)},
        {"retry": tenacity.retry_if_exception_type(ReadError)},
    ],
)
def test_two_classifiers_are_one_too_many(settings: dict[str, Any]) -> None:
    """
    Which one would count could only be guessed.
    """
    with pytest.raises(ValueError, match="give one of them"):
        Retries(transient=Transient({500}), **settings)


# What is safe to send again


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "QUERY"])
def test_idempotent_methods_are_sent_again(drive: Drive, method: str) -> None:
    """
    Sending them twice intends no more than sending them once.
    """
    world = World([Response(503), Response(200)])

    assert 200 == play([steady()], Request(method, URL), world, drive).status_code


@pytest.mark.parametrize("method", ["POST", "PATCH", "PURGE"])
def test_other_methods_are_sent_once(drive: Drive, method: str) -> None:
    """
    Whether the server did what it was asked for is not known.
    """
    request = Request(method, URL)
    events = noted(request)
    world = World([Response(503)])

    assert 503 == play([steady()], request, world, drive).status_code
    assert [("retry.end", {"attempt": 1, "reason": "not idempotent"})] == events

    world = World([ReadTimeout("?")])
    with pytest.raises(ReadTimeout):
        play([steady()], Request(method, URL), world, drive)


def test_a_post_with_an_idempotency_key_is_sent_again(drive: Drive) -> None:
    """
    The server promises to recognise it.
    """
    request = Request("POST", URL, headers={"Idempotency-Key": "7"}, content=b"x")
    world = World([Response(503), Response(201)])

    assert 201 == play([steady()], request, world, drive).status_code


@pytest.mark.parametrize(("method", "idempotent", "sent"), [("POST", True, 2), ("GET", False, 1)])
def test_the_caller_knows_best(drive: Drive, method: str, idempotent: bool, sent: int) -> None:
    """
    The option says whether this request may be sent twice.
    """
    option = Retries.option_for(idempotent=idempotent)
    world = World([Response(503), Response(200)])

    play([steady()], Request(method, URL, extensions=option), world, drive)

    assert sent == len(world.asked)


@pytest.mark.parametrize("error", [ConnectError, ConnectTimeout, PoolTimeout])
def test_a_post_that_was_not_sent_is_sent_again(drive: Drive, error: type[TransportError]) -> None:
    """
    Without a connection nothing reached the server. A setting switches it off.
    """
    request = Request("POST", URL)
    world = World([error("no", request=request), Response(201)])

    assert 201 == play([steady()], request, world, drive).status_code

    world = World([error("no")])
    with pytest.raises(error):
        play([steady(retry_unsent=False)], request, world, drive)


def test_a_post_that_was_redirected_was_sent(drive: Drive) -> None:
    """
    Where a later hop could not connect, the first one was served.
    """
    world = World([ConnectError("no", request=Request("POST", "http://elsewhere.example.org/"))])

    with pytest.raises(ConnectError):
        play([steady()], Request("POST", URL), world, drive)


def test_a_body_that_cannot_be_sent_twice_is_not(drive: Drive) -> None:
    """
    The last answer is returned instead, and the observers learn why.
    """
    request = Request("PUT", URL, stream=IteratorByteStream(iter([b"once"])))
    events = noted(request)
    world = World([Response(503)])

    assert 503 == play([steady()], request, world, drive).status_code
    assert [("retry.end", {"attempt": 1, "reason": "the body cannot be sent again"})] == events


def test_replayability_is_asked_only_when_needed(drive: Drive) -> None:
    """
    A request that succeeds is never asked.
    """

    class Shy(Request):
        @property
        def replayable(self) -> bool:
            raise AssertionError("asked")

    assert 200 == play([steady()], Shy("PUT", URL), World([Response(200)]), drive).status_code
    assert 503 == play([steady()], Shy("POST", URL), World([Response(503)]), drive).status_code


# How often, and how long between


def test_attempts_counts_the_first(drive: Drive) -> None:
    """
    Three attempts are two waits, which double; the last answer is returned open.
    """
    last = Response(503, stream=OpenStream(b"still busy"))
    world = World([Response(502), Response(504), last])

    assert last is play([steady()], get(), world, drive)
    assert not last.is_closed
    assert [0.1, 0.2] == world.slept


@pytest.mark.parametrize(
    "option", [Retries.option_for(attempts=1), Retries.option_for(enabled=False)]
)
def test_one_request_may_ask_for_one_attempt(drive: Drive, option: dict[str, Any]) -> None:
    """
    The option wins over the layer's own setting.
    """
    world = World([Response(503)])

    assert 503 == play([steady(5)], get(extensions=option), world, drive).status_code


def test_one_request_may_ask_for_more(drive: Drive) -> None:
    """
    The option's number replaces the layer's.
    """
    world = World([Response(503)] * 4 + [Response(200)])

    response = play([steady(1)], get(extensions=Retries.option_for(attempts=5)), world, drive)

    assert 200 == response.status_code


def test_a_stray_option_is_refused(drive: Drive) -> None:
    """
    A number in the place of the option is a mistake that is named.
    """
    with pytest.raises(TypeError, match=r"Retries\.option_for"):
        play([steady()], get(extensions={"scallion.Retries": 3}), World([]), drive)


def test_a_layer_with_one_attempt_does_nothing() -> None:
    """
    It hands the request on without a coroutine of its own.
    """
    nothing: Any = object()

    assert nothing is Retries(attempts=1)(get(), lambda request: nothing)  # type: ignore[arg-type]


def test_full_jitter_spreads_over_a_doubling_range() -> None:
    """
    Waits lie between 0 and the bound, which doubles up to the cap, and never overflows.
    """
    state = RetryState(None, get(), 0.0)
    bounds = []
    for attempt in (1, 2, 3, 5, 6, 7, 5000):
        state.attempt_number = attempt
        bounds.append(FullJitter(random=lambda: 1.0)(state))
        assert 0 <= FullJitter()(state) < 2.0
    assert [0.1, 0.2, 0.4, 1.6, 2.0, 2.0, 2.0] == bounds
    assert 0.0 == FullJitter(random=lambda: 0.0)(state)


@pytest.mark.parametrize(("base", "cap"), [(-1, 2), (3, 2), (float("nan"), 2)])
def test_full_jitter_is_validated(base: float, cap: float) -> None:
    """
    A range that makes no sense is refused.
    """
    with pytest.raises(ValueError, match="0 <= base <= cap"):
        FullJitter(base, cap)


# Retry-After


@pytest.mark.parametrize(
    ("asked", "slept"),
    [
        ("2", [2.0]),
        ("0", [0.1]),
        ("soon", [0.1]),
        ("Sun, 06 Nov 1994 08:49:37 GMT", [7.0]),
        ("Sunday, 06-Nov-94 08:49:37 GMT", [7.0]),
        ("Sun Nov  6 08:49:37 1994", [7.0]),
        ("Sat, 05 Nov 1994 08:49:37 GMT", [0.1]),
        ("30", [30.0]),
    ],
)
def test_the_wait_is_at_least_what_the_server_asks_for(
    drive: Drive, asked: str, slept: list[float]
) -> None:
    """
    Seconds or a date count; a date in the past and what is malformed do not.
    """
    world = World([unavailable(retry_after=asked), Response(200)])

    play([steady(wall_clock=lambda: 784_111_770.0)], get(), world, drive)

    assert slept == world.slept


@pytest.mark.parametrize("asked", ["31", "9" * 5000, "Mon, 07 Nov 1994 08:49:37 GMT"])
def test_a_server_that_asks_for_too_much_has_the_last_word(drive: Drive, asked: str) -> None:
    """
    Nobody sleeps longer than the cap; the response is returned.
    """
    answer = unavailable(retry_after=asked)
    world = World([answer])

    assert answer is play([steady(wall_clock=lambda: 784_111_770.0)], get(), world, drive)
    assert [] == world.slept


# The server's refusal


@pytest.mark.parametrize("value", ["false", "False", " no ", "-1"])
def test_a_server_may_refuse_another_attempt(drive: Drive, value: str) -> None:
    """
    The response is the answer at once, open, and the observers learn why.
    """
    answer = Response(503, headers={"X-Should-Retry": value}, stream=OpenStream(b"do not"))
    request = get()
    events = noted(request)
    world = World([answer])

    assert answer is play([steady()], request, world, drive)
    assert not answer.is_closed
    reason = "the server asks for no other attempt"
    assert [("retry.end", {"attempt": 1, "reason": reason})] == events


@pytest.mark.parametrize("value", ["true", "", "0", "1000", "maybe", "-", "-1s"])
def test_other_values_refuse_nothing(drive: Drive, value: str) -> None:
    """
    Nor do they make a failure of what is none.
    """
    world = World([Response(503, headers={"X-Should-Retry": value}), Response(200)])
    assert 200 == play([steady()], get(), world, drive).status_code

    world = World([Response(500, headers={"X-Should-Retry": value})])
    assert 500 == play([steady()], get(), world, drive).status_code


def test_the_header_of_the_refusal_is_a_setting(drive: Drive) -> None:
    """
    gRPC's, for example; None heeds no header.
    """
    grpc = Response(503, headers={"grpc-retry-pushback-ms": "-1"})
    world = World([grpc])
    assert grpc is play([steady(veto_header="grpc-retry-pushback-ms")], get(), world, drive)

    world = World([Response(503, headers={"X-Should-Retry": "false"}), Response(200)])
    assert 200 == play([steady(veto_header=None)], get(), world, drive).status_code


@pytest.mark.parametrize(("asked", "slept"), [(3.0, [3.0]), (0.0, [0.1]), (None, [0.1])])
def test_a_layers_refusal_says_when_to_come_back(
    drive: Drive, asked: float | None, slept: list[float]
) -> None:
    """
    Where `on` names it, it is tried again, whatever the method is: nothing was sent.
    """
    request = Request("POST", URL)
    refusal = CircuitOpen("open", request=request, retry_after=asked)
    world = World([refusal, Response(201)])

    assert 201 == play([steady(on=(CircuitOpen,))], request, world, drive).status_code
    assert slept == world.slept

    with pytest.raises(CircuitOpen):
        play([steady()], request, World([refusal]), drive)
    late = CircuitOpen("open", retry_after=31.0)
    with pytest.raises(CircuitOpen):
        play([steady(on=(CircuitOpen,))], request, World([late]), drive)


# The number that the server is told


def test_the_server_is_told_the_number_of_the_attempt(drive: Drive) -> None:
    """
    From the second on, if the header has a name; afterwards it is off the request, which may be sent anew.
    """
    for name, expected in (("X-Attempt", [None, "2", "3"]), (None, [None, None, None])):
        request = get()
        seen: list[str | None] = []

        def answer(request: Request, seen: list[str | None] = seen) -> Response:
            seen.append(request.headers.get("X-Attempt"))
            return Response(503)

        play([steady(attempt_header=name)], request, World([answer] * 3), drive)

        assert expected == seen
        assert "X-Attempt" not in request.headers


def test_a_header_of_the_same_name_comes_back(drive: Drive) -> None:
    """
    What the caller wrote there stands in the first attempt, and after the last, whatever came of it.
    """
    request = get(headers={"X-Attempt": "one"})
    seen: list[str] = []

    def fail(request: Request) -> Exception:
        seen.append(request.headers["X-Attempt"])
        return ReadError("cut off")

    with pytest.raises(ReadError):
        play([steady(2, attempt_header="X-Attempt")], request, World([fail] * 2), drive)

    assert ["one", "2"] == seen
    assert "one" == request.headers["X-Attempt"]


# The deadline


def test_no_wait_goes_beyond_the_deadline(drive: Drive) -> None:
    """
    Where the wait would pass it, the last answer is returned at once.
    """
    request = get()
    request.deadline = 1005.0
    events = noted(request)
    world = World([unavailable(retry_after="3"), unavailable(retry_after="3")])

    assert 503 == play([steady()], request, world, drive).status_code
    assert [3.0] == world.slept
    assert ("retry.end", {"attempt": 2, "reason": "the deadline comes first"}) == events[-1]


def test_an_error_is_raised_where_no_time_is_left(drive: Drive) -> None:
    """
    The last error is what the caller sees, not a timeout without a cause.
    """
    request = get()
    request.deadline = 1000.05

    with pytest.raises(ReadError):
        play([steady()], request, World([ReadError("cut off")]), drive)


# History


def test_a_response_tells_its_attempts(drive: Drive) -> None:
    """
    All of them, the last included.
    """
    world = World([Response(503), ReadError("cut off"), Response(200)])

    response = play([steady()], get(), world, drive)

    assert response.extensions["attempts"] == (
        Attempt(1, 503, None, 0.1),
        Attempt(2, None, "ReadError: cut off", 0.2),
        Attempt(3, 200, None, 0.0),
    )


def test_an_error_carries_notes_on_earlier_attempts(drive: Drive) -> None:
    """
    The last error says what the earlier attempts met, and still does after pickling.
    """
    world = World([Response(503), ConnectTimeout("slow"), ReadError("cut off")])

    with pytest.raises(ReadError) as raised:
        play([steady()], get(), world, drive)

    notes = [
        "Attempt 1: status 503; waited 0.1 s",
        "Attempt 2: ConnectTimeout: slow; waited 0.2 s",
    ]
    assert notes == raised.value.__notes__
    assert notes == pickle.loads(pickle.dumps(raised.value)).__notes__
    assert raised.value.__context__ is None


def test_an_error_tells_its_attempts(drive: Drive) -> None:
    """
    All of them, the last included, as a response does; one alone is no history.
    """
    world = World([Response(503), ReadError("cut off")])
    with pytest.raises(ReadError) as raised:
        play([steady(2)], get(), world, drive)

    attempts = (Attempt(1, 503, None, 0.1), Attempt(2, None, "ReadError: cut off", 0.0))
    assert attempts == vars(raised.value)["attempts"]
    assert attempts == vars(pickle.loads(pickle.dumps(raised.value)))["attempts"]

    with pytest.raises(ReadError) as raised:
        play([steady(2)], Request("POST", URL), World([ReadError("cut off")]), drive)
    assert "attempts" not in vars(raised.value)


def test_observers_hear_of_each_wait_and_of_the_end(drive: Drive) -> None:
    """
    They learn the coming attempt's number, the wait and the reason; then why it ended.
    """
    request = get()
    events = noted(request)
    world = World([Response(503), ReadError("cut off"), Response(502)])

    play([steady()], request, world, drive)

    assert [
        ("retry", {"attempt": 2, "wait": 0.1, "reason": "503"}),
        ("retry", {"attempt": 3, "wait": 0.2, "reason": "ReadError"}),
        ("retry.end", {"attempt": 3, "reason": "no attempts left"}),
    ] == events


def test_inner_layers_learn_the_number_of_the_attempt(drive: Drive) -> None:
    """
    It is gone once the call is over, and shared extensions are never written to.
    """
    shared = {"mine": 1}
    request = get()
    request.extensions = shared
    seen = []

    def answer(request: Request) -> Response:
        seen.append((attempt_of(request), request.extensions["mine"]))
        return Response(503)

    play([steady()], request, World([answer] * 3), drive)

    assert [(1, 1), (2, 1), (3, 1)] == seen
    assert shared is request.extensions
    assert {"mine": 1} == shared
    assert 1 == attempt_of(request)


def test_a_request_left_by_an_earlier_call_counts_anew(drive: Drive) -> None:
    """
    A request that inherited from a second attempt is in its own first one.
    """
    inherited = get()

    def answer(request: Request) -> Response:
        inherited.inherit(request)
        return Response(503 if attempt_of(request) == 1 else 200)

    play([steady()], get(), World([answer, answer]), drive)
    assert 2 == attempt_of(inherited)

    seen: list[int] = []

    def count(request: Request) -> Response:
        seen.append(attempt_of(request))
        return Response(200)

    play([steady()], inherited, World([count]), drive)
    assert [1] == seen


# tenacity


def test_tenacity_waits_and_stops(drive: Drive) -> None:
    """
    A stop without `attempts` decides alone, and combinations of strategies work.
    """
    retries = Retries(
        wait=tenacity.wait_fixed(1) + tenacity.wait_incrementing(0, 1),
        stop=tenacity.stop_after_attempt(5) | tenacity.stop_after_delay(60),
    )
    world = World([Response(503)] * 5)

    response = play([retries], get(), world, drive)

    assert [1.0, 2.0, 3.0, 4.0] == world.slept
    assert 5 == len(response.extensions["attempts"])


@pytest.mark.parametrize(
    ("stop", "slept"),
    [
        (tenacity.stop_after_delay(10), [4.0]),
        (tenacity.stop_before_delay(10), []),
        (tenacity.stop_before_delay(10) & tenacity.stop_after_attempt(2), [4.0]),
        (tenacity.stop_never, [4.0, 4.0, 4.0]),
    ],
)
def test_delays_count_on_the_runtimes_clock(drive: Drive, stop: Any, slept: list[float]) -> None:
    """
    From the start of the first attempt to the end of the last, waits included.
    """
    script = [After(7.0, Response(503)) for _ in range(3)] + [Response(200)]
    world = World(script)

    play([Retries(wait=tenacity.wait_fixed(4), stop=stop)], get(), world, drive)

    assert slept == world.slept


def test_attempts_bounds_a_stop(drive: Drive) -> None:
    """
    Given both, the first to say so ends it.
    """
    retries = Retries(2, wait=NO_WAIT, stop=tenacity.stop_after_attempt(9))
    world = World([Response(503)] * 2)

    play([retries], get(), world, drive)

    assert 2 == len(world.asked)


def test_tenacity_predicates_say_what_is_transient(drive: Drive) -> None:
    """
    They see responses and errors, and take the place of `statuses` and `on`.
    """
    retries = steady(
        retry=tenacity.retry_if_result(lambda response: response.status_code == 404)
        | tenacity.retry_if_exception_type(DecodingError)
    )
    world = World([Response(404), DecodingError("what"), Response(503)])

    assert 503 == play([retries], get(), world, drive).status_code
    assert [0.1, 0.2] == world.slept


def test_waits_see_the_outcome(drive: Drive) -> None:
    """
    Strategies find everything that tenacity's own state offers.
    """
    seen: list[tuple[Any, ...]] = []

    def wait(state: tenacity.RetryCallState) -> float:
        assert state.outcome is not None
        failed = state.outcome.failed
        what = state.outcome.exception() if failed else state.outcome.result()
        seen.append((state.attempt_number, failed, str(what), state.idle_for))
        seen.append((state.seconds_since_start, state.args[0].method, state.get_fn_name()))
        assert ({}, None, None) == (state.kwargs, state.fn, state.next_action)
        return 2.0

    world = World([After(1.0, Response(503)), ReadError("cut off"), Response(200)])
    play([Retries(wait=wait)], get(), world, drive)

    assert [
        (1, False, "<Response [503 Service Unavailable]>", 0.0),
        (1.0, "GET", "GET request"),
        (2, True, "cut off", 2.0),
        (3.0, "GET", "GET request"),
    ] == seen


def test_a_strategy_that_fails_loses_no_response(drive: Drive) -> None:
    """
    Its error is the caller's, and the response is closed.
    """
    body = OpenStream(b"busy")

    with pytest.raises(ZeroDivisionError):
        play([steady(wait=lambda state: 1 / 0)], get(), World([Response(503, stream=body)]), drive)

    assert body.closed


def test_a_negative_wait_is_none(drive: Drive) -> None:
    """
    A strategy's mistake does not travel back in time.
    """
    world = World([Response(503), Response(200)])

    play([Retries(wait=lambda state: -1)], get(), world, drive)

    assert [0.0] == world.slept


# Cancellation, and the other rules


def test_the_layer_keeps_the_rules() -> None:
    """
    Those of the conformance suite, with all that can be switched on.
    """
    check_middleware(lambda: Retries(budget=RetryBudget(), attempt_header="X-Attempt"))


def test_cancellation_passes_untouched() -> None:
    """
    What is no `Exception` is neither a failure nor tried again.
    """

    async def cancelled(request: Request, call_next: Next) -> Response:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play([steady(on=(Exception,)), cancelled], get(), World([]), Drive("sync"))


@pytest.mark.parametrize("colour", ["asyncio", "trio"], indirect=True)
def test_a_cancelled_call_leaves_no_trace(drive: Drive) -> None:
    """
    Wherever it is cancelled: the request is as it was, and no response stays open.
    """
    shared = {"mine": 1}
    bodies: list[OpenStream] = []
    request = get(headers={"Accept": "*/*"})
    request.extensions = shared
    before = request.headers.raw

    def busy(request: Request) -> Response:
        bodies.append(OpenStream(b"busy"))
        return Response(503, stream=bodies[-1])

    async def work() -> None:
        world = World([After(0.1, busy)] * 3, blocking=False)
        retries = steady(attempt_header="X-Attempt", budget=RetryBudget())
        response = await compose([retries], world.transport, world)(request)
        await response.aclose()

    async def check() -> None:
        assert shared is request.extensions
        assert {"mine": 1} == shared
        assert before == request.headers.raw
        assert all(body.closed for body in bodies)

    async def scenario() -> int:
        return await cancelled_everywhere(work, check)

    assert drive(scenario) >= 5


# Construction


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"attempts": 0}, ValueError, "attempts .* 1 or more: 0"),
        ({"attempts": True}, ValueError, "attempts"),
        ({"attempts": 2.5}, ValueError, "attempts"),
        ({"wait": None}, TypeError, "wait must be a callable"),
        ({"wait": 2.0}, TypeError, "wait must be a callable"),
        ({"stop": tenacity.stop_after_attempt}, TypeError, "stop must be a callable"),
        ({"retry": 503}, TypeError, "retry must be a callable"),
        ({"retry_after_cap": -1}, ValueError, "retry_after_cap .* -1"),
        ({"retry_after_cap": float("nan")}, ValueError, "retry_after_cap"),
        ({"statuses": 503}, TypeError, "collection of HTTP status codes: 503"),
        ({"statuses": {42}}, ValueError, "100 to 599"),
        ({"methods": "GET"}, TypeError, "methods"),
        ({"on": ("ReadError",)}, TypeError, "exception classes"),
        ({"transient": 503}, TypeError, "transient must be callable"),
        ({"transient": Transient}, TypeError, "transient must be callable"),
        ({"budget": 0.2}, TypeError, "budget must be a RetryBudget, or None: 0.2"),
        ({"attempt_header": "X Attempt"}, ValueError, "attempt_header must be a header's name"),
        ({"veto_header": ""}, ValueError, "veto_header must be a header's name, or None: ''"),
    ],
)
def test_settings_are_validated(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """
    The error says what was given and what was expected.
    """
    with pytest.raises(error, match=message):
        Retries(**settings)


def test_strategies_do_not_wait() -> None:
    """
    An asynchronous one would never be awaited.
    """

    async def wait(state: object) -> float:
        return 1.0

    class Patient:
        async def __call__(self, state: object) -> bool:
            return True

    for settings in ({"wait": wait}, {"stop": Patient()}, {"transient": wait}):
        with pytest.raises(ValueError, match="cannot be async"):
            Retries(**settings)


def test_options_are_validated() -> None:
    """
    The helper refuses what the layer would.
    """
    with pytest.raises(ValueError, match="1 or more"):
        Retries.option_for(attempts=0)
    assert {"scallion.Retries": RetriesOption(2, True, True)} == Retries.option_for(
        attempts=2, idempotent=True
    )


def test_repr_shows_effective_settings() -> None:
    """
    It reads as the call that made the layer, with tenacity's objects legible.
    """
    assert (
        "Retries(attempts=3, wait=FullJitter(base=0.1, cap=2.0), statuses={429, 502, 503, 504}, "
        "retry_after_cap=30.0, retry_unsent=True)"
    ) == repr(Retries())
    assert (
        "Retries(attempts=None, wait=wait_fixed(wait_fixed=1.0), "
        "stop=stop_any(stops=(stop_after_attempt(max_attempt_number=5), "
        "stop_after_delay(max_delay=9.0),)), statuses={500}, methods={'PURGE'}, on=(ReadError,), "
        "retry_after_cap=30.0, retry_unsent=True)"
    ) == repr(
        Retries(
            wait=tenacity.wait_fixed(1),
            stop=tenacity.stop_after_attempt(5) | tenacity.stop_after_delay(9),
            statuses=[500],
            methods=["purge"],
            on=ReadError,  # type: ignore[arg-type]
        )
    )


def test_repr_shows_what_was_added() -> None:
    """
    What is off, and the usual header of refusals, are left out.
    """
    assert (
        "Retries(attempts=3, wait=FullJitter(base=0.1, cap=2.0), transient=Transient(statuses={500}), "
        "retry_after_cap=30.0, retry_unsent=True, budget=RetryBudget(share=0.1, window=10.0, "
        "floor=10.0), attempt_header='X-Attempt', veto_header=None)"
    ) == repr(
        Retries(
            transient=Transient({500}),
            budget=RetryBudget(0.1),
            attempt_header="X-Attempt",
            veto_header=None,
        )
    )


def test_layers_are_values() -> None:
    """
    Equal settings make equal layers.
    """
    assert Retries(2) == Retries(2)
    assert len({Retries(2), Retries(2), Retries(3)}) == 2


@pytest.fixture
def without_tenacity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenacity", None)


@pytest.mark.usefixtures("without_tenacity")
def test_own_strategies_need_no_tenacity(drive: Drive) -> None:
    """
    The default wait does not import it.
    """
    world = World([Response(503), ReadError("cut off"), Response(200)])

    assert 200 == play([steady()], get(), world, drive).status_code
