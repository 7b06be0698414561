"""NetRCAuth: each host gets its own entry's credentials, and no others."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from scallion.middlewares.auth import Authentication
from scallion.middlewares.netrc import NetRCAuth
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, play

ENTRIES = """\
machine example.org login user password geheim
machine bare.example.org login user
machine odd.example.org login us:er password geheim
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "netrc"
    path.write_text(ENTRIES)
    return path


@pytest.mark.parametrize("host", ["example.org", "bare.example.org", "other.example.org"])
def test_a_host_gets_what_httpx_sends_it(drive: Drive, file: Path, host: str) -> None:
    """
    The entry of the host, where it has a password; else nothing.
    """
    theirs = httpx.Request("GET", f"http://{host}/")
    next(httpx.NetRCAuth(str(file)).auth_flow(theirs))
    ours = Request("GET", f"http://{host}/")

    play([Authentication(NetRCAuth(file))], ours, World([Response(200)]), drive)

    assert theirs.headers.get("authorization") == ours.headers.get("authorization")
    assert (host == "example.org") == ("authorization" in ours.headers)


def test_a_default_entry_covers_all_hosts(drive: Drive, file: Path) -> None:
    """
    `default` is netrc's own way to name every host.
    """
    file.write_text("default login user password pass")
    request = Request("GET", "http://anything.example.org/")

    play([Authentication(NetRCAuth(str(file)))], request, World([Response(200)]), drive)

    assert "Basic dXNlcjpwYXNz" == request.headers["authorization"]


def test_the_users_own_file_is_read_where_none_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    That is ~/.netrc, and NETRC does not change it.
    """
    home = file.rename(file.with_name(".netrc")).parent
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    request = Request("GET", "http://example.org/")

    next(NetRCAuth().auth_flow(request))

    assert request.headers["authorization"].startswith("Basic ")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """
    It is read when the scheme is made, so that a wrong name shows at once.
    """
    with pytest.raises(FileNotFoundError):
        NetRCAuth(tmp_path / "absent")


def test_a_colon_in_a_login_is_refused(file: Path) -> None:
    """
    As with BasicAuth, and without telling the password.
    """
    with pytest.raises(ValueError, match="colon in the username") as caught:
        next(NetRCAuth(file).auth_flow(Request("GET", "http://odd.example.org/")))

    assert "geheim" not in str(caught.value)


def test_nothing_secret_is_shown(file: Path) -> None:
    """
    The file's entries are in no repr.
    """
    assert "NetRCAuth()" == repr(NetRCAuth(file))
