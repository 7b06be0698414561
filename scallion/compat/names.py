"""Which names httpx's modules have, and where scallion keeps them: tables, and nothing else.

The private names are those that packages around httpx import, and what else has an honest equal here. A name that is
missing is an AttributeError: better no name than one that does something else.
"""

from __future__ import annotations

__all__ = ["ABSENT", "HOMES", "META", "PUBLIC"]

_DESCRIPTION = "A next generation HTTP client, for Python 3: scallion, in its place."

# The versions whose API this is: packages compare them.
META = {
    "httpx": {"__title__": "httpx", "__version__": "0.28.1", "__description__": _DESCRIPTION},
    "httpx2": {"__title__": "httpx2", "__version__": "2.16.2", "__description__": _DESCRIPTION},
}

_ERRORS = (
    "CloseError ConnectError ConnectTimeout CookieConflict DecodingError HTTPError HTTPStatusError InvalidURL "
    "LocalProtocolError NetworkError PoolTimeout ProtocolError ProxyError ReadError ReadTimeout RemoteProtocolError "
    "RequestError RequestNotRead ResponseNotRead StreamClosed StreamConsumed StreamError TimeoutException "
    "TooManyRedirects TransportError UnsupportedProtocol WriteError WriteTimeout"
)
_FUNCTIONS = "delete get head options patch post put request stream"
_TRANSPORTS = "ASGITransport AsyncBaseTransport AsyncHTTPTransport BaseTransport HTTPTransport MockTransport WSGITransport"
_TRANSPORT_ERRORS = (
    "ConnectError ConnectTimeout LocalProtocolError NetworkError PoolTimeout ProtocolError ProxyError ReadError "
    "ReadTimeout RemoteProtocolError TimeoutException UnsupportedProtocol WriteError WriteTimeout"
)
_REST = (
    "AsyncByteStream AsyncClient Auth BasicAuth ByteStream Client Cookies DigestAuth Headers Limits NetRCAuth Proxy "
    "QueryParams Request Response SyncByteStream Timeout URL USE_CLIENT_DEFAULT codes create_ssl_context main"
)
_HTTPX = f"__description__ __title__ __version__ {_ERRORS} {_FUNCTIONS} {_TRANSPORTS} {_REST}"
_ADDED = "EventSource FunctionAuth Origin SSEError ServerSentEvent alias_httpx query"

# Why some names of httpx2's are missing.
ABSENT = dict.fromkeys(
    ("websocket", "websockets"),
    "scallion stands in for it, and has no WebSockets: use httpx-ws, or the package websockets",
)


def _sorted(names: str) -> list[str]:
    return sorted(names.split(), key=str.casefold)


def _homes(**modules: str) -> dict[str, str]:
    """Names by their home; "name=other" is a name that has another one there."""
    found = {}
    for module, names in modules.items():
        home = module.replace("__", ".")
        for name in names.split():
            shown, _, other = name.partition("=")
            found[shown] = f"{home}:{other or shown}"
    return found


_MODULES: dict[str, dict[str, str]] = {
    "": _homes(scallion=_HTTPX),
    "__version__": {},
    "_api": _homes(
        scallion=f"Client Response URL {_FUNCTIONS}",
        scallion__pipeline__settings="DEFAULT_TIMEOUT_CONFIG=DEFAULT_TIMEOUT",
    ),
    "_auth": _homes(
        scallion="Auth BasicAuth Cookies DigestAuth FunctionAuth NetRCAuth ProtocolError Request Response"
    ),
    "_client": _homes(
        scallion=(
            "AsyncBaseTransport AsyncByteStream AsyncClient AsyncHTTPTransport Auth BaseTransport BasicAuth Client "
            "Cookies HTTPTransport Headers InvalidURL Limits Proxy QueryParams RemoteProtocolError Request Response "
            "SyncByteStream Timeout TooManyRedirects URL USE_CLIENT_DEFAULT codes"
        ),
        scallion___base="BaseClient ClientState",
        scallion___request_defaults="USER_AGENT",
        scallion___arguments="UseClientDefault",
        scallion__pipeline__settings="DEFAULT_LIMITS DEFAULT_MAX_REDIRECTS DEFAULT_TIMEOUT_CONFIG=DEFAULT_TIMEOUT",
        scallion__compat__helpers="ACCEPT_ENCODING _is_https_redirect _port_or_default _same_origin",
    ),
    "_config": _homes(
        scallion="Headers Limits Proxy Timeout URL create_ssl_context",
        scallion__pipeline__settings=(
            "DEFAULT_LIMITS DEFAULT_MAX_REDIRECTS DEFAULT_TIMEOUT_CONFIG=DEFAULT_TIMEOUT UNSET UnsetType=_Unset"
        ),
    ),
    "_content": _homes(
        scallion="AsyncByteStream ByteStream StreamClosed StreamConsumed SyncByteStream",
        scallion__pipeline__bodies=(
            "AsyncIteratorByteStream IteratorByteStream UnattachedStream encode_content encode_request encode_response"
        ),
        scallion__compat__content="encode_html encode_json encode_multipart_data encode_text encode_urlencoded_data",
    ),
    "_decoders": _homes(scallion="DecodingError"),
    "_exceptions": _homes(scallion=_ERRORS, scallion__compat__helpers="request_context"),
    "_main": _homes(scallion="Client RequestError Response codes main"),
    "_models": _homes(
        scallion=(
            "AsyncByteStream ByteStream CookieConflict Cookies HTTPStatusError Headers Request RequestNotRead Response "
            "ResponseNotRead StreamClosed StreamConsumed SyncByteStream URL codes"
        ),
    ),
    "_multipart": _homes(
        scallion="AsyncByteStream SyncByteStream",
        scallion__pipeline__multipart="MultipartStream",
        scallion__compat__content="get_multipart_boundary_from_content_type",
    ),
    "_status_codes": _homes(scallion="codes"),
    "_transports": _homes(scallion=_TRANSPORTS),
    "_transports.asgi": _homes(
        scallion="ASGITransport AsyncBaseTransport AsyncByteStream Request Response"
    ),
    "_transports.base": _homes(scallion="AsyncBaseTransport BaseTransport Request Response"),
    "_transports.default": _homes(
        scallion=(
            "AsyncBaseTransport AsyncByteStream AsyncHTTPTransport BaseTransport HTTPTransport Limits Proxy Request "
            f"Response SyncByteStream URL create_ssl_context {_TRANSPORT_ERRORS}"
        ),
        scallion__pipeline__settings="DEFAULT_LIMITS",
        scallion__compat__httpcore_errors="map_httpcore_exceptions",
        scallion__compat__httpcore_streams="AsyncResponseStream ResponseStream",
    ),
    "_transports.mock": _homes(
        scallion="AsyncBaseTransport BaseTransport MockTransport Request Response"
    ),
    "_transports.wsgi": _homes(
        scallion="BaseTransport Request Response SyncByteStream WSGITransport"
    ),
    "_types": _homes(
        scallion="AsyncByteStream SyncByteStream",
        scallion__pipeline__types=(
            "AuthTypes CertTypes CookieTypes FileContent FileTypes HeaderTypes PrimitiveData ProxyTypes "
            "QueryParamTypes RequestContent RequestData RequestExtensions RequestFiles ResponseContent "
            "ResponseExtensions TimeoutTypes URLTypes"
        ),
    ),
    "_urlparse": _homes(
        scallion="InvalidURL",
        scallion__pipeline__urlparse="MAX_URL_LENGTH=MAX_LENGTH",
        scallion__pipeline__uri_reference="ParseResult=URIReference",
        scallion__compat__helpers="urlparse",
    ),
    "_urls": _homes(scallion="QueryParams URL"),
    "_utils": _homes(
        scallion___mounts="URLPattern",
        scallion___environment="get_environment_proxies=environment_proxies",
        scallion__compat__helpers=(
            "is_ipv4_hostname is_ipv6_hostname peek_filelike_length primitive_value_to_str to_bytes to_bytes_or_str "
            "to_str unquote"
        ),
    ),
}

_ADDITIONS: dict[str, dict[str, str]] = {
    "": _homes(
        scallion="EventSource FunctionAuth Origin SSEError ServerSentEvent query",
        scallion__compat__helpers="alias_httpx",
    ),
    "_alias": _homes(scallion__compat__helpers="alias_httpx"),
    "_api": _homes(scallion="query"),
    "_client": _homes(scallion="EventSource FunctionAuth"),
    "_exceptions": _homes(scallion__compat__helpers="HTTPXDeprecationWarning"),
    "_sse": _homes(scallion="EventSource Response SSEError ServerSentEvent TransportError"),
    "_urls": _homes(scallion="Origin"),
}

_GONE = {"_client": {"_port_or_default", "_same_origin"}, "_utils": {"unquote"}}


def _in_httpx2(inside: str) -> dict[str, str]:
    names = _MODULES.get(inside, {}) | _ADDITIONS.get(inside, {})
    return {name: home for name, home in names.items() if name not in _GONE.get(inside, ())}


# By package, and by module inside it, parents first: where each name lives, as "module:name".
HOMES: dict[str, dict[str, dict[str, str]]] = {
    "httpx": _MODULES,
    "httpx2": {inside: _in_httpx2(inside) for inside in (*_MODULES, "_alias", "_sse")},
}
# What `__all__` says.
PUBLIC = {
    "httpx": _sorted(_HTTPX),
    # httpx2 does not offer main(), and its websocket() is not here.
    "httpx2": [name for name in _sorted(f"{_HTTPX} {_ADDED}") if name != "main"],
}
