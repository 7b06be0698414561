"""Whether a request is the one that was recorded, and if not, wherein they differ.

Both sides are redacted: what was a secret in either of them is equal, and what is redacted in the
recording is equal to anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.request import Request

from .entries import OMITTED
from .redaction import REDACTED

__all__ = ["Matcher", "Matchers", "likeness", "matchers"]

Matcher: TypeAlias = str | Callable[[Request, Request], object]
"""The name of a built-in one, or a function of a request and a recorded one."""

Matchers: TypeAlias = Sequence[tuple[str, Callable[[Request, Request], str | None]]]
"""Names, and functions that tell the difference, None if there is none."""

_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)')
_MOST_DIFFERENCES = 3


def matchers(match: Sequence[Matcher]) -> Matchers:
    """The functions that `match` names.

    Raises:
        TypeError: a single string, or something that is neither a name nor a function.
        ValueError: there is no matcher of that name.
    """
    if isinstance(match, str):
        raise TypeError(f"match takes several matchers, as in match=({match!r},)")
    return [_matcher(item) for item in match]


def _matcher(item: Matcher) -> tuple[str, Callable[[Request, Request], str | None]]:
    if callable(item):
        return getattr(item, "__name__", "a function of your own"), _custom(item)
    if not isinstance(item, str):
        raise TypeError(
            f"A matcher is a name or a function of a request and a recorded one, not {item!r}"
        )
    if item.startswith("header:"):
        return item, _header(item.removeprefix("header:").strip())
    if item not in _BUILT_IN:
        known = ", ".join(map(repr, [*_BUILT_IN, "header:NAME"]))
        raise ValueError(f"There is no matcher {item!r}: use one of {known}, or a function")
    return item, _BUILT_IN[item]


def _custom(function: Callable[[Request, Request], object]) -> Callable[..., str | None]:
    def difference(live: Request, recorded: Request) -> str | None:
        # Cases: says no; asserts what does not hold; anything else, None included, is a match.
        try:
            return "it says no" if function(live, recorded) is False else None
        except AssertionError as error:
            return str(error) or "it says no"

    return difference


def _same(live: str, recorded: str) -> bool:
    if live == recorded:
        return True
    if REDACTED not in recorded:
        return False
    pattern = ".*".join(map(re.escape, recorded.split(REDACTED)))
    return re.fullmatch(pattern, live, re.DOTALL) is not None


def _told(live: object, recorded: object) -> str:
    return f"{_short(live)}, recorded {_short(recorded)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _compared(part: Callable[[Request], str]) -> Callable[[Request, Request], str | None]:
    def difference(live: Request, recorded: Request) -> str | None:
        mine, theirs = part(live), part(recorded)
        return None if _same(mine, theirs) else _told(mine, theirs)

    return difference


def _place(request: Request) -> str:
    scheme, host, port = request.url.origin_key
    return f"{scheme}://{host}:{port}{request.url.path}"


def _url(live: Request, recorded: Request) -> str | None:
    mine, theirs = _place(live), _place(recorded)
    if _same(mine, theirs):
        return None
    return _told(*(str(request.url.copy_with(query=None)) for request in (live, recorded)))


def _query(live: Request, recorded: Request) -> str | None:
    return _parameters(live.url.params, recorded.url.params)


def _parameters(live: QueryParams, recorded: QueryParams) -> str | None:
    """Wherein they differ; the order of different names is of no account."""
    differences = []
    for name in dict.fromkeys([*recorded, *live]):
        mine, theirs = live.get_list(name), recorded.get_list(name)
        if len(mine) == len(theirs) and all(map(_same, mine, theirs)):
            continue
        # Cases: only recorded, only asked for now, other values.
        if not mine:
            differences.append(f"{name}={_listed(theirs)} is missing")
        elif not theirs:
            differences.append(f"{name}={_listed(mine)} was not recorded")
        else:
            differences.append(f"{name}={_listed(mine)}, recorded {_listed(theirs)}")
    return _several(differences)


def _listed(values: list[str]) -> str:
    return _short(values[0] if len(values) == 1 else values)


def _several(differences: list[str]) -> str | None:
    more = len(differences) - _MOST_DIFFERENCES
    shown = differences[:_MOST_DIFFERENCES] + ([f"{more} more"] if more > 0 else [])
    return "; ".join(shown) or None


def _header(name: str) -> Callable[[Request, Request], str | None]:
    def difference(live: Request, recorded: Request) -> str | None:
        mine, theirs = live.headers.get(name), recorded.headers.get(name)
        if mine == theirs or (mine is not None and theirs is not None and _same(mine, theirs)):
            return None
        return _told(mine, theirs)

    return difference


def _body(live: Request, recorded: Request) -> str | None:
    if OMITTED in recorded.extensions or OMITTED in live.extensions:
        return "it was too long to be recorded, and cannot be compared"
    kinds = {_kind(live), _kind(recorded)}
    # Cases: JSON, by its values; forms, by their fields; multipart, whatever its boundary; octets.
    if len(kinds) == 1:
        kind = kinds.pop()
        if "json" in kind:
            try:
                values = json.loads(live.content), json.loads(recorded.content)
            except ValueError:
                return _raw_body(live, recorded)
            return _several(list(_json_differences("$", *values)))
        if kind == "application/x-www-form-urlencoded":
            return _parameters(*(QueryParams(_text(item)) for item in (live, recorded)))
        if kind.startswith("multipart/"):
            texts = [_unbounded(item) for item in (live, recorded)]
            return None if _same(*texts) else "the parts of the multipart form differ"
    return _raw_body(live, recorded)


def _raw_body(live: Request, recorded: Request) -> str | None:
    if _same(_text(live), _text(recorded)):
        return None
    return _told(live.content, recorded.content)


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _text(request: Request) -> str:
    return request.content.decode("latin-1")


def _unbounded(request: Request) -> str:
    found = _BOUNDARY.search(request.headers.get("content-type", ""))
    return _text(request).replace(found[1], "boundary") if found else _text(request)


def _json_differences(path: str, live: Any, recorded: Any) -> Iterator[str]:
    if isinstance(live, dict) and isinstance(recorded, dict):
        for name in dict.fromkeys([*recorded, *live]):
            inner = f"{path}.{name}"
            if name not in live:
                yield f"{inner} is missing"
            elif name not in recorded:
                yield f"{inner} was not recorded"
            else:
                yield from _json_differences(inner, live[name], recorded[name])
    elif isinstance(live, list) and isinstance(recorded, list):
        if len(live) != len(recorded):
            yield f"{path} has {len(live)} items, recorded {len(recorded)}"
        for number, items in enumerate(zip(live, recorded, strict=False)):
            yield from _json_differences(f"{path}[{number}]", *items)
    elif isinstance(live, str) and isinstance(recorded, str):
        if not _same(live, recorded):
            yield f"{path} is {_told(live, recorded)}"
    elif live != recorded or isinstance(live, bool) is not isinstance(recorded, bool):
        yield f"{path} is {_told(live, recorded)}"


_BUILT_IN: dict[str, Callable[[Request, Request], str | None]] = {
    "method": _compared(lambda request: request.method),
    "scheme": _compared(lambda request: request.url.scheme),
    "host": _compared(lambda request: request.url.host),
    "port": _compared(lambda request: str(request.url.origin_key[2])),
    "path": _compared(lambda request: request.url.path),
    "url": _url,
    "query": _query,
    "body": _body,
    "raw_body": _raw_body,
}


def likeness(live: Request, recorded: Request, differences: int) -> tuple[int, float]:
    """How near they are, more for nearer: fewer differences first, then the likeness of their URLs."""
    mine, theirs = (f"{item.method} {item.url}" for item in (live, recorded))
    return -differences, SequenceMatcher(None, mine, theirs).ratio()
