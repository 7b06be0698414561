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
        "Negative, NaN and non-numeric limits, and timeout tuples of other lengths, are refused when they are "
        "made. httpx takes them, and fails or waits strangely later."
    ),
    "single timeouts win": (
        "Timeout((1, 2, 3, 4), read=9) and Timeout(other, read=9) take the single limit. httpx ignores it in the "
        "first and refuses it in the second."
    ),
    "proxy headers are masked": "repr(Proxy(...)) masks Proxy-Authorization. httpx prints it.",
    # Client
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
    "log": "The logger is named scallion, and secrets in the URL are redacted. httpx prints them.",
    "missing names": "main, ASGITransport and WSGITransport are not there yet.",
    # Errors
    "errors pickle": "Every error pickles, its request, response and notes included. httpx's HTTPStatusError does not.",
}
