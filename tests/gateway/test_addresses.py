"""Whose address a request is counted under, and which host it asked for, with and without proxies in front."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from pydantic import TypeAdapter

from chassis.settings import load
from gateway.addresses import TRUSTED_PROXIES, Networks, address_of, host_of, scheme_of
from gateway.settings import Settings

NETWORKS: TypeAdapter[Any] = TypeAdapter(Networks)
BEHIND = "10.0.0.0/8, 192.168.1.7, fd00::/8, ::ffff:172.16.0.0/108"


def asked(peer: str, *headers: tuple[str, str], trusted: str = BEHIND) -> web.Request:
    app = web.Application()
    app[TRUSTED_PROXIES] = NETWORKS.validate_python(trusted)
    given = CIMultiDict([("Host", "inside:8000"), *headers])
    return make_mocked_request("GET", "/", given, app=app).clone(remote=peer)


def forwarded(*lines: str) -> list[tuple[str, str]]:
    return [("X-Forwarded-For", line) for line in lines]


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # no proxy of ours: what it says is worth nothing
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("172.16.3.4", ["198.51.100.1"], "198.51.100.1"),  # trusted as an IPv4-mapped network
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        ("192.168.1.8", ["198.51.100.1"], "192.168.1.8"),  # beside the one that is trusted
        ("10.0.0.1", ["198.51.100.66, 203.0.113.9"], "203.0.113.9"),  # the left one was made up
        ("10.0.0.1", ["198.51.100.66, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.66", "203.0.113.9", "10.2.2.2"], "203.0.113.9"),  # several lines are one list
        ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, ,10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.1", ["[2001:db8::5]:4711"], "2001:db8::5"),
        ("10.0.0.1", ["[2001:db8::5]"], "2001:db8::5"),
        ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9' or 1=1"], "10.0.0.1"),
        ("10.0.0.1", ["x" * 5000], "10.0.0.1"),
    ],
)
def test_the_address_is_the_nearest_that_is_no_trusted_proxys(peer: str, lines: list[str], address: str) -> None:
    assert str(address_of(asked(peer, *forwarded(*lines)))) == address


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"])
def test_a_peer_without_an_address_is_nobodys_proxy(trusted: str) -> None:
    assert address_of(asked("", *forwarded("203.0.113.9"), trusted=trusted)) is None


@pytest.mark.parametrize(
    ("peer", "told", "host"),
    [
        ("203.0.113.9", ["console.example.org"], "inside:8000"),
        ("10.0.0.1", ["console.example.org"], "console.example.org"),
        ("10.0.0.1", ["made.up, console.example.org:8443"], "console.example.org:8443"),
        ("10.0.0.1", ["made.up", "console.example.org"], "console.example.org"),
        ("10.0.0.1", [], "inside:8000"),
        ("10.0.0.1", [""], "inside:8000"),
    ],
)
def test_the_host_is_told_by_the_nearest_proxy_where_that_is_trusted(peer: str, told: list[str], host: str) -> None:
    assert host_of(asked(peer, *(("X-Forwarded-Host", each) for each in told))) == host


@pytest.mark.parametrize(
    ("peer", "told", "scheme"),
    [
        ("203.0.113.9", "http", None),
        ("10.0.0.1", "http", "http"),
        ("10.0.0.1", "HTTPS", "https"),
        ("10.0.0.1", "https, http", "http"),
        ("10.0.0.1", "gopher", None),
    ],
)
def test_the_scheme_is_told_by_the_nearest_proxy_where_that_is_trusted(
    peer: str, told: str, scheme: str | None
) -> None:
    assert scheme_of(asked(peer, ("X-Forwarded-Proto", told))) == scheme


def test_nobody_is_trusted_unless_it_is_said() -> None:
    assert load(Settings).trusted_proxies == ()


@pytest.mark.parametrize("value", ["proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1, ,::1/129", "*", "300.1.1.1"])
def test_what_is_no_network_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ANIMATIZE_TRUSTED_PROXIES", value)
    with pytest.raises(SystemExit, match=r"ANIMATIZE_TRUSTED_PROXIES.*write addresses and networks"):
        load(Settings)
