"""What generated calls are made of."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = [
    "ALPHABET",
    "bodies",
    "cookie_lines",
    "header_pairs",
    "lines",
    "mappings",
    "pairs",
    "params",
    "plain_texts",
    "texts",
    "urls",
]

ALPHABET = "abzAZ019-._~!$&'()*+,;=:@/?#[]% \"<>\\^`{|}\x00\t\n\x7f\xa0\xdf\xe9\u0130\u20ac\u3002\u65e5\U0001f600"

texts = st.text(ALPHABET, max_size=12)

plain_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

schemes = st.sampled_from(["http", "https", "ws", "wss", "ftp", "x", "mailto", ""])

hosts = st.one_of(
    st.sampled_from(
        [
            "example.org",
            "EXAMPLE.org",
            "localhost",
            "127.0.0.1",
            "0.0.0.0",
            "256.1.1.1",
            "1.2.3",
            "[::1]",
            "[::FFFF:1.2.3.4]",
            "[zz]",
            "b\xfccher.example",
            "xn--bcher-kva.example",
            "a_b",
            "a..b",
            "-a.",
            "fa\xdf.de",
        ]
    ),
    st.text("abz019-_.~!$&'()*+,;=\xe9\xdf\u65e5", max_size=8),
)

ports = st.sampled_from(["", ":", ":80", ":443", ":8080", ":0", ":65535", ":00080", ":x", ":-1"])

userinfos = st.sampled_from(
    ["", "user@", "user:pass@", ":@", "a:b:c@", "us%20er:p%40@", "a b@", "\xe9@"]
)

paths = st.one_of(
    st.just(""),
    texts.map(lambda text: "/" + text.replace("?", "").replace("#", "")),
    st.sampled_from(["/a/../b", "/./a/.", "/..", "/a//b/.."]),
)

queries = st.one_of(st.just(""), texts.map(lambda text: "?" + text.replace("#", "")))

fragments = st.one_of(st.just(""), texts.map(lambda text: "#" + text))


@st.composite
def urls(draw: st.DrawFn) -> str:
    scheme, host = draw(schemes), draw(hosts)
    start = f"{scheme}:" if scheme else ""
    authority = f"//{draw(userinfos)}{host}{draw(ports)}" if host or draw(st.booleans()) else ""
    return start + authority + draw(paths) + draw(queries) + draw(fragments)


names = st.one_of(st.sampled_from(["a", "b", "A b", "", "\xe9"]), plain_texts)

scalars = st.one_of(
    plain_texts, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False)
)

mappings = st.dictionaries(names, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=4)

pairs = st.lists(st.tuples(names, scalars), max_size=5)

params = st.one_of(mappings, pairs, texts, plain_texts)

header_names = st.sampled_from(["a", "A", "b", "Content-Type", "content-type", "X-Y"])

header_values = st.one_of(st.text('ab, ;="', max_size=8), st.text("a\xe9\u20ac", max_size=4))

header_pairs = st.lists(st.tuples(header_names, header_values), max_size=5)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | plain_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_texts, inner, max_size=3),
    max_leaves=6,
)

file_values = st.one_of(
    st.binary(max_size=6),
    plain_texts,
    st.tuples(st.none() | plain_texts, st.binary(max_size=6)),
    st.tuples(plain_texts, st.binary(max_size=6), st.sampled_from([None, "text/x"])),
)

bodies = st.one_of(
    st.fixed_dictionaries({"json": json_values}),
    st.fixed_dictionaries({"data": mappings}),
    st.fixed_dictionaries(
        {
            "content": st.one_of(
                st.binary(max_size=9), plain_texts, st.lists(st.binary(max_size=4), max_size=3)
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "files": st.dictionaries(names, file_values, max_size=2),
            "data": st.dictionaries(
                names, st.one_of(scalars, st.lists(plain_texts, max_size=2)), max_size=2
            ),
        }
    ),
)

# RFC 6265 parts with the standard library's rules on what is malformed; what both accept is generated.
cookie_lines = st.builds(
    lambda name, value, attributes: "; ".join([f"{name}={value}", *attributes]),
    st.sampled_from(["a", "b", "A", "a-b"]),
    st.text("ab01%+/=._-", max_size=6),
    st.lists(
        st.sampled_from(
            [
                "Path=/",
                "Path=/deep",
                "Path=/deep/er",
                "Secure",
                "HttpOnly",
                "SameSite=Lax",
                "Max-Age=100",
                "Max-Age=0",
                "Expires=Wed, 21 Oct 2099 07:28:00 GMT",
            ]
        ),
        max_size=3,
        unique_by=lambda text: text.split("=")[0],
    ),
)

# differences: "cookies by RFC 6265": one answer that sets and deletes a cookie does so in its order.
lines = st.lists(cookie_lines, max_size=3, unique_by=lambda line: line.split("=")[0])
