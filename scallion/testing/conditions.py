"""What a route asks of a request, one condition for each part that it names; all must hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from scallion.pipeline.onion import name_of
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.request import Request

from .comparing import (
    ABSENT,
    MISSING,
    Containing,
    Difference,
    Exactly,
    Words,
    compare,
    is_plain,
)
from .patterns import URLPattern
from .seen import Seen

if TYPE_CHECKING:
    from scallion.pipeline.types import QueryParamTypes

__all__ = ["Condition", "Conditions", "conditions_of"]


class Conditions(TypedDict, total=False):
    """What else a route may ask for than method and URL. Values may be rules, see `comparing`.

    Attributes:
        params: Parameters of the query; a list is all the values of a name. There may be others, unless `exactly`.
        headers: By name in any case; a list is all the fields of a name. There may be others.
        cookies: There may be others.
        json: The body, equal in whole, unless `containing`.
        data: The fields of a form, urlencoded or multipart, in whole, unless `containing`. Files are bytes.
        content: The body as it is; text is compared with text.
        where: Functions that take the `Request`, its body read, and say whether it will do.
    """

    params: QueryParamTypes | Mapping[str, Any]
    headers: Mapping[str, Any]
    cookies: Mapping[str, Any]
    json: Any
    data: Mapping[str, Any]
    content: Any
    where: Callable[[Request], Any] | Sequence[Callable[[Request], Any]]


class Condition(Protocol):
    """Attributes: name: What messages call it."""

    @property
    def name(self) -> str: ...

    def differences(self, seen: Seen) -> Iterator[Difference]:
        """None if it holds."""


def conditions_of(
    method: str | Collection[str] | None, pattern: URLPattern, given: Mapping[str, Any]
) -> tuple[Condition, ...]:
    """The conditions of a route, cheap ones first.

    Raises:
        TypeError: one is unknown or of the wrong type.
    """
    unknown = given.keys() - Conditions.__annotations__.keys()
    if unknown:
        known = ", ".join(Conditions.__annotations__)
        raise TypeError(
            f"A route knows no condition {', '.join(map(repr, sorted(unknown)))}: it has {known}"
        )
    found: list[Condition] = []
    if method is not None:
        found.append(_Method(_methods(method)))
    found.append(_URL(pattern))
    params = dict(_fields("params", QueryParams(pattern.query)))
    given_params = given.get("params", {})
    params |= _fields("params", given_params)
    if params or isinstance(given_params, Exactly):
        found.append(_Params(params, partial=not isinstance(given_params, Exactly)))
    if "headers" in given:
        headers = {
            name.lower(): value for name, value in _fields("headers", given["headers"]).items()
        }
        found.append(_Headers(headers, partial=not isinstance(given["headers"], Exactly)))
    if "cookies" in given:
        partial = not isinstance(given["cookies"], Exactly)
        found.append(_Cookies(_fields("cookies", given["cookies"]), partial=partial))
    if "json" in given:
        found.append(_JSON(given["json"]))
    if "data" in given:
        partial = isinstance(given["data"], Containing)
        found.append(_Form(_fields("data", given["data"]), partial=partial))
    if "content" in given:
        found.append(_Content(given["content"]))
    found += [_Where(function) for function in _functions(given.get("where", ()))]
    return tuple(found)


def _methods(method: str | Collection[str]) -> tuple[str, ...]:
    names = (method,) if isinstance(method, str) else tuple(method)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"A method is a string such as 'GET', not {name!r}")
    return tuple(name.upper() for name in names)


def _functions(where: Any) -> Sequence[Callable[[Request], Any]]:
    functions = (where,) if callable(where) else tuple(where)
    for function in functions:
        if not callable(function):
            raise TypeError(f"where= takes functions of a request, not {function!r}")
    return functions


def _fields(name: str, given: Any) -> dict[str, Any]:
    """Named values, plain ones as the text that is sent."""
    if isinstance(given, (Exactly, Containing)):
        given = given.value
    if isinstance(given, Mapping) and not isinstance(given, QueryParams):
        return {str(key): _field(value) for key, value in given.items()}
    if name != "params":
        raise TypeError(f"{name}= of a route takes a mapping, not {type(given).__name__}")
    params = QueryParams(given)
    several = {key: params.get_list(key) for key in params}
    return {key: values[0] if len(values) == 1 else values for key, values in several.items()}


def _field(value: Any) -> Any:
    # Cases: several values, some of which may be rules; bytes, which are a file; a plain value; a rule.
    if isinstance(value, (list, tuple)):
        return [_field(item) for item in value]
    if isinstance(value, (Containing, Exactly)):
        return type(value)(_field(value.value))
    if isinstance(value, bytes) or not is_plain(value):
        return value
    return QueryParams({"": value}).get_list("")[0]


def _compared(
    expected: Mapping[str, Any], actual: Mapping[str, Sequence[Any]], *, partial: bool
) -> Iterator[Difference]:
    """`compare` where each name may occur several times."""
    for name, value in expected.items():
        values = actual.get(name, ())
        # Cases: a list of all; none or one; several, which a rule may allow and a plain value does not.
        if isinstance(value, (list, Containing, Exactly)):
            yield from compare(value, list(values), (name,))
        elif len(values) <= 1:
            yield from compare(value, values[0] if values else MISSING, (name,))
        else:
            yield from compare(value, list(values), (name,))
    if not partial:
        for name, values in actual.items():
            if name not in expected:
                yield Difference((name,), MISSING, values[0] if len(values) == 1 else list(values))


@dataclass(frozen=True)
class _Method:
    methods: tuple[str, ...]
    name = "method"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        if seen.request.method not in self.methods:
            yield Difference((), Words(" or ".join(self.methods)), Words(seen.request.method))


@dataclass(frozen=True)
class _URL:
    pattern: URLPattern
    name = "url"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        return self.pattern.differences(seen.url)


@dataclass(frozen=True)
class _Params:
    expected: Mapping[str, Any]
    partial: bool
    name = "params"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        actual = {name: seen.params.get_list(name) for name in seen.params}
        return _compared(self.expected, actual, partial=self.partial)


@dataclass(frozen=True)
class _Headers:
    expected: Mapping[str, Any]
    partial: bool
    name = "headers"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        actual: dict[str, list[str]] = {}
        for name, joined in seen.headers.items():
            # Several fields of a name are one value, RFC 9110 section 5.3, unless they are asked for apart.
            apart = isinstance(self.expected.get(name), (list, Containing, Exactly))
            actual[name] = seen.headers.get_list(name) if apart else [joined]
        return _compared(self.expected, actual, partial=self.partial)


@dataclass(frozen=True)
class _Cookies:
    expected: Mapping[str, Any]
    partial: bool
    name = "cookies"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        # They are secrets, whatever their names.
        for name, expected, actual in _compared(self.expected, seen.cookies, partial=self.partial):
            shown = actual if actual is MISSING else Words("another value")
            yield Difference(name, _unshown(expected), shown)


def _unshown(expected: Any) -> Any:
    return expected if expected is ABSENT or expected is MISSING else Words("its value")


@dataclass(frozen=True)
class _JSON:
    expected: Any
    name = "json"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        try:
            actual = seen.json
        except ValueError:
            content = seen.request.content
            what = f"{len(content)} bytes that are no JSON" if content else "no body"
            yield Difference((), self.expected, Words(what))
        else:
            yield from compare(self.expected, actual)


@dataclass(frozen=True)
class _Form:
    expected: Mapping[str, Any]
    partial: bool
    name = "data"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        if self.expected and not seen.form:
            yield Difference((), Words("a form"), Words(seen.content_type or "no form"))
        else:
            yield from _compared(self.expected, seen.form, partial=self.partial)


@dataclass(frozen=True)
class _Content:
    expected: Any
    name = "content"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        actual: Any = seen.request.content
        expected = self.expected
        if isinstance(expected, str) or (
            isinstance(expected, re.Pattern) and isinstance(expected.pattern, str)
        ):
            actual = actual.decode("utf-8", "replace")
        for _ in compare(expected, actual):
            # A body may hold whatever secrets; the length and the place say enough.
            yield Difference((), _told(expected), Words(_where(expected, actual)))


def _told(expected: Any) -> Any:
    return Words(f"{len(expected)} in length") if isinstance(expected, (str, bytes)) else expected


def _where(expected: Any, actual: str | bytes) -> str:
    told = f"{len(actual)} in length"
    if isinstance(expected, (str, bytes)):
        pairs = zip(expected, actual, strict=False)
        shorter = min(len(expected), len(actual))
        at = next((index for index, (one, other) in enumerate(pairs) if one != other), shorter)
        told += f", different from position {at} on"
    return told


@dataclass(frozen=True)
class _Where:
    function: Callable[[Request], Any]
    name = "where"

    def differences(self, seen: Seen) -> Iterator[Difference]:
        try:
            holds = self.function(seen.request)
        except Exception as error:  # noqa: BLE001  # a request of another kind, most likely
            yield Difference(
                (), Words(name_of(self.function)), Words(f"{type(error).__name__} from it")
            )
            return
        if hasattr(holds, "__await__"):
            if hasattr(holds, "close"):
                holds.close()
            raise TypeError(f"where= takes plain functions, and {name_of(self.function)} is async")
        if not holds:
            yield Difference((), Words(name_of(self.function)), Words("not so"))
