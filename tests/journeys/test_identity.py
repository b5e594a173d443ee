"""Who is calling: cookies, guests, ended sessions, other sites' pages, and callers that are no browser."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from chassis.peers import Caller, Scope, Signer
from tests.journeys.browser import Browser
from tests.processes import SECRET, SERVICES, Stack


def cookie_of(headers: dict[str, str]) -> str | None:
    return headers.get("Set-Cookie")


async def test_the_first_read_makes_a_guest_and_sets_a_cookie_that_scripts_cannot_read(browser: Browser) -> None:
    status, headers, _ = await browser.ask("GET", "/api/session/bootstrap")

    cookie = cookie_of(headers)
    assert status == 200
    assert cookie is not None
    assert re.match(r"animatize_session=[A-Za-z0-9_-]{43};", cookie)
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    life = re.search(r"Max-Age=(\d+)", cookie)
    assert life is not None
    assert 720 * 3600 - 60 < int(life[1]) <= 720 * 3600
    bootstrap = await browser.get("/api/session/bootstrap")
    assert bootstrap["authenticated"] is False
    assert bootstrap["session_id"] not in cookie


async def test_a_write_with_no_cookie_makes_a_guest_who_keeps_what_was_written(browser: Browser) -> None:
    await browser.put("/api/runs/first", {"run_id": "first"})
    assert [run["run_id"] for run in await browser.all_runs()] == ["first"]


@pytest.mark.parametrize("path", ["/api/auth/config", "/api/openapi.json", "/api/docs", "/health", "/", "/api/nothing"])
async def test_pages_that_concern_nobody_make_no_guest(browser: Browser, path: str) -> None:
    _, headers, _ = await browser.ask("GET", path)
    assert cookie_of(headers) is None


@pytest.mark.parametrize("cookie", ["A" * 43, "short", "x" * 5000, "../../etc", "ünicode"])
async def test_a_read_with_an_unknown_cookie_becomes_a_fresh_guest(browser: Browser, cookie: str) -> None:
    headers = {"Cookie": f"animatize_session={cookie}"}
    status, answered, _ = await browser.ask("GET", "/api/settings", headers=headers)
    assert status == 200
    assert cookie_of(answered) is not None


@pytest.mark.parametrize("cookie", ["A" * 43, "short", ""])
async def test_a_write_with_an_unknown_cookie_is_refused_and_sets_nothing(browser: Browser, cookie: str) -> None:
    headers = {"Cookie": f"animatize_session={cookie}"}
    status, answered, body = await browser.ask("PUT", "/api/runs/lost", headers=headers, json={"run_id": "lost"})
    assert status == 401
    assert b'"session_ended"' in body
    assert cookie_of(answered) is None


async def test_logout_ends_the_session_and_starts_a_fresh_guest(browser: Browser) -> None:
    await browser.put("/api/runs/mine", {"run_id": "mine"})
    old = next(cookie.value for cookie in browser.jar)

    assert await browser.json("POST", "/api/auth/logout") == {"authenticated": False, "user": None}

    assert next(cookie.value for cookie in browser.jar) != old
    assert await browser.all_runs() == []
    late = aiohttp.request("PUT", f"{browser.url}/api/runs/x", json={"run_id": "x"}, cookies={"animatize_session": old})
    async with late as response:
        assert response.status == 401


async def test_logout_takes_an_ended_session_as_none(browser: Browser) -> None:
    headers = {"Cookie": "animatize_session=" + "A" * 43}
    status, answered, _ = await browser.ask("POST", "/api/auth/logout", headers=headers)
    assert status == 200
    assert cookie_of(answered) is not None


async def test_a_session_that_was_revoked_can_write_no_more(browser: Browser) -> None:
    session_id = (await browser.get("/api/session/bootstrap"))["session_id"]
    assert [each["id"] for each in (await browser.get("/api/auth/sessions"))["sessions"]] == [session_id]
    await browser.json("DELETE", f"/api/auth/sessions/{session_id}")
    assert (await browser.refused("PUT", "/api/runs/x", json={"run_id": "x"}))["code"] == "session_ended"


async def test_google_sign_in_says_that_it_is_not_configured(browser: Browser) -> None:
    assert await browser.get("/api/auth/config") == {"google_enabled": False, "google_client_id": None}
    assert (await browser.refused("POST", "/api/auth/google", json={"credential": "abc"}))["status"] == 503
    assert (await browser.refused("POST", "/api/auth/google", json={}))["status"] == 400


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, True),
        ({}, True),
    ],
)
async def test_another_sites_page_cannot_write(browser: Browser, headers: dict[str, str], passes: bool) -> None:
    await browser.get("/api/settings")
    status, answered, _ = await browser.ask("PUT", "/api/runs/a", json={"run_id": "a"}, headers=headers)
    assert (status == 201) is passes
    assert passes or status == 403
    assert cookie_of(answered) is None


async def test_the_own_page_may_write_where_the_browser_sends_only_its_origin(browser: Browser) -> None:
    status, _, _ = await browser.ask("PUT", "/api/runs/a", json={"run_id": "a"}, headers={"Origin": browser.url})
    assert status == 201


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_called_past_the_gateway_answers_401_and_nothing_else(stack: Stack, service: str) -> None:
    url = f"http://127.0.0.1:{stack.ports[service]}"
    name = service.split("_", maxsplit=1)[0]
    foreign = Signer(SecretStr("another root secret, also long enough to be taken")).token(_someone(), name)
    elsewhere = Signer(SecretStr(SECRET)).token(_someone(), "elsewhere")
    for token in (None, "rubbish", foreign, elsewhere):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        for path in ("/api/settings", "/api/runs", "/api/settings/api-keys", "/internal/backup", "/anything", "/"):
            async with aiohttp.ClientSession() as http, http.get(url + path, headers=headers) as response:
                assert response.status == 401, (path, token)


def _someone() -> Caller:
    return Caller("guest:someone", Scope.OWNER, "session")


async def test_a_browser_with_an_odd_name_is_a_guest_like_any_other(browser: Browser) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(browser.url.rpartition(":")[2]))
    writer.write(b"GET /api/settings HTTP/1.1\r\nHost: x\r\nUser-Agent: caf\xe9\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/runs", None),
        ("PUT", "/api/settings", {"settings": {"theme": {"grain": 0.1}}}),
        ("POST", "/api/auth/logout", {}),
        ("POST", "/api/auth/google", {"credential": "whatever it is"}),
    ],
)
async def test_nothing_is_done_in_the_name_of_another_session_than_the_caller_says(
    browser: Browser, method: str, path: str, body: Any
) -> None:
    mine = (await browser.get("/api/session/bootstrap"))["session_id"]
    rest = {} if body is None else {"json": body}
    refused = await browser.refused(method, path, headers={"Animatize-Session": "another"}, **rest)
    assert (refused["status"], refused["code"]) == (401, "session_ended")
    assert (await browser.get("/api/session/bootstrap"))["session_id"] == mine
    assert (await browser.get("/api/settings"))["version"] == 1
