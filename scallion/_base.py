"""What `Client` and `AsyncClient` share: settings, building requests, choosing a transport, the onion's making."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from scallion.middlewares.auth import build_auth
from scallion.middlewares.cookies import CookiePersistence
from scallion.middlewares.hooks import EventHooks, Hooks
from scallion.middlewares.redirects import RedirectOption, Redirects
from scallion.pipeline.auth import Auth
from scallion.pipeline.cookies import Cookies
from scallion.pipeline.errors import UnknownOption
from scallion.pipeline.layer import Layer, check_options
from scallion.pipeline.onion import Send
from scallion.pipeline.pipeline import AnyMiddleware, Pipeline
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.request import Request
from scallion.pipeline.runtime import Runtime
from scallion.pipeline.settings import DEFAULT_MAX_REDIRECTS, Limits, Timeout
from scallion.pipeline.urls import URL

from ._arguments import (
    USE_CLIENT_DEFAULT,
    ParamsMode,
    UseClientDefault,
    check_kinds,
    check_params_mode,
    lay,
    one_of,
    refuse_for_lack,
    several,
)
from ._mounts import Routing, URLPattern, mounted, patterns, routes
from ._overridable import Overridable
from ._request_defaults import RequestDefaults
from ._stacks import compatible

if TYPE_CHECKING:
    from scallion.pipeline.types import (
        AuthTypes,
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        TimeoutTypes,
        URLTypes,
        VerifyTypes,
    )
    from scallion.transports.pool_state import PoolState
    from scallion.transports.resolving import ResolverTypes

    from ._explain import Explanation
    from ._service_layers import Service
    from ._service_settings import ServiceSettings

__all__ = ["BaseClient", "ClientState"]

T = TypeVar("T")

# The options that arguments of a call stand for.
_ARGUMENTS = frozenset({"scallion.Authentication", "scallion.Deadlines", "scallion.Redirects"})


class ClientState(enum.Enum):
    UNOPENED = 1
    OPENED = 2
    CLOSED = 3


class _Shown(Generic[T]):
    """A property that gives way to an attribute of the same name: httpx's clients have none, and subclasses may."""

    def __init__(self, show: Callable[[Any], T]) -> None:
        self._show = show
        self.__doc__ = show.__doc__

    @overload
    def __get__(self, client: None, kind: type) -> Self: ...

    @overload
    def __get__(self, client: BaseClient, kind: type) -> T: ...

    def __get__(self, client: BaseClient | None, kind: type) -> T | Self:
        return self if client is None else self._show(client)


class BaseClient(RequestDefaults):
    """See `Client` and `AsyncClient`. Settings may be changed between calls, but for the pipeline."""

    # The service that it was made for.
    _service: Service | None = None

    def __init__(
        self,
        *,
        auth: AuthTypes | None,
        params: QueryParamTypes | None,
        headers: HeaderTypes | None,
        cookies: CookieTypes | None,
        verify: VerifyTypes,
        cert: CertTypes | None,
        http1: bool,
        http2: bool,
        proxy: ProxyTypes | None,
        proxies: Any,
        mounts: Mapping[str, Any] | None,
        timeout: TimeoutTypes,
        follow_redirects: bool | None,
        limits: Limits,
        max_redirects: int,
        event_hooks: Mapping[str, list[Callable[..., Any]]] | None,
        base_url: URLTypes,
        transport: Any,
        app: Callable[..., Any] | None,
        trust_env: bool,
        default_encoding: str | Callable[[bytes], str | None],
        pipeline: Pipeline | None,
        middlewares: Sequence[AnyMiddleware],
        params_mode: ParamsMode,
        resolver: ResolverTypes | None,
        runtime: Runtime,
    ) -> None:
        check_kinds(limits, pipeline)
        self.base_url = URL(base_url)
        self._auth = build_auth(auth)
        self._params = QueryParams(params)
        self._params_mode = check_params_mode(params_mode)
        self.headers = headers  # type: ignore[assignment]
        self._timeout = Timeout(timeout)
        self._trust_env = trust_env
        self._default_encoding = default_encoding
        self._state = ClientState.UNOPENED
        self._runtime = runtime
        # Not among the settings below: overrides of what makes transports have httpx's signatures.
        self._resolver = resolver
        jar = Cookies(cookies)
        if pipeline is None:
            pipeline = compatible(
                follow_redirects=bool(follow_redirects), max_redirects=max_redirects, cookies=jar
            )
        self._set_redirects(pipeline, follow_redirects, max_redirects)
        # What `explain` tells apart from what the attributes are set to later.
        self._given = (getattr(self, "_base_url", None), self._auth, self._timeout)
        self._set_pipeline(pipeline, middlewares, jar, event_hooks or {})

        settings: dict[str, Any] = {
            "verify": verify,
            "cert": cert,
            "trust_env": trust_env,
            "http1": http1,
            "http2": http2,
            "limits": limits,
        }
        transport = one_of("transport", transport, "app", app, unset=None)
        own = transport is not None
        if app is not None:
            transport = self._serve(app)
        self._transport = self._init_transport(**settings, transport=transport)
        found = routes(proxy, proxies, use_environment=trust_env and not own)
        self._mounts: dict[URLPattern, Any] = {
            URLPattern(pattern): mounted(to, partial(self._init_proxy_transport, **settings))
            for pattern, to in found.items()
        }
        if mounts is not None:
            self._mounts.update(patterns(mounts))
        self._mounts = dict(sorted(self._mounts.items()))
        self._routing = Routing()
        self._prepare()
        self._innermost = self._seam()
        self._onion = self._pipeline.compose(self._innermost, runtime)
        self._options = self._pipeline.options
        self._takes_arguments = self._options >= _ARGUMENTS
        for layer in self._pipeline:
            # `Metrics` counts the connections of whoever has it.
            if isinstance(layer, Layer) and hasattr(layer, "watch"):
                layer.watch(self)

    @classmethod
    def for_service(
        cls,
        name: str,
        *,
        base_url: URLTypes | None = None,
        settings: ServiceSettings | Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> Self:
        """A client for one service, with the layers of `service_stack()`. `print(client.explain())` shows them all.

        Args:
            name: What the service is called.
            base_url: Where it is; `http://<name>` if the settings do not say either.
            settings: A `ServiceSettings`, or a mapping such as a section of a TOML file.
            overrides: Single sections, which are laid over the settings: `retries={"attempts": 5}`, `breaker=False`; and
                further arguments of this class, such as `auth`, `headers` and `verify`.

        Raises:
            TypeError: a setting is of the wrong kind, or an argument is none.
            ValueError: there is no such setting, or it is out of its range.
        """
        from ._service_layers import Service, arguments_of, check_arguments, check_network

        check_arguments(cls, overrides)
        chosen, arguments = arguments_of(name, base_url, settings, overrides)
        check_network(cls, chosen, arguments)
        client = cls(**arguments)
        own = arguments.get("transport") is None and arguments.get("app") is None
        client._service = Service(name, chosen, arguments["pipeline"], own)
        return client

    # What the two colours add

    def _serve(self, app: Callable[..., Any]) -> Any:
        """The transport that an application is behind."""
        raise NotImplementedError

    def _seam(self) -> Send:
        raise NotImplementedError

    # Settings

    @property
    def pipeline(self) -> Pipeline:
        """The layers that each request passes, outermost first. Give another one to a new client."""
        return self._pipeline

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed; it then sends nothing more."""
        return self._state is ClientState.CLOSED

    @_Shown
    def pool(self) -> PoolState:
        """What the client's connection pools hold at this moment; `print` makes a table of it. From any thread.

        With several transports `parts` tells them apart: "default", and those that are mounted by their patterns. A
        transport that makes no connections has no part in it.
        """
        from ._pools import DEFAULT, pools_of

        mounted = ((pattern.pattern, transport) for pattern, transport in self._mounts.items())
        return pools_of([(DEFAULT, self._transport), *mounted])

    def explain(self) -> Explanation:
        """The onion, outermost first, with every effective number and where it came from; print it. No secrets."""
        from ._explain import explain

        return explain(self)

    @property
    def allow_redirects(self) -> bool:
        """The older spelling of `follow_redirects`."""
        return self.follow_redirects

    @allow_redirects.setter
    def allow_redirects(self, follow: bool) -> None:
        self.follow_redirects = follow

    @property
    def trust_env(self) -> bool:
        """Whether environment variables (proxies, TLS) are read."""
        return self._trust_env

    @property
    def event_hooks(self) -> Hooks:
        """Two lists of functions, "request" and "response"; they may be changed in place."""
        return self._hooks.hooks

    @event_hooks.setter
    def event_hooks(self, event_hooks: Mapping[str, list[Callable[..., Any]]]) -> None:
        if not self._has_hooks and any(event_hooks.values()):
            raise UnknownOption(
                "event_hooks= needs the layer EventHooks, which this client's pipeline does not have: "
                "install EventHooks()"
            )
        self._hooks.set(event_hooks)

    @property
    def auth(self) -> Auth | None:
        """The authentication of requests that bring none of their own."""
        return self._auth

    @auth.setter
    def auth(self, auth: AuthTypes | None) -> None:
        self._auth = build_auth(auth)

    def _set_redirects(
        self, pipeline: Pipeline, follow_redirects: bool | None, max_redirects: int
    ) -> None:
        """What the client says about redirects; where it says nothing, its pipeline does."""
        layer = pipeline.find(Redirects)
        if layer is None and max_redirects != DEFAULT_MAX_REDIRECTS:
            raise UnknownOption(
                "max_redirects= needs the layer Redirects, which this pipeline does not have"
            )
        follow, limit = (False, max_redirects) if layer is None else (layer.follow, layer.limit)
        # What the layer does unless told otherwise. An override of ours is told to it each time.
        overridden = type(self)._redirect_headers is not Overridable._redirect_headers
        self._redirects = None if overridden else (follow, limit)
        if follow_redirects is not None:
            follow = follow_redirects
        if max_redirects != DEFAULT_MAX_REDIRECTS:
            limit = max_redirects
        self._given_redirects = (follow, limit)
        self.follow_redirects, self.max_redirects = follow, limit

    def _set_pipeline(
        self,
        pipeline: Pipeline,
        middlewares: Sequence[AnyMiddleware],
        cookies: Cookies,
        event_hooks: Mapping[str, list[Callable[..., Any]]],
    ) -> None:
        persistence = pipeline.find(CookiePersistence)
        if persistence is None:
            # Without the layer nothing is kept, but what the client was given is sent.
            self._cookies = cookies
        else:
            self._cookies = persistence.cookies
            if cookies is not self._cookies:
                self._cookies.update(cookies)
        hooks = pipeline.find(EventHooks)
        self._has_hooks = hooks is not None
        self._hooks = EventHooks() if hooks is None else hooks
        if event_hooks:
            self.event_hooks = event_hooks
        self._pipeline = pipeline.per_call(*several(middlewares)) if middlewares else pipeline

    # Sending

    def _begin(
        self,
        request: Request,
        auth: AuthTypes | UseClientDefault | None,
        follow_redirects: bool | UseClientDefault,
        middlewares: Sequence[AnyMiddleware],
    ) -> tuple[Send, tuple[str, ...]]:
        """The onion for this request, and the options laid into its extensions, which `send` takes out again.

        Raises:
            RuntimeError: the client is closed.
            UnknownOption: an option that no layer reads.
        """
        if self._state is not ClientState.OPENED:
            if self._state is ClientState.CLOSED:
                raise RuntimeError(
                    "Cannot send a request, as the client has been closed: make a new client"
                )
            self._state = ClientState.OPENED
        try:
            if request._memory is not None or len(request.extensions) > 1:
                # It has been sent before, perhaps.
                request.renew()
            extensions = request.extensions
        except AttributeError:
            raise TypeError(
                f"send() takes a Request, not {type(request).__name__}: make one with build_request()"
            ) from None
        # Cases: nothing is said that the layers do not know themselves; anything else.
        if (
            auth is USE_CLIENT_DEFAULT
            and follow_redirects is USE_CLIENT_DEFAULT
            and not middlewares
            and "timeout" in extensions
            and len(extensions) == 1
            and self._auth is None
            and self._takes_arguments
            and (self.follow_redirects, self.max_redirects) == self._redirects
        ):
            return self._onion, ()
        if "timeout" not in extensions:
            # Made by hand: without the client's limits it might wait for ever.
            extensions["timeout"] = self.timeout.as_dict()
        onion = self._onion
        installed = self._options
        if len(extensions) > 1 or middlewares:
            check_options(extensions, installed)
            extra = (*several(middlewares), *several(extensions.get("middlewares", ())))
            if extra:
                pipeline = self._pipeline.per_call(*extra)
                onion = pipeline.compose(self._innermost, self._runtime)
        chosen = self._auth if isinstance(auth, UseClientDefault) else build_auth(auth)
        if isinstance(follow_redirects, UseClientDefault):
            follow = self.follow_redirects
        else:
            follow = follow_redirects
        if not self._takes_arguments:
            refuse_for_lack(installed, chosen, request, follow=follow)
        laid: tuple[str, ...] = ()
        # Cases, twice: what the call says, or the client in its stead; else the layer's own setting holds.
        if chosen is not None or auth is None:
            laid = lay(extensions, installed, "scallion.Authentication", chosen)
        if follow is follow_redirects or (follow, self.max_redirects) != self._redirects:
            headers = self._redirect_headers if self._redirects is None else None
            option = RedirectOption(follow, self.max_redirects, headers)
            laid += lay(extensions, installed, "scallion.Redirects", option)
        return onion, laid

    def _transport_for_url(self, url: URL) -> Any:
        mounts = self._mounts
        found = self._routing.find(mounts, url) if mounts else None
        return self._transport if found is None else found

    def _transports(self) -> list[Any]:
        """Each transport once."""
        return list(
            {id(t): t for t in (self._transport, *self._mounts.values()) if t is not None}.values()
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.name.lower()}, {len(self._pipeline)} layers over {self._transport!r}>"
