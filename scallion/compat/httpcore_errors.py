"""httpcore's errors as scallion's, for transports of others that send through httpcore; and the other way round."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from scallion.pipeline import errors

__all__ = ["be_httpcores_too", "map_httpcore_exceptions"]

# Each is one of ours as well.
_NAMES = (
    "TimeoutException ConnectTimeout ReadTimeout WriteTimeout PoolTimeout NetworkError ConnectError ReadError "
    "WriteError ProxyError UnsupportedProtocol ProtocolError LocalProtocolError RemoteProtocolError"
)


@contextmanager
def map_httpcore_exceptions() -> Iterator[None]:
    """Errors of httpcore's that are raised inside leave as scallion's of the same name."""
    try:
        yield
    except Exception as error:
        httpcore = sys.modules.get("httpcore")
        table = {} if httpcore is None else _table(httpcore)
        for kind in type(error).__mro__:
            if kind in table:
                raise table[kind](str(error)) from error
        raise


@cache
def _table(httpcore: ModuleType) -> dict[type, type[errors.RequestError]]:
    return {getattr(httpcore, name): getattr(errors, name) for name in _NAMES.split()}


def be_httpcores_too(error: errors.TransportError) -> None:
    """Make an error of a network stream one of httpcore's as well: whoever reads from such a stream catches those."""
    httpcore = sys.modules.get("httpcore")
    if httpcore is not None:
        kind: Any = type(error)
        error.__class__ = _both(kind, httpcore)


@cache
def _both(ours: type[errors.TransportError], httpcore: ModuleType) -> type[errors.TransportError]:
    """`ours`, which is httpcore's error of its name or of its nearest ancestor's too."""
    name = next((base.__name__ for base in ours.__mro__ if base.__name__ in _NAMES.split()), None)
    if name is None or issubclass(ours, getattr(httpcore, name)):
        return ours

    def reduce(self: errors.TransportError) -> tuple[Any, ...]:
        rebuild, (_, *rest) = ours.__reduce__(self)
        return rebuild, (ours, *rest)

    # A pickle, and whoever looks, sees the error that is known by the name.
    named = {"__module__": ours.__module__, "__doc__": ours.__doc__, "__reduce__": reduce}
    return type(ours.__name__, (ours, getattr(httpcore, name)), named)
