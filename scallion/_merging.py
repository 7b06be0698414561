"""`params_mode="merge"`: parameters join the query that a URL has, and a base URL's query is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scallion.pipeline.percent import unescape_form
from scallion.pipeline.queryparams import QueryParams
from scallion.pipeline.urls import URL, merge_base, with_trailing_slash

if TYPE_CHECKING:
    from scallion.pipeline.types import URLTypes

__all__ = ["merge_query"]


def merge_query(base: URL, url: URLTypes, params: QueryParams) -> URL:
    """`url` at `base`, with the queries of both and `params`; of one name the last of the three counts.

    What no other names stays as it was written, escapes included: a signed URL remains one.

    Args:
        base: As the user gave it. Of no account where `url` is absolute.
        url: What was asked for.
        params: An empty list among them takes a name out.

    Raises:
        InvalidURL: `url`, or the result, is none.
    """
    url = URL(url)
    target = url
    pairs = _pairs(url)
    if url.is_relative_url:
        target = merge_base(with_trailing_slash(base.copy_with(query=None)), url)
        named = {name for name, _ in pairs}
        pairs = [pair for pair in _pairs(base) if pair[0] not in named] + pairs
    query = "&".join(_set(pairs, params)).encode("ascii")
    return target if query == target.query else target.copy_with(query=query or None)


def _pairs(url: URL) -> list[tuple[str, str]]:
    """The names in a query, each with what is written: `name=value`, escaped."""
    query = url.query.decode("ascii")
    return [(unescape_form(pair.partition("=")[0]), pair) for pair in query.split("&") if pair]


def _set(pairs: list[tuple[str, str]], params: QueryParams) -> list[str]:
    """Where a name stood first its values stand now; new names stand at the end."""
    # The dictionary has the names without values too, which `keys()` leaves out.
    left = {name: str(QueryParams({name: values})) for name, values in params._dict.items()}
    written = [left.pop(name, "") if name in params._dict else pair for name, pair in pairs]
    return [pair for pair in (*written, *left.values()) if pair]
