"""A drive through everything that the gateway offers, and much that it refuses, with a secret in every place.

Each stage returns nothing: what is of interest is what the processes say of it in their logs and numbers.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from chassis.documents import write
from tests import documents
from tests.issuer import Issuer
from tests.journeys import hops
from tests.journeys.browser import Browser
from tests.journeys.listening import listening
from tests.processes import Stack

JSON = {"Content-Type": "application/json"}
PASSPHRASE = "Animatize-Backup-Passphrase"


def planted() -> str:
    """A secret that looks different in every notation, and like nothing else."""
    return f'{secrets.token_hex(4)}"+/{secrets.token_hex(4)} ż\\{secrets.token_urlsafe(12)}'


def plain() -> str:
    """A secret of the letters that are allowed everywhere."""
    return secrets.token_urlsafe(30)


@dataclass
class Secrets:
    """What must be told to nobody, by what it is."""

    root: str = field(default_factory=plain)
    previous_root: str = field(default_factory=plain)
    foreign_root: str = field(default_factory=plain)
    operators_key: str = field(default_factory=plain)
    api_key: str = field(default_factory=planted)
    second_api_key: str = field(default_factory=plain)
    key_in_a_bad_body: str = field(default_factory=planted)
    key_in_an_address: str = field(default_factory=plain)
    key_in_a_query: str = field(default_factory=planted)
    passphrase: str = field(default_factory=planted)
    wrong_passphrase: str = field(default_factory=planted)
    credential: str = field(default_factory=lambda: f"eyJhbGciOiJSUzI1NiJ9.{plain()}.{plain()}")
    good_credential: str = ""
    sub: str = field(default_factory=plain)
    email: str = field(default_factory=lambda: f"{plain()}@example.org")
    name: str = field(default_factory=planted)
    authorization: str = field(default_factory=plain)
    unknown_cookie: str = field(default_factory=plain)
    tracestate: str = field(default_factory=plain)
    user_agent: str = field(default_factory=plain)
    content: str = field(default_factory=planted)  # of settings, runs and notes: nobody's business either
    cookies: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)  # of workers: what one reads with them is a key

    def note_cookies(self, browser: Browser) -> None:
        self.cookies |= {cookie.value for cookie in browser.jar}


async def through_everything(stack: Stack, issuer: Issuer, planted: Secrets) -> None:
    """All that succeeds, on every route, and what is refused while everything runs."""
    planted.good_credential = issuer.credential(planted.sub, planted.email, name=planted.name)
    async with Browser(stack.url) as browser:
        for part in PARTS:
            await part(browser, planted)
            planted.note_cookies(browser)
    await speak_no_http(stack, planted)


async def look_around(browser: Browser, planted: Secrets) -> None:
    for path in ("/", "/console/css/tokens.css", "/health", "/.well-known/jwks.json", "/api/openapi.json", "/api/docs"):
        assert (await browser.ask("GET", path))[0] == 200, path
    for path in ("/api/session/bootstrap", "/api/auth/config", "/api/auth/me", "/api/presets"):
        await browser.get(path)
    await hops.go(browser, {"tracestate": f"vendor={planted.tracestate}", "User-Agent": planted.user_agent})


async def change_settings(browser: Browser, planted: Secrets) -> None:
    await browser.get("/api/settings")
    for number in range(3):
        settings = {"theme": {"grain": number / 10}, "note": planted.content}
        await browser.put("/api/settings", {"settings": settings, "change_note": planted.content})
    await browser.json("PATCH", "/api/settings?base=1", {"patched": planted.content})
    conflict = await browser.refused("PATCH", "/api/settings?base=1", json={"patched": "something else"})
    assert (conflict["status"], conflict["code"]) == (409, "conflict")
    first = (await browser.get("/api/settings/history"))["history"][-1]["id"]
    await browser.get(f"/api/settings/history/{first}")
    await browser.get(f"/api/settings/history/{first}/diff")
    await browser.json("POST", f"/api/settings/history/{first}/restore")


async def keep_keys(browser: Browser, planted: Secrets) -> None:
    keys = "/api/settings/api-keys"
    await browser.put(f"{keys}/runway", {"api_key": planted.api_key})
    await browser.put(f"{keys}/pika", {"api_key": planted.second_api_key})
    await browser.get(keys)
    assert "veo" in (await browser.get("/api/providers"))["available_providers"], "the operator's"
    await browser.json("DELETE", f"{keys}/pika")
    bad_key = planted.key_in_a_bad_body
    for bad in ({"api_key": f"{bad_key}\n\x00"}, {"api_key": [bad_key]}, {bad_key: bad_key}, {"api_key": "short"}):
        await browser.refused("PUT", f"{keys}/runway", json=bad)
    await browser.refused("PUT", f"{keys}/{planted.key_in_an_address}", json={"api_key": planted.api_key})


async def write_runs(browser: Browser, planted: Secrets) -> None:
    run: dict[str, Any] = documents.older_backup()["runs"][0]
    path = f"/api/runs/{quote(run['run_id'], safe='')}"
    await browser.put(path, run | {"note": planted.content})
    await browser.json("POST", "/api/runs", {"prompt": planted.content})
    await browser.get("/api/runs?view=summary&limit=2")
    token = (await browser.get("/api/runs?since="))["token"]
    await browser.get(f"/api/runs?since={token}&view=summary")
    for _ in range(2):
        await browser.json("POST", "/api/runs", {"prompt": planted.content}, headers={"Idempotency-Key": "drive"})
    await browser.get(path)
    variant = run["variants"][0]["id"]
    await browser.put(f"{path}/variants/{quote(variant, safe='')}/favorite", {"favorite": True})
    assert (await browser.ask("GET", f"{path}/source-image"))[0] == 200
    await browser.json("DELETE", path)
    await browser.json("DELETE", "/api/runs")


async def back_up(browser: Browser, planted: Secrets) -> None:
    for document in (documents.older_backup(), documents.export()):
        await browser.restore(document, dry_run="true")
        await browser.restore(document)
    await browser.get("/api/settings/backup")
    sealed = await browser.json("POST", "/api/settings/backup", {"passphrase": planted.passphrase})
    await browser.json("DELETE", "/api/settings/api-keys/runway")
    wrong, right = ({PASSPHRASE: quote(word, safe="")} for word in (planted.wrong_passphrase, planted.passphrase))
    assert (await browser.refused_restore(sealed, headers=wrong))["code"] == "wrong_passphrase"
    await browser.refused_restore(sealed, headers={PASSPHRASE: planted.passphrase.replace("ż", "%zz")})
    answer = await browser.restore(sealed, headers=right | {"Idempotency-Key": f"r.{planted.key_in_an_address}"})
    assert answer["restored_keys"] == 1
    await browser.get("/api/settings/restores")
    await browser.get(f"/api/settings/restores/{answer['restore_id']}")
    await browser.json("POST", f"/api/settings/restore/{answer['restore_id']}/undo")


async def misbehave(browser: Browser, planted: Secrets) -> None:
    key = planted.key_in_a_bad_body
    text = write(key)
    for path in ("/api/settings", "/api/runs/a", "/api/settings/api-keys/veo"):
        for body in (b'{"api_key": %s' % text, text, b"{%s: 1, %s: 2}" % (text, text), b"\xff" + key.encode()):
            await browser.refused("PUT", path, data=body, headers=JSON)
        await browser.refused("PUT", path, data=key.encode(), headers={"Content-Type": "text/plain"})
    for body in (write({"passphrase": [key]}), write({key: key}), key.encode()):
        await browser.refused("POST", "/api/settings/backup", data=body, headers=JSON)
        await browser.refused_restore(body)
    where, query = planted.key_in_an_address, quote(planted.key_in_a_query, safe="")
    for path in ("", "/api/runs", "/api/settings/history", "/api/settings/restores"):
        await browser.refused("GET", f"{path}/{where}")
    for path in ("/api/runs", "/api/settings/history", "/api/settings/nothing"):
        await browser.refused("GET", f"{path}?limit={query}&api_key={query}")
    await browser.refused("DELETE", f"/api/settings/restore?token={query}")
    await browser.refused("PUT", "/api/settings", json={}, headers={"Origin": f"https://{where.lower()}.example"})


async def come_and_go(browser: Browser, planted: Secrets) -> None:
    await browser.get("/api/auth/sessions")
    await browser.json("DELETE", "/api/auth/sessions")
    assert (await browser.refused("POST", "/api/auth/google", json={"credential": planted.credential}))["status"] == 401
    planted.note_cookies(browser)
    await browser.json("POST", "/api/auth/logout")
    planted.note_cookies(browser)
    (session,) = (await browser.get("/api/auth/sessions"))["sessions"]
    async with listening(browser) as events:
        await events.settled()
        await browser.json("DELETE", f"/api/auth/sessions/{session['id']}")
        await events.ended()
    ended = await browser.refused("PUT", "/api/settings", json={"settings": {}})
    assert ended["code"] == "session_ended"
    headers = {"Cookie": f"animatize_session={planted.unknown_cookie}"}
    headers |= {"Authorization": f"Bearer {planted.authorization}"}
    async with Browser(browser.url) as stranger:
        await stranger.refused("PUT", "/api/settings", json={}, headers=headers)
        await stranger.ask("GET", "/api/settings", headers=headers)
        planted.note_cookies(stranger)


async def sign_in_and_leave(browser: Browser, planted: Secrets) -> None:
    await browser.get("/api/session/bootstrap")
    await browser.put("/api/runs/of-a-guest", {"run_id": "of-a-guest", "intent": planted.content})
    await browser.put("/api/settings/api-keys/runway", {"api_key": planted.api_key})
    signed_in = await browser.json("POST", "/api/auth/google", {"credential": planted.good_credential})
    assert (signed_in["user"]["name"], signed_in["adopted"]["runs"]) == (planted.name, 1)
    planted.note_cookies(browser)
    await browser.get("/api/auth/me")
    await browser.json("DELETE", "/api/account", {"confirm": True})


PARTS = (
    look_around,
    change_settings,
    keep_keys,
    write_runs,
    back_up,
    misbehave,
    come_and_go,
    sign_in_and_leave,
)


async def speak_no_http(stack: Stack, planted: Secrets) -> None:
    """What aiohttp refuses by itself; and a service that is asked past the gateway."""
    secret = planted.authorization.encode()
    for port in stack.ports.values():
        for message in (
            b"GET / HTTP/1.1\r\nAuthorization: Bearer %s\x00\r\n\r\n" % secret,
            b"GET / HTTP/1.1\r\nCookie: a=%s\r\n\r\n" % (secret * 1000),
            b"%s / HTTP/1.1\r\n\r\n" % secret,
            b"GET /api/settings HTTP/1.0\r\nAuthorization: Bearer eyJ%s\r\n\r\n" % secret,
        ):
            await _said_to(port, message)


async def _said_to(port: int, message: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    await reader.read(1 << 16)
    writer.close()
    await writer.wait_closed()


async def before_a_locked_vault(browser: Browser, planted: Secrets) -> None:
    await browser.put("/api/settings/api-keys/sora", {"api_key": planted.api_key})
    planted.note_cookies(browser)


async def with_a_locked_vault(browser: Browser, planted: Secrets) -> None:
    rows = (await browser.get("/api/settings/api-keys"))["api_keys"]
    assert [row["provider"] for row in rows if row["masked"] == "corrupted"] == ["sora"]
    refused = await browser.refused("PUT", "/api/settings/api-keys/sora", json={"api_key": planted.second_api_key})
    assert refused["code"] == "vault_locked"
    await browser.refused("POST", "/api/settings/backup", json={"passphrase": planted.passphrase})


async def without_runs_and_vault(browser: Browser, planted: Secrets) -> None:
    """All at once, so that the gateway's patience with what is away is spent once."""
    answers = await asyncio.gather(
        browser.ask("GET", "/api/runs"),
        browser.ask("PUT", "/api/runs/a", json={"run_id": "a", "prompt": planted.content}),
        browser.ask("PUT", "/api/settings/api-keys/sora", json={"api_key": planted.api_key}),
        browser.ask("POST", "/api/settings/backup", json={"passphrase": planted.passphrase}),
        browser.ask("POST", "/api/settings/restore", json=documents.export()),
    )
    assert [status for status, _, _ in answers] == [503] * 5


async def until_told(stack: Stack, event: str) -> None:
    """Wait, at most 15 seconds, until a process has logged the event."""
    for _ in range(300):
        if event in stack.log.read_text(encoding="utf-8"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{event} was not logged")
