"""What went over the wire, for people: connections, heads, redirects and retries.

`Wire` is a layer for the slot per attempt, an observer of the request, and the callback of its `trace` extension:
each of them knows something that the others do not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from scallion.pipeline.onion import Next
from scallion.pipeline.redaction import SECRET_NAMES, redact_jwts, redact_query, redact_url
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response

from .screen import Screen

__all__ = ["Wire", "head_of"]

_HIDDEN = "[hidden]"
_FIELDS_WITH_URLS = frozenset({"location", "content-location", "referer", "link", "origin"})
# What ends the name of a field that carries a secret: X-Api-Key, X-Auth-Token, Client-Secret.
_SECRET_ENDINGS = ("apikey", "token", "secret", "password", "signature", "credential")

_CONNECTION = "dim"
_SENT = "cyan"
_RECEIVED = "green"


class Wire:
    """Shows each exchange: the answers' heads on `heads`, all that happens on `log`; None shows nothing.

    Args:
        heads: Where the heads of the answers go, as they came.
        log: Where requests, answers and connections go, secrets hidden.
        show_secrets: Hide none.
    """

    colourless = True

    def __init__(
        self, heads: Screen | None, log: Screen | None, *, show_secrets: bool = False
    ) -> None:
        self._heads = heads
        self._log = log
        self._show_secrets = show_secrets
        self._tunnelling = False
        self._proxied: set[str] = set()
        self._started = time.monotonic()

    async def __call__(self, request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        if self._heads is not None:
            show_head(self._heads, response)
        if self._log is not None:
            start = head_of(response.http_version, response.status_code, response.reason_phrase)
            self._show("<", [start, *self._fields(response.headers.raw)], _RECEIVED)
        return response

    def trace(self, name: str, info: dict[str, Any]) -> None:
        """The request's `trace` callback; only with a `log`."""
        match name:
            case "connection.connect_tcp.started":
                self._note(f"Connecting to {info['host']} port {info['port']}")
            case "connection.connect_tcp.complete":
                address = _about(info["return_value"], "server_addr")
                if address:
                    self._note(f"Connected to {address[0]} port {address[1]}")
            case "connection.start_tls.complete" | "proxy.start_tls.complete":
                for line in _tls(_about(info["return_value"], "ssl_object")):
                    self._note(line)
            case "http11.send_request_headers.started":
                self._show_request(info["request"], "HTTP/1.1")
            case "http2.send_request_headers.started":
                self._show_request(info["request"], "HTTP/2")
            case "http11.receive_response_headers.complete" if self._tunnelling:
                # The proxy's answer, which no layer gets to see.
                self._tunnelling = False
                version, status, reason, fields = info["return_value"]
                start = head_of(version.decode(), status, _text(reason))
                self._show("<", [start, *self._fields(fields)], _RECEIVED)
            case _ if name.endswith(".failed"):
                failure = info["exception"]
                self._note(f"Failed: {str(failure) or type(failure).__name__}")
            case _:
                pass

    def observe(self, event: str, fields: dict[str, Any]) -> None:
        """One of the request's observers; only with a `log`."""
        match event:
            case "connection.opened":
                if fields["proxied"]:
                    self._proxied.add(fields["origin"])
                    self._note(f"Through a proxy to {fields['origin']}")
            case "connection.reused":
                self._note(f"Request {fields['number']} on this connection")
            case "connection.stale":
                self._note("The connection was closed meanwhile: opening another")
            case "redirect":
                self._note(f"Following the redirect to {self._url(fields['location'])}")
            case "retry":
                self._note(
                    f"Attempt {fields['attempt']} in {fields['wait']:.1f} s, after: {fields['reason']}"
                )
            case "retry.end":
                self._note(f"Not trying again: {fields['reason']}")
            case _:
                pass

    def end(self, response: Response) -> None:
        """Tell how much it was."""
        if self._log is not None:
            taken = time.monotonic() - self._started
            self._note(f"{response.num_bytes_downloaded} bytes of body, {taken:.2f} s in all")
            self._note(f"The last exchange: {response.timings}")

    def _show_request(self, request: Request, version: str) -> None:
        url = request.url
        scheme, host, port = url.origin_key
        # Cases: a tunnel's; a forward proxy's, which is the whole URL without its login; a server's.
        self._tunnelling = request.method == "CONNECT" and "target" in request.extensions
        if self._tunnelling:
            target = _text(request.extensions["target"])
        elif scheme == "http" and f"{scheme}://{host}:{port}" in self._proxied:
            target = str(url.copy_with(userinfo=b""))
        else:
            target = url.raw_path.decode("ascii")
        if not self._show_secrets:
            target = redact_query(target)
        fields = list(self._fields(request.headers.raw))
        if version == "HTTP/2":
            fields = [
                f"{name.lower()}:{value}" for name, _, value in (f.partition(":") for f in fields)
            ]
        self._show(">", [f"{request.method} {target} {version}", *fields], _SENT)

    def _fields(self, raw: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
        for name, value in raw:
            text, key = _text(value), _text(name)
            if not self._show_secrets:
                text = _masked(key, text)
            yield f"{key}: {text}"

    def _url(self, url: str) -> str:
        return url if self._show_secrets else redact_url(url)

    def _show(self, mark: str, lines: Iterable[str], style: str) -> None:
        assert self._log is not None
        for line in (*lines, ""):
            self._log.line(f"{mark} {line}".rstrip(), style)

    def _note(self, text: str) -> None:
        if self._log is not None:
            # One line, whatever a server put into it.
            self._log.line(f"* {' '.join(text.split())}", _CONNECTION)


def head_of(version: str, status: int, reason: str) -> str:
    """The first line of an answer."""
    return f"{version} {status} {reason}".rstrip()


def show_head(screen: Screen, response: Response) -> None:
    """The answer's head and an empty line: bytes as they came, or for a person, coloured."""
    start = head_of(response.http_version, response.status_code, response.reason_phrase)
    if screen.shown:
        lines = [start, *(f"{_text(name)}: {_text(value)}" for name, value in response.headers.raw)]
        screen.code("\n".join([*lines, "", ""]), "http")
        screen.flush()
        return
    fields = [b"%s: %s" % field for field in response.headers.raw]
    screen.raw(b"\n".join([start.encode("utf-8"), *fields, b"", b""]))


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _masked(name: str, value: str) -> str:
    """The value of a field as it may be shown: the scheme of a login and the names of cookies stay."""
    key = name.lower()
    # Cases: a login; cookies; another secret; a URL; anything else.
    if key in ("authentication", "authorization", "proxy-authorization"):
        scheme, blank, _ = value.partition(" ")
        return f"{scheme} {_HIDDEN}" if blank else _HIDDEN
    if key == "cookie":
        return "; ".join(_without_value(pair) for pair in value.split("; "))
    if key == "set-cookie":
        pair, semicolon, attributes = value.partition(";")
        return f"{_without_value(pair)}{semicolon}{attributes}"
    plain = key.replace("-", "").replace("_", "")
    if plain.endswith(_SECRET_ENDINGS) or plain.removeprefix("x") in SECRET_NAMES:
        return _HIDDEN
    return redact_url(value) if key in _FIELDS_WITH_URLS else redact_jwts(value)


def _without_value(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={_HIDDEN}" if equals else _HIDDEN


def _about(stream: Any, name: str) -> Any:
    """What a connection knows of itself, by httpcore's method or by our channels' own."""
    ask = getattr(stream, "get_extra_info", None) or getattr(stream, "info", None)
    return None if ask is None else ask(name)


def _tls(tls: Any) -> Iterator[str]:
    """What the handshake agreed on, and whom the certificate names."""
    if tls is None:
        return
    cipher = (tls.cipher() or ("no cipher",))[0]
    protocol = tls.selected_alpn_protocol()
    yield f"{tls.version()}, {cipher}" + (f", ALPN {protocol}" if protocol else "")
    certificate = tls.getpeercert()
    if not certificate:
        yield "Certificate: not verified"
        return
    subject, issuer = (_name(certificate.get(part, ())) for part in ("subject", "issuer"))
    names = ", ".join(value for _, value in certificate.get("subjectAltName", ()))
    yield f"Certificate: {subject or 'without a subject'}; for {names or 'no names'}"
    yield f"Certificate: issued by {issuer}; valid until {certificate.get('notAfter')}"


def _name(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    return ", ".join(f"{key}={value}" for part in parts for key, value in part)
