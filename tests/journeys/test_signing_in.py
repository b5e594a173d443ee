"""Signing in, on the real processes and a real issuer: what a guest made comes along, everywhere, and only once."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chassis.once import NAME_HEADER
from tests.faults.files import at_rest, path_of, rows, rows_of_owner
from tests.issuer import Issuer
from tests.journeys.browser import Browser
from tests.processes import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

COOKIE = "animatize_session"
WITHIN_SECONDS = 1.0
TOLD = {"auth.changes", "gateway.changes"}  # to streams that are open, until all is erased once more a minute later
WAYS = ("sign-in", "logout", "revoked", "deleted")  # in which a session ends


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as issuer:
        yield issuer


@pytest_asyncio.fixture(name="stack", scope="module", loop_scope="module")
async def stack_with_sign_in(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Two gateways, and guests that are looked for each half second once they are forgotten."""
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(folder, 2, ANIMATIZE_SWEEP_SECONDS="0.5", **issuer.environment)
    try:
        await asyncio.to_thread(stack.start)
        yield stack
    finally:
        await asyncio.to_thread(stack.stop)


@pytest_asyncio.fixture(name="browser", loop_scope="module")
async def first_browser(stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as browser:
        yield browser


@pytest_asyncio.fixture(name="other_browser", loop_scope="module")
async def second_browser(stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as browser:
        yield browser


async def sign_in(browser: Browser, issuer: Issuer, sub: str, **claims: Any) -> Any:
    return await browser.json("POST", "/api/auth/google", {"credential": issuer.credential(sub=sub, **claims)})


async def make_things(browser: Browser, mark: str) -> None:
    await browser.put("/api/settings", {"settings": {"made": {"by": mark}}, "change_note": mark})
    await browser.put(f"/api/runs/run-{mark}", {"run_id": f"run-{mark}", "intent": mark})
    await browser.put("/api/settings/api-keys/runway", {"api_key": f"runway-key-of-{mark}"})


def cookie_of(browser: Browser) -> str:
    return next(cookie.value for cookie in browser.jar if cookie.key == COOKIE)


def owner_of(data: Path, browser_session: str) -> str:
    [(owner,)] = rows(data, "auth", "SELECT owner FROM sessions WHERE session_id = ?", browser_session)
    return str(owner)


async def owner_behind(stack: Stack, browser: Browser) -> str:
    return owner_of(stack.data, (await browser.get("/api/session/bootstrap"))["session_id"])


async def until(it_is_so: Callable[[], Awaitable[bool]], pause: float = 0.1) -> None:
    deadline = time.monotonic() + 15
    while not await it_is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(pause)


async def test_what_a_guest_made_is_there_for_the_user_on_every_device(
    browser: Browser, other_browser: Browser, issuer: Issuer
) -> None:
    await make_things(browser, "first")
    before = await browser.profile()
    answer = await sign_in(browser, issuer, "every-device", name="Ana Director", picture="https://pictures.example/ana")
    assert answer["authenticated"] is True
    assert answer["user"] | {"id": "?"} == {
        "id": "?",
        "email": "ana@example.org",
        "name": "Ana Director",
        "picture": "https://pictures.example/ana",
        "provider": "google",
    }
    adopted = {part: answer["adopted"][part] for part in ("settings", "runs", "api_keys")}
    assert adopted == {"settings": 1, "runs": 1, "api_keys": 1}
    assert (answer["adopted"]["renamed"], answer["adopted"]["stayed"]) == ([], [])
    after = await browser.profile()
    assert after == before
    await sign_in(other_browser, issuer, "every-device")
    assert await other_browser.all_runs() == after["runs"]
    assert (await other_browser.get("/api/settings"))["settings"] == {"made": {"by": "first"}}
    assert (await other_browser.get("/api/auth/me"))["user"]["id"] == answer["user"]["id"]


async def test_the_guest_has_nothing_left_and_its_cookie_opens_nothing(
    stack: Stack, browser: Browser, issuer: Issuer
) -> None:
    await make_things(browser, "nothing-left")
    guest, token = await owner_behind(stack, browser), cookie_of(browser)
    await sign_in(browser, issuer, "nothing-left")
    assert cookie_of(browser) != token
    assert (await owner_behind(stack, browser)).startswith("user:")
    left = rows_of_owner(stack.data, guest)
    assert left.keys() <= {"auth.sessions", "auth.changes", "gateway.operations"}
    async with Browser(stack.url) as thief:
        thief.jar.update_cookies({COOKIE: token})
        refused = await thief.refused("PUT", "/api/settings", json={"settings": {}})
        assert (refused["status"], refused["code"]) == (401, "session_ended")


async def test_a_second_device_overwrites_nothing_and_loses_nothing(
    browser: Browser, other_browser: Browser, issuer: Issuer
) -> None:
    await make_things(browser, "mine")
    await sign_in(browser, issuer, "second-device")
    await make_things(other_browser, "theirs")
    await other_browser.put("/api/runs/run-mine", {"run_id": "run-mine", "intent": "the same id, another run"})
    answer = await sign_in(other_browser, issuer, "second-device")
    assert answer["adopted"]["runs"] == 2
    [renamed] = answer["adopted"]["renamed"]
    assert renamed["from"] == "run-mine"
    [stayed] = answer["adopted"]["stayed"]
    assert stayed["name"] == "runway"
    assert stayed["reason"]
    found = {run["run_id"]: run["intent"] for run in await browser.all_runs()}
    assert found == {"run-mine": "mine", "run-theirs": "theirs", renamed["to"]: "the same id, another run"}
    assert (await browser.get("/api/settings"))["settings"] == {"made": {"by": "mine"}}
    history = (await browser.get("/api/settings/history"))["history"]
    assert [entry["settings"] for entry in history if entry["change_note"] == "from guest"] == [
        {"made": {"by": "theirs"}}
    ]


async def test_what_a_guest_asked_for_is_not_done_again_when_the_user_asks(
    browser: Browser, other_browser: Browser, issuer: Issuer
) -> None:
    """Its answer was lost on the way, and meanwhile the tab beside has signed in."""
    await make_things(browser, "asked-twice")
    writes = [
        ("PUT", "/api/settings", {"settings": {"asked": "twice"}}),
        ("POST", "/api/runs", {"intent": "without an id"}),
        ("PUT", "/api/settings/api-keys/veo", {"api_key": "veo-key-asked-for-twice"}),
    ]
    headers = {NAME_HEADER: "once"}
    first = [await browser.json(*write, headers=headers) for write in writes]
    await sign_in(browser, issuer, "asked-twice")
    await sign_in(other_browser, issuer, "asked-twice")
    await other_browser.put("/api/settings", {"settings": {"since": True}})
    shown = await browser.profile()
    assert [await browser.json(*write, headers=headers) for write in writes] == first
    assert await browser.profile() == shown


async def test_signing_in_twice_at_once_doubles_nothing(stack: Stack, browser: Browser, issuer: Issuer) -> None:
    await make_things(browser, "twice")
    credential = {"credential": issuer.credential(sub="twice")}
    cookies = {COOKIE: cookie_of(browser)}
    async with Browser(stack.url) as here, Browser(stack.url_of("gateway-2")) as there:
        for each in (here, there):
            each.jar.update_cookies(cookies)
        asked = (each.ask("POST", "/api/auth/google", json=credential) for each in (here, there) * 3)
        statuses = [status for status, _, _ in await asyncio.gather(*asked)]
    assert statuses == [200] * 6
    await sign_in(browser, issuer, "twice")
    assert len(await browser.all_runs()) == 1
    notes = [entry["change_note"] for entry in (await browser.get("/api/settings/history"))["history"]]
    assert notes.count("twice") == 1
    assert "from guest" not in notes


async def test_an_old_session_is_dead_within_a_second_at_every_gateway(
    stack: Stack, browser: Browser, issuer: Issuer
) -> None:
    """How long after a session ended through one gateway the last write was begun that the other still let through."""
    believed: dict[str, float] = {}
    for how in WAYS:
        await browser.put("/api/settings", {"settings": {"how": {"it": how}}})
        token = cookie_of(browser)
        async with Browser(stack.url_of("gateway-2")) as elsewhere:
            kept = {"Cookie": f"{COOKIE}={token}"}
            assert (await elsewhere.ask("PUT", "/api/settings", json={"settings": {}}, headers=kept))[0] == 200
            await end(how, browser, issuer)
            ended_at = time.monotonic()
            believed[how] = 0.0

            async def refused(
                how: str = how, elsewhere: Browser = elsewhere, kept: dict[str, str] = kept, since: float = ended_at
            ) -> bool:
                asked_at = time.monotonic()
                if (await elsewhere.ask("PUT", "/api/settings", json={"settings": {}}, headers=kept))[0] == 401:
                    return True
                believed[how] = asked_at - since
                return False

            await until(refused, pause=0.005)
    print("believed for, in seconds:", {how: round(seconds, 3) for how, seconds in believed.items()})
    assert max(believed.values()) <= WITHIN_SECONDS


RESTORE = ("POST", "/api/settings/restore?mode=replace")  # a sign-in and a deletion would wait until it has ended
LATE = [*((how, "PUT", "/api/runs/slow") for how in WAYS), *((how, *RESTORE) for how in ("logout", "revoked"))]


@pytest.mark.parametrize(("how", "method", "path"), LATE)
async def test_what_arrives_after_its_session_has_ended_is_not_written(
    stack: Stack, browser: Browser, issuer: Issuer, how: str, method: str, path: str
) -> None:
    await make_things(browser, "slow")
    ended = asyncio.Event()
    body = {"data": dripping(ended), "headers": {"Content-Type": "application/json"}}
    async with Browser(stack.url) as slow:
        slow.jar.update_cookies({COOKIE: cookie_of(browser)})
        sending = asyncio.create_task(slow.refused(method, path, **body))
        await asyncio.sleep(0.2)
        await end(how, browser, issuer)
        ended.set()
        refused = await sending
    assert (refused["status"], refused["code"]) == (401, "session_ended")
    await at_rest(stack.data)
    assert rows(stack.data, "runs", "SELECT owner FROM runs WHERE run_id = 'slow'") == []
    if how != "deleted":
        [(kept,)] = rows(stack.data, "runs", "SELECT count(*) FROM runs WHERE run_id = 'run-slow'")
        assert kept > 0


async def dripping(ended: asyncio.Event) -> AsyncIterator[bytes]:
    """A run, or a document of one: its end is held back for as long as a gateway may believe in an ended session."""
    yield b'{"run_id": "slow", "runs": [{"run_id": "slow"}], "in'
    await ended.wait()
    await asyncio.sleep(WITHIN_SECONDS)
    yield b'tent": "too late"}'


async def end(how: str, browser: Browser, issuer: Issuer) -> None:
    match how:
        case "sign-in":
            await sign_in(browser, issuer, "dead-within-a-second")
        case "logout":
            await browser.json("POST", "/api/auth/logout")
        case "revoked":
            session = (await browser.get("/api/session/bootstrap"))["session_id"]
            await browser.json("DELETE", f"/api/auth/sessions/{session}")
            browser.jar.clear()
        case "deleted":
            await browser.json("DELETE", "/api/account", {"confirm": True})


async def test_devices_are_listed_and_one_or_all_others_can_be_ended(
    stack: Stack, browser: Browser, other_browser: Browser, issuer: Issuer
) -> None:
    for each in (browser, other_browser):
        await sign_in(each, issuer, "devices")
    async with Browser(stack.url) as third:
        await sign_in(third, issuer, "devices")
        listed = (await browser.get("/api/auth/sessions"))["sessions"]
        assert [each["current"] for each in listed] == [True, False, False]
        await browser.json("DELETE", f"/api/auth/sessions/{listed[1]['id']}")
        await browser.json("DELETE", "/api/auth/sessions")
        assert [each["current"] for each in (await browser.get("/api/auth/sessions"))["sessions"]] == [True]
    assert (await browser.get("/api/auth/me"))["authenticated"] is True


async def test_a_deleted_account_leaves_nothing_in_any_file(stack: Stack, browser: Browser, issuer: Issuer) -> None:
    await make_things(browser, "deleted")
    await sign_in(browser, issuer, "to-be-deleted")
    await browser.restore({"runs": [{"run_id": "restored"}]})
    owner = await owner_behind(stack, browser)
    for confirm in (False, 1, "true", None):
        refused = await browser.refused("DELETE", "/api/account", json={"confirm": confirm})
        assert refused["status"] == 400
    assert rows_of_owner(stack.data, owner).keys() >= {"runs.runs", "settings.versions", "vault.api_keys"}
    assert await browser.json("DELETE", "/api/account", {"confirm": True}) == {"deleted": True}
    assert COOKIE not in {cookie.key for cookie in browser.jar}
    assert rows_of_owner(stack.data, owner).keys() - TOLD == {"gateway.operations"}  # that it was deleted
    assert rows(stack.data, "auth", "SELECT * FROM users WHERE user_id = ?", owner.removeprefix("user:")) == []
    assert (await browser.get("/api/auth/me"))["authenticated"] is False
    await sign_in(browser, issuer, "to-be-deleted")
    assert await browser.all_runs() == []
    assert await owner_behind(stack, browser) != owner


async def test_a_guest_can_delete_everything_too(stack: Stack, browser: Browser) -> None:
    await make_things(browser, "guest-deleted")
    owner = await owner_behind(stack, browser)
    await browser.json("DELETE", "/api/account", {"confirm": True})
    assert rows_of_owner(stack.data, owner).keys() - TOLD == {"gateway.operations"}


async def test_a_guest_that_never_came_back_is_swept(stack: Stack, browser: Browser, other_browser: Browser) -> None:
    await make_things(browser, "swept")
    await other_browser.get("/api/settings")
    forgotten, visitor = await owner_behind(stack, browser), await owner_behind(stack, other_browser)
    async with Browser(stack.url) as still_here:
        await make_things(still_here, "stays")
        stays = await owner_behind(stack, still_here)
        age_session(stack.data, forgotten, ended=31)
        age_session(stack.data, visitor, seen=2)
        age_session(stack.data, stays, seen=29)

        async def swept() -> bool:
            return not rows_of_owner(stack.data, forgotten) and not rows_of_owner(stack.data, visitor)

        await until(swept)
        assert len(await still_here.all_runs()) == 1
        assert rows_of_owner(stack.data, stays).keys() >= {"runs.runs", "vault.api_keys", "auth.sessions"}
    await asyncio.sleep(WITHIN_SECONDS)  # for as long the gateway believes what it was told before its life was aged
    refused = await browser.refused("PUT", "/api/settings", json={"settings": {}})
    assert (refused["status"], refused["code"]) == (401, "session_ended")


def age_session(data: Path, owner: str, *, ended: float | None = None, seen: float = 0) -> None:
    """As if it had been `ended` or last `seen` so many days ago."""
    with closing(sqlite3.connect(path_of(data, "auth"), timeout=10)) as file:
        ago = "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', ?)"
        if ended is not None:
            file.execute(f"UPDATE sessions SET ended_at = {ago} WHERE owner = ?", (f"-{ended} days", owner))
        file.execute(f"UPDATE sessions SET last_seen_at = {ago} WHERE owner = ?", (f"-{seen} days", owner))
        file.commit()


async def test_a_late_write_of_the_guest_comes_along(stack: Stack, browser: Browser, issuer: Issuer) -> None:
    await make_things(browser, "in-time")
    guest = await owner_behind(stack, browser)
    await sign_in(browser, issuer, "late-write")
    with closing(
        sqlite3.connect(path_of(stack.data, "runs"), timeout=10)
    ) as file:  # as a write that was under way would
        file.execute(
            "INSERT INTO contents (content_id, search, payload) VALUES (999999, '', CAST(? AS BLOB))",
            ('{"run_id":"late"}',),
        )
        file.execute(
            "INSERT INTO runs (owner, run_id, arrived, digest, size, content_id)"
            " VALUES (?, 'late', 1, 'd', 17, 999999)",
            (guest,),
        )
        file.commit()
    bring_forward(stack.data, guest)

    async def there() -> bool:
        return {run["run_id"] for run in await browser.all_runs()} == {"run-in-time", "late"}

    await until(there)
    await at_rest(stack.data)


def bring_forward(data: Path, owner: str) -> None:
    """Have what is to be done once more for this owner done now."""
    with closing(sqlite3.connect(path_of(data, "gateway"), timeout=10)) as file:
        file.execute("UPDATE operations SET lease_until = 0 WHERE owner = ? AND holder = 'postponed'", (owner,))
        file.commit()


async def test_where_a_service_is_away_nobody_signs_in_half_way(stack: Stack, browser: Browser, issuer: Issuer) -> None:
    await make_things(browser, "half-way")
    token = cookie_of(browser)
    await asyncio.to_thread(stack.stop, "runs_service")
    refused = await browser.refused("POST", "/api/auth/google", json={"credential": issuer.credential(sub="half-way")})
    assert (refused["status"], refused["service"]) == (503, "runs")
    assert cookie_of(browser) == token
    async with Browser(stack.url) as visitor:  # who made nothing needs only the auth service
        await visitor.get("/api/session/bootstrap")
        await sign_in(visitor, issuer, "visitor")
    await asyncio.to_thread(stack.start, "runs_service")
    assert len(await browser.all_runs()) == 1
    assert (await sign_in(browser, issuer, "half-way"))["adopted"]["runs"] == 1


async def test_a_credential_that_is_none_is_refused_and_touches_nothing(
    stack: Stack, browser: Browser, issuer: Issuer
) -> None:
    await make_things(browser, "refused")
    token, good = cookie_of(browser), issuer.credential(sub="refused")
    for credential, status in (
        (good[:-5], 401),
        ("nonsense", 401),
        (issuer.credential(sub="refused", aud="another console"), 401),
        (issuer.credential(sub="refused", email_verified=False), 401),
        ("x" * 20_000, 413),
        ("", 400),
    ):
        refused = await browser.refused("POST", "/api/auth/google", json={"credential": credential})
        assert refused["status"] == status
        assert credential == "" or credential not in str(refused)
    assert cookie_of(browser) == token
    assert len(await browser.all_runs()) == 1


async def test_while_the_issuer_is_away_a_guest_stays_a_guest(tmp_path: Path) -> None:
    async with Issuer() as issuer:
        stack = Stack(tmp_path, **issuer.environment)
        await issuer.down()
        try:
            await asyncio.to_thread(stack.start)
            async with Browser(stack.url) as browser:
                await make_things(browser, "issuer-away")
                token = cookie_of(browser)
                body = {"credential": issuer.credential(sub="1")}
                status, head, _ = await browser.ask("POST", "/api/auth/google", json=body)
                assert (status, "Retry-After" in head, "Set-Cookie" in head) == (503, True, False)
                assert cookie_of(browser) == token
        finally:
            await asyncio.to_thread(stack.stop)
