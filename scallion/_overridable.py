"""What subclasses of httpx's clients override in the ecosystem: private methods with httpx's names and signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scallion.middlewares.redirects import redirect_headers
from scallion.pipeline.headers import Headers
from scallion.pipeline.request import Request
from scallion.pipeline.settings import DEFAULT_LIMITS, Limits, Proxy
from scallion.pipeline.urls import URL

if TYPE_CHECKING:
    from scallion.pipeline.types import CertTypes, VerifyTypes

__all__ = ["Overridable"]


class Overridable:
    """The clients' first ancestor. An override in a subclass takes effect."""

    def _make_transport(self, **settings: Any) -> Any:
        """The transport of the client's colour."""
        raise NotImplementedError

    def _init_transport(
        self,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        transport: Any = None,
    ) -> Any:
        """The transport of URLs that no mount matches: the one that was given, or one that is made."""
        if transport is not None:
            return transport
        return self._make_transport(
            verify=verify,
            cert=cert,
            trust_env=trust_env,
            http1=http1,
            http2=http2,
            limits=limits,
            proxy=None,
        )

    def _init_proxy_transport(
        self,
        proxy: Proxy,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Any:
        """The transport of URLs that go through `proxy`."""
        return self._make_transport(
            verify=verify,
            cert=cert,
            trust_env=trust_env,
            http1=http1,
            http2=http2,
            limits=limits,
            proxy=proxy,
        )

    def _redirect_headers(self, request: Request, url: URL, method: str) -> Headers:
        """The headers of the request that a redirect of `request` leads to. `Redirects` asks overrides of it only."""
        return redirect_headers(request, url, method)
