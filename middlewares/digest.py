"""Digest authentication (RFC 7616): the client proves that it knows the password without sending it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Generator
from typing import NamedTuple, TypeAlias

from scallion.pipeline.auth import Auth
from scallion.pipeline.errors import ProtocolError, RequestNotRead
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

__all__ = ["DigestAuth", "DigestChallenge", "parse_challenges"]

# The strongest first. SHA and SHA-512 are in no RFC; httpx speaks them, and so do some servers.
_HASHES = {
    "SHA-512-256": "sha512_256",
    "SHA-512": "sha512",
    "SHA-256": "sha256",
    "SHA": "sha1",
    "MD5": "md5",
}
_STRENGTH = {algorithm: -place for place, algorithm in enumerate(_HASHES)}
_SESSION = "-SESS"

# How often one request answers a challenge; only `stale=true` makes it more than once.
_ANSWERS = 3
# Origins remembered; the oldest is forgotten first and costs one more round trip.
_ORIGINS = 256

# RFC 9110 sections 5.6.2, 5.6.4, 11.2 and 11.3, and values that should have been quoted.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105
_GAP = re.compile(r"[ \t,]*+")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]++|(?=,)|\Z)")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]++=*+[ \t]*+(?=,|\Z)")
_PARAMETER = re.compile(
    rf'({_TOKEN})[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^",\s]++))[ \t]*+(?=,|\Z)', re.DOTALL
)
_MENTIONED = re.compile(r"(?:\A|,)[ \t]*+digest(?![!#$%&'*+\-.^_`|~0-9A-Za-z=])", re.IGNORECASE)

Origin: TypeAlias = tuple[str, str, int]


class DigestChallenge(NamedTuple):
    """What a server asks for.

    Attributes:
        algorithm: As the server spells it.
        qop: The quality of protection to use: "auth", "auth-int" (the body is hashed as well), or None
            for the form of RFC 2069.
        userhash: Whether the name is to be sent hashed.
    """

    realm: str
    nonce: str
    algorithm: str = "MD5"
    opaque: str | None = None
    qop: str | None = None
    userhash: bool = False

    @property
    def hash(self) -> str:
        """The algorithm without its `-sess`, in capitals."""
        return self.algorithm.upper().removesuffix(_SESSION)

    @property
    def is_session(self) -> bool:
        return self.algorithm.upper().endswith(_SESSION)


class DigestAuth(Auth):
    """A user's name and password, proved by hashes (RFC 7616).

    The first request to an origin is answered by a challenge and sent again; later ones carry a proof
    from the start, until the server makes the nonce stale. Of several challenges the strongest hash
    wins: SHA-512-256, SHA-512, SHA-256, SHA, MD5. `auth` is preferred to `auth-int`, for which the
    body is read into memory. Names and passwords are UTF-8. A proof is made for an origin's own challenge
    and goes to no other; `domain`, which would widen that, is ignored. `Authentication-Info: nextnonce`
    is followed, except for `-sess` algorithms, whose keys hang on the first nonce.

    One instance may serve threads and tasks at once.

    Raises (while sending):
        ProtocolError: the challenge is malformed, or all of them ask for what is not supported.
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._username = _bytes(username)
        self._password = _bytes(password)
        self._sessions: dict[Origin, _Session] = {}
        self._lock = threading.Lock()

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        origin = request.url.origin_key
        session = self._sessions.get(origin)
        if session is not None:
            request.headers["Authorization"] = self._proof(request, session)
        answered = False
        for _ in range(_ANSWERS):
            response = yield request
            offer = _offer(request, response)
            # Cases: accepted, or nothing to answer; the proof itself was refused; a challenge.
            if offer is None:
                self._follow(origin, session, response)
                return
            challenge, stale = offer
            if answered and not stale:
                return
            session = self._learn(origin, challenge)
            request.headers["Authorization"] = self._proof(request, session)
            _return_cookies(request, response)
            answered = True
        yield request

    def __getstate__(self) -> dict[str, bytes]:
        # A copy, here or in another process, counts its own nonces.
        return {"_username": self._username, "_password": self._password}

    def __setstate__(self, state: dict[str, bytes]) -> None:
        self.__init__(state["_username"], state["_password"])  # type: ignore[misc]

    def _reads_request(self, request: Request, response: Response | None) -> bool:
        # Only `auth-int` needs the body, and a spent one will not be sent again.
        if response is None:
            session = self._sessions.get(request.url.origin_key)
            return session is not None and session.challenge.qop == "auth-int"
        try:
            offer = _offer(request, response)
        except ProtocolError:
            return False
        return offer is not None and offer[0].qop == "auth-int" and request.replayable

    def _learn(self, origin: Origin, challenge: DigestChallenge) -> _Session:
        """The session that answers `challenge`: the running one if the nonce is still the same."""
        with self._lock:
            session = self._sessions.get(origin)
            if session is None or session.challenge != challenge:
                self._sessions.pop(origin, None)
                if len(self._sessions) >= _ORIGINS:
                    del self._sessions[next(iter(self._sessions))]
                session = self._sessions[origin] = _Session(challenge)
            return session

    def _follow(self, origin: Origin, session: _Session | None, response: Response) -> None:
        """Change to the nonce that the server announces (RFC 7616 section 3.5)."""
        announced = response.headers.get("authentication-info")
        if session is None or not announced or session.challenge.is_session:
            return
        nonce = _next_nonce(announced)
        if nonce is None:
            return
        with self._lock:
            # Another request may have learnt something newer.
            if self._sessions.get(origin) is session:
                self._sessions[origin] = _Session(session.challenge._replace(nonce=nonce))

    def _proof(self, request: Request, session: _Session) -> str:
        """The value of the `Authorization` header (RFC 7616 section 3.4)."""
        challenge = session.challenge
        fresh = self._new_cnonce()
        with self._lock:
            session.count += 1
            count = f"{session.count:08x}"
            # With `-sess` the first cnonce is part of the key, and servers differ in whether they
            # take the first one or the current one; there is only one.
            session.cnonce = session.cnonce or fresh
            cnonce = session.cnonce if challenge.is_session else fresh

        def hashed(*parts: str | bytes) -> str:
            return _hash(challenge.hash, b":".join(_bytes(part) for part in parts))

        uri = _bytes(request.extensions.get("target") or request.url.raw_path).decode("latin-1")
        key = hashed(self._username, challenge.realm, self._password)
        if challenge.is_session:
            key = hashed(key, challenge.nonce, cnonce)
        subject: list[str | bytes] = [request.method, uri.encode("latin-1")]
        if challenge.qop == "auth-int":
            subject.append(hashed(_body(request)))
        middle = [] if challenge.qop is None else [count, cnonce, challenge.qop]
        response = hashed(key, challenge.nonce, *middle, hashed(*subject))

        fields = [
            self._name(challenge),
            f"realm={_quoted(challenge.realm)}",
            f"nonce={_quoted(challenge.nonce)}",
            f"uri={_quoted(uri)}",
            f'response="{response}"',
            f"algorithm={challenge.algorithm}",
        ]
        if challenge.opaque is not None:
            fields.append(f"opaque={_quoted(challenge.opaque)}")
        if challenge.qop is not None:
            fields += [f"qop={challenge.qop}", f"nc={count}", f'cnonce="{cnonce}"']
        if challenge.userhash:
            fields.append("userhash=true")
        return "Digest " + ", ".join(fields)

    def _name(self, challenge: DigestChallenge) -> str:
        # Cases: sent hashed; fit for quotes; anything else, by RFC 8187 (RFC 7616 section 3.4).
        if challenge.userhash:
            joined = self._username + b":" + _bytes(challenge.realm)
            return f'username="{_hash(challenge.hash, joined)}"'
        name = self._username.decode("utf-8", "replace")
        if name.isascii() and name.isprintable():
            return f"username={_quoted(name)}"
        from urllib.parse import quote

        return f"username*=UTF-8''{quote(self._username, safe='!#$&+^`|')}"

    def _new_cnonce(self) -> str:
        return os.urandom(16).hex()

    def __repr__(self) -> str:
        return "DigestAuth('****', '****')"


class _Session:
    """A challenge, and how often its nonce was used; changed under the lock of its `DigestAuth`."""

    __slots__ = ("challenge", "cnonce", "count")

    def __init__(self, challenge: DigestChallenge) -> None:
        self.challenge = challenge
        self.cnonce: str | None = None
        self.count = 0


def parse_challenges(value: str) -> list[tuple[str, dict[str, str]]]:
    """The challenges of one `WWW-Authenticate` value (RFC 9110 section 11.6.1), in order.

    Returns:
        Each scheme in lower case with its parameters: names in lower case, values unquoted. What is
        not a parameter (`Negotiate b64==`) stands under the empty name.

    Raises:
        ProtocolError: it is no list of challenges; the message says where it ceases to be one.
    """
    challenges: list[tuple[str, dict[str, str]]] = []
    at = _past_gap(value, 0)
    while at < len(value):
        # Cases: a parameter of the challenge before; a scheme, with or without a token68; neither.
        if challenges and (found := _PARAMETER.match(value, at)):
            name, parameters = found[1].lower(), challenges[-1][1]
            if name in parameters:
                raise _malformed(f"{name} is given twice")
            quoted: str | None = found[2]
            parameters[name] = found[3] if quoted is None else re.sub(r"(?s)\\(.)", r"\1", quoted)
        elif found := _SCHEME.match(value, at):
            challenges.append((found[1].lower(), {}))
            if token68 := _TOKEN68.match(value, found.end()):
                found = token68
                challenges[-1][1][""] = token68[0].rstrip(" \t")
        else:
            raise _malformed(f"no scheme or parameter at {value[at : at + 20]!r}")
        at = _past_gap(value, found.end())
    return challenges


def _past_gap(value: str, at: int) -> int:
    gap = _GAP.match(value, at)
    return at if gap is None else gap.end()


def _offer(request: Request, response: Response) -> tuple[DigestChallenge, bool] | None:
    """The best Digest challenge of `response` and whether only the nonce was stale; None without any."""
    if response.status_code != 401:
        return None
    best: tuple[DigestChallenge, bool] | None = None
    error: ProtocolError | None = None
    for value in response.headers.get_list("www-authenticate"):
        if not _MENTIONED.search(value):
            continue
        try:
            challenges = parse_challenges(value)
        except ProtocolError as malformed:
            error = error or malformed
            continue
        for scheme, parameters in challenges:
            if scheme != "digest":
                continue
            try:
                challenge = _challenge(parameters)
            except ProtocolError as refused:
                error = error or refused
                continue
            # The server's order decides between equals (RFC 7616 section 3.3).
            if best is None or _STRENGTH[challenge.hash] > _STRENGTH[best[0].hash]:
                best = challenge, parameters.get("stale", "").lower() == "true"
    if best is None and error is not None:
        error.request = request
        raise error
    return best


def _challenge(parameters: dict[str, str]) -> DigestChallenge:
    for name in ("realm", "nonce"):
        if name not in parameters:
            raise _malformed(f"it has no {name}")
    algorithm = parameters.get("algorithm", "MD5")
    name = algorithm.upper().removesuffix(_SESSION)
    if name not in _HASHES or not _has_hash(name):
        raise ProtocolError(
            f"Unexpected algorithm {algorithm!r} in digest auth: expected one of {', '.join(_HASHES)}, "
            "or one of these with -sess"
        )
    return DigestChallenge(
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        algorithm=algorithm,
        opaque=parameters.get("opaque"),
        qop=_qop(parameters.get("qop")),
        userhash=parameters.get("userhash", "").lower() == "true",
    )


def _qop(offered: str | None) -> str | None:
    if offered is None:
        return None
    qops = {qop.strip().lower() for qop in offered.split(",")}
    for qop in ("auth", "auth-int"):
        if qop in qops:
            return qop
    raise ProtocolError(
        f"Unexpected qop value {offered!r} in digest auth: expected auth or auth-int"
    )


def _malformed(what: str) -> ProtocolError:
    return ProtocolError(f"Malformed Digest WWW-Authenticate header: {what}")


def _next_nonce(announced: str) -> str | None:
    # The header is a challenge's parameters without a scheme. It is a courtesy: a broken one is ignored.
    try:
        return parse_challenges(f"Digest {announced}")[0][1].get("nextnonce")
    except ProtocolError:
        return None


def _return_cookies(request: Request, response: Response) -> None:
    """Send back what the challenge set, as a session may hang on it; httpx does."""
    if "set-cookie" in response.headers:
        from scallion.pipeline.cookies import Cookies

        Cookies(response.cookies).set_cookie_header(request)


def _body(request: Request) -> bytes:
    try:
        return request.content
    except RequestNotRead:
        # It is spent, so this proof is for a request that is not going to be sent.
        return b""


def _has_hash(algorithm: str) -> bool:
    import hashlib

    return _HASHES[algorithm] in hashlib.algorithms_available


def _hash(algorithm: str, data: bytes) -> str:
    import hashlib

    # The protocol fixes the algorithm; FIPS builds refuse MD5 without this flag.
    return hashlib.new(_HASHES[algorithm], data, usedforsecurity=False).hexdigest()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text
