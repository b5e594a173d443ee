"""The gateway as the world sees it, in production behind a proxy: its headers, its limits, its harmless images."""

import asyncio
import json
import re
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from aiohttp import request

from tests.journeys.browser import Browser
from tests.processes import Stack, running

NOTHING = "default-src 'none'; frame-ancestors 'none'"
GUESTS, SIGN_INS = 4, 3
NUMBERS = count(1)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
GIF = b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)//<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(30) + HTML


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environment = {
        "ANIMATIZE_ENV": "production",
        "ANIMATIZE_COOKIE_SECURE": "false",
        "ANIMATIZE_TRUSTED_PROXIES": "127.0.0.0/8",
        "ANIMATIZE_NEW_GUESTS_PER_MINUTE": str(GUESTS),
        "ANIMATIZE_SIGN_INS_PER_MINUTE": str(SIGN_INS),
        "GOOGLE_CLIENT_ID": "client.example",
    }
    with running(tmp_path_factory.mktemp("front"), **environment) as stack:
        yield stack


@pytest.fixture
def address() -> dict[str, str]:
    """What the proxy says of somebody at an address that nobody had before."""
    return {"X-Forwarded-For": f"203.0.113.{next(NUMBERS)}"}


@pytest.fixture
async def guest(front: Stack, address: dict[str, str]) -> AsyncIterator[Browser]:
    async with Browser(front.url) as browser:
        await browser.ask("GET", "/api/session/bootstrap", headers=address)
        yield browser


async def asked(stack: Stack, method: str, path: str, **rest: Any) -> tuple[int, Any, bytes]:
    """The answer to somebody who keeps no cookie."""
    async with request(method, stack.url + path, **rest) as answer:
        return answer.status, answer.headers, await answer.read()


def sessions(stack: Stack) -> int:
    with closing(sqlite3.connect(stack.data / "animatize_web.auth.db")) as database:
        return int(database.execute("SELECT count(*) FROM sessions").fetchone()[0])


@pytest.mark.parametrize(
    ("method", "path", "status", "given"),
    [
        ("GET", "/", 200, {}),
        ("GET", "/console/css/tokens.css", 200, {}),
        ("GET", "/api/docs", 200, {}),
        ("GET", "/api/openapi.json", 200, {}),
        ("GET", "/health", 200, {}),
        ("GET", "/health/live", 200, {}),
        ("GET", "/.well-known/jwks.json", 200, {}),
        ("GET", "/api/auth/config", 200, {}),
        ("GET", "/api/settings", 200, {}),
        ("GET", "/api/settings", 304, {"headers": {"If-None-Match": '"1"'}}),
        ("GET", "/api/settings/backup", 200, {}),
        ("GET", "/nothing", 404, {}),
        ("GET", "/api/nothing", 404, {}),
        ("DELETE", "/api/settings/restore", 405, {}),
        ("GET", "/api/runs/nothing", 404, {}),
        ("PUT", "/api/settings", 400, {"json": {}}),
        ("PUT", "/api/settings", 415, {"data": b"{}"}),
        ("PUT", "/api/settings", 403, {"headers": {"Sec-Fetch-Site": "cross-site"}}),
        ("PUT", "/api/settings", 401, {"cookies": {"animatize_session": "ended"}}),
        ("POST", "/api/auth/google", 400, {"json": {}}),
    ],
)
async def test_every_answer_is_protected(
    guest: Browser, address: dict[str, str], method: str, path: str, status: int, given: dict[str, Any]
) -> None:
    given = given | {"headers": {**address, **given.get("headers", {})}}
    answered, headers, _ = await guest.ask(method, path, **given)
    is_page = path in ("/", "/console/css/tokens.css", "/api/docs")
    assert answered == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert headers["Permissions-Policy"]
    assert headers["Referrer-Policy"] == ("strict-origin-when-cross-origin" if is_page else "no-referrer")
    assert headers["Cross-Origin-Opener-Policy"] == ("same-origin-allow-popups" if is_page else "same-origin")
    assert "Server" not in headers
    assert (headers["Content-Security-Policy"] == NOTHING) is not is_page
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert not path.startswith("/api/") or headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"GET /api/settings?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "too long"),  # any link can be one
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=" + b"a" * 20_000 + b"\r\n\r\n", "too long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n<script>\r\n\r\n", "no request of HTTP"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", "no request of HTTP"),
    ],
    ids=["a long address", "a long cookie", "a header that is none", "another protocol"],
)
async def test_what_cannot_be_read_is_answered_with_the_same_protection(front: Stack, raw: bytes, detail: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.ports["gateway"])
    writer.write(raw)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert first.endswith(" 400 Bad Request")
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == NOTHING
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert "Server" not in headers
    assert "Set-Cookie" not in headers
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (400, "unreadable")
    assert detail in problem["detail"]
    assert problem["request_id"] == headers["X-Request-ID"]
    assert b"aaaa" not in body
    assert b"script" not in body


@pytest.mark.parametrize("path", ["/", "/api/docs"])
async def test_a_page_has_nothing_inline_and_nothing_foreign(front: Stack, path: str) -> None:
    """What its policy would stop anyway."""
    _, _, body = await asked(front, "GET", path)
    scripts = re.findall(rb"<script([^>]*)>(.*?)</script>", body, re.DOTALL)
    assert all(b'src="/console/' in attributes and not inline for attributes, inline in scripts)
    assert len(scripts) == body.count(b"<script")
    assert not re.search(rb"\son\w+=", body)
    for inline in (b"<style", b"style=", b"javascript:", b'src="http', b"href=http", b'href="http'):
        assert inline not in body, inline


@pytest.mark.parametrize(
    ("claimed", "content", "media_type"),
    [
        ("image/svg+xml", SVG, "application/octet-stream"),
        ("image/png", SVG, "application/octet-stream"),
        ("text/html", HTML, "application/octet-stream"),
        ("image/jpeg", HTML, "application/octet-stream"),
        ("application/xhtml+xml", HTML, "application/octet-stream"),
        ("text/javascript", b"alert(1)", "application/octet-stream"),
        ("application/pdf", b"%PDF-1.7 /JS (app.alert(1))", "application/octet-stream"),
        ("image/svg+xml", GIF, "image/gif"),  # both a GIF and a script
        ("text/html", PNG, "image/png"),  # a PNG with a page behind it
        ("text/html; charset=utf-7", PNG, "image/png"),
    ],
)
async def test_a_source_image_is_sent_so_that_no_browser_runs_it(
    guest: Browser, claimed: str, content: bytes, media_type: str
) -> None:
    url = f"data:{claimed};base64,{b64encode(content).decode()}"
    await guest.put("/api/runs/a", {"run_id": "a", "source_image_data_url": url})

    status, headers, body = await guest.ask("GET", "/api/runs/a/source-image")

    assert (status, body, headers["Content-Type"]) == (200, content, media_type)
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "private, no-cache"
    assert (headers.get("Content-Disposition") == "attachment") is (media_type == "application/octet-stream")
    known = {"If-None-Match": headers["Etag"]}
    status, headers, _ = await guest.ask("GET", "/api/runs/a/source-image", headers=known)
    assert (status, headers["Content-Security-Policy"]) == (304, "default-src 'none'; frame-ancestors 'none'; sandbox")


async def test_more_new_guests_than_the_limit_are_refused_and_nothing_is_made(
    front: Stack, address: dict[str, str]
) -> None:
    before, made = sessions(front), 0
    for method, path in (("GET", "/api/settings"), ("POST", "/api/auth/logout"), ("DELETE", "/api/runs")) * GUESTS:
        status, headers, body = await asked(front, method, path, headers=address)
        made += "Set-Cookie" in headers
    assert sessions(front) == before + made
    assert made in (GUESTS, GUESTS + 1), "one more where a minute has just turned"
    assert status == 429
    assert headers["Content-Type"] == "application/problem+json"
    assert b'"too_many_requests"' in body
    assert 1 <= int(headers["Retry-After"]) <= 61
    assert "Set-Cookie" not in headers
    elsewhere = {"X-Forwarded-For": "198.51.100.1"}
    assert (await asked(front, "GET", "/api/settings", headers=elsewhere))[0] == 200


async def test_whoever_has_a_session_is_never_limited(guest: Browser, front: Stack, address: dict[str, str]) -> None:
    for _ in range(GUESTS * 2):
        await asked(front, "GET", "/api/settings", headers=address)
    for _ in range(GUESTS * 2):
        assert (await guest.ask("GET", "/api/settings", headers=address))[0] == 200
        assert (await guest.ask("PUT", "/api/runs/a", json={"run_id": "a"}, headers=address))[0] < 300


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("PUT", "/api/settings", {"Cookie": "animatize_session=ended"}, 401),
        ("PUT", "/api/settings", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/api/auth/config", {}, 200),
        ("GET", "/nothing", {}, 404),
    ],
)
async def test_what_makes_no_guest_does_not_count(
    front: Stack, address: dict[str, str], method: str, path: str, given: dict[str, str], status: int
) -> None:
    for _ in range(GUESTS * 2):
        answered, headers, _ = await asked(front, method, path, headers=address | given)
        assert (answered, headers.get("Set-Cookie")) == (status, None)
    assert (await asked(front, "GET", "/api/settings", headers=address))[0] == 200


async def test_attempts_to_sign_in_are_limited_before_anybody_looks_at_them(
    guest: Browser, front: Stack, address: dict[str, str]
) -> None:
    made = sessions(front)
    answers = [
        await guest.ask("POST", "/api/auth/google", data=body, headers=address | {"Content-Type": "application/json"})
        for body in (b"{}", b"nonsense", b'{"credential": "abc"}', b'{"credential": "abc"}', b"nonsense")
    ]
    refused = [status == 429 for status, _, _ in answers]
    assert (refused[:SIGN_INS], refused[-1]) == ([False] * SIGN_INS, True)
    assert all(1 <= int(headers["Retry-After"]) <= 61 for status, headers, _ in answers if status == 429)
    assert all("Set-Cookie" not in headers for _, headers, _ in answers)
    assert sessions(front) == made
    assert (await guest.ask("GET", "/api/settings", headers=address))[0] == 200


async def test_the_host_that_the_trusted_proxy_tells_is_our_own(front: Stack, address: dict[str, str]) -> None:
    told = address | {"X-Forwarded-Host": "films.example", "Origin": "https://films.example"}
    assert (await asked(front, "PUT", "/api/runs/a", json={"run_id": "a"}, headers=told))[0] == 201
    told["Origin"] = "https://evil.example"
    assert (await asked(front, "PUT", "/api/runs/a", json={"run_id": "a"}, headers=told))[0] == 403
