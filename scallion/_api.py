"""The functions for a single call: each makes a client, sends one request, and closes the client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scallion.pipeline.response import Response
from scallion.pipeline.settings import DEFAULT_TIMEOUT

from ._arguments import USE_CLIENT_DEFAULT, ParamsMode, UseClientDefault
from ._client import Client

if TYPE_CHECKING:
    from scallion.pipeline.types import (
        AuthTypes,
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestFiles,
        TimeoutTypes,
        URLTypes,
        VerifyTypes,
    )

__all__ = ["delete", "get", "head", "options", "patch", "post", "put", "query", "request", "stream"]


def request(
    method: str,
    url: URLTypes,
    *,
    params: QueryParamTypes | None = None,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one request with a client of its own. For more than one call make a `Client`, which keeps connections.

    Arguments as of `Client` and `Client.request`.

    Raises:
        HTTPError: one of its kinds; an answer of whatever status is no error.
        InvalidURL: the URL is malformed.
    """
    with Client(
        cookies=cookies,
        proxy=proxy,
        proxies=proxies,
        verify=verify,
        cert=cert,
        timeout=timeout,
        trust_env=trust_env,
    ) as client:
        return client.request(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            auth=auth,
            follow_redirects=follow_redirects,
            allow_redirects=allow_redirects,
            params_mode=params_mode,
        )


@contextmanager
def stream(
    method: str,
    url: URLTypes,
    *,
    params: QueryParamTypes | None = None,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Iterator[Response]:
    """Send a request and give its response, the body unread; leaving the context closes both it and the client.

    Arguments as of `request`.
    """
    with (
        Client(
            cookies=cookies,
            proxy=proxy,
            proxies=proxies,
            verify=verify,
            cert=cert,
            timeout=timeout,
            trust_env=trust_env,
        ) as client,
        client.stream(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            auth=auth,
            follow_redirects=follow_redirects,
            allow_redirects=allow_redirects,
            params_mode=params_mode,
        ) as response,
    ):
        yield response


def get(
    url: URLTypes,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one GET request. See `request`."""
    return request(
        "GET",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )


def options(
    url: URLTypes,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one OPTIONS request. See `request`."""
    return request(
        "OPTIONS",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )


def head(
    url: URLTypes,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one HEAD request. See `request`."""
    return request(
        "HEAD",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )


def delete(
    url: URLTypes,
    *,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one DELETE request. See `request`."""
    return request(
        "DELETE",
        url,
        params=params,
        headers=headers,
        cookies=cookies,
        auth=auth,
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )


def post(
    url: URLTypes,
    *,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one POST request. See `request`."""
    return request(
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
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )


def put(
    url: URLTypes,
    *,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one PUT request. See `request`."""
    return request(
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
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )


def patch(
    url: URLTypes,
    *,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one PATCH request. See `request`."""
    return request(
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
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )


def query(
    url: URLTypes,
    *,
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    params: QueryParamTypes | None = None,
    headers: HeaderTypes | None = None,
    cookies: CookieTypes | None = None,
    auth: AuthTypes | None = None,
    proxy: ProxyTypes | None = None,
    timeout: TimeoutTypes = DEFAULT_TIMEOUT,
    follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    verify: VerifyTypes = True,
    trust_env: bool = True,
    allow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    proxies: ProxyTypes | Mapping[str, ProxyTypes | None] | None = None,
    cert: CertTypes | None = None,
    params_mode: ParamsMode = "replace",
) -> Response:
    """Send one QUERY request, which is safe and idempotent as GET is, and has a body. See `request`."""
    return request(
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
        proxy=proxy,
        timeout=timeout,
        follow_redirects=follow_redirects,
        verify=verify,
        trust_env=trust_env,
        allow_redirects=allow_redirects,
        proxies=proxies,
        cert=cert,
        params_mode=params_mode,
    )
