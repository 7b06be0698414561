"""What a client adds to the requests that are sent through it: its settings, and how they and a call's arguments are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from scallion.pipeline.cookies import Cookies
from scallion.pipeline.decoding import accept_encoding
from scallion.pipeline.headers import Headers
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.request import Request
from scallion.pipeline.settings import Timeout
from scallion.pipeline.urls import URL, merge_base, with_trailing_slash

from ._arguments import (
    PARAMS_MODE,
    USE_CLIENT_DEFAULT,
    ParamsMode,
    UseClientDefault,
    check_params_mode,
    check_timeout_option,
)
from ._overridable import Overridable
from ._version import __version__

if TYPE_CHECKING:
    from scallion.pipeline.types import (
        CookieTypes,
        HeaderTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        TimeoutTypes,
        URLTypes,
    )

__all__ = ["USER_AGENT", "RequestDefaults"]

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

USER_AGENT = f"python-scallion/{__version__}"

# Methods whose requests, without a body, say nothing about it.
_BODILESS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS"})


class RequestDefaults(Overridable):
    """The half of a client that makes requests. See `Client`.

    Requests are built from the properties, not from what lies behind them: subclasses override these.
    """

    _timeout: Timeout
    _base_url: URL
    _given_base: URL
    _headers: Headers
    _cookies: Cookies
    _params: QueryParams
    _params_mode: ParamsMode

    def _prepare(self) -> None:
        """Look, once, at how this client's class puts a request together."""
        kind = type(self)
        # Whether no subclass has its own way of putting a request together; and the last headers that were.
        self._merges_plainly = (
            kind._merge_url is RequestDefaults._merge_url
            and kind._merge_headers is RequestDefaults._merge_headers
            and kind._merge_cookies is RequestDefaults._merge_cookies
        )
        self._prepared: tuple[RawHeaders, bytes, Headers] = ([], b"", Headers())

    @property
    def timeout(self) -> Timeout:
        """The limits of requests that bring none of their own."""
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: TimeoutTypes) -> None:
        self._timeout = Timeout(timeout)

    @property
    def base_url(self) -> URL:
        """What relative URLs are appended to; it ends in a slash."""
        return self._base_url

    @base_url.setter
    def base_url(self, url: URLTypes) -> None:
        given = URL(url)
        self._base_url = with_trailing_slash(given)
        # A path and a query, where the one is to be appended to and the other to be merged.
        self._given_base = given

    @property
    def headers(self) -> Headers:
        """Sent with every request, unless it brings its own of the name."""
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        defaults = Headers(
            {
                "Accept": "*/*",
                "Accept-Encoding": accept_encoding(),
                "Connection": "keep-alive",
                "User-Agent": USER_AGENT,
            }
        )
        defaults.update(headers)
        self._headers = defaults

    @property
    def cookies(self) -> Cookies:
        """The jar: sent where its cookies belong, and filled by responses."""
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: CookieTypes) -> None:
        given = Cookies(cookies)
        if "_cookies" not in self.__dict__:
            # Subclasses set it before this class's constructor has run, which then sets it anew.
            self._cookies = given
            return
        self._cookies.clear()
        self._cookies.update(given)

    @property
    def params(self) -> QueryParams:
        """Added to the query of every request."""
        return self._params

    @params.setter
    def params(self, params: QueryParamTypes) -> None:
        self._params = QueryParams(params)

    @property
    def params_mode(self) -> ParamsMode:
        """What params do to a URL's query: "replace" it, or "merge" with it."""
        return self._params_mode

    @params_mode.setter
    def params_mode(self, mode: ParamsMode) -> None:
        self._params_mode = check_params_mode(mode)

    # Building a request

    def build_request(
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
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        params_mode: ParamsMode | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Request:
        """A request as this client would send it: the client's settings, overridden by those given here.

        `send` sends it.
        """
        limits = self.timeout if isinstance(timeout, UseClientDefault) else Timeout(timeout)
        options: dict[str, Any] = {"timeout": limits.as_dict()}
        if (
            method in _BODILESS
            and headers is None
            and params is None
            and content is None
            and data is None
            and files is None
            and json is None
            and not (extensions or cookies)
            and params_mode is USE_CLIENT_DEFAULT
            and self._params_mode == "replace"
            and self._merges_plainly
        ):
            request = self._plain_request(method, url, options)
            if request is not None:
                return request
        if extensions:
            options.update(extensions)
            if "timeout" in extensions:
                check_timeout_option(extensions["timeout"])
            params_mode = options.pop(PARAMS_MODE, params_mode)
        if isinstance(params_mode, UseClientDefault):
            params_mode = self._params_mode
        elif params_mode != "replace":
            check_params_mode(params_mode)
        if params_mode == "replace":
            target = self._merge_url(url)
            own = self.params
            if params or own:
                params = QueryParams(own).merge(params)
        else:
            from ._merging import merge_query

            own_base = type(self).base_url is RequestDefaults.base_url
            base = self._given_base if own_base else self.base_url
            target = merge_query(base, url, self.params.merge(params))
            params = None
        return Request(
            method,
            target,
            params=params,
            headers=self._merge_headers(headers),
            cookies=self._merge_cookies(cookies),
            content=content,
            data=data,
            files=files,
            json=json,
            extensions=options,
        )

    def _plain_request(self, method: str, url: URLTypes, options: dict[str, Any]) -> Request | None:
        """A request for which the caller has nothing to add to the client's settings; None if these are not plain."""
        own = self.headers
        if self.params or self.cookies or type(own) is not Headers or own._encoding is not None:
            return None
        target = merge_base(self.base_url, url)
        host = target.host_header
        source, prepared_host, fields = self._prepared
        if host != prepared_host or own._made != source:
            if not host or own.has(b"host"):
                return None
            # Read once: another thread may be changing them.
            source = own.raw
            fields = Headers.from_raw([(b"Host", host), *source])
            self._prepared = source, host, fields
        return Request.bodiless(method, target, Headers.like(fields), options)

    def _merge_url(self, url: URLTypes) -> URL:
        return merge_base(self.base_url, url)

    def _merge_headers(self, headers: HeaderTypes | None) -> Headers:
        merged = self.headers.copy()
        if headers:
            merged.update(headers)
        return merged

    def _merge_cookies(self, cookies: CookieTypes | None) -> Cookies | None:
        if not cookies:
            return self.cookies or None
        merged = Cookies(self.cookies)
        merged.update(cookies)
        return merged
