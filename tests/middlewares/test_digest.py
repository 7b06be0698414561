"""DigestAuth: proofs against the RFC's own vectors and httpx's, and the dialogue with a server."""

from __future__ import annotations

import copy
import hashlib
import pickle
import re
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scallion.middlewares.auth import Authentication
from scallion.middlewares.digest import DigestAuth, parse_challenges
from scallion.pipeline.bodies import AsyncIteratorByteStream, IteratorByteStream
from scallion.pipeline.errors import ProtocolError
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, open_response, play

URL = "http://www.example.org/dir/index.html"
PLAIN = 'Digest realm="r", nonce="n1", qop="auth"'


def challenged(*values: str, **headers: str) -> Response:
    fields = [("WWW-Authenticate", value) for value in values]
    return open_response(401, headers=[*fields, *headers.items()])


def fields(request: Request) -> dict[str, str]:
    """The parameters of the request's proof, unquoted."""
    ((scheme, parameters),) = parse_challenges(request.headers["Authorization"])
    assert "digest" == scheme
    return parameters


def proof(
    auth: DigestAuth, challenge: str, request: Request | None = None, cnonce: str | None = None
) -> dict[str, str]:
    """What `auth` answers to one challenge."""
    if cnonce is not None:
        auth._new_cnonce = lambda: cnonce  # type: ignore[method-assign]
    request = request or Request("GET", URL)
    flow = auth.auth_flow(request)
    next(flow)
    flow.send(Response(401, headers={"WWW-Authenticate": challenge}, request=request))
    return fields(request)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_first_example_of_rfc_7616(algorithm: str, response: str) -> None:
    """
    Section 3.9.1.
    """
    found = proof(
        DigestAuth("Mufasa", "Circle of Life"),
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )

    assert response == found["response"]
    assert ("00000001", "auth", "/dir/index.html") == (found["nc"], found["qop"], found["uri"])
    assert "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS" == found["opaque"]


@pytest.mark.skipif(
    "sha512_256" not in hashlib.algorithms_available, reason="this OpenSSL has none"
)
def test_the_second_example_of_rfc_7616() -> None:
    """
    Section 3.9.2 with the values of its erratum 4897: SHA-512/256, userhash, a name beyond ASCII.
    """
    found = proof(
        DigestAuth("Jäsøn Doe", "Secret, or not?"),
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true',
        Request("GET", "http://api.example.org/doe.json"),
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )

    assert "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b" == found["username"]
    assert "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5" == found["response"]
    assert "true" == found["userhash"]


@pytest.mark.parametrize("opaque", ["", ', opaque="xyz"'])
@pytest.mark.parametrize("qop", ["", ', qop="auth"', ', qop="auth-int, auth"', ", qop=auth"])
@pytest.mark.parametrize(
    "algorithm",
    [
        "",
        "MD5",
        "md5-sess",
        "SHA",
        "SHA-SESS",
        "SHA-256",
        "SHA-256-sess",
        "SHA-512",
        "SHA-512-SESS",
    ],
)
def test_the_proof_is_that_of_httpx(algorithm: str, qop: str, opaque: str) -> None:
    """
    For one challenge and one cnonce the header is the same, to the letter.
    """
    named = algorithm and f", algorithm={algorithm}"
    challenge = f'Digest realm="a realm", nonce="abc"{named}{qop}{opaque}'

    class Theirs(httpx.DigestAuth):
        def _get_client_nonce(self, nonce_count: int, nonce: bytes) -> bytes:
            return b"0123456789abcdef"

    theirs = httpx.Request("GET", f"{URL}?a=b&c=%20d")
    flow = Theirs("user", "pass").auth_flow(theirs)
    next(flow)
    flow.send(httpx.Response(401, headers={"www-authenticate": challenge}, request=theirs))
    ours = Request("GET", f"{URL}?a=b&c=%20d")

    proof(DigestAuth("user", "pass"), challenge, ours, cnonce="0123456789abcdef")

    assert theirs.headers["authorization"] == ours.headers["authorization"]


def test_a_challenge_is_answered_once(drive: Drive) -> None:
    """
    The 401 is closed and becomes history; a second 401 means wrong credentials and is the answer.
    """
    first, second = challenged(PLAIN), challenged('Digest realm="r", nonce="n2", qop="auth"')
    world = World([first, second])

    response = play([Authentication(DigestAuth("u", "p"))], Request("GET", URL), world, drive)

    assert second is response
    assert [first] == response.history
    assert first.is_closed


def test_other_answers_are_left_alone(drive: Drive) -> None:
    """
    Without a 401 and without a Digest challenge there is nothing to do.
    """
    for answer in (
        Response(200),
        Response(401),
        Response(403, headers={"WWW-Authenticate": PLAIN}),
        challenged('Basic realm="digest"'),
        challenged("Negotiate YII=", "this is, no list = of challenges"),
    ):
        world = World([answer])

        assert answer is play(
            [Authentication(DigestAuth("u", "p"))], Request("GET", URL), world, drive
        )


def test_later_requests_prove_from_the_start(drive: Drive) -> None:
    """
    A nonce serves until it is stale, its count rising by one with each request.
    """
    layer = Authentication(DigestAuth("u", "p"))
    world = World([challenged(PLAIN), Response(200), Response(200), Response(200)])

    requests = [Request("GET", URL) for _ in range(3)]
    for request in requests:
        play([layer], request, world, drive)

    assert 4 == len(world.asked)
    assert ["00000001", "00000002", "00000003"] == [fields(sent)["nc"] for sent in requests]
    assert 3 == len({fields(sent)["cnonce"] for sent in requests})


def test_each_origin_has_its_own_challenge(drive: Drive) -> None:
    """
    A proof for one origin is not made from another's challenge.
    """
    layer = Authentication(DigestAuth("u", "p"))
    world = World([challenged(PLAIN), Response(200), Response(200), Response(200)])

    play([layer], Request("GET", URL), world, drive)
    others = [Request("GET", "https://www.example.org/"), Request("GET", "http://example.org/")]
    for other in others:
        play([layer], other, world, drive)

    assert not any("authorization" in other.headers for other in others)


def test_a_stale_nonce_is_replaced(drive: Drive) -> None:
    """
    stale=true says that only the nonce is wrong, so the new one is tried at once.
    """
    layer = Authentication(DigestAuth("u", "p"))
    stale = 'Digest realm="r", nonce="n2", qop="auth", stale=TRUE'
    world = World([challenged(PLAIN), challenged(stale), Response(200)])

    response = play([layer], Request("GET", URL), world, drive)

    assert 200 == response.status_code
    assert ("n2", "00000001") == (
        fields(world.asked[-1])["nonce"],
        fields(world.asked[-1])["nc"],
    )


def test_endless_staleness_ends(drive: Drive) -> None:
    """
    A server that calls every nonce stale does not keep the client busy for ever.
    """
    world = World(
        challenged(f'Digest realm="r", nonce="n{i}", qop="auth", stale=true') for i in range(99)
    )

    response = play([Authentication(DigestAuth("u", "p"))], Request("GET", URL), world, drive)

    assert 401 == response.status_code
    assert 4 == len(world.asked)


def test_an_expired_nonce_is_answered_even_without_stale(drive: Drive) -> None:
    """
    A proof from an older challenge may be refused without a reason; the new challenge is answered.
    """
    layer = Authentication(DigestAuth("u", "p"))
    restarted = challenged('Digest realm="r", nonce="n2", qop="auth"')
    world = World([challenged(PLAIN), Response(200), restarted, Response(200)])

    play([layer], Request("GET", URL), world, drive)
    response = play([layer], Request("GET", URL), world, drive)

    assert 200 == response.status_code
    assert "n2" == fields(world.asked[-1])["nonce"]


def test_the_next_nonce_is_followed(drive: Drive) -> None:
    """
    Authentication-Info may announce a nonce before the old one is stale; nonsense in it is ignored.
    """
    layer = Authentication(DigestAuth("u", "p"))
    world = World(
        [
            challenged(PLAIN),
            Response(200, headers={"Authentication-Info": 'nextnonce="n2", qop=auth'}),
            Response(200, headers={"Authentication-Info": '"'}),
            Response(200),
        ]
    )

    requests = [Request("GET", URL) for _ in range(3)]
    for request in requests:
        play([layer], request, world, drive)

    assert [("n1", "00000001"), ("n2", "00000001"), ("n2", "00000002")] == [
        (fields(sent)["nonce"], fields(sent)["nc"]) for sent in requests
    ]


def test_a_session_keeps_its_first_cnonce(drive: Drive) -> None:
    """
    With -sess the key is made of the first cnonce, so that is the one that is sent; nextnonce is ignored.
    """
    layer = Authentication(DigestAuth("u", "p"))
    world = World(
        [
            challenged(PLAIN + ", algorithm=MD5-sess"),
            Response(200, headers={"Authentication-Info": 'nextnonce="n2"'}),
            Response(200),
        ]
    )
    requests = [Request("GET", URL) for _ in range(2)]
    for request in requests:
        play([layer], request, world, drive)

    first, second = (fields(sent) for sent in requests)
    assert first["cnonce"] == second["cnonce"]
    assert ("n1", "00000002") == (second["nonce"], second["nc"])
    key = md5(f"{md5('u:r:p')}:n1:{first['cnonce']}")
    subject = md5("GET:/dir/index.html")
    expected = md5(f"{key}:n1:00000002:{first['cnonce']}:auth:{subject}")
    assert expected == second["response"]


def test_the_form_of_rfc_2069() -> None:
    """
    Without qop there is neither count nor cnonce.
    """
    found = proof(DigestAuth("u", "p"), 'Digest realm="r", nonce="n"')

    assert md5(f"{md5('u:r:p')}:n:{md5('GET:/dir/index.html')}") == found["response"]
    assert found.keys().isdisjoint({"qop", "nc", "cnonce", "opaque"})


def body_of(drive: Drive) -> Any:
    """A body that can be read once."""
    if drive.blocking:
        return IteratorByteStream(iter([b"bo", b"dy"]))

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"bo"
        yield b"dy"

    return AsyncIteratorByteStream(chunks())


def test_auth_int_covers_the_body(drive: Drive) -> None:
    """
    Where only auth-int is offered, the body's hash is part of the proof, at once where it is known.
    """
    layer = Authentication(DigestAuth("u", "p"))
    challenge = 'Digest realm="r", nonce="n", qop="auth-int"'
    world = World([challenged(challenge), Response(200), Response(200)])
    requests = [
        Request("POST", URL, content=b"body"),
        Request("POST", URL, stream=body_of(drive)),
    ]

    for request in requests:
        play([layer], request, world, drive)

    for request in requests:
        found = fields(request)
        subject = md5(f"POST:/dir/index.html:{md5('body')}")
        expected = f"{md5('u:r:p')}:n:{found['nc']}:{found['cnonce']}:auth-int:{subject}"
        assert ("auth-int", md5(expected)) == (found["qop"], found["response"])


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
def test_a_spent_body_leaves_the_challenge_as_answer(drive: Drive, qop: str) -> None:
    """
    What cannot be sent again is not; the caller gets the 401. The next request proves from the start.
    """
    layer = Authentication(DigestAuth("u", "p"))
    challenge = challenged(f'Digest realm="r", nonce="n", qop="{qop}"')
    world = World([challenge, Response(200)])
    request = Request("POST", URL, stream=body_of(drive))

    assert challenge is play([layer], request, world, drive)

    later = Request("POST", URL, stream=body_of(drive))
    assert 200 == play([layer], later, world, drive).status_code
    assert qop == fields(later)["qop"]


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ((f"{PLAIN}, algorithm=MD5, {PLAIN}, algorithm=SHA-256",), "SHA-256"),
        ((f"{PLAIN}, algorithm=MD5", f"{PLAIN}, algorithm=SHA-256"), "SHA-256"),
        ((f"{PLAIN}, algorithm=SHA-256", f"{PLAIN}, algorithm=MD5"), "SHA-256"),
        ((f"{PLAIN}, algorithm=SHA-256-sess", f"{PLAIN}, algorithm=SHA-256"), "SHA-256-sess"),
        ((f"{PLAIN}, algorithm=ROT13", PLAIN), "MD5"),
        ((f'Basic realm="x, y=\\"z", {PLAIN}', "Negotiate"), "MD5"),
        (("Digest nonsense", f"{PLAIN}, algorithm=SHA"), "SHA"),
        (('Digest realm="unfinished', PLAIN), "MD5"),
        (('Digest realm="r", nonce="n", qop="mystery"', PLAIN), "MD5"),
    ],
)
def test_the_strongest_supported_challenge_is_answered(
    drive: Drive, offers: tuple[str, ...], chosen: str
) -> None:
    """
    In one header or several, the strongest hash wins, then the server's order; the unusable is passed over.
    """
    request = Request("GET", URL)

    play(
        [Authentication(DigestAuth("u", "p"))],
        request,
        World([challenged(*offers), Response(200)]),
        drive,
    )

    assert chosen == fields(request)["algorithm"]


@pytest.mark.parametrize(
    ("challenge", "message"),
    [
        (
            'Digest realm="r", qop="auth"',
            "Malformed Digest WWW-Authenticate header: it has no nonce",
        ),
        ('Digest nonce="n"', "Malformed Digest WWW-Authenticate header: it has no realm"),
        ('Digest realm="r", nonce="n", qop="auth,au', "no scheme or parameter at 'qop=\"auth,au'"),
        ('Digest realm="r" nonce="n"', "no scheme or parameter at 'realm="),
        ('Digest realm="r", nonce="n", nonce="m"', "nonce is given twice"),
        ('Digest realm="r", nonce="n", qop="mystery"', "Unexpected qop value 'mystery'"),
        ('Digest realm="r", nonce="n", algorithm=ROT13', "Unexpected algorithm 'ROT13'"),
    ],
)
def test_a_challenge_that_cannot_be_answered_is_an_error(
    drive: Drive, challenge: str, message: str
) -> None:
    """
    The message says what is wrong; the error knows the request, and the response is closed.
    """
    answer = challenged(challenge)
    request = Request("GET", URL)

    with pytest.raises(ProtocolError, match=re.escape(message)) as caught:
        play([Authentication(DigestAuth("u", "geheim"))], request, World([answer]), drive)

    assert request is caught.value.request
    assert answer.is_closed
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("username", ['a "quoted" \\ name', "Jäsøn 100%", "a\r\nX-Evil: yes"])
def test_any_username_survives_the_header(username: str) -> None:
    """
    Quotes are escaped; what does not fit into quotes goes by RFC 8187, and no line is broken.
    """
    from urllib.parse import unquote

    found = proof(DigestAuth(username, "p"), PLAIN)
    encoded = found.get("username*", "").removeprefix("UTF-8''")

    assert username == (unquote(encoded) if encoded else found["username"])


def test_quoted_values_return_as_they_came() -> None:
    """
    Escapes in realm, nonce and opaque are undone for hashing and done again for sending.
    """
    request = Request("GET", URL)

    found = proof(
        DigestAuth("u", "p"),
        r'Digest realm="a \"b\" \\ c", nonce="n\n", qop=auth, opaque=""',
        request,
    )

    assert ('a "b" \\ c', "nn", "") == (found["realm"], found["nonce"], found["opaque"])
    assert r'realm="a \"b\" \\ c"' in request.headers["authorization"]
    key, subject = md5('u:a "b" \\ c:p'), md5("GET:/dir/index.html")
    expected = f"{key}:nn:{found['nc']}:{found['cnonce']}:auth:{subject}"
    assert md5(expected) == found["response"]


def test_the_target_that_goes_on_the_wire_is_proved() -> None:
    """
    A `target` extension replaces the URL's path in the request line, and so in the proof.
    """
    found = proof(DigestAuth("u", "p"), PLAIN, Request("OPTIONS", URL, extensions={"target": b"*"}))

    assert "*" == found["uri"]


def test_cookies_of_the_challenge_are_sent_back(drive: Drive) -> None:
    """
    A server may keep the nonce in a session; httpx does the same.
    """
    world = World([challenged(PLAIN, **{"Set-Cookie": "session=1"}), Response(200)])

    play([Authentication(DigestAuth("u", "p"))], Request("GET", URL), world, drive)

    assert "session=1" == world.asked[-1].headers["cookie"]


def test_threads_never_share_a_count() -> None:
    """
    Requests at once use one nonce, each with a count of its own.
    """
    auth = DigestAuth("u", "p")
    proof(auth, PLAIN)
    counts: list[str] = []

    def work() -> None:
        for _ in range(50):
            request = Request("GET", URL)
            next(auth.auth_flow(request))
            counts.append(fields(request)["nc"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [f"{count:08x}" for count in range(2, 202)] == sorted(counts)


def test_the_same_nonce_again_goes_on_counting() -> None:
    """
    Two requests that were challenged with one nonce at once must not use one count.
    """
    auth = DigestAuth("u", "p")
    requests = [Request("GET", URL) for _ in range(2)]
    flows = [auth.auth_flow(request) for request in requests]
    for flow in flows:
        next(flow)

    for flow, request in zip(flows, requests, strict=True):
        flow.send(Response(401, headers={"WWW-Authenticate": PLAIN}, request=request))

    assert ["00000001", "00000002"] == [fields(request)["nc"] for request in requests]


def test_the_origins_remembered_are_bounded() -> None:
    """
    A crawler does not fill the memory; the oldest origin is challenged anew.
    """
    auth = DigestAuth("u", "p")
    for number in range(300):
        proof(auth, PLAIN, Request("GET", f"http://h{number}.example.org/"))

    assert 256 == len(auth._sessions)
    assert ("http", "h299.example.org", 80) in auth._sessions


def test_nothing_secret_is_shown() -> None:
    """
    Neither name nor password is in the repr.
    """
    assert "DigestAuth('****', '****')" == repr(DigestAuth("user", "geheim"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
        ("Negotiate, NTLM", [("negotiate", {}), ("ntlm", {})]),
        ("Negotiate YII+/9==", [("negotiate", {"": "YII+/9=="})]),
        (
            'NTLM abc= , Digest REALM = "x" ,nonce=a/b==,',
            [("ntlm", {"": "abc="}), ("digest", {"realm": "x", "nonce": "a/b=="})],
        ),
        ('Digest realm="\\\\\\""', [("digest", {"realm": '\\"'})]),
    ],
)
def test_challenges_are_parsed(value: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    """
    Commas separate parameters and challenges alike (RFC 9110 section 11.6.1).
    """
    assert expected == parse_challenges(value)


_PIECES = st.sampled_from(
    [
        "Digest",
        "Basic",
        " ",
        ",",
        "=",
        '"',
        "\\",
        "realm",
        "nonce",
        "qop=auth",
        'x="y"',
        "abc==",
        "\n",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.lists(_PIECES, max_size=20).map("".join))
def test_any_text_is_a_list_of_challenges_or_our_error(text: str) -> None:
    """
    The parser ends with a value or with ProtocolError, never with anything else.
    """
    try:
        challenges = parse_challenges(text)
    except ProtocolError:
        return
    assert all(scheme and scheme == scheme.lower() for scheme, _ in challenges)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_what_is_quoted_is_read_back(text: str) -> None:
    """
    Escaping and unescaping are inverse.
    """
    from scallion.middlewares.digest import _quoted

    assert [("digest", {"realm": text})] == parse_challenges(f"Digest realm={_quoted(text)}")


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES | st.text(st.characters(max_codepoint=126), max_size=9)).map("".join))
def test_any_challenge_is_answered_or_refused(text: str) -> None:
    """
    Whatever a server sends with a 401, the flow goes on, ends, or raises ProtocolError.
    """
    request = Request("GET", URL)
    flow = DigestAuth("u", "p").auth_flow(request)
    next(flow)
    try:
        flow.send(Response(401, headers={"WWW-Authenticate": f"Digest {text}"}, request=request))
    except (ProtocolError, StopIteration):
        return
    assert "authorization" in request.headers


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda auth: pickle.loads(pickle.dumps(auth))])
def test_a_copy_knows_the_login_and_begins_anew(copied: Callable[[DigestAuth], DigestAuth]) -> None:
    """
    Copies, and pickles, log in; nonces are each instance's own.
    """
    auth = DigestAuth("u", "p")
    challenge = Response(
        401,
        headers={"WWW-Authenticate": 'Digest realm="r", nonce="n"'},
        request=Request("GET", URL),
    )
    for login in (auth, copied(auth)):
        request = Request("GET", URL)
        flow = login.auth_flow(request)
        next(flow)
        assert "authorization" not in request.headers
        flow.send(challenge)
        assert 'username="u", realm="r", nonce="n"' in request.headers["authorization"]
