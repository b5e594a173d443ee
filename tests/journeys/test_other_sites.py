"""What another site's page may bring a visitor's browser to do here: nothing that changes or tells anything."""

import re

import pytest

from gateway.routes import ROUTES
from tests.journeys.browser import Browser
from tests.journeys.listening import Listening

FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


@pytest.mark.parametrize("cookie", [None, "A" * 43])
@pytest.mark.parametrize("path", ["/api/settings", "/api/auth/google", "/api/auth/logout", "/api/nothing"])
async def test_another_sites_page_is_refused_before_anybody_asks_who_calls(
    browser: Browser, path: str, cookie: str | None
) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"} | ({"Cookie": f"animatize_session={cookie}"} if cookie else {})
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        status, answered, body = await browser.ask(method, path, headers=headers)
        assert (status, answered.get("Set-Cookie")) == (403, None)
        assert b'"cross_site"' in body


async def test_what_a_caller_says_of_itself_as_a_proxy_would_is_not_believed(browser: Browser) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "Origin": "http://evil.example", "X-Forwarded-For": "10.0.0.1"}
    refused = await browser.refused("PUT", "/api/runs/a", json={"run_id": "a"}, headers=headers)
    assert refused["code"] == "cross_site"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_no_other_origin_is_let_in(browser: Browser, origin: str) -> None:
    """Not by CORS, whose headers are never sent."""
    asks = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    for method in ("OPTIONS", "GET", "PUT", "DELETE"):
        status, headers, _ = await browser.ask(method, "/api/settings", headers=asks)
        assert not [name for name in headers if name.lower().startswith("access-control")]
        assert (status < 300) is (method == "GET")


async def test_no_read_changes_anything(browser: Browser) -> None:
    """Any page can have a browser send one."""
    await browser.put("/api/runs/a", {"run_id": "a"})
    before = await browser.profile(), await browser.get("/api/auth/sessions")
    assert len(before[0]["runs"]) == len(before[0]["history"]) == 1
    paths = {route.path for route in ROUTES if route.method == "GET"}
    async with Listening() as listening:
        await listening.add(browser)
    for path in sorted(paths - {"/api/events"}):  # a stream, which does not end
        filled = re.sub(r"\{[^{}]*(\[[^]]*\][^{}]*)?\}", "a", path)
        for query in ("", "?confirm=true&settings={}&mode=replace"):
            await browser.ask("GET", filled + query, headers={"Sec-Fetch-Site": "cross-site"})
    after = await browser.profile(), await browser.get("/api/auth/sessions")
    assert after == before


@pytest.mark.parametrize("content_type", FORMS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/settings"),
        ("PUT", "/api/settings/api-keys/runway"),
        ("POST", "/api/runs"),
        ("PUT", "/api/runs/a"),
        ("PUT", "/api/runs/a/variants/b/favorite"),
        ("POST", "/api/settings/backup"),
        ("POST", "/api/auth/google"),
    ],
)
async def test_a_body_that_a_form_could_send_is_not_taken_for_json(
    browser: Browser, method: str, path: str, content_type: str
) -> None:
    refused = await browser.refused(method, path, data=b"{}", headers={"Content-Type": content_type})
    assert (refused["status"], refused["code"]) == (415, "not_json")
