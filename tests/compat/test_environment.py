"""The environment's variables next to httpx, and httpx2 where that goes on from there: proxies, and who does without."""

from __future__ import annotations

import os
import ssl
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import httpx
import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import scallion

# Without authorities, for nothing is encrypted here, and loading them for each client takes long.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
LIBRARIES = {"1": httpx, "2": httpx2}

URLS = {
    "plain": "http://example.com/",
    "secure": "https://example.com/",
    "upper": "http://EXAMPLE.com/",
    "port": "http://example.com:8080/",
    "sub": "http://www.example.com/",
    "deep": "http://a.b.example.com/",
    "subport": "https://www.example.com:8080/",
    "joined": "http://notexample.com/",
    "longer": "http://example.com.evil/",
    "local": "http://localhost/",
    "localport": "http://localhost:8080/",
    "sublocal": "http://a.localhost/",
    "v4": "http://127.0.0.1/",
    "v4port": "http://127.0.0.1:8080/",
    "ten": "http://10.1.2.3/",
    "eleven": "http://11.0.0.1/",
    "net": "http://192.168.0.0/",
    "within": "http://192.168.1.1/",
    "v6": "http://[::1]/",
    "v6port": "http://[::1]:8080/",
    "ula": "http://[fd00::1]/",
    "ulaupper": "http://[FD12:3456::1]/",
    "link": "http://[fe80::1]/",
    "idna": "http://bücher.example/",
    "subidna": "http://www.bücher.example/",
    "punycode": "http://xn--bcher-kva.example/",
    "underscore": "http://under_score/",
    "com": "http://com/",
}
EVERY = " ".join(URLS)
OWN = "plain secure upper port"
SUBS = "sub deep subport"
BOTH = f"{OWN} {SUBS}"
HTTP = " ".join(name for name, url in URLS.items() if url.startswith("http:"))
FOURS = "v4 v4port ten eleven net within"
SIXES = "v6 v6port ula ulaupper link"
WITH_IDNA = "idna subidna punycode"

# NO_PROXY, the names of the URLs that it exempts, and who sees it otherwise: 1 is httpx, 2 is httpx2.
ENTRIES = [
    # Nothing and everything.
    ("", "", ""),
    ("*", EVERY, ""),
    (" * ", EVERY, ""),
    ("example.com,*", EVERY, ""),
    (",, ,", "", ""),
    ("http://", HTTP, ""),
    ("https://", "secure subport", ""),
    # Names: the host and its subdomains, at the borders of labels.
    ("example.com", BOTH, ""),
    ("EXAMPLE.COM", BOTH, ""),
    (" example.com ", BOTH, ""),
    ("example.com,,localhost", f"{BOTH} local localport", ""),
    ("com", f"{BOTH} joined com", ""),
    ("under_score", "underscore", ""),
    ("xample.com", "", ""),
    ("ample.com", "", ""),
    # Subdomains alone. httpx takes the star for a letter.
    (".example.com", SUBS, ""),
    (".com", f"{BOTH} joined", ""),
    ("*.example.com", SUBS, "1"),
    ("*.com", f"{BOTH} joined", "1"),
    ("*example.com", "", ""),
    ("example.*", "", ""),
    ("..example.com", "", ""),
    # A final dot is no part of the name (curl).
    ("example.com.", BOTH, "12"),
    (".example.com.", SUBS, "12"),
    # Ports. httpx forgets that 80 and 443 are ports too.
    ("example.com:8080", "port subport", ""),
    (".example.com:8080", "subport", ""),
    ("*.example.com:8080", "subport", "1"),
    (":8080", "port subport localport v4port v6port", ""),
    ("example.com:80", "plain upper sub deep", "12"),
    ("example.com:443", "secure", "12"),
    ("example.com:", BOTH, ""),
    ("localhost:8080", "localport", ""),
    # localhost: the host alone.
    ("localhost", "local localport", ""),
    ("LOCALHOST", "local localport", ""),
    (".localhost", "sublocal", ""),
    # Patterns.
    ("http://example.com", "plain upper port", ""),
    ("https://example.com", "secure", ""),
    ("http://example.com/path", "plain upper port", ""),
    ("all://example.com", OWN, ""),
    ("http://*.example.com", "sub deep", ""),
    ("http://example.com:8080", "port", ""),
    # IPv4 addresses and networks, of which httpx takes the address alone.
    ("127.0.0.1", "v4 v4port", ""),
    ("127.0.0.1:8080", "v4port", ""),
    ("127.0.0.1/8", "v4 v4port", ""),
    ("127.0.0.0/8", "v4 v4port", "1"),
    ("10.0.0.0/8", "ten", "1"),
    ("10.1.2.3/32", "ten", ""),
    ("192.168.0.0/16", "net within", "1"),
    ("http://10.0.0.0/8", "ten", "1"),
    ("http://10.0.0.0/path", "", ""),
    ("0.0.0.0/0", FOURS, "1"),
    # IPv6 likewise; in brackets, and as networks, it makes every httpx.Client fail.
    ("::1", "v6 v6port", ""),
    ("[::1]", "v6 v6port", "1"),
    ("[::1]:8080", "v6port", "1"),
    ("http://[::1]", "v6 v6port", ""),
    ("0:0:0:0:0:0:0:1", "v6 v6port", "12"),
    ("::1/128", "v6 v6port", "1"),
    ("[::1]/128", "v6 v6port", "1"),
    ("fd00::/8", "ula ulaupper", "1"),
    ("[fd00::]/8", "ula ulaupper", "1"),
    ("fe80::/10", "link", "1"),
    ("::/0", SIXES, "1"),
    # Internationalised names. httpx fails for them, and httpx2 ignores them or fails.
    ("bücher.example", WITH_IDNA, "12"),
    ("BÜCHER.example", WITH_IDNA, "12"),
    (".bücher.example", "subidna", "12"),
    ("xn--bcher-kva.example", WITH_IDNA, "12"),
    # Blanks separate as well (curl).
    ("example.com localhost", f"{BOTH} local localport", "12"),
    ("example.com\tlocalhost", f"{BOTH} local localport", "12"),
    # What is none of these is ignored. httpx fails, or matches something else.
    ("example.com:x", "", "1"),
    ("example.com:99999", "", ""),
    ("example.com/24", "", "1"),
    ("10.1.2.3/33", "", "1"),
    ("10.0.0.0/x", "", ""),
    ("10.0.0.0/", "", ""),
    ("192.168.0.0/255.255.0.0", "", "1"),
    ("fd00::/129", "", "1"),
    ("fd00::/8:80", "", "1"),
    ("::1:8080", "", ""),
    ("[::1", "", "1"),
    ("::1]", "", "1"),
    ("http://[bad", "", ""),
    ("example.com;localhost", "", ""),
    ("a b", "", ""),
    ("://", "", ""),
    ("..", "", ""),
    ("[]", "", ""),
    ("/", "", ""),
    ("/8", "", ""),
    ("%", "", ""),
    ("-", "", ""),
]

Environment = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Sets variables, and unsets what earlier calls set."""
    known: set[str] = set()

    def put(**variables: str) -> None:
        for name in known:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
            known.add(name)

    return put


def exempted(library: types.ModuleType, urls: dict[str, str]) -> set[str] | str:
    """The names of the URLs that the library's client sends past the proxies; or its error."""
    client = making(library)
    if isinstance(client, str):
        return client
    try:
        return {
            name
            for name, url in urls.items()
            if client._transport_for_url(library.URL(url)) is client._transport
        }
    except Exception as error:
        return type(error).__name__


def making(library: types.ModuleType, **arguments: Any) -> Any:
    """A client, or the name of the error."""
    try:
        return library.Client(verify=CONTEXT, **arguments)
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize(("no_proxy", "expected", "others"), ENTRIES)
def test_who_goes_without_a_proxy(
    no_proxy: str, expected: str, others: str, environment: Environment
) -> None:
    """
    In the list of differences: "who goes without a proxy". Each entry of NO_PROXY for each URL, in the three libraries.
    """
    environment(ALL_PROXY="http://proxy:1", NO_PROXY=no_proxy)

    assert set(expected.split()) == exempted(scallion, URLS)
    assert others == "".join(
        number
        for number, library in LIBRARIES.items()
        if exempted(library, URLS) != set(expected.split())
    )


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("example.com", "http://example.com./"),
        ("example.com", "http://www.example.com./"),
        ("example.com.", "http://example.com./"),
        ("::1", "http://[0:0:0:0:0:0:0:1]/"),
        ("2001:DB8::1", "http://[2001:db8:0::1]/"),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/"),
        ("fe80::/10", "http://[fe80::1%25eth0]/"),
        ("fe80::1", "http://[fe80::1%25eth0]/"),
    ],
)
def test_other_forms_of_a_host_are_the_same_host(
    no_proxy: str, url: str, environment: Environment
) -> None:
    """
    In the list of differences: "who goes without a proxy". A final dot, another spelling of an address, its zone.
    """
    environment(ALL_PROXY="http://proxy:1", NO_PROXY=no_proxy)

    assert {"it"} == exempted(scallion, {"it": url})


labels = st.sampled_from(["a", "b", "com", "example", "localhost"])
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
# For the ports 80 and 443 see the table.
ports = st.sampled_from(["", "", ":8080", ":8081"])
addresses = st.sampled_from(["10.1.2.3", "10.1.2.4", "127.0.0.1", "10.1.0.0"])
hosts = st.one_of(names, addresses, st.sampled_from(["[::1]", "[fd00::1]"]))
entries = st.one_of(
    st.builds("{}{}{}".format, st.sampled_from(["", ".", "*."]), names, ports),
    st.builds("{}{}".format, addresses, ports),
    st.builds("{}/{}".format, addresses, st.integers(0, 40)),
    st.builds("{}/{}".format, st.sampled_from(["::1", "fd00::", "[fd00::]"]), st.integers(0, 140)),
    st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "all"]), hosts, ports),
)
schemes = st.sampled_from(["http", "https"])


@given(
    no_proxy=st.lists(entries, max_size=4).map(",".join),
    url=st.builds("{}://{}{}/".format, schemes, hosts, ports),
)
@example("localhost:8080", "http://a.localhost:8080/")
@settings(max_examples=200, deadline=None)
def test_any_list_is_read_as_httpx2_reads_it(no_proxy: str, url: str) -> None:
    """
    Names, wildcards, addresses, networks and patterns, in any number and order.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("ALL_PROXY", "http://proxy:1")
        monkeypatch.setenv("NO_PROXY", no_proxy)

        assert exempted(httpx2, {"it": url}) == exempted(scallion, {"it": url})


@given(no_proxy=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@example("user:secret@[")
@settings(max_examples=200, deadline=None)
def test_no_entry_breaks_a_client(no_proxy: str) -> None:
    """
    In the list of differences: "who goes without a proxy". Whatever NO_PROXY holds, clients are made, and route any URL.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("ALL_PROXY", "http://proxy:1")
        monkeypatch.setenv("NO_PROXY", no_proxy)

        assert isinstance(exempted(scallion, URLS), set)


# Which proxy.

PROXIES: list[dict[str, str]] = [
    {},
    {"HTTP_PROXY": "http://a:1"},
    {"http_proxy": "http://a:1"},
    {"HTTPS_PROXY": "http://a:1"},
    {"https_proxy": "http://a:1"},
    {"ALL_PROXY": "http://a:1"},
    {"all_proxy": "http://a:1"},
    {"HTTP_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:2", "ALL_PROXY": "http://c:3"},
    {"HTTP_PROXY": "http://a:1", "ALL_PROXY": "http://c:3"},
    {"HTTPS_PROXY": "http://b:2", "ALL_PROXY": "http://c:3"},
    # Lower case wins, and unsets.
    {"HTTP_PROXY": "http://upper:1", "http_proxy": "http://lower:1"},
    {"http_proxy": "http://lower:1", "HTTP_PROXY": "http://upper:1"},
    {"HTTP_PROXY": "http://upper:1", "http_proxy": ""},
    {"ALL_PROXY": "http://upper:1", "all_proxy": ""},
    {"HTTP_PROXY": ""},
    {"Http_Proxy": "http://a:1"},
    {"HTTP_proxy": "http://a:1", "HTTP_PROXY": "http://b:1"},
    # A CGI script's HTTP_PROXY is the header `Proxy` of whoever calls it.
    {"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil:1"},
    {"REQUEST_METHOD": "", "HTTP_PROXY": "http://evil:1"},
    {"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil:1", "http_proxy": "http://a:1"},
    {"REQUEST_METHOD": "GET", "HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://b:1"},
    # Forms.
    {"HTTP_PROXY": "a"},
    {"HTTP_PROXY": "a:3128"},
    {"HTTP_PROXY": "user:pass@a:3128"},
    {"HTTP_PROXY": "https://a"},
    {"HTTP_PROXY": "http://[::1]:3128"},
    {"HTTP_PROXY": "[::1]:3128"},
    {"HTTP_PROXY": "HTTP://A:1/"},
    # Not ours.
    {"FTP_PROXY": "http://a:1", "TRAVIS_APT_PROXY": "http://b:1", "SOCKS_PROXY": "http://c:1"},
    {"_PROXY": "http://a:1", "XHTTP_PROXY": "http://a:1", "PROXY": "http://b:1"},
    # With exceptions, in either case.
    {"ALL_PROXY": "http://a:1", "no_proxy": "example.com"},
    {"ALL_PROXY": "http://a:1", "no_proxy": "localhost", "NO_PROXY": "example.com"},
    {"ALL_PROXY": "http://a:1", "NO_PROXY": "example.com", "no_proxy": ""},
    {"NO_PROXY": "example.com"},
    {"NO_PROXY": "*"},
]
TARGETS = [
    "http://example.com/",
    "https://example.com/",
    "ws://example.com/",
    "wss://example.com/",
    "http://localhost:8080/",
    "https://10.1.2.3/",
]


def proxy_for(client: Any, url: Any) -> str:
    """Which proxy would be asked for the URL, with its login."""
    transport = client._transport_for_url(url)
    if transport is client._transport:
        return "none"
    if isinstance(client, scallion.Client):
        proxy = transport._connector._proxy
        raw = (proxy.url.raw_scheme, proxy.url.raw_host, proxy.url.port, proxy.raw_auth)
    else:
        pool = transport._pool
        raw = (pool._proxy_url.scheme, pool._proxy_url.host, pool._proxy_url.port, None)
        headers = dict(pool._proxy_headers)
        login = httpx.BasicAuth("user", "pass")._auth_header.encode()
        if headers.get(b"Proxy-Authorization") == login:
            raw = (*raw[:3], (b"user", b"pass"))
    return repr(raw)


@pytest.mark.parametrize("variables", PROXIES, ids=str)
@pytest.mark.parametrize("library", LIBRARIES.values(), ids=lambda library: library.__name__)
def test_which_proxy_is_asked(
    variables: dict[str, str], library: types.ModuleType, environment: Environment
) -> None:
    """
    The same one as in httpx and httpx2, for each scheme, whichever way the variables are spelt.
    """
    environment(**variables)

    theirs, ours = library.Client(verify=CONTEXT), scallion.Client(verify=CONTEXT)
    assert [proxy_for(theirs, library.URL(url)) for url in TARGETS] == [
        proxy_for(ours, scallion.URL(url)) for url in TARGETS
    ]


@pytest.mark.parametrize(
    "value",
    [
        "ftp://user:secret@proxy",
        "socks4://user:secret@proxy",
        "http://user:secret@proxy:port",
        "://user:secret@proxy",
    ],
)
def test_a_bad_proxy_is_the_same_error_with_the_variable_s_name(
    value: str, environment: Environment
) -> None:
    """
    Of httpx's class; it says which variable is to be mended, and not what its value is.
    """
    environment(HTTPS_PROXY=value)

    with pytest.raises((ValueError, scallion.InvalidURL)) as info:
        scallion.Client(verify=CONTEXT)
    assert making(httpx) == type(info.value).__name__
    assert "HTTPS_PROXY" in str(info.value)
    assert "secret" not in "".join(str(part) for part in chain(info.value))


@pytest.mark.parametrize("value", ["http://", "http://:3128", "http://user:secret@:3128"])
def test_a_proxy_without_a_host_is_refused(value: str, environment: Environment) -> None:
    """
    In the list of differences: "settings are validated". Httpx makes the client, which fails to connect.
    """
    environment(HTTPS_PROXY=value)

    assert isinstance(making(httpx), httpx.Client)
    with pytest.raises(scallion.InvalidURL, match=r"HTTPS_PROXY: .* without a host") as info:
        scallion.Client(verify=CONTEXT)
    assert "secret" not in str(info.value)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what a traceback prints with it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# What the clients' arguments have to say.


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize(
    "arguments",
    [
        "dict()",
        "dict(trust_env=False)",
        "dict(proxy='http://given:1')",
        "dict(proxy='http://given:1', trust_env=False)",
        "dict(proxy='https://given')",
        "dict(mounts={})",
        "dict(mounts={'http://': None})",
        "dict(mounts={'all://': None})",
        "dict(mounts={'http://example.com': None})",
        "dict(mounts={'all://*example.com': None, 'https://': None})",
        "dict(mounts={'all://localhost': lib.HTTPTransport(verify=CONTEXT, proxy='http://mounted:1')})",
        "dict(mounts={'http://': lib.HTTPTransport(verify=CONTEXT, proxy='http://mounted:1')}, trust_env=False)",
        "dict(mounts={'http://': lib.HTTPTransport(verify=CONTEXT, proxy='http://mounted:1')}, proxy='http://given:1')",
        "dict(transport=lib.HTTPTransport(verify=CONTEXT))",
        "dict(transport=lib.HTTPTransport(verify=CONTEXT), proxy='http://given:1')",
        "dict(transport=lib.HTTPTransport(verify=CONTEXT), mounts={'http://': None})",
    ],
)
def test_arguments_and_the_environment(
    library: types.ModuleType, arguments: str, environment: Environment
) -> None:
    """
    `proxy` goes before the environment, and a transport does without it; `mounts` are added to either.
    """
    environment(HTTP_PROXY="http://a:1", ALL_PROXY="http://b:2", NO_PROXY="localhost")
    chosen = []
    for lib in (library, scallion):
        client = lib.Client(verify=CONTEXT, **eval(arguments, {"lib": lib, "CONTEXT": CONTEXT}))
        chosen.append([proxy_for(client, lib.URL(url)) for url in TARGETS])

    assert chosen[0] == chosen[1]


# Certificates.

CERTIFI = certifi.where()


def described(context: ssl.SSLContext) -> dict[str, Any]:
    return {
        "authorities": context.cert_store_stats(),
        "verify_mode": context.verify_mode,
        # They do nothing where nothing is verified, and differ from Python 3.13 on.
        "verify_flags": context.verify_mode and context.verify_flags,
        "check_hostname": context.check_hostname,
        "least": context.minimum_version,
        "most": context.maximum_version,
        "options": context.options,
        "protocol": context.protocol,
        "keys": context.keylog_filename,
        "ciphers": [cipher["name"] for cipher in context.get_ciphers()],
    }


@pytest.mark.parametrize(
    "arguments", ["", "True", "False", "True, None, False", "False, None, False", "trust_env=False"]
)
@pytest.mark.parametrize(
    "variable", ["", "SSL_CERT_FILE", "SSL_CERT_DIR", "empty", "both", "SSLKEYLOGFILE"]
)
def test_contexts_are_httpx_s(
    arguments: str, variable: str, tmp_path: Any, environment: Environment
) -> None:
    """
    What is trusted and how it is checked, by each kind of `verify`, with each variable and without.
    differences: "keys for debuggers"
    """
    one = tmp_path / "one.pem"
    one.write_text(first_certificate())
    environment(
        **{
            "": {},
            "SSL_CERT_FILE": {"SSL_CERT_FILE": str(one)},
            "SSL_CERT_DIR": {"SSL_CERT_DIR": str(tmp_path)},
            "empty": {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""},
            "both": {"SSL_CERT_FILE": str(one), "SSL_CERT_DIR": str(tmp_path)},
            "SSLKEYLOGFILE": {"SSLKEYLOGFILE": str(tmp_path / "keys")},
        }[variable]
    )

    theirs, ours = (
        eval(f"lib.create_ssl_context({arguments})", {"lib": library})
        for library in (httpx, scallion)
    )
    expected = described(theirs)
    if variable == "SSLKEYLOGFILE":
        trusts_environment = arguments in ("", "True", "False")
        expected["keys"] = str(tmp_path / "keys") if trusts_environment else None
    assert expected == described(ours)


def first_certificate() -> str:
    text = Path(CERTIFI).read_text()
    return text[: text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"


@pytest.mark.filterwarnings("ignore:`(verify|cert)=:DeprecationWarning")
def test_paths_are_httpx_s(tmp_path: Any) -> None:
    """
    A file, a directory; deprecated in httpx, and as good as ever here.
    """
    for path in (CERTIFI, str(tmp_path)):
        assert described(httpx.create_ssl_context(path)) == described(
            scallion.create_ssl_context(path)
        )


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("trust_env", [True, False])
def test_missing_certificates(
    variable: str, trust_env: bool, tmp_path: Any, environment: Environment
) -> None:
    """
    A file that the environment names and that is not there is httpx's FileNotFoundError, which here names the
    variable. A directory is read when it is needed, so a missing one says nothing.
    """
    environment(**{variable: str(tmp_path / "missing")})

    raised = []
    for library in (httpx, scallion):
        try:
            library.create_ssl_context(trust_env=trust_env)
        except OSError as error:
            raised.append(error)
    assert (2 if variable == "SSL_CERT_FILE" and trust_env else 0) == len(raised)
    if raised:
        assert [type(error) for error in raised] == [FileNotFoundError] * 2
        assert "SSL_CERT_FILE" in str(raised[1])
        assert str(tmp_path / "missing") == raised[1].filename
    assert os.environ[variable]
