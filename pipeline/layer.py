"""What the built-in layers have in common, and how a request speaks to one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from .errors import UnknownOption

if TYPE_CHECKING:
    from .onion import Next
    from .request import Request
    from .response import Response

__all__ = ["Bound", "Layer", "check_options"]

Bound: TypeAlias = Callable[["Request"], Awaitable["Response"]]
"""What sends a request through a layer and all that lies further in."""

# What httpx's transports read from `request.extensions`, and ours as well.
TRANSPORT_OPTIONS = frozenset({"timeout", "trace", "sni_hostname", "target", "middlewares"})
_PREFIX = "scallion."


class Layer:
    """Base of the built-in layers; a layer of your own needs none.

    A built-in layer has no `__call__` of its own but a `bind`, which a client asks once: a request that the layer does not
    concern then costs one call and one test. (A subclass that has a `__call__` is called.)

    Attributes:
        option: The key in `request.extensions` under which one request speaks to this layer, made by
            the layer's typed helper (`Retries.option_for(attempts=1)`, say); None if it reads none.
    """

    colourless: ClassVar[bool] = True
    option: ClassVar[str | None] = None

    def __call__(self, request: Request, call_next: Next) -> Awaitable[Response]:
        return self.bind(call_next, call_next)(request)

    def bind(self, send: Bound, call_next: Next) -> Bound:
        """What sends a request through this layer.

        Args:
            send: What lies further in. It is what `call_next` calls, so that a request may be spared that one.
            call_next: The same with its runtime, for requests that have to do with this layer.
        """
        raise NotImplementedError


def check_options(extensions: Mapping[Any, Any], installed: frozenset[str]) -> None:
    """Refuse an option that nothing would read.

    Cases: a transport's option; one of an installed layer; one of a layer that is not installed;
    a misspelt one; and any other key, which belongs to somebody else's transport and passes.

    Raises:
        UnknownOption: nothing in this client reads it; the message says what to do.
    """
    for key in extensions:
        if key in TRANSPORT_OPTIONS or key in installed or not isinstance(key, str):
            continue
        if key.startswith(_PREFIX):
            layer = key.removeprefix(_PREFIX)
            raise UnknownOption(
                f"The request carries an option for {layer}, and this client's pipeline has no such layer. "
                f"Install it, Client(pipeline=client.pipeline.per_call({layer}(...))) for example, or drop the option."
            )
        meant = _misspelt(key, installed)
        if meant is not None:
            raise UnknownOption(f"Unknown request option {key!r}: did you mean {meant!r}?")


@lru_cache(maxsize=256)
def _misspelt(key: str, installed: frozenset[str]) -> str | None:
    import difflib

    close = difflib.get_close_matches(key, [*TRANSPORT_OPTIONS, *installed], n=1, cutoff=0.8)
    return close[0] if close else None
