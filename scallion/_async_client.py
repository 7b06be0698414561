"""`AsyncClient`: the asynchronous face. It lays a call out, sends it through the onion, and reads the response.

It is long because each verb writes its signature out, as editors and type checkers want it; the logic is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from scallion.pipeline.onion import Middleware, Send
from scallion.pipeline.pipeline import Pipeline
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from scallion.pipeline.runtime import AsyncRuntime
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
from ._seam import async_seam

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
    from scallion.transports.base import AsyncBaseTransport
    from scallion.transports.resolving import ResolverTypes

    from ._sse import AsyncSubscription

__all__ = ["AsyncClient"]


class AsyncClient(BaseClient):
    """An HTTP client for asyncio and trio. Share one between tasks; it keeps connections open and cookies.

    Usable with and without `async with`; without, `await aclose()` it. Arguments as of `Client`; transports, hooks
    and middlewares are asynchronous. A client belongs to the event loop that it is used in.
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
        mounts: Mapping[str, AsyncBaseTransport | None] | None = None,
        timeout: TimeoutTypes = DEFAULT_TIMEOUT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        limits: Limits = DEFAULT_LIMITS,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        event_hooks: Mapping[str, list[Callable[..., Any]]] | None = None,
        base_url: URLTypes = "",
        transport: AsyncBaseTransport | None = None,
        trust_env: bool = True,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
        pipeline: Pipeline | None = None,
        middlewares: Sequence[Middleware] = (),
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
            runtime=AsyncRuntime(),
        )

    def _make_transport(self, **settings: Any) -> AsyncBaseTransport:
        from scallion.transports.http import AsyncHTTPTransport

        return AsyncHTTPTransport(**settings, resolver=self._resolver)

    def _serve(self, app: Callable[..., Any]) -> AsyncBaseTransport:
        from scallion.transports.asgi import ASGITransport

        return ASGITransport(app=app)

    def _seam(self) -> Send:
        return async_seam(self, self._default_encoding)

    async def send(
        self,
        request: Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[Middleware] = (),
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
            response = await onion(request)
            if not stream:
                try:
                    await response.aread()
                except BaseException:
                    await response.aclose()
                    raise
        finally:
            for key in laid:
                request.extensions.pop(key, None)
            if kept is not None:
                request.extensions = kept
        return response

    async def request(
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
        middlewares: Sequence[Middleware] = (),
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
        return await self.send(
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
        middlewares: Sequence[Middleware] = (),
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

    async def get(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a GET request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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

    async def options(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send an OPTIONS request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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

    async def head(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a HEAD request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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

    async def delete(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a DELETE request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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

    async def post(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a POST request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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

    async def put(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a PUT request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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

    async def patch(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a PATCH request. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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

    async def query(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a QUERY request: safe and idempotent like GET, with a body like POST. See `request`."""
        if (allow_redirects, middlewares, params_mode) != NO_MORE:
            follow_redirects, extensions = in_terms_of_httpx(
                follow_redirects, allow_redirects, extensions, middlewares, params_mode
            )
        return await self.request(
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
        middlewares: Sequence[Middleware] = (),
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> AsyncSubscription:
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
        from ._sse import AsyncSubscription

        return AsyncSubscription(
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

    async def aclose(self) -> None:
        """Close all connections; the client then sends nothing more. Closing twice is fine."""
        if self._state is not ClientState.CLOSED:
            self._state = ClientState.CLOSED
            # Should closing one fail, the others are closed all the same.
            async with AsyncExitStack() as stack:
                for transport in self._transports():
                    stack.push_async_callback(transport.aclose)

    async def __aenter__(self) -> Self:
        if self._state is not ClientState.UNOPENED:
            raise RuntimeError(
                "Cannot open a client instance more than once."
                if self._state is ClientState.OPENED
                else "Cannot reopen a client instance, once it has been closed."
            )
        # Until all are open: a client that could not be opened is closed.
        self._state = ClientState.CLOSED
        async with AsyncExitStack() as stack:
            for transport in self._transports():
                await stack.enter_async_context(transport)
            stack.pop_all()
        self._state = ClientState.OPENED
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._state is not ClientState.CLOSED:
            self._state = ClientState.CLOSED
            async with AsyncExitStack() as stack:
                for transport in self._transports():
                    stack.push_async_callback(transport.__aexit__, exc_type, exc_value, traceback)


class _Streaming:
    """What `AsyncClient.stream` returns."""

    def __init__(self, client: AsyncClient, request: Request, **options: Any) -> None:
        self._client = client
        self._request = request
        self._options = options
        self._response: Response | None = None

    async def __aenter__(self) -> Response:
        self._response = await self._client.send(self._request, stream=True, **self._options)
        return self._response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._response is not None:
            await self._response.aclose()
