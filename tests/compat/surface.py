"""What a library offers, in a form that can be compared: its classes and signatures, and what a call gives.

A call is the text of an expression over the library's names. What is compared is the value, as plain data, or the
error with its message; and what was warned of.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import pickle
import re
import warnings
import weakref
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from http.cookiejar import CookieJar
from types import ModuleType
from typing import Any

import certifi
import httpx

__all__ = ["Outcome", "bases", "evaluate", "kind", "members", "parameters", "public_members"]

Outcome = tuple[Any, ...]
"""("value", what, warnings) or ("error", class, message)."""

# Members of `object`, and those that only tell how a class was made.
_UNINTERESTING = frozenset(dir(object)) | {
    "__abstractmethods__",
    "__annotations__",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__dict__",
    "__match_args__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__slots__",
    "__class_getitem__",
}


# Classes


def bases(cls: type) -> set[str]:
    """The public classes that it is a kind of."""
    return {
        base.__name__
        for base in cls.__mro__
        if not base.__name__.startswith("_") and base.__name__ != "Generic"
    }


def public_members(cls: type) -> list[str]:
    """Names without an underscore, and special methods beyond those of `object`."""
    return [
        name
        for name in dir(cls)
        if not name.startswith("_") or (name.startswith("__") and name not in _UNINTERESTING)
    ]


def members(value: object) -> list[str]:
    """The public attributes of an instance."""
    return [name for name in dir(value) if not name.startswith("_")]


def kind(cls: type, name: str) -> str:
    """What a member of a class is: how it can be used, not how it is made."""
    static = inspect.getattr_static(cls, name)
    if isinstance(static, property):
        return "property" if static.fset is None else "settable property"
    if isinstance(static, classmethod | staticmethod):
        return type(static).__name__
    if inspect.iscoroutinefunction(static):
        return "async method"
    # An async generator and what returns an async iterator are used alike.
    return "method" if callable(static) else "value"


def parameters(function: Any) -> dict[str, tuple[str, str]] | None:
    """Kinds and defaults by name, in order; None if it cannot be said."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    return {
        parameter.name: (parameter.kind.name, _default(parameter.default))
        for parameter in signature.parameters.values()
    }


def _default(value: object) -> str:
    shown = neutral(repr(value))
    return (
        "unset"
        if re.search("UseClientDefault|USE_CLIENT_DEFAULT|UnsetType|UNSET", shown)
        else shown
    )


# Calls


def evaluate(lib: ModuleType, expression: str) -> Outcome:
    """What comes of an expression."""
    code = compile(expression, "<call>", "eval")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = plain(eval(code, _names(lib)))
        except Exception as error:
            return ("error", _public_name(error), neutral(str(error)))
    warned = [(warning.category.__name__, neutral(str(warning.message))) for warning in caught]
    return ("value", value, warned)


def _names(lib: ModuleType) -> dict[str, Any]:
    # httpx2 warns when `main` is looked up.
    names = {name: getattr(lib, name) for name in httpx.__all__ if name != "main"}
    return {
        **names,
        "lib": lib,
        "io": io,
        "pickle": pickle,
        "copy": copy,
        "weakref": weakref,
        "timedelta": timedelta,
        "CookieJar": CookieJar,
        "cafile": certifi.where(),
        "again": lambda value: pickle.loads(pickle.dumps(value)),
        "copies": lambda value: [copy.copy(value), copy.deepcopy(value)],
        "raising": _raising,
        "setting": _setting,
        "served": lambda handler, **settings: lib.Client(
            transport=lib.MockTransport(handler), **settings
        ),
        "ok": lambda request: lib.Response(200, request=request),
        "request": lib.Request("GET", "http://h/"),
        "aserved": lambda handler, **settings: lib.AsyncClient(
            transport=lib.MockTransport(handler), **settings
        ),
        "run": _run,
        "all_of": _all_of,
        "twice": _twice,
        "closed": _closed,
        "generator": lambda *parts: (part for part in parts),
        "agenerator": _agenerator,
    }


def _run(coroutine: Any) -> Any:
    return asyncio.run(_awaited(coroutine))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


async def _all_of(iterator: Any) -> list[Any]:
    return [item async for item in iterator]


async def _agenerator(*parts: bytes) -> Any:
    for part in parts:
        yield part


async def _twice(client: Any) -> None:
    async with client, client:
        pass


async def _closed(client: Any) -> None:
    await client.aclose()
    await client.get("http://h")


def _raising(error: Exception) -> None:
    raise error


def _setting(value: object, name: str, to: object) -> object:
    setattr(value, name, to)
    return getattr(value, name)


def _public_name(error: BaseException) -> str:
    """Errors of a library's own go by the class that programs catch."""
    for cls in type(error).__mro__:
        if (
            cls.__module__ in ("builtins", "json.decoder", "dataclasses")
            or cls.__name__ in httpx.__all__
        ):
            return cls.__name__
    return type(error).__name__


def neutral(text: str) -> str:
    """A text without what names the library, or differs from run to run."""
    # httpx's message of StreamConsumed lacks a blank.
    text = text.replace("flow.For", "flow. For")
    text = re.sub(r"(python-)?\b(httpx2?|scallion)(?![a-z0-9])(/[0-9.a-z]+)?", "lib", text)
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def plain(value: Any) -> Any:
    """A value as data that compare equal if they mean the same."""
    # Cases: plain data; containers of whatever; members of enumerations; values of the library, by their repr.
    if value is None or type(value) in (bool, int, float, bytes):
        return value
    if type(value) is str:
        return neutral(value)
    if type(value) is dict:
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, Enum):
        return (value.name, value.value)
    if isinstance(value, list | tuple | set | frozenset):
        found = [plain(each) for each in value]
        return sorted(found, key=str) if isinstance(value, set | frozenset) else found
    if isinstance(value, Mapping) or type(value).__name__ in (
        "dict_keys",
        "dict_values",
        "dict_items",
    ):
        return (neutral(repr(value)), [plain(each) for each in value])
    if isinstance(value, BaseException):
        return (_public_name(value), neutral(str(value)))
    if isinstance(value, type):
        return (value.__name__, neutral(value.__module__))
    return (type(value).__name__, neutral(repr(value)))
