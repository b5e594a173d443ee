"""Which page may have a browser write: only our own, however hosts and ports are written."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import TypeAdapter

from gateway.addresses import TRUSTED_PROXIES, Networks
from gateway.cross_site import is_cross_site

PUBLIC_URL = "https://console.example.org"


def judged(headers: dict[str, str], public_url: str = PUBLIC_URL, peer: str = "203.0.113.9") -> bool:
    app = web.Application()
    app[TRUSTED_PROXIES] = TypeAdapter(Networks).validate_python("10.0.0.0/8")
    request = make_mocked_request("PUT", "/api/settings", CIMultiDict(headers), app=app).clone(remote=peer)
    return is_cross_site(request, public_url)


@pytest.mark.parametrize("site", ["same-origin", "none"])
@pytest.mark.parametrize("origin", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_fetch_metadata_of_our_own_page_or_of_a_person_goes_before_the_origin(
    site: str, origin: dict[str, str]
) -> None:
    assert not judged({"Host": "h", "Sec-Fetch-Site": site, **origin})


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "SAME-ORIGIN", "same-origin, none", "anything"])
def test_any_other_fetch_metadata_is_another_sites_even_beside_our_own_origin(site: str) -> None:
    assert judged({"Host": "h", "Sec-Fetch-Site": site, "Origin": "http://h"})


def test_neither_header_is_no_browsers() -> None:
    assert not judged({"Host": "h"})


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("h", "http://h"),
        ("h:8000", "http://h:8000"),
        ("h:80", "http://h"),
        ("h", "http://h:80"),
        ("h:443", "https://h"),
        ("h", "https://h"),  # behind a proxy that ends TLS
        ("H.Example.ORG", "http://h.example.org"),
        ("h.example.org", "HTTP://H.EXAMPLE.ORG"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("anything", "https://console.example.org"),
        ("anything", "https://console.example.org:443"),
    ],
)
def test_our_own_origin_is_known_however_it_is_written(host: str, origin: str) -> None:
    assert not judged({"Host": host, "Origin": origin})


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("h", "null"),
        ("h", ""),
        ("h", "http://evil.example"),
        ("h", "http://h:8000"),
        ("h:8000", "http://h"),
        ("h:8000", "http://h:8001"),
        ("h:80", "https://h"),
        ("h:443", "http://h"),
        ("h", "http://sub.h"),
        ("h", "http://h.evil.example"),
        ("h", "http://h@evil.example"),
        ("h", "http://evil.example@h"),
        ("h", "http://h/"),
        ("h", "http://h/path"),
        ("h", "http://h?query"),
        ("h", "http://h\\@evil.example"),
        ("h", "http://evil.example\\h"),
        ("evil.example@h", "http://h"),
        ("", "http://[a]&@/@_.teph]."),
        ("[a", "http://[a"),
        ("h", "h"),
        ("h", "//h"),
        ("h", "ftp://h"),
        ("h", "file://"),
        ("h", "http://h:99999"),
        ("h", "http://h http://evil.example"),
        ("bad:host:x", "http://h"),
        ("", "http://h"),
        ("[::1]:8000", "http://[::2]:8000"),
        ("localhost:8000", "http://127.0.0.1:8000"),
        ("anything", "http://console.example.org"),  # the public address is https, whose port is another
        ("anything", "https://console.example.org:8443"),
    ],
)
def test_any_other_origin_is_another_sites(host: str, origin: str) -> None:
    assert judged({"Host": host, "Origin": origin})


@pytest.mark.parametrize(
    ("peer", "passes"),
    [("10.0.0.1", True), ("203.0.113.9", False)],
)
def test_the_host_that_a_proxy_tells_is_our_own_where_the_proxy_is_trusted(peer: str, passes: bool) -> None:
    headers = {"Host": "gateway:8000", "X-Forwarded-Host": "films.example", "Origin": "https://films.example"}
    assert judged(headers, peer=peer) is not passes


def test_behind_a_trusted_proxy_the_inner_host_is_not_our_own() -> None:
    headers = {"Host": "gateway:8000", "X-Forwarded-Host": "films.example", "Origin": "http://gateway:8000"}
    assert judged(headers, peer="10.0.0.1")


@given(st.text(), st.text(), st.booleans())
def test_any_text_is_an_origin_or_none(origin: str, host: str, whole: bool) -> None:
    judged({"Host": host, "Origin": f"https://{origin}" if whole else origin})
