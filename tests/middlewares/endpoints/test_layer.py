"""`Endpoints` in the onion: where attempts go, what remains the service's, what is told."""

from __future__ import annotations

import gc
import pickle
import threading
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from scallion.middlewares.endpoints import (
    ConsistentHash,
    Ejection,
    Endpoint,
    Endpoints,
    Found,
    Source,
)
from scallion.middlewares.endpoints.members import Member
from scallion.middlewares.redirects import Redirects
from scallion.middlewares.retries import FullJitter, Retries
from scallion.middlewares.timeouts import Deadlines
from scallion.pipeline.errors import (
    CircuitOpen,
    ConnectError,
    NoEndpoint,
    ReadError,
    TotalTimeout,
    UnknownOption,
)
from scallion.pipeline.incoming import current_deadline, within
from scallion.pipeline.layer import check_options
from scallion.pipeline.onion import Next, compose
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import Runtime, run
from support.cancelling import cancelled_everywhere
from support.colours import Drive
from support.worlds import After, OpenStream, World, noted, open_response, play

THREE = ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"]
NOW = FullJitter(0.0, 0.0)


def get(url: str = "http://orders/items?page=2", **settings: Any) -> Request:
    return Request("GET", url, **settings)


def turns(endpoints: Any = None, **settings: Any) -> Endpoints:
    """Round robin, beginning with the first."""
    settings.setdefault("choice", "round_robin")
    return Endpoints({"orders": endpoints or THREE}, random=lambda: 0.0, **settings)


def answering(look: Callable[[Request], object], seen: list[Any]) -> Callable[[Request], Response]:
    """Answers 200, and keeps what `look` sees in the request."""

    def answer(request: Request) -> Response:
        seen.append(look(request))
        return Response(200)

    return answer


class Places:
    """A transport that remembers where requests went, and answers by the host."""

    def __init__(self, **answers: Any) -> None:
        self.went: list[str] = []
        self.answers = answers

    def __call__(self, request: Request) -> Any:
        host = request.url.host
        self.went.append(host)
        answer = self.answers.get(f"h{host[-1]}", 200)
        return answer() if callable(answer) else Response(answer)


def world(places: Places, many: int = 1000) -> World:
    return World([places] * many)


# Where it goes, and what stays


def test_other_hosts_pass(drive: Drive) -> None:
    """
    The layer adds nothing to what lies further in.
    """
    request, answer = get("http://elsewhere/"), object()

    def send(sent: Request) -> Any:
        return answer if sent is request else None

    assert answer is turns().bind(send, Next(send, World()))(request)


def test_an_attempt_goes_to_an_endpoint_and_the_caller_sees_the_service(drive: Drive) -> None:
    """
    Path, query, user and Host are the service's; afterwards the request is what it was.
    """
    seen: list[tuple[str, str]] = []

    def answer(request: Request) -> Response:
        seen.append((str(request.url), request.headers["host"]))
        return Response(200)

    request = get("http://user:pass@Orders/items?page=2")
    response = play([turns()], request, World([answer]), drive)

    assert [("http://user:pass@10.0.0.1:8080/items?page=2", "orders")] == seen
    assert "http://user:pass@orders/items?page=2" == str(response.request.url)
    assert response.request is request
    assert "http://10.0.0.1:8080" == response.extensions["endpoint"]


@pytest.mark.parametrize(
    ("endpoint", "url", "expected"),
    [
        ("10.0.0.1", "http://orders/", "http://10.0.0.1/"),
        ("10.0.0.1", "http://orders:8000/", "http://10.0.0.1:8000/"),
        ("10.0.0.1:80", "https://orders/", "https://10.0.0.1:80/"),
        ("https://10.0.0.1", "http://orders:8000/", "https://10.0.0.1/"),
        ("https://10.0.0.1:8443", "ws://orders/", "wss://10.0.0.1:8443/"),
        ("[2001:db8::1]:81", "http://orders/", "http://[2001:db8::1]:81/"),
    ],
)
def test_scheme_and_port_are_the_endpoints_where_it_has_them(
    drive: Drive, endpoint: str, url: str, expected: str
) -> None:
    seen: list[str] = []
    script = World([answering(lambda request: str(request.url), seen)])
    play([turns([endpoint])], get(url), script, drive)

    assert [expected] == seen


def test_a_certificate_is_checked_for_the_service(drive: Drive) -> None:
    """
    Unless the layer, or the request, names another; a plain request has no such name.
    """

    def name(layer: Endpoints, url: str = "https://orders/", **extensions: Any) -> Any:
        seen: list[Any] = []
        script = World([answering(lambda sent: sent.extensions.get("sni_hostname"), seen)])
        request = get(url, extensions=extensions)
        play([layer], request, script, drive)
        assert extensions.get("sni_hostname") == request.extensions.get("sni_hostname")
        return seen[0]

    assert "orders" == name(turns())
    assert "orders.internal" == name(turns(tls_name="{service}.internal"))
    assert None is name(turns(tls_name="{endpoint}"))
    assert "mine" == name(turns(), sni_hostname="mine")
    assert None is name(turns(), "http://orders/")
    assert "orders" == name(turns(["https://10.0.0.1"]), "http://orders/")


def test_the_host_header_may_be_the_endpoints(drive: Drive) -> None:
    seen: list[str] = []
    request = get()
    script = World([answering(lambda sent: sent.headers["host"], seen)])
    play([turns(host="{endpoint}")], request, script, drive)

    assert ["10.0.0.1:8080"] == seen
    assert "orders" == request.headers["host"]


def test_https_is_never_sent_in_the_clear(drive: Drive) -> None:
    places = Places()
    layer = turns(["http://10.0.0.1", "https://10.0.0.2"])
    for _ in range(4):
        play([layer], get("https://orders/"), world(places), drive)

    assert ["10.0.0.2"] * 4 == places.went
    with pytest.raises(NoEndpoint, match="without TLS"):
        play([turns(["http://10.0.0.1"])], get("https://orders/"), World(), drive)


# Attempts of one call


def test_a_retry_goes_elsewhere(drive: Drive) -> None:
    """
    Even if the choice would have it again.
    """
    places = Places(h1=503, h2=503)
    layer = Endpoints({"orders": THREE}, choice=ConsistentHash(lambda request: "one key"))
    seen = set()
    for _ in range(5):
        response = play([Retries(attempts=3, wait=NOW), layer], get(), world(places), drive)
        assert 200 == response.status_code
        seen.add(response.extensions["endpoint"])

    assert {"http://10.0.0.3:8080"} == seen


def test_a_request_that_was_answered_forgets_where_it_failed(drive: Drive) -> None:
    """
    Sent once more, it goes where its key belongs.
    """
    broken = [True]
    places = Places(h1=lambda: Response(503 if broken[0] else 200))
    layer = Endpoints(
        {"orders": THREE[:2]}, choice=ConsistentHash(lambda request: "k"), ejection=None
    )
    request = get()
    play([Retries(wait=NOW), layer], request, world(places), drive)
    broken[0] = False
    before = len(places.went)
    for _ in range(3):
        play([Retries(wait=NOW), layer], request, world(places), drive)

    assert 1 == len(set(places.went[before:]))
    assert places.went[0] == places.went[-1]


def test_what_a_request_carries_is_no_option_of_anybodys(drive: Drive) -> None:
    """
    A request that was sent can be sent again by a client that checks its options.
    """
    request = get(extensions=Endpoints.option_for(key="k"))
    play([turns()], request, world(Places()), drive)

    check_options(request.extensions, frozenset({"scallion.Endpoints"}))
    with pytest.raises(UnknownOption):
        check_options(request.extensions, frozenset())


def test_copies_of_a_request_share_where_they_have_been(drive: Drive) -> None:
    """
    A hedge whose first attempt still waits goes elsewhere.
    """
    opened = lambda: open_response(200)  # noqa: E731
    places = Places(h1=opened, h2=opened, h3=opened)
    layer = Endpoints({"orders": THREE}, choice=ConsistentHash(lambda request: "one key"))
    first = get()
    responses = []
    for _ in range(3):
        copy = get()
        copy.memory = first.memory
        responses.append(play([layer], copy, world(places), drive))

    assert 3 == len(set(places.went))


def test_a_redirects_next_request_begins_anew(drive: Drive) -> None:
    """
    It goes where its key belongs, though the request before it failed there.
    """
    layer = Endpoints({"orders": THREE}, choice=ConsistentHash(lambda request: "one key"))
    places = Places()
    play([layer], get(), world(places), drive)
    (own,) = places.went

    def answer(request: Request) -> Response:
        places.went.append(request.url.host)
        if request.url.path == "/end":
            return Response(200)
        if request.url.host == own:
            return Response(503)
        return Response(307, headers={"Location": "/end"})

    layers = [Redirects(follow=True), Retries(wait=NOW), layer]
    response = play(layers, get(), World([answer] * 3), drive)

    assert 200 == response.status_code
    assert [own, own, own] == [places.went[0], places.went[1], places.went[3]]
    assert own != places.went[2]


# Logins


def test_who_asks_for_credentials_gets_them(drive: Drive) -> None:
    """
    The request that follows a 401 goes to the same endpoint, and the next one in its turn.
    """
    layer, request = turns(), get()
    places = Places(h1=401)
    for _ in range(3):
        play([layer], request, world(places), drive)
    assert ["10.0.0.1"] * 3 == places.went

    places.answers = {}
    for _ in range(3):
        play([layer], request, world(places), drive)
    assert ["10.0.0.1", "10.0.0.2", "10.0.0.3"] == places.went[3:]


def test_another_requests_challenge_is_not_answered(drive: Drive) -> None:
    """
    Not even a copy's, which has a login of its own.
    """
    layer, request, copy = turns(), get(), get()
    copy.memory = request.memory
    places = Places(h1=401)
    play([layer], request, world(places), drive)
    play([layer], copy, world(places), drive)
    play([layer], request, world(places), drive)

    assert ["10.0.0.1", "10.0.0.2", "10.0.0.1"] == places.went


def test_credentials_go_elsewhere_if_who_asked_is_out_of_reach(drive: Drive) -> None:
    """
    Refused, or ejected meanwhile.
    """
    layer, request = turns(ejection=Ejection(failures=1)), get()
    places = Places(h1=401)
    play([layer], request, world(places), drive)
    play([layer], get(), world(places), drive)
    play([layer], get(), world(places), drive)
    places.answers = {"h1": 503}
    play([layer], get(), world(places), drive)
    play([layer], request, world(places), drive)

    assert "10.0.0.1" == places.went[-2]
    assert "10.0.0.1" != places.went[-1]


# Priorities

TIERS = [
    Endpoint("10.0.0.1", 8080),
    Endpoint("10.0.0.2", 8080),
    Endpoint("10.0.0.3", 8080, priority=10),
]


@pytest.mark.parametrize("choice", ["round_robin", "power_of_two", ConsistentHash("x-key")])
def test_the_best_priority_is_used_alone(drive: Drive, choice: Any) -> None:
    """
    While any endpoint of it can be.
    """
    layer, places = turns(TIERS, choice=choice), Places()
    for number in range(20):
        play([layer], get(headers={"x-key": str(number)}), world(places), drive)

    assert "10.0.0.3" not in places.went
    assert [0, 0, 10] == [each.priority for each in layer.state("orders").endpoints]


def test_when_the_best_have_been_tried_a_worse_one_is(drive: Drive) -> None:
    """
    Within one call, by its retries.
    """
    places = Places(h1=503, h2=503)
    response = play([Retries(wait=NOW), turns(TIERS)], get(), world(places), drive)

    assert 200 == response.status_code
    assert ["10.0.0.1", "10.0.0.2", "10.0.0.3"] == places.went


def test_when_the_best_refuse_a_worse_one_is_asked_at_once(drive: Drive) -> None:
    """
    Open circuits, say.
    """

    async def breaker(request: Request, call_next: Any) -> Response:
        if request.url.host != "10.0.0.3":
            raise CircuitOpen("open", request=request)
        response: Response = await call_next(request)
        return response

    response = play([turns(TIERS), breaker], get(), world(Places()), drive)

    assert "http://10.0.0.3:8080" == response.extensions["endpoint"]


def test_when_the_best_are_ejected_worse_ones_serve(drive: Drive) -> None:
    """
    Until the first of the best is back.
    """
    places = Places(h1=503, h2=503)
    layer = turns(TIERS, ejection=Ejection(failures=1, base=30.0, share=0.7))
    played = world(places)
    for _ in range(5):
        play([layer], get(), played, drive)
    assert ["10.0.0.1", "10.0.0.2"] + ["10.0.0.3"] * 3 == places.went

    places.answers = {}
    played.now += 31.0
    play([layer], get(), played, drive)
    assert places.went[-1] in {"10.0.0.1", "10.0.0.2"}


def test_https_takes_a_worse_priority_rather_than_none(drive: Drive) -> None:
    layer, places = turns(["http://10.0.0.1", Endpoint("10.0.0.2", 443, "https", 1, 5)]), Places()
    play([layer], get("https://orders/"), world(places), drive)

    assert ["10.0.0.2"] == places.went


# Refusals


def test_a_classifiers_mistake_loses_no_connection(drive: Drive) -> None:
    """
    Nor does the endpoint keep an attempt that nobody has under way.
    """
    layer = turns(ejection=Ejection(failed=lambda outcome: 1 / 0 > 1))
    response = open_response(200, b"body")

    with pytest.raises(ZeroDivisionError):
        play([layer], get(), World([response]), drive)

    assert response.is_closed
    assert [0, 0, 0] == [each.pending for each in layer.state("orders").endpoints]


def test_when_all_others_refuse_one_that_failed_is_asked_again(drive: Drive) -> None:
    """
    A retry goes to where the call has failed rather than nowhere; who refused is not asked twice.
    """
    refused: list[str] = []

    async def breaker(request: Request, call_next: Any) -> Response:
        if request.url.host != "10.0.0.1":
            refused.append(request.url.host)
            raise CircuitOpen("open", request=request)
        response: Response = await call_next(request)
        return response

    answers = iter([503, 200])
    places = Places(h1=lambda: Response(next(answers)))
    response = play([Retries(wait=NOW), turns(), breaker], get(), world(places), drive)

    assert 200 == response.status_code
    assert ["10.0.0.1", "10.0.0.1"] == places.went
    assert ["10.0.0.2", "10.0.0.3"] == sorted(refused)


def test_a_refused_endpoint_costs_no_attempt(drive: Drive) -> None:
    """
    Nothing was sent: another one is chosen at once, until all have refused.
    """
    refused: list[str] = []

    async def breaker(request: Request, call_next: Any) -> Response:
        if request.url.host != "10.0.0.3":
            refused.append(request.url.host)
            raise CircuitOpen("open", request=request)
        response: Response = await call_next(request)
        return response

    layer = turns()
    request = get()
    events = noted(request)
    response = play([layer, breaker], request, world(Places()), drive)

    assert "http://10.0.0.3:8080" == response.extensions["endpoint"]
    assert ["10.0.0.1", "10.0.0.2"] == refused
    assert ["CircuitOpen"] * 2 == [
        fields["reason"] for event, fields in events if event == "endpoint.refused"
    ]
    assert [0, 0, 1] == [each.sent for each in layer.state("orders").endpoints]
    with pytest.raises(CircuitOpen):
        play([turns(THREE[:2]), breaker], get(), World(), drive)


# Pending


def test_an_attempt_is_pending_until_its_body_has_ended(drive: Drive) -> None:
    layer = turns()
    script = World([lambda request: open_response(200, b"a")] * 3)

    def pending() -> list[int]:
        return [each.pending for each in layer.state("orders").endpoints]

    responses = [play([layer], get(), script, drive) for _ in range(3)]
    assert [1, 1, 1] == pending()

    async def end() -> None:
        if drive.blocking:
            responses[0].read()
            responses[1].close()
        else:
            await responses[0].aread()
            await responses[1].aclose()

    drive(end)
    assert [0, 0, 1] == pending()
    # A response that nobody closed is noticed when it is gone.
    responses.clear()
    script.asked.clear()
    gc.collect()
    play([layer], get(), world(Places()), drive)
    assert [0, 0, 0] == pending()


def test_the_state_knows_what_was_forgotten(drive: Drive) -> None:
    """
    Without another request.
    """
    layer = turns()
    script = World([lambda request: open_response(200, b"a")])
    response = play([layer], get(), script, drive)
    assert 1 == sum(each.pending for each in layer.state("orders").endpoints)
    del response
    script.asked.clear()
    gc.collect()

    assert 0 == sum(each.pending for each in layer.state("orders").endpoints)


def test_a_classifier_that_fails_at_a_body_leaves_nothing_pending(drive: Drive) -> None:
    class Broken(OpenStream):
        def __iter__(self) -> Any:
            raise ReadError("gone")

        async def __anext__(self) -> bytes:
            raise ReadError("gone")

    def classify(outcome: Response | Exception) -> bool:
        if isinstance(outcome, Exception):
            raise ValueError("a mistake")
        return False

    layer = turns(ejection=Ejection(failed=classify))
    response = play([layer], get(), World([Response(200, stream=Broken())]), drive)

    async def read() -> None:
        with pytest.raises(ValueError, match="a mistake"):
            await read_in(drive, response)

    drive(read)
    assert 0 == sum(each.pending for each in layer.state("orders").endpoints)


def test_what_goes_wrong_before_it_is_sent_leaves_nothing_pending(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Member, url: Any) -> Any:
        raise ValueError("no such place")

    layer = turns()
    monkeypatch.setattr(Member, "at", fail)
    with pytest.raises(ValueError, match="no such place"):
        play([layer], get(), world(Places()), drive)

    assert 0 == sum(each.pending for each in layer.state("orders").endpoints)


def test_errors_and_whole_answers_are_not_pending(drive: Drive) -> None:
    layer = turns()
    script = World([ConnectError("no"), Response(200), ValueError("a bug")])
    for error in (ConnectError, None, ValueError):
        if error is None:
            play([layer], get(), script, drive)
        else:
            with pytest.raises(error):
                play([layer], get(), script, drive)

    assert [0, 0, 0] == [each.pending for each in layer.state("orders").endpoints]
    assert [1, 0, 0] == [each.failed for each in layer.state("orders").endpoints]


def test_an_error_is_about_the_service_and_says_which_endpoint_it_was(drive: Drive) -> None:
    request = get()
    with pytest.raises(ConnectError) as caught:
        play([turns()], request, World([ConnectError("no", request=request)]), drive)

    assert "http://orders/items?page=2" == str(caught.value.request.url)
    assert ["The endpoint was http://10.0.0.1:8080"] == caught.value.__notes__


def test_cancellation_gives_everything_back(drive: Drive) -> None:
    """
    Wherever it comes; and it counts neither as a failure nor as a success.
    """
    if drive.blocking:
        pytest.skip("blocking calls cannot be cancelled")
    layer = turns()
    runtime = drive.runtime()

    async def transport(request: Request) -> Response:
        await runtime.sleep(0)
        return open_response(200, b"a")

    send = compose([layer], transport, runtime)

    async def work() -> None:
        request = get("https://orders/")
        try:
            response = await send(request)
            await response.aclose()
        finally:
            assert "https://orders/" == str(request.url)
            assert "sni_hostname" not in request.extensions

    async def check() -> None:
        state = layer.state("orders")
        assert 0 == sum(each.pending for each in state.endpoints)
        assert 0 == sum(each.failed for each in state.endpoints)

    async def scenario() -> int:
        return await cancelled_everywhere(work, check)

    assert drive(scenario) >= 1


def test_a_cancelled_attempt_shows_how_long_there_was_no_answer(drive: Drive) -> None:
    """
    The loser of a race must not look as fast as it did before.
    """

    class Cancelled(BaseException):
        pass

    def cancel(request: Request) -> Response:
        raise Cancelled

    layer = turns(THREE[:1])
    script = World([After(0.1, Response(200)), After(3.0, cancel)])
    play([layer], get(), script, drive)
    with pytest.raises(Cancelled):
        play([layer], get(), script, drive)

    (state,) = layer.state("orders").endpoints
    assert pytest.approx(3.0) == state.latency
    assert 0 == state.pending


def test_threads_leave_nothing_behind() -> None:
    """
    Many of them at once, some failing, some with bodies.
    """
    layer = Endpoints({"orders": THREE}, choice="least_pending")
    script = World(patient=True)

    async def transport(request: Request) -> Response:
        last = request.url.host[-1]
        if last == "1":
            raise ConnectError("no")
        return open_response(200, b"a") if last == "2" else Response(200)

    send = compose([layer], transport, script)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                try:
                    run(send(get())).read()
                except ConnectError:
                    pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    state = layer.state("orders")
    assert [] == errors
    assert 0 == sum(each.pending for each in state.endpoints)
    assert 1600 == sum(each.sent for each in state.endpoints)


# Ejection


def test_an_endpoint_that_fails_is_left_out_and_comes_back(drive: Drive) -> None:
    """
    After five failures in a row, for thirty seconds.
    """
    places = Places(h1=503)
    script = world(places)
    layer = turns()
    events: list[tuple[str, dict[str, Any]]] = []

    def send(times: int) -> None:
        for _ in range(times):
            request = get()
            request.observers = (lambda event, fields: events.append((event, fields)),)
            play([layer], request, script, drive)

    send(15)
    assert 5 == Counter(places.went)["10.0.0.1"]
    assert 30.0 == layer.state("orders").endpoints[0].returns_in

    before = len(places.went)
    send(10)
    assert "10.0.0.1" not in places.went[before:]

    script.now += 30.0
    places.answers.clear()
    send(3)
    assert "10.0.0.1" in places.went[-3:]
    told = [(event, fields) for event, fields in events if event != "endpoint.chosen"]
    expected = {"service": "orders", "endpoint": "10.0.0.1:8080"}
    ejected = {
        **expected,
        "reason": "consecutive failures",
        "failures": 5,
        "seconds": 30.0,
        "ejections": 1,
    }
    assert [("endpoint.ejected", ejected), ("endpoint.returned", expected)] == told


async def read_in(drive: Drive, response: Response) -> bytes:
    return response.read() if drive.blocking else await response.aread()


def test_a_body_that_breaks_is_a_failure(drive: Drive) -> None:
    """
    A good head does not make good for it.
    """

    class Broken(OpenStream):
        def __iter__(self) -> Any:
            raise ReadError("gone")

        async def __anext__(self) -> bytes:
            raise ReadError("gone")

    layer = turns(THREE[:2])
    script = World([lambda request: Response(200, stream=Broken())] * 20)
    for _ in range(10):
        response = play([layer], get(), script, drive)

        async def read(response: Response = response) -> None:
            with pytest.raises(ReadError):
                await read_in(drive, response)

        drive(read)

    first, second = layer.state("orders").endpoints
    assert first.returns_in is not None
    assert second.returns_in is None
    assert 5 == second.failures


def test_without_ejection_nobody_is_left_out(drive: Drive) -> None:
    places = Places(h1=503)
    layer = turns(ejection=None)
    script = world(places)
    for _ in range(30):
        play([layer], get(), script, drive)

    assert 10 == Counter(places.went)["10.0.0.1"]


class Moving(Source):
    """Endpoints that a test sets."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.endpoints = endpoints
        self.error: Exception | None = None
        self.asked = 0

    async def find(self, service: str, runtime: Runtime) -> Found:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Found(self.endpoints, 30.0)


def ask_again(
    layer: Endpoints, script: World, drive: Drive, request: Request | None = None
) -> None:
    """Send a request after the answer's time, and wait until the source was asked beside it."""
    script.now += 31.0
    script.blocking = drive.blocking

    async def scenario() -> None:
        await compose([layer], script.transport, script)(request or get())
        background: Any = layer._services["orders"].background
        if drive.blocking:
            background.join()
        else:
            await background.join()

    drive(scenario)


def test_when_all_are_ejected_all_are_used(drive: Drive) -> None:
    """
    It may come to that when the others are gone.
    """
    places = Places(h1=503)
    source = Moving(Endpoint("10.0.0.1"), Endpoint("10.0.0.2"))
    layer = turns(source, ejection=Ejection(base=300.0))
    script = world(places)
    for _ in range(10):
        play([layer], get(), script, drive)
    source.endpoints = source.endpoints[:1]
    ask_again(layer, script, drive)
    request = get()
    events = noted(request)

    assert 503 == play([layer], request, script, drive).status_code
    (chosen,) = [fields for event, fields in events if event == "endpoint.chosen"]
    assert chosen["panic"]


def test_progress_hears_who_was_chosen(drive: Drive) -> None:
    """
    So that the call's timeout can say which endpoint did not answer, though nobody observes the call.
    """
    request, told = get(), []
    request.progress = lambda event, fields: told.append(event)

    play([turns(Moving(Endpoint("10.0.0.1")))], request, world(Places()), drive)

    assert ["endpoint.chosen"] == told


# Slow start


def test_a_new_endpoint_gets_its_share_by_and_by(drive: Drive) -> None:
    """
    A tenth of it at first, half of it after half the time, all of it at the end.
    """
    places = Places()
    source = Moving(Endpoint("10.0.0.1"), Endpoint("10.0.0.2"))
    layer = turns(source, slow_start=100.0)
    script = world(places, 10_000)
    play([layer], get(), script, drive)
    source.endpoints = (*source.endpoints, Endpoint("10.0.0.3"))
    ask_again(layer, script, drive)
    began = script.now

    def share(at: float) -> float:
        script.now = began + at
        layer._services["orders"].stale_at = inf
        before = len(places.went)
        for _ in range(630):
            play([layer], get(), script, drive)
        return Counter(places.went[before:])["10.0.0.3"] / 630

    assert pytest.approx(0.1 / 2.1, abs=0.005) == share(0.0)
    assert pytest.approx(0.5 / 2.5, abs=0.005) == share(50.0)
    assert pytest.approx(1 / 3, abs=0.005) == share(100.0)
    assert ["in use"] * 3 == [each.condition for each in layer.state("orders").endpoints]


# Sources


def test_what_is_known_goes_on_being_used_while_the_source_is_asked(drive: Drive) -> None:
    """
    What has changed is told to the next request that is observed.
    """
    places = Places()
    source = Moving(Endpoint("10.0.0.1"))
    layer = turns(source)
    script = world(places)
    first = get()
    events = noted(first)
    play([layer], first, script, drive)
    play([layer], get(), script, drive)
    assert 1 == source.asked

    source.endpoints = (Endpoint("10.0.0.2"), Endpoint("10.0.0.3"))
    ask_again(layer, script, drive)
    assert ["10.0.0.1"] * 2 == places.went[:2]
    request = get()
    changed = noted(request)
    play([layer], request, script, drive)

    assert "10.0.0.1" != places.went[-1]
    assert (
        "endpoint.resolved",
        {"service": "orders", "endpoints": 1, "added": 1, "removed": 0},
    ) == events[0]
    assert (
        "endpoint.resolved",
        {"service": "orders", "endpoints": 2, "added": 2, "removed": 1},
    ) == changed[0]


def test_a_source_that_fails_leaves_what_was_known(drive: Drive) -> None:
    """
    It is asked again after a second.
    """
    source = Moving(Endpoint("10.0.0.1"))
    layer = turns(source)
    script = world(Places())
    play([layer], get(), script, drive)
    source.error = OSError("no answer")
    ask_again(layer, script, drive)
    request = get()
    events = noted(request)
    play([layer], request, script, drive)
    events = [event for event in events if event[0] != "endpoint.resolved"]

    failed = {"service": "orders", "error": "OSError: no answer", "known": 1}
    assert ("endpoint.resolve_failed", failed) == events[0]
    assert "OSError: no answer" == layer.state("orders").error
    assert 2 == source.asked
    source.error = None
    ask_again(layer, script, drive)
    assert None is layer.state("orders").error


def test_without_any_endpoint_the_request_is_refused(drive: Drive) -> None:
    """
    Within the next second it is refused at once; then the source is asked again.
    """
    source = Moving()
    source.error = OSError("no answer")
    layer = turns(source)
    script = world(Places())
    request = get()
    events = noted(request)
    with pytest.raises(NoEndpoint, match="OSError: no answer") as caught:
        play([layer], request, script, drive)
    assert 1.0 == caught.value.retry_after
    assert "endpoint.resolve_failed" == events[0][0]
    with pytest.raises(NoEndpoint):
        play([layer], get(), script, drive)
    assert 1 == source.asked

    source.error, source.endpoints = None, (Endpoint("10.0.0.1"),)
    script.now += 1.0
    assert 200 == play([layer], get(), script, drive).status_code


def test_requests_wait_for_the_first_answer_together() -> None:
    """
    One asks, the others wait; none waits longer than its deadline.
    """
    import anyio

    gate: list[anyio.Event] = []
    asked: list[str] = []

    async def find(service: str) -> list[str]:
        asked.append(service)
        await gate[0].wait()
        return THREE

    async def scenario() -> None:
        gate.append(anyio.Event())
        layer, script = turns(find), World([Places()] * 10, blocking=False, patient=True)
        send = compose([layer], script.transport, script)
        results: list[int] = []

        async def one() -> None:
            results.append((await send(get())).status_code)

        async def late() -> None:
            request = get()
            request.deadline = script.now + 0.01
            with pytest.raises(NoEndpoint):
                await send(request)
            gate[0].set()

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(one)
            await anyio.lowlevel.checkpoint()
            group.start_soon(late)
        assert [200] * 5 == results

    for backend in ("asyncio", "trio"):
        gate.clear()
        anyio.run(scenario, backend=backend)
    assert 2 == len(asked)


def test_threads_wait_for_the_first_answer_together() -> None:
    asked: list[str] = []
    gate = threading.Event()

    def find(service: str) -> list[str]:
        asked.append(service)
        gate.wait(10.0)
        return THREE

    layer, script = turns(find), World([Places()] * 10, patient=True)
    send = compose([layer], script.transport, script)
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(run(send(get())).status_code))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    while len(script.waited) < 4:
        threading.Event().wait(0.001)
    gate.set()
    for thread in threads:
        thread.join()

    assert [200] * 5 == results
    assert ["orders"] == asked


def test_who_asks_and_is_cancelled_leaves_the_question_to_the_others() -> None:
    """
    It goes on without him: who waits gets its answer, and nobody asks anew.
    """
    import anyio

    async def scenario() -> None:
        asked: list[str] = []
        gate = anyio.Event()

        async def find(service: str) -> list[str]:
            asked.append(service)
            await gate.wait()
            return THREE

        layer, script = turns(find), World([Places()] * 2, blocking=False, patient=True)
        send = compose([layer], script.transport, script)
        answers: list[int] = []

        async def one() -> None:
            answers.append((await send(get())).status_code)

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(one)
                    await anyio.wait_all_tasks_blocked()
                    group.start_soon(one)
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
            gate.set()
        assert [200] == answers
        assert ["orders"] == asked

    for backend in ("asyncio", "trio"):
        anyio.run(scenario, backend=backend)


def test_a_question_outlives_the_deadline_of_who_asked(drive: Drive) -> None:
    """
    A source that takes longer than any call may is asked once, and what it says is there for the next call.
    """
    gate, asked = threading.Event(), []

    def find(service: str) -> list[str]:
        asked.append(service)
        gate.wait(30.0)
        return THREE

    async def scenario() -> None:
        runtime = drive.runtime()

        async def transport(request: Request) -> Response:
            return Response(200)

        layer = turns(find)
        send = compose([Deadlines(0.05), layer], transport, runtime)
        for _ in range(3):
            with pytest.raises((NoEndpoint, TotalTimeout)):
                await send(get())
        assert ["orders"] == asked
        gate.set()
        background: Any = layer._services["orders"].background
        if drive.blocking:
            background.join()
        else:
            await background.join()
        assert 200 == (await send(get())).status_code
        assert ["orders"] == asked

    drive(scenario)


def test_a_question_that_got_lost_is_put_again(drive: Drive) -> None:
    """
    Its process may have been forked meanwhile: after a minute somebody else asks.
    """
    layer = turns(lambda service: THREE)
    script = World([Places()])
    script.blocking = drive.blocking
    lost: list[Any] = []

    async def scenario() -> Response:
        layer._services["orders"]._asking[script.key] = (script.now, lost)
        return await compose([layer], script.transport, script)(get())

    assert 200 == drive(scenario).status_code
    assert 60.0 == script.waited[0]


def test_the_incoming_deadline_does_not_bound_the_source(drive: Drive) -> None:
    """
    What it asks by a client of its own is for all that come later.
    """
    seen: list[float | None] = []

    async def find(service: str) -> list[str]:
        seen.append(current_deadline.get())
        return THREE

    with within(5.0):
        play([turns(find)], get(), world(Places()), drive)

    assert [None] == seen


# Settings


def test_the_settings_are_shown() -> None:
    shown = repr(turns(slow_start=30, tls_name="{service}.internal"))

    assert "Endpoints({'orders': [10.0.0.1:8080, 10.0.0.2:8080, 10.0.0.3:8080]}" in shown
    assert "failures=5, base=30, cap=300, share=0.1" in shown
    assert "slow_start=30, tls_name='{service}.internal'" in shown
    assert "ejection=None" in repr(turns(ejection=None))


def test_the_state_is_a_table(drive: Drive) -> None:
    layer = turns(THREE[:2])
    assert "<Service orders 2 endpoints, 0 ejected, 0 pending>" == repr(layer.state("orders"))
    play([layer], get(), World([After(0.5, Response(200))]), drive)

    assert [
        "<Service orders 2 endpoints, 0 ejected, 0 pending>",
        "endpoint       weight  state   pending  latency   sent  failed",
        "10.0.0.1:8080  1       in use  0        500.0 ms  1     0",
        "10.0.0.2:8080  1       in use  0        0.0 ms    0     0",
    ] == str(layer.state("Orders")).splitlines()
    with pytest.raises(KeyError, match="orders"):
        layer.state("users")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Endpoints(["10.0.0.1"]),  # type: ignore[arg-type]
        lambda: Endpoints({"http://orders": THREE}),
        lambda: Endpoints({"orders:80": THREE}),
        lambda: Endpoints({7: THREE}),  # type: ignore[dict-item]
        lambda: turns(ejection=7),
        lambda: turns(slow_start=-1),
        lambda: turns(choice="best"),
        lambda: turns(tls_name="{host}"),
        lambda: turns(tls_name="{"),
        lambda: turns(host=""),
        lambda: turns(host=None),
        lambda: Endpoints({"orders": THREE}, random=7),  # type: ignore[arg-type]
        lambda: Endpoints.option_for(key=7),  # type: ignore[arg-type]
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        make()


def test_the_state_says_who_is_out_and_who_warms_up(drive: Drive) -> None:
    source = Moving(Endpoint("10.0.0.1"), Endpoint("10.0.0.2"))
    layer = turns(source, slow_start=100.0)
    script = world(Places(h1=503))
    for _ in range(10):
        play([layer], get(), script, drive)
    source.endpoints = (*source.endpoints, Endpoint("10.0.0.3"))
    ask_again(layer, script, drive)
    script.now += 40.0
    layer._services["orders"].members[0].ejected_until = script.now + 12.34

    conditions = [each.condition for each in layer.state("orders").endpoints]
    assert ["ejected for 12.3 s", "in use", "warming up: 40 %"] == conditions


def test_a_copy_has_a_state_of_its_own(drive: Drive) -> None:
    layer = turns()
    play([layer], get(), world(Places()), drive)
    copy = pickle.loads(pickle.dumps(Endpoints({"orders": THREE})))

    assert repr(Endpoints({"orders": THREE})) == repr(copy)
    assert 0 == sum(each.sent for each in copy.state("orders").endpoints)
    assert 1 == sum(each.sent for each in layer.state("orders").endpoints)


def test_an_option_of_another_kind_is_refused(drive: Drive) -> None:
    with pytest.raises(TypeError, match="option_for"):
        play([turns()], get(extensions={"scallion.Endpoints": "k"}), World(), drive)
