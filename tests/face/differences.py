"""Where scallion answers otherwise than httpx 0.28 on purpose: what, and why.

The tests that show one of them name it, and `test_differences` sees to it that each is shown.
"""

from __future__ import annotations

__all__ = ["DIFFERENCES"]

DIFFERENCES: dict[str, str] = {
    # Redirects
    "a location that is no URL": (
        "Without follow_redirects a malformed Location is the caller's to read: the response is returned, "
        "its next_request None. httpx raises RemoteProtocolError. With follow_redirects it is always "
        "RemoteProtocolError; httpx raises InvalidURL for some."
    ),
    "proxy-authorization across origins": (
        "Proxy-Authorization is dropped with Authorization when a redirect leads to another origin. httpx keeps it."
    ),
    "a body that cannot be sent again": (
        "StreamConsumed is raised before anything is sent anew, names the status, and the response is closed. "
        "httpx raises it from within the transport."
    ),
    "too many redirects": (
        "TooManyRedirects carries the last request that was sent; httpx's carries the one that was not."
    ),
    "QUERY": "After 301 and 302 QUERY stays QUERY, with its body: it is safe. httpx turns it into GET after 302.",
    # Timeouts, limits, proxies
    "total": "Timeout has `total`, the limit of the whole call. httpx has none.",
    "settings are validated": (
        "Negative, NaN and non-numeric limits, timeout tuples of other lengths, pieces of no bytes, clients without "
        "a protocol, `verify=`, `cert=` and mounts of another kind, and proxies without a host are refused when they are made. httpx takes them, and fails or waits strangely later."
    ),
    "single timeouts win": (
        "Timeout((1, 2, 3, 4), read=9) and Timeout(other, read=9) take the single limit. httpx ignores it in the "
        "first and refuses it in the second."
    ),
    "proxy headers are masked": "repr(Proxy(...)) masks Proxy-Authorization. httpx prints it.",
    # Environment, extensions
    "who goes without a proxy": (
        "NO_PROXY, and patterns of mounts, know networks (10.0.0.0/8, fd00::/8), *.host, [::1], international names, "
        "host:80 and host:443, a final dot, other spellings of an IPv6 address, and blanks between entries; what cannot "
        "be read is ignored. In httpx each of these matches nothing or something else, or makes every client fail; "
        "httpx2 has the first three."
    ),
    "proxies of the environment": (
        "One that cannot be used, such as a socks5 one without socksio, fails when a request needs it, with an error that names the "
        "variable. httpx fails to make the client."
    ),
    "a proxy's 407": (
        "A forward proxy that wants a login is a ProxyError that says so, as one that opens tunnels is. httpx returns "
        "its 407 as if it were the origin's."
    ),
    "keys for debuggers": (
        "SSLKEYLOGFILE counts with trust_env only, and then with verify=False as well. In httpx it counts without "
        "trust_env, and not with verify=False."
    ),
    "settings in traces": (
        "http2.receive_remote_settings is not told: whoever reads takes the server's settings in, and it need not be "
        "the request that is traced."
    ),
    "network streams": (
        "Those of `network_stream` and of traces raise scallion's errors, under TLS their `socket` is the TCP socket, and "
        "a trace's `request` is a scallion.Request. httpx shows httpcore's."
    ),
    "elapsed of complete responses": (
        "A response that a transport gave with its body complete, such as a mock's, has `elapsed`. httpx raises RuntimeError."
    ),
    # Client
    "cookies by RFC 6265": (
        "A cookie without a Domain goes to its very host; Domain=com is refused, and so is a __Host- or __Secure- "
        "cookie that breaks its rules; malformed attributes are ignored, the last of a name counts; one answer's "
        "cookies are taken in their order; values are sent in UTF-8. httpx leaves them to the standard library, "
        "which knows RFC 2965, and to ASCII."
    ),
    "links by RFC 8288": "A Link header without a target is no link. httpx makes one of it.",
    "a colon in a user name": "It is refused: the server would read another user (RFC 7617). httpx sends it.",
    "limits of an auth flow": (
        "A request that an auth flow makes by hand has the client's timeouts. httpx's has none, and may wait for ever."
    ),
    "unknown options": (
        "A misspelt key in `extensions`, or one for a layer that is not installed, raises UnknownOption. "
        "httpx ignores it."
    ),
    "unknown events": "event_hooks with another key than request and response is refused. httpx ignores it.",
    "hooks of the other colour": (
        "An async hook in a Client, or a plain one in an AsyncClient, raises TypeError naming it. httpx drops the "
        "coroutine in the one case and fails with `NoneType can't be used in 'await'` in the other."
    ),
    "cookies for sent requests": (
        "The jar's cookies are added when a request is sent, unless it has a Cookie header: also to a Request that "
        "the client did not build. httpx adds them when it builds."
    ),
    "cookies of one request": "`cookies=` of a single request is no matter of a DeprecationWarning.",
    "one close per transport": "A transport mounted twice is opened and closed once. httpx does it each time.",
    "every transport is closed": (
        "When closing one transport fails, the others are closed all the same. httpx stops at the first."
    ),
    "older spellings": (
        "allow_redirects= and proxies= are accepted. httpx removed them; giving both spellings is a TypeError."
    ),
    "relative URLs with cookies": (
        "A request with cookies may be built with a relative URL. httpx raises ValueError."
    ),
    "user agent": "The default User-Agent is python-scallion/x, not python-httpx/x.",
    "log": (
        "The loggers are scallion (INFO) and, in the place of httpcore's, scallion.connection, .http11, .http2 and .proxy "
        "(DEBUG); secrets in URLs and headers are redacted. httpx prints them."
    ),
    # Values
    "lone surrogates": "A URL with half a surrogate pair is InvalidURL. httpx raises UnicodeEncodeError.",
    "answers where httpx fails": (
        "Comparing headers with anything, a name in headers after they were read, a host that is no IDNA, an IPv6 "
        "netloc, the cookies of a response without a request: each has an answer. httpx raises something from within."
    ),
    "escapes in hosts": (
        "What is escaped in a host is escaped in lower case, so that the URL read again is the same. httpx escapes in "
        "capitals, and lowers them when it reads the result."
    ),
    "zones of IPv6 addresses": (
        "http://[fe80::1%25eth0]/ connects through eth0, and sends no zone (RFC 6874). httpx cannot connect to it."
    ),
    "secrets are masked": (
        "Passwords in a URL, cookies and their values are masked in reprs, and secret parameters in messages. httpx "
        "prints them, but for Authorization and the password in repr(url)."
    ),
    "reprs say more": (
        "Clients, transports, Auth objects and USE_CLIENT_DEFAULT say what they are. httpx's are "
        "<httpx.X object at 0x...>."
    ),
    "values have slots": (
        "URL, Headers, Cookies, QueryParams, Timeout and Limits take no attributes of a user's own, the last two no "
        "weak references: requests are made of many of them."
    ),
    "equal params hash alike": (
        "Equal QueryParams have one hash, whatever their order. httpx's may have two, and get lost in dictionaries."
    ),
    "names without values": "A name with an empty list of values is not in QueryParams. In httpx it is in keys().",
    "ports over 65535": "A port over 65535, or below 0, is InvalidURL. httpx keeps it, and fails to connect.",
    "schemes in capitals": "A default port is dropped after HTTP:// as after http://. httpx keeps it there.",
    # Bodies
    "a framing of the caller": (
        "Beside a Transfer-Encoding of the caller no Content-Length is added. httpx adds it, and sends a body that is "
        "not framed as said."
    ),
    "buffers as bodies": "bytearray and memoryview are bodies. httpx iterates over their numbers and fails.",
    "bytes in forms": "Bytes in a form are the field's very value. httpx sends what str() makes of them, b'value'.",
    "files from where they stand": "A file as content= is sent from its position on. httpx announces all of it.",
    "several files of one name": "A list of files is sent as several parts. httpx fails from within.",
    "line breaks in multipart headers": (
        "A line break in the headers of a file is refused. httpx sends it, and with it whatever header follows."
    ),
    "truncated content": (
        "Content that ends before its coding does raises DecodingError. httpx returns what there is."
    ),
    "gzip by its RFCs": (
        "All members of a gzip body are read (RFC 1952 section 2.2), and x-gzip is gzip (RFC 9110 section 8.4.1.3). "
        "httpx stops after the first member, and leaves x-gzip as it is."
    ),
    "many codings": "More than five content codings of one body raise DecodingError. httpx undoes any number.",
    "bodies that are there already": (
        "A response whose body came together with its head holds no connection while it is not read. httpx's holds one."
    ),
    # Apps in process
    "an app that fails half way": (
        "With raise_app_exceptions=False a body that had begun ends in RemoteProtocolError, as it would from a server. "
        "httpx's ASGITransport returns what there was as if it were all, its WSGITransport raises the app's error."
    ),
    "WSGI's environ": (
        "PATH_INFO holds the path's octets, and SERVER_NAME the ASCII name, as PEP 3333 wants them, and header fields "
        "that come twice are joined. httpx puts other characters there, and the last field wins."
    ),
    # Errors
    "methods are tokens": (
        "A method that is no token raises LocalProtocolError when the request is made. httpx's does when it is "
        "sent over the network."
    ),
    "wrong types": (
        "What is of a wrong type or shape is refused when it is given, by TypeError, ValueError or InvalidURL, or by "
        "RuntimeError where a body is of the other colour. httpx raises what happens to come from within "
        "(AttributeError, IndexError, AssertionError), or nothing."
    ),
    "error messages": (
        "Messages on mistakes say what to do. httpx's are kept for errors that programs meet: HTTPStatusError, "
        "CookieConflict, TooManyRedirects, and those of streams."
    ),
    "WebSockets": "There are none. httpx2 has websocket().",
    "errors pickle": "Every error pickles, its request, response and notes included. httpx's HTTPStatusError does not.",
}
