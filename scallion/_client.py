"""`Client`: the blocking face. It lays a call out, sends it through the onion, and reads the response.

It is long because each verb writes its signature out, as editors and type checkers want it; the logic is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from scallion.pipeline.onion import Send, name_of
from scallion.pipeline.pipeline import AnyMiddleware, Pipeline
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import BlockingRuntime, run
from scallion.pipeline.settings import (
    DEFAULT_LIMITS,
    DEFAULT_MAX_REDIRECTS,
    DEFAULT_TIMEOUT,
    Limits,
)

from ._arguments import (
    NO_MORE,
    USE_CLIENT_DEFAULT,
    ParamsMode,
    UseClientDefault,
    in_terms_of_httpx,
    lend_timeout,
    one_of,
)
from ._base import BaseClient, ClientState
from ._seam import sync_seam

if TYPE_CHECKING:
    from scallion.pipeline.sse import Reconnect
    from scallion.pipeline.types import (
        AuthTypes,
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        TimeoutTypes,
        URLTypes,
        VerifyTypes,
    )
    from scallion.transports.base import BaseTransport
    from scallion.transports.resolving import ResolverTypes

    from ._sse import Subscription

__all__ = ["Client"]


class Client(BaseClient):
    """A blocking HTTP client. Share one between threads; it keeps connections open and cookies.

    Usable with and without `with`; without, `close()` it.

    Args:
        auth: A (user, password) pair, an `Auth`, or a function from request to request.
        params: Added to the query of every request.
        headers: Sent with every request.
        cookies: Sent where they belong.
        verify: True for certifi's authorities, False for no verification, an `ssl.SSLContext`, or a `scallion.TLS`.
        cert: A client certificate: a path, (certificate, key) or (certificate, key, password).
        http1: Whether HTTP/1.1 is offered.
        http2: Whether HTTP/2 is offered.
        proxy: A proxy for all requests; `proxies` is the older spelling, and may map URL patterns to proxies.
        mounts: Transports for URL patterns, such as `{"all://*.internal": transport}`.
        timeout: Seconds, a tuple, a `Timeout`, or None for no limit.
        follow_redirects: Whether redirects are followed; `allow_redirects` is the older spelling.
        limits: How many connections.
        max_redirects: How many redirects in a row.
        event_hooks: Functions to call with each request and response.
        base_url: What relative URLs are appended to.
        transport: What sends instead of the network: a `MockTransport`, say.
        trust_env: Whether environment variables are read.
        default_encoding: Of texts whose charset is not named: a name, or a function of the content.
        pipeline: The layers; `compatible()` by default.
        middlewares: Layers of your own, each called once per logical request, first = outermost.
        app: A WSGI application that answers instead of the network; the older spelling of
            `transport=WSGITransport(app)`.
        params_mode: What params do to a URL's query: "replace" it, or "merge" with it: what the URL has is kept,
            that of `base_url` included, but for the names that are given.
        resolver: Who knows the addresses of names: a mapping such as `{"db.internal": "10.0.0.7"}`, a function of host
            and port, or a `Resolver`. The operating system by default.
    """

    def __init__(
        self,
        *,
        auth: AuthTypes | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
        http1: bool = True,
        http2: bool = False,
        proxy: ProxyTypes | None = None,
        mounts: Mapping[str, BaseTransport | None] | None = None,
        timeout: TimeoutTypes = DEFAULT_TIMEOUT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        limits: Limits = DEFAULT_LIMITS,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        event_hooks: Mapping[str, list[Callable[..., Any]]] | None = None,
        base_url: URLTypes = "",
        transport: BaseTransport | None = None,
        trust_env: bool = True,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
        pipeline: Pipeline | None = None,
        middlewares: Sequence[AnyMiddleware] = (),
        proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        app: Callable[..., Any] | None = None,
        params_mode: ParamsMode = "replace",
        resolver: ResolverTypes | None = None,
    ) -> None:
        follow = one_of("follow_redirects", follow_redirects, "allow_redirects", allow_redirects)
        super().__init__(
            auth=auth,
            params=params,
            headers=headers,
            cookies=cookies,
            verify=verify,
            cert=cert,
            http1=http1,
            http2=http2,
            proxy=proxy,
            proxies=proxies,
            mounts=mounts,
            timeout=timeout,
            follow_redirects=None if isinstance(follow, UseClientDefault) else follow,
            limits=limits,
            max_redirects=max_redirects,
            event_hooks=event_hooks,
            base_url=base_url,
            transport=transport,
            app=app,
            trust_env=trust_env,
            default_encoding=default_encoding,
            pipeline=pipeline,
            middlewares=middlewares,
            params_mode=params_mode,
            resolver=resolver,
            runtime=BlockingRuntime(),
        )

    def _make_transport(self, **settings: Any) -> BaseTransport:
        from scallion.transports.http import HTTPTransport

        return HTTPTransport(**settings, resolver=self._resolver)

    def _serve(self, app: Callable[..., Any]) -> BaseTransport:
        call = getattr(app, "__call__", None)  # noqa: B004
        if iscoroutinefunction(app) or iscoroutinefunction(call):
            raise TypeError(
                f"A Client's app= is a WSGI application, and {name_of(app)} is an ASGI one: use an AsyncClient"
            )
        from scallion.transports.wsgi import WSGITransport

        return WSGITransport(app=app)

    def _seam(self) -> Send:
        return sync_seam(self, self._default_encoding)

    def send(
        self,
        request: Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a request that `build_request` made, through all layers.

        Args:
            request: The request, sent as it is.
            stream: Leave the body unread: the caller then reads it, and closes the response.
            auth: Instead of the client's; None for none.
            follow_redirects: Instead of the client's setting.
            allow_redirects: The older spelling.
            middlewares: Further layers for this request, inside the client's own.
            timeout: For this sending, instead of `request.extensions["timeout"]`, which stays as it is; the older
                spelling of `build_request(timeout=...)`.

        Raises:
            HTTPError: one of its kinds.
            RuntimeError: the client is closed.
            UnknownOption: the request has an option that no layer reads.
        """
        follow = follow_redirects
        if allow_redirects is not USE_CLIENT_DEFAULT:
            follow = one_of(
                "follow_redirects", follow_redirects, "allow_redirects", allow_redirects
            )
        kept = None if timeout is USE_CLIENT_DEFAULT else lend_timeout(request, timeout)
        laid: tuple[str, ...] = ()
        try:
            onion, laid = self._begin(request, auth, follow, middlewares)
            response = run(onion(request))
            if not stream:
                try:
                    response.read()
                except BaseException:
                    response.close()
                    raise
        finally:
            for key in laid:
                request.extensions.pop(key, None)
            if kept is not None:
                request.extensions = kept
        return response

    def request(
        self,
        method: str,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Build a request, send it, and return the response, its body read.

        What is given here wins over the client's settings; headers, params and cookies are added to them.

        Args:
            method: GET, POST, ...
            url: Absolute, or relative to `base_url`.
            content: The body: bytes, str, an iterable or a file.
            data: Fields of a form.
            files: Files of a multipart form; `data` joins them.
            json: A value to send as JSON.
            params: Together with the client's params the query; see `params_mode` for what becomes of the URL's.
            headers: Further headers.
            cookies: Further cookies, for this request only.
            auth: Instead of the client's; None for none.
            follow_redirects: Instead of the client's setting.
            timeout: Instead of the client's; None for no limit.
            extensions: Options for layers and transport.
            allow_redirects: The older spelling of `follow_redirects`.
            middlewares: Further layers for this request, inside the client's own.
            params_mode: Instead of the client's.

        Raises:
            HTTPError: one of its kinds; an answer of whatever status is no error.
            InvalidURL: the URL is malformed.
        """
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        request = self.build_request(
            method=method,
            url=url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )
        return self.send(
            request,
            auth=auth,
            follow_redirects=follow_redirects,
        )

    def stream(
        self,
        method: str,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> _Streaming:
        """A context manager that sends a request and gives the response, its body unread; leaving it closes that.

        Arguments as of `request`.
        """
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        request = self.build_request(
            method=method,
            url=url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )
        return _Streaming(
            self,
            request,
            auth=auth,
            follow_redirects=follow_redirects,
        )

    def get(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a GET request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "GET",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def options(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send an OPTIONS request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "OPTIONS",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def head(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a HEAD request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "HEAD",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def delete(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a DELETE request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "DELETE",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def post(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a POST request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "POST",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def put(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a PUT request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "PUT",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def patch(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a PATCH request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "PATCH",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def query(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a QUERY request: safe and idempotent like GET, with a body like POST. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return self.request(
            "QUERY",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def sse(
        self,
        url: URLTypes,
        *,
        method: str = "GET",
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        max_event_size: int | None = 1024 * 1024,
        reconnect: bool | Reconnect = False,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[AnyMiddleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Subscription:
        """A context manager that sends a request and gives its server-sent events; leaving it closes the response.

        Arguments as of `request`, and:

        Args:
            max_event_size: The most bytes of one event; None for no bound.
            reconnect: Whether to connect again when the stream ends or fails, with `Last-Event-ID`; a `Reconnect`
                says how often and after which waits.

        Iterating raises:
            SSEError: the response is no event stream, or an event is too large.
            HTTPError: one of its kinds.
        """
        from ._sse import Subscription

        return Subscription(
            self,
            method,
            url,
            max_event_size=max_event_size,
            reconnect=reconnect,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
            allow_redirects=allow_redirects,
            middlewares=middlewares,
            params_mode=params_mode,
        )

    def close(self) -> None:
        """Close all connections; the client then sends nothing more. Closing twice is fine."""
        if self._state is not ClientState.CLOSED:
            self._state = ClientState.CLOSED
            # Should closing one fail, the others are closed all the same.
            with ExitStack() as stack:
                for transport in self._transports():
                    stack.callback(transport.close)

    def __enter__(self) -> Self:
        if self._state is not ClientState.UNOPENED:
            raise RuntimeError(
                "Cannot open a client instance more than once."
                if self._state is ClientState.OPENED
                else "Cannot reopen a client instance, once it has been closed."
            )
        # Until all are open: a client that could not be opened is closed.
        self._state = ClientState.CLOSED
        with ExitStack() as stack:
            for transport in self._transports():
                stack.enter_context(transport)
            stack.pop_all()
        self._state = ClientState.OPENED
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._state is not ClientState.CLOSED:
            self._state = ClientState.CLOSED
            with ExitStack() as stack:
                for transport in self._transports():
                    stack.callback(transport.__exit__, exc_type, exc_value, traceback)


class _Streaming:
    """What `Client.stream` returns."""

    def __init__(self, client: Client, request: Request, **options: Any) -> None:
        self._client = client
        self._request = request
        self._options = options
        self._response: Response | None = None

    def __enter__(self) -> Response:
        self._response = self._client.send(self._request, stream=True, **self._options)
        return self._response

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._response is not None:
            self._response.close()
