"""URLs held against the corpora: the examples of RFC 3986 section 5.4, and WHATWG's test data.

httpx and scallion parse by RFC 3986, browsers by the WHATWG's standard. Where the two models share a case the
answers must agree; where they do not, a rule says which difference of the models it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

import scallion
from compat.comparing import outcome
from compat.plain import differences
from compat.usual import usual

BASE = "http://a/b/c/d;p?q"

NORMAL = {
    "g:h": "g:h",
    "g": "http://a/b/c/g",
    "./g": "http://a/b/c/g",
    "g/": "http://a/b/c/g/",
    "/g": "http://a/g",
    "//g": "http://g",
    "?y": "http://a/b/c/d;p?y",
    "g?y": "http://a/b/c/g?y",
    "#s": "http://a/b/c/d;p?q#s",
    "g#s": "http://a/b/c/g#s",
    "g?y#s": "http://a/b/c/g?y#s",
    ";x": "http://a/b/c/;x",
    "g;x": "http://a/b/c/g;x",
    "g;x?y#s": "http://a/b/c/g;x?y#s",
    "": "http://a/b/c/d;p?q",
    ".": "http://a/b/c/",
    "./": "http://a/b/c/",
    "..": "http://a/b/",
    "../": "http://a/b/",
    "../g": "http://a/b/g",
    "../..": "http://a/",
    "../../": "http://a/",
    "../../g": "http://a/g",
}
ABNORMAL = {
    "../../../g": "http://a/g",
    "../../../../g": "http://a/g",
    "/./g": "http://a/g",
    "/../g": "http://a/g",
    "g.": "http://a/b/c/g.",
    ".g": "http://a/b/c/.g",
    "g..": "http://a/b/c/g..",
    "..g": "http://a/b/c/..g",
    "./../g": "http://a/b/g",
    "./g/.": "http://a/b/c/g/",
    "g/./h": "http://a/b/c/g/h",
    "g/../h": "http://a/b/c/h",
    "g;x=1/./y": "http://a/b/c/g;x=1/y",
    "g;x=1/../y": "http://a/b/c/y",
    "g?y/./x": "http://a/b/c/g?y/./x",
    "g?y/../x": "http://a/b/c/g?y/../x",
    "g#s/./x": "http://a/b/c/g#s/./x",
    "g#s/../x": "http://a/b/c/g#s/../x",
    "http:g": "http://a/b/c/g",  # "for backward compatibility"; a strict parser says "http:g"
}


@pytest.mark.parametrize(("reference", "target"), [*NORMAL.items(), *ABNORMAL.items()])
def test_references_are_resolved_as_in_the_rfc(reference: str, target: str) -> None:
    """
    RFC 3986 sections 5.4.1 and 5.4.2, complete.
    """
    assert scallion.URL(target) == scallion.URL(BASE).join(reference)


# WHATWG.

Entry = dict[str, Any]
ENTRIES: list[Entry] = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "whatwg_urls.jsonl")
    .read_text("utf-8")
    .splitlines()
]
SPECIAL = {"http", "https", "ws", "wss", "ftp"}


def ours(entry: Entry, lib: Any = scallion) -> Any:
    base = entry["base"]
    return lib.URL(entry["input"]) if base is None else lib.URL(base).join(entry["input"])


def parts(url: Any) -> tuple[Any, ...]:
    """What both models have, escapes undone."""
    return (
        url.scheme,
        url.username,
        url.password,
        url.raw_host.decode(),
        "" if url.port is None else str(url.port),
        url.path,
        unquote(url.query.decode(), errors="replace"),
        url.fragment,
    )


def wanted(entry: Entry) -> tuple[Any, ...]:
    return (
        entry["protocol"][:-1],
        unquote(entry["username"]),
        unquote(entry["password"]),
        entry["hostname"].strip("[]"),
        entry["port"],
        unquote(entry["pathname"], errors="replace") or "/",
        unquote(entry["search"][1:], errors="replace"),
        unquote(entry["hash"][1:], errors="replace"),
    )


def scheme_of(text: str) -> str | None:
    match = re.match(r"\s*([A-Za-z][A-Za-z0-9+.-]*):", text)
    return match[1].lower() if match else None


def scheme(entry: Entry) -> str:
    return scheme_of(entry["input"]) or scheme_of(entry["base"] or "") or ""


def authority(entry: Entry) -> str:
    match = re.match(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#]*)", entry["input"])
    return match[1] if match else ""


def host(entry: Entry) -> str:
    return re.sub(r":[^:\]]*\Z", "", authority(entry).rpartition("@")[2])


Rule = Callable[[Entry], Any]
RULES: dict[str, Rule] = {
    "browsers strip blanks and control characters from the ends, and tabs and line breaks everywhere": lambda e: (
        re.search(r"[\x00-\x1f\x7f]", e["input"]) or e["input"].strip(" ") != e["input"]
    ),
    "a lone surrogate is no text": lambda e: re.search(r"[\ud800-\udfff]", e["input"]),
    "only schemes of HTTP's kind are taken apart by browsers; others have opaque paths and hosts": lambda e: (
        scheme(e) not in SPECIAL
    ),
    "a relative reference cannot begin with a colon (RFC 3986 section 4.2)": lambda e: e[
        "input"
    ].startswith(":"),
    "a backslash is a slash in browsers": lambda e: "\\" in e["input"],
    "browsers accept any number of slashes before the host": lambda e: (
        re.match(r"[A-Za-z]+:(?!//[^/])", e["input"]) or re.match(r"/{3,}", e["input"])
    ),
    "an escaped dot is a dot in browsers": lambda e: re.search(r"(?i)%2e", e["input"]),
    "RFC 3986 keeps escapes in a host, and lets one hold what a browser refuses": lambda e: (
        re.search(r"[%<>|^\s`{}\"]|(?!\A)\[|(?<!\A\[).\](?!\Z)", host(e))
    ),
    "browsers read numbers as IPv4 addresses in every form": lambda e: re.search(
        r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?\Z", host(e)
    ),
    "IPv6 is kept as it is spelled; browsers compress it": lambda e: host(e).startswith("["),
    "browsers map names by UTS 46, this by IDNA 2008": lambda e: (
        not host(e).isascii() or "xn--" in host(e).lower()
    ),
    "an authority without a host": lambda e: host(e) == "" and (authority(e) or "//" in e["input"]),
    "a last dot segment takes its slash along": lambda e: re.search(
        r"(?:^|/)\.{1,2}\Z", re.split(r"[?#]", e["input"])[0]
    ),
}


def explained(entry: Entry) -> str | None:
    for reason, rule in RULES.items():
        if rule(entry):
            return reason
    return None


def named(entry: Entry) -> str:
    return f"{entry['input']!r} at {entry['base']!r}"[:100]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if explained(e) is None], ids=named)
def test_where_the_models_agree_the_answers_do(entry: Entry) -> None:
    """
    WHATWG's parts, or its failure.
    """
    if entry.get("failure"):
        with pytest.raises(scallion.InvalidURL):
            ours(entry)
    else:
        assert wanted(entry) == parts(ours(entry))


@pytest.mark.parametrize("reason", RULES)
def test_each_rule_is_needed(reason: str) -> None:
    """
    There is an entry that only it explains, and on which the models do differ.
    """
    others = [rule for each, rule in RULES.items() if each != reason]
    alone = [e for e in ENTRIES if RULES[reason](e) and not any(rule(e) for rule in others)]

    assert any(_answer(entry) != _wanted(entry) for entry in alone)


def test_most_entries_are_shared_or_of_another_kind_of_scheme() -> None:
    """
    The rules do not explain everything away.
    """
    count = Counter(_answer(entry) == _wanted(entry) for entry in ENTRIES)

    assert count[True] > 0.5 * len(ENTRIES)


def _answer(entry: Entry) -> Any:
    try:
        return parts(ours(entry))
    except scallion.InvalidURL:
        return "failure"


def _wanted(entry: Entry) -> Any:
    return "failure" if entry.get("failure") else wanted(entry)


@pytest.mark.parametrize("entry", ENTRIES, ids=named)
def test_each_entry_is_read_as_by_httpx(entry: Entry) -> None:
    """
    A value or InvalidURL: httpx's, but for what the list of differences has.
    """
    texts = [entry["input"], entry["base"] or ""]
    ours_, theirs = (outcome(lambda lib=lib: ours(entry, lib)) for lib in (scallion, httpx))  # type: ignore[misc]

    if all(map(usual, texts)):
        assert [] == differences(theirs, ours_)
    else:
        assert ours_.get("error", ("InvalidURL",)) == ("InvalidURL",)
