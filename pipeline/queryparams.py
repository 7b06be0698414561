"""Query parameters: an immutable multi-dict of text."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import TYPE_CHECKING, Any

from .percent import escape_form, unescape_form

if TYPE_CHECKING:
    from .types import QueryParamTypes

__all__ = ["QueryParams"]


def _text(value: Any) -> str:
    """A parameter's value as it is sent: booleans in JSON's spelling, None as nothing."""
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return "" if value is None else str(value)


def _parse(query: str) -> dict[str, list[str]]:
    """The parameters of `a=1&b=2`. A name without `=` has an empty value."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            found.setdefault(unescape_form(name), []).append(unescape_form(value))
    return found


def _collect(value: Any) -> dict[str, list[str]]:
    # Cases: nothing, encoded text, parameters, pairs, a mapping to values or to lists of them.
    if type(value) is dict:
        return _collect_mapping(value)
    if value is None:
        return {}
    if isinstance(value, str):
        return _parse(value)
    if isinstance(value, bytes):
        return _parse(value.decode("ascii"))
    if isinstance(value, QueryParams):
        return value._dict
    if isinstance(value, (list, tuple)):
        return _collect_pairs(value)
    if not hasattr(value, "items"):
        raise TypeError(
            "Query parameters must be a mapping, a list of pairs, encoded text, or None; "
            f"got {type(value).__name__}"
        )
    return _collect_mapping(value)


def _collect_pairs(pairs: Sequence[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        found.setdefault(str(pair[0]), []).append(_text(pair[1]))
    return found


def _collect_mapping(mapping: Mapping[Any, Any]) -> dict[str, list[str]]:
    return {
        str(name): [_text(each) for each in value]
        if isinstance(value, (list, tuple))
        else [_text(value)]
        for name, value in mapping.items()
    }


class QueryParams(Mapping[str, str]):
    """Query parameters, each of which may occur several times; as a mapping, the first value counts.

    Takes one of: encoded text (`"a=1&b=2"`, as str or ASCII bytes), a mapping to values or to lists of
    them, a list or tuple of pairs, other parameters, None; or the parameters by keyword. Values may be
    anything: True and False become `true` and `false`, None the empty text, the rest `str(value)`.

    Equal with the same parameters in any order. `str()` gives the encoded text, values of one name
    side by side. Immutable: `set`, `add`, `remove` and `merge` return edited copies.

    Raises:
        TypeError: the argument is none of these, or there are several.
        UnicodeError: bytes beyond ASCII; `str()`: a lone surrogate.
    """

    __slots__ = ("__weakref__", "_dict", "_encoded")

    # The lists are shared between copies, so nothing changes them. An empty list hides, in `merge`,
    # the values of the same name in the other parameters, and is otherwise as good as absent.
    _dict: dict[str, list[str]]
    _encoded: str | None

    def __init__(self, *args: QueryParamTypes | None, **kwargs: Any) -> None:
        if len(args) + bool(kwargs) > 1:
            raise TypeError(
                "QueryParams takes either one argument or keywords: merge others with `.merge(...)`"
            )
        self._dict = _collect(args[0] if args else kwargs)
        self._encoded = None

    def keys(self) -> KeysView[str]:
        """The names, each once."""
        return self._first().keys()

    def values(self) -> ValuesView[str]:
        """The first value of each name."""
        return self._first().values()

    def items(self) -> ItemsView[str, str]:
        """Each name with its first value."""
        return self._first().items()

    def multi_items(self) -> list[tuple[str, str]]:
        """Each name with each value."""
        return [(name, value) for name, values in self._dict.items() for value in values]

    def get(self, key: Any, default: Any = None) -> Any:
        """The first value of a name."""
        values = self._dict.get(key)
        return values[0] if values else default

    def get_list(self, key: str) -> list[str]:
        """All values of a name."""
        return list(self._dict.get(str(key), ()))

    def set(self, key: str, value: Any = None) -> QueryParams:
        """A copy in which `value` is the only one of its name."""
        return self._copy({**self._dict, str(key): [_text(value)]})

    def add(self, key: str, value: Any = None) -> QueryParams:
        """A copy in which the name has `value` as well."""
        return self._copy({**self._dict, str(key): [*self.get_list(key), _text(value)]})

    def remove(self, key: str) -> QueryParams:
        """A copy without the name."""
        return self._copy({name: values for name, values in self._dict.items() if name != str(key)})

    def merge(self, params: QueryParamTypes | None = None) -> QueryParams:
        """A copy in which the names in `params` have the values there, and only those."""
        return self._copy({**self._dict, **_collect(params)})

    def update(self, params: QueryParamTypes | None = None) -> None:  # noqa: ARG002
        """Refused.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(
            "QueryParams are immutable. Use `q = q.merge(...)` to create an updated copy."
        )

    def __setitem__(self, key: str, value: str) -> None:
        raise RuntimeError(
            "QueryParams are immutable. Use `q = q.set(key, value)` to create an updated copy."
        )

    def __getitem__(self, key: Any) -> str:
        values = self._dict[key]
        if not values:
            raise KeyError(key)
        return values[0]

    def __contains__(self, key: Any) -> bool:
        return bool(self._dict.get(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._first())

    def __bool__(self) -> bool:
        return bool(self._dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QueryParams):
            return False
        return self is other or sorted(self.multi_items()) == sorted(other.multi_items())

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.multi_items())))

    def __str__(self) -> str:
        encoded = self._encoded
        if encoded is None:
            pairs = [
                f"{escape_form(name)}={escape_form(value)}" for name, value in self.multi_items()
            ]
            encoded = self._encoded = "&".join(pairs)
        return encoded

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _first(self) -> dict[str, str]:
        return {name: values[0] for name, values in self._dict.items() if values}

    def _copy(self, params: dict[str, list[str]]) -> QueryParams:
        made = QueryParams()
        made._dict = params
        return made
