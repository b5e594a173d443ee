"""Out of the single-process console's file: people come back with their old cookies, and find everything."""

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from gateway.identity import COOKIE
from tests import old_console
from tests.issuer import Issuer
from tests.journeys.browser import Browser
from tests.old_console import OldConsole
from tests.processes import ROOT, SECRET, Stack

WITH_ENV = {name: value for name, value in os.environ.items() if not name.startswith("ANIMATIZE_")}


class Moved:
    """A stack that came out of an old console's file, with that file and whoever vouches for people."""

    def __init__(self, stack: Stack, old: OldConsole, issuer: Issuer, secret_file: Path) -> None:
        self.stack, self.old, self.issuer, self._secret_file = stack, old, issuer, secret_file

    def animatize(self, *arguments: object) -> tuple[int, Any]:
        where = {"ANIMATIZE_WEB_DB_PATH": str(self.stack.data), "ANIMATIZE_SECRET_KEY": SECRET}
        command = [sys.executable, "-m", "animatize", *map(str, arguments), "--json"]
        done = subprocess.run(command, cwd=ROOT, env=WITH_ENV | where, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)

    def migrate(self) -> tuple[int, Any]:
        return self.animatize("migrate-monolith", self.old.path, "--secret-file", self._secret_file, "--yes")

    def owners(self) -> list[str]:
        owned = "coalesce('user:' || user_id, 'guest:' || guest_id)"
        return [owner for (owner,) in self.old.do(f"SELECT {owned} FROM sessions ORDER BY user_id, guest_id")]

    def guest(self) -> str:
        return next(owner for owner in self.owners() if owner.startswith("guest:"))

    def users(self) -> list[tuple[str, str]]:
        """Owner and address."""
        return self.old.do("SELECT 'user:' || id, email FROM users ORDER BY id")

    def returning(self, owner: str) -> Browser:
        """The browser in which somebody used the old console last."""
        kind, _, name = owner.partition(":")
        [(cookie,)] = self.old.do(f"SELECT session_id FROM sessions WHERE {kind}_id = ?", name)
        return _With(self.stack.url, cookie)

    async def sign_in(self, browser: Browser, sub: str, email: str, **claims: Any) -> str:
        answer = await browser.json(
            "POST", "/api/auth/google", {"credential": self.issuer.credential(sub, email, **claims)}
        )
        return f"user:{answer['user']['id']}"

    async def expect_all_of(self, owner: str, browser: Browser) -> None:
        """That the browser shows what the old file says of the owner, in every part."""
        [(payload, version, created, updated)] = self.old.do(
            "SELECT payload, version, created_at, updated_at FROM settings_profiles WHERE owner_key = ?", owner
        )
        profile = {"version": version, "created_at": created, "updated_at": updated}
        assert await browser.get("/api/settings") == {"settings": json.loads(payload), **profile}
        listed = "SELECT version, payload, change_note, created_at FROM settings_history WHERE owner_key = ?"
        history = (await browser.get("/api/settings/history?limit=100"))["history"]
        assert [(each["id"], each["settings"], each["change_note"], each["created_at"]) for each in history] == [
            (version, json.loads(text), note, moment)
            for version, text, note, moment in self.old.do(f"{listed} ORDER BY version DESC", owner)
        ]
        runs = self.runs(owner)
        assert await browser.all_runs() == runs
        for run in runs:
            status, _, image = await browser.ask("GET", f"/api/runs/{run['run_id']}/source-image")
            assert (status, image) == (200, b64decode(run["source_image_data_url"].partition(",")[2]))
        keys = {each["provider"]: each for each in (await browser.get("/api/settings/api-keys"))["api_keys"]}
        held = self.old.do("SELECT provider, updated_at FROM api_credentials WHERE owner_key = ?", owner)
        for provider, moment in held:
            readable = (owner, provider) != self.unreadable
            assert keys[provider]["configured"] is readable
            assert (keys[provider]["updated_at"], keys[provider]["masked"] != "corrupted") == (
                (moment, True) if readable else (None, True)
            )

    def runs(self, owner: str) -> list[Any]:
        found = self.old.do(
            "SELECT payload FROM generation_runs WHERE owner_key = ? ORDER BY created_at, run_id", owner
        )
        return [json.loads(payload) for (payload,) in found]

    @property
    def unreadable(self) -> tuple[str, str]:
        return self.users()[0][0] if "real" in str(self.old.path) else self.users()[1][0], "flux"


class _With(Browser):
    """A browser that begins with a cookie."""

    def __init__(self, url: str, cookie: str) -> None:
        super().__init__(url)
        self._cookie = cookie

    async def __aenter__(self) -> "_With":
        await super().__aenter__()
        self.jar.update_cookies({COOKIE: self._cookie}, URL(self.url))
        return self


MADE: dict[str, Callable[[Path], OldConsole]] = {"small": old_console.small, "real": old_console.real}


@pytest_asyncio.fixture(params=MADE, scope="module", loop_scope="module")
async def moved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Moved]:
    """The real file is moved before anything was started; one that the tests made, beside services that run."""
    folder = tmp_path_factory.mktemp(request.param)
    old = MADE[request.param](folder / "monolith.db")
    (folder / "secret").write_text("\n".join((old_console.SECRET, old_console.OLDER_SECRET, old_console.REAL_SECRET)))
    async with Issuer() as issuer:
        stack = Stack(folder, **issuer.environment)
        moved = Moved(stack, old, issuer, folder / "secret")
        try:
            if request.param == "small":
                await asyncio.to_thread(stack.start)
            before = old_console.state(old.path)
            code, told = await asyncio.to_thread(moved.migrate)
            assert (code, [each["what"] for each in told["named"]]) == (1, ["key flux"])
            assert old_console.state(old.path) == before
            if request.param == "real":
                await asyncio.to_thread(stack.start)
            yield moved
        finally:
            await asyncio.to_thread(stack.stop)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_people_stay_signed_in_and_find_everything(moved: Moved) -> None:
    addresses = dict(moved.users())
    for owner in moved.owners():
        async with moved.returning(owner) as browser:
            told = await browser.get("/api/session/bootstrap")
            assert told["authenticated"] == owner.startswith("user:")
            assert (told["user"] or {}).get("email") == addresses.get(owner)
            await moved.expect_all_of(owner, browser)


async def test_what_was_moved_can_be_changed_restored_and_undone(moved: Moved) -> None:
    owner, _ = moved.users()[0]
    async with moved.returning(owner) as browser:
        before = await browser.profile()
        version = before["settings"]["version"]
        saved = await browser.put("/api/settings", {"settings": {"theme": {"grain": 0.5}}, "change_note": "now"})
        assert saved["version"] == version + 1
        restored = await browser.json("POST", f"/api/settings/history/{version}/restore")
        assert (restored["version"], restored["settings"]) == (version + 2, before["settings"]["settings"])
        run = before["runs"][0] | {"intent": "another"}
        done = await browser.restore({"runs": [run], "settings": {"theme": {"accent": "teal"}}})
        assert (await browser.get(f"/api/runs/{run['run_id']}"))["intent"] == "another"
        await browser.json("POST", f"/api/settings/restore/{done['restore_id']}/undo")
        assert (await browser.profile())["runs"] == before["runs"]
        assert (await browser.get("/api/settings"))["settings"] == before["settings"]["settings"]
        current = (await browser.get("/api/settings"))["version"]
    code, told = await asyncio.to_thread(moved.migrate)
    assert (code, sum(part["added"] for part in told["parts"].values())) == (1, 0)
    async with moved.returning(owner) as browser:
        assert (await browser.get("/api/settings"))["version"] == current


async def test_a_guest_goes_on_as_the_guest_that_it_was_and_can_sign_in(moved: Moved) -> None:
    async with moved.returning(moved.guest()) as browser:
        before = await browser.profile()
        owner = await moved.sign_in(browser, "a guest's account", "guest@example.org")
        assert owner not in dict(moved.users())
        after = await browser.profile()
        assert (after["runs"], after["settings"]["settings"]) == (before["runs"], before["settings"]["settings"])
    before_again = await asyncio.to_thread(moved.animatize, "link")
    await asyncio.to_thread(moved.migrate)
    assert await asyncio.to_thread(moved.animatize, "link") == before_again
    async with moved.returning(moved.guest()) as browser:
        assert (await browser.get("/api/runs"))[
            "runs"
        ] == []  # the old cookie opens nothing more: this is another guest


async def test_users_meet_their_accounts_by_session_and_by_the_operator_and_nobody_else_does(moved: Moved) -> None:
    (one, address), (other, other_address) = reversed(moved.users())
    async with Browser(moved.stack.url) as stranger:
        thief = await moved.sign_in(stranger, "thief", address, hd="attacker.example")
        assert thief not in (one, other)
    async with moved.returning(one) as browser:
        runs = await browser.all_runs()
        assert await moved.sign_in(browser, "one", address) == one
        assert await browser.all_runs() == runs
    async with Browser(moved.stack.url) as elsewhere:
        assert await moved.sign_in(elsewhere, "one", address) == one
        assert await elsewhere.all_runs() == runs
    code, told = await asyncio.to_thread(moved.animatize, "link", other_address.upper(), "other")
    assert (code, told["linked"]) == (0, other.removeprefix("user:"))
    async with Browser(moved.stack.url) as elsewhere:
        assert await moved.sign_in(elsewhere, "other", other_address) == other
        assert len(await elsewhere.all_runs()) == len(moved.runs(other))
    assert await asyncio.to_thread(moved.animatize, "link") == (0, {"unlinked": []})
