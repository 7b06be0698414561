"""Hosts: names, addresses, zones, and what each is for."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from scallion.pipeline.errors import InvalidURL
from scallion.pipeline.urls import URL

ZONED = "http://[fe80::1%25eth0]:8080/"


@pytest.mark.parametrize(
    ("given", "raw", "readable"),
    [
        ("http://EXAMPLE.Org/", b"example.org", "example.org"),
        ("http://Bücher.example/", b"xn--bcher-kva.example", "bücher.example"),
        ("http://xn--bcher-kva.example/", b"xn--bcher-kva.example", "bücher.example"),
        ("http://中国.icom.museum/", b"xn--fiqs8s.icom.museum", "中国.icom.museum"),
        ("http://faß.de/", b"xn--fa-hia.de", "faß.de"),
        ("http://192.0.2.1/", b"192.0.2.1", "192.0.2.1"),
        ("http://[2001:DB8::1]/", b"2001:DB8::1", "2001:DB8::1"),
        ("http://[::ffff:192.0.2.1]/", b"::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ],
)
def test_host_is_readable_and_raw_host_resolvable(given: str, raw: bytes, readable: str) -> None:
    """
    Names go to lower case and IDNA; `host` is for people, `raw_host` for name resolution.
    """
    assert raw == URL(given).raw_host
    assert readable == URL(given).host


def test_an_undecodable_name_is_shown_as_it_is() -> None:
    """
    A name that only looks like IDNA is no reason to fail.
    """
    assert "xn--zz-" == URL("http://xn--zz-/").host


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("http://192.0.2.256/", "Invalid IPv4 address: '192.0.2.256'; expected four numbers"),
        ("http://192.0.2.01/", "Invalid IPv4 address"),
        ("http://[192.0.2.1]/", "Invalid IPv6 address"),
        ("http://[::1::]/", r"Invalid IPv6 address: '\[::1::\]'; expected for example"),
        ("http://[" + "0:" * 5_000 + "]/", "…'; expected"),
        ("http://☃.example/", "Invalid IDNA hostname: '☃.example'; Codepoint U\\+2603"),
        ("http://[fe80::1%25]/", "Invalid IPv6 zone"),
        ("http://[fe80::1%25a%2Fb]/", "Invalid IPv6 zone"),
        ("http://[fe80::1%25é]/", "Invalid IPv6 zone"),
    ],
)
def test_impossible_hosts_are_refused_by_name(given: str, says: str) -> None:
    """
    The error names the host and what was expected.
    """
    with pytest.raises(InvalidURL, match=says):
        URL(given)


@pytest.mark.parametrize(
    "url",
    [
        URL(ZONED),
        URL("http://[fe80::1%eth0]:8080/"),
        URL("http://x:8080/", host="fe80::1%eth0"),
        URL("http://x:8080/", host="[fe80::1%25eth0]"),
        URL("http://x/", netloc=b"[fe80::1%25eth0]:8080"),
        URL("http://x/").join("//[fe80::1%25eth0]:8080/"),
        URL(ZONED + "x").copy_with(path="/"),
        pickle.loads(pickle.dumps(URL(ZONED))),
    ],
)
def test_a_zone_serves_connecting_and_stays_here(url: URL) -> None:
    """
    RFC 6874: the zone is in the text as %25, in the host to connect to as %, and in no Host header.
    """
    assert ZONED == str(url)
    assert "fe80::1%eth0" == url.host
    assert b"fe80::1%eth0" == url.raw_host
    assert ("http", "fe80::1%eth0", 8080) == url.origin_key
    assert b"[fe80::1]:8080" == url.netloc == url.host_header


@pytest.mark.parametrize("zone", ["251", "25", "en0.1", "a:b", "Ethernet~1"])
def test_a_plain_zone_is_taken_literally(zone: str) -> None:
    """
    What `host` gives can be given as `host` again, even if it begins like an escaped percent sign.
    """
    url = URL("http://x/", host=f"fe80::1%{zone}")

    assert f"fe80::1%{zone}" == url.host
    assert url == URL(str(url)) == url.copy_with(host=url.host)


def test_addresses_are_one_origin_in_any_case() -> None:
    """
    Digits of an IPv6 address have no case, names of interfaces do.
    """
    assert URL("http://[FE80::A%25Eth0]").origin_key == ("http", "fe80::a%Eth0", 80)


def test_ascii_hosts_need_no_idna() -> None:
    """
    Plain names and addresses do not pay for loading Unicode tables.
    """
    script = (
        "import sys; from scallion.pipeline.urls import URL; "
        "str(URL('http://Example.org:80/a/../b')); sys.exit('idna' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False).returncode
