"""What stands on answers of every kind, and where it differs: pages, answers of the API, passed-on images."""

import re
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from gateway import headers
from gateway.addresses import TRUSTED_PROXIES
from gateway.headers import PAGE, page_policy, protecting


async def sent(
    response: web.StreamResponse, path: str = "/api/x", *, production: bool = False, google: bool = False
) -> Any:
    """The headers that the answer ends up with."""
    app = web.Application()
    app[TRUSTED_PROXIES] = ()
    await protecting(production=production, google=google)(make_mocked_request("GET", path, app=app), response)
    return response.headers


def page() -> web.Response:
    response = web.Response(text="<!doctype html>", content_type="text/html")
    response[PAGE] = True
    return response


def sources(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


@pytest.mark.parametrize("google", [True, False])
def test_the_policy_of_a_page_allows_nothing_inline_and_no_foreign_wildcard(google: bool) -> None:
    policy = sources(page_policy(google=google))
    named = [source for values in policy.values() for source in values]
    assert not [source for source in named if "unsafe" in source or "*" in source or source == "https:"]
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    assert {"data:", "blob:"} <= set(policy["img-src"])
    assert [source for values in policy.values() for source in values if "data:" in source] == ["data:"]


def test_google_is_let_in_only_where_people_can_sign_in_with_it() -> None:
    assert "google" not in page_policy(google=False)
    policy = sources(page_policy(google=True))
    foreign = {name: [each for each in values if "//" in each] for name, values in policy.items()}
    assert {name: values for name, values in foreign.items() if values} == {
        "script-src": ["https://accounts.google.com/gsi/client"],
        "style-src": ["https://accounts.google.com/gsi/style"],
        "frame-src": ["https://accounts.google.com/gsi/"],
        "connect-src": ["https://accounts.google.com/gsi/"],
    }


@pytest.mark.parametrize(
    ("production", "google", "referrer", "opener"),
    [
        (True, False, "same-origin", "same-origin"),
        (False, False, "same-origin", "same-origin"),
        (True, True, "strict-origin-when-cross-origin", "same-origin-allow-popups"),
        (False, True, "no-referrer-when-downgrade", "same-origin-allow-popups"),
    ],
)
async def test_a_page_tells_google_no_more_than_its_popup_needs(
    production: bool, google: bool, referrer: str, opener: str
) -> None:
    told = await sent(page(), "/", production=production, google=google)
    assert (told["Referrer-Policy"], told["Cross-Origin-Opener-Policy"]) == (referrer, opener)


@pytest.mark.parametrize("google", [True, False])
async def test_what_does_not_say_that_it_is_a_page_may_load_nothing(google: bool) -> None:
    html = web.Response(text="<!doctype html>", content_type="text/html")
    told = await sent(html, "/", google=google)
    assert told["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert told["Referrer-Policy"] == "no-referrer"
    assert told["Cross-Origin-Opener-Policy"] == "same-origin"


async def test_what_an_answer_brings_along_stays() -> None:
    own = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-cache"}
    told = await sent(web.Response(headers=own))
    assert {name: told.getall(name) for name in own} == {name: [value] for name, value in own.items()}
    assert told["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(("path", "kept"), [("/api/settings", False), ("/api/", False), ("/", True), ("/health", True)])
async def test_no_cache_keeps_an_answer_of_the_api(path: str, kept: bool) -> None:
    assert ("Cache-Control" not in await sent(web.Response(), path)) is kept


@pytest.mark.parametrize("status", [200, 304, 404, 500, 503])
async def test_in_production_https_is_asked_for_whatever_the_answer(status: int) -> None:
    told = await sent(web.Response(status=status), production=True)
    life = re.fullmatch(r"max-age=(\d+)", told["Strict-Transport-Security"])
    assert life is not None
    assert int(life[1]) >= 365 * 24 * 3600
    assert "Strict-Transport-Security" not in await sent(web.Response(status=status))


async def test_https_is_not_asked_for_where_a_trusted_proxy_says_that_it_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "Strict-Transport-Security" in await sent(web.Response(), production=True)
    monkeypatch.setattr(headers, "scheme_of", lambda _: "http")
    assert "Strict-Transport-Security" not in await sent(web.Response(), production=True)


async def test_an_answer_does_not_name_the_programs_behind_it() -> None:
    app = web.Application()
    app[TRUSTED_PROXIES] = ()
    app.on_response_prepare.append(protecting(production=True, google=False))
    async with TestClient(TestServer(app)) as client, client.get("/") as answer:
        assert answer.status == 404
        assert "Server" not in answer.headers
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
