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

from ._arguments import USE_CLIENT_DEFAULT, UseClientDefault, one_of
from ._base import BaseClient, ClientState
from ._seam import async_seam

if TYPE_CHECKING:
    import ssl

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
    )
    from scallion.transports.base import AsyncBaseTransport

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
        verify: ssl.SSLContext | str | bool = True,
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
            trust_env=trust_env,
            default_encoding=default_encoding,
            pipeline=pipeline,
            middlewares=middlewares,
            runtime=AsyncRuntime(),
        )

    def _make_transport(self, **settings: Any) -> AsyncBaseTransport:
        from scallion.transports.http import AsyncHTTPTransport

        return AsyncHTTPTransport(**settings)

    def _seam(self) -> Send:
        return async_seam(self._transport_for_url, self._default_encoding)

    async def send(
        self,
        request: Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        middlewares: Sequence[Middleware] = (),
    ) -> Response:
        """Send a request that `build_request` made, through all layers.

        Args:
            request: The request, sent as it is.
            stream: Leave the body unread: the caller then reads it, and closes the response.
            auth: Instead of the client's; None for none.
            follow_redirects: Instead of the client's setting.
            allow_redirects: The older spelling.
            middlewares: Further layers for this request, inside the client's own.

        Raises:
            HTTPError: one of its kinds.
            RuntimeError: the client is closed.
            UnknownOption: the request has an option that no layer reads.
        """
        follow = one_of("follow_redirects", follow_redirects, "allow_redirects", allow_redirects)
        onion, laid = self._begin(request, auth, follow, middlewares)
        try:
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
            params: Replaces the URL's query, together with the client's params.
            headers: Further headers.
            cookies: Further cookies, for this request only.
            auth: Instead of the client's; None for none.
            follow_redirects: Instead of the client's setting.
            timeout: Instead of the client's; None for no limit.
            extensions: Options for layers and transport.
            allow_redirects: The older spelling of `follow_redirects`.
            middlewares: Further layers for this request, inside the client's own.

        Raises:
            HTTPError: one of its kinds; an answer of whatever status is no error.
            InvalidURL: the URL is malformed.
        """
        request = self.build_request(
            method,
            url,
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> _Streaming:
        """A context manager that sends a request and gives the response, its body unread; leaving it closes that.

        Arguments as of `request`.
        """
        request = self.build_request(
            method,
            url,
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> Response:
        """Send a GET request. See `request`."""
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> Response:
        """Send an OPTIONS request. See `request`."""
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> Response:
        """Send a HEAD request. See `request`."""
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> Response:
        """Send a DELETE request. See `request`."""
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> Response:
        """Send a POST request. See `request`."""
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> Response:
        """Send a PUT request. See `request`."""
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
    ) -> Response:
        """Send a PATCH request. See `request`."""
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
            allow_redirects=allow_redirects,
            middlewares=middlewares,
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
