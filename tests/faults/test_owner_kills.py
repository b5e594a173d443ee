"""kill -9 between every two steps of a sign-in with a guest's things, and of the deletion of an account."""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import product
from typing import Any, Final, NamedTuple

import aiohttp
import pytest

from tests.faults import files
from tests.faults.guest import Shown, history_of, keys_of, run, runs_of, settings_of
from tests.faults.passage import Accident, Moment
from tests.faults.plan import spread
from tests.faults.plant import FIRST, Plant
from tests.issuer import Issuer
from tests.journeys.browser import Browser

pytestmark = pytest.mark.asyncio(loop_scope="package")

KEEPERS: Final = ("settings", "runs", "vault")
ADOPTING: Final = {**dict.fromkeys(KEEPERS, r"^/internal/adoptions/"), "auth": r"^/internal/sessions/sign-in$"}
ERASING: Final = dict.fromkeys((*KEEPERS, "auth"), r"^/internal/erasure$")
MOMENTS: Final = (Moment.BEFORE, Moment.AFTER)


class Kill(NamedTuple):
    service: str
    moment: Moment
    victim: str

    def __str__(self) -> str:
        return f"{self.victim} {self.moment} {self.service}"

    def at(self, plant: Plant, paths: dict[str, str]) -> Accident:
        happen = partial(plant.kill, self.victim)
        return plant.passages[self.service].expect(Accident("POST", paths[self.service], self.moment, happen))


KILLS = [
    Kill(service, moment, victim)
    for service, moment in product((*KEEPERS, "auth"), MOMENTS)
    for victim in (FIRST, f"{service}_service")
]


class Person:
    """Somebody with an account, in which there is a run, and on a new device a guest with things of its own."""

    def __init__(self, issuer: Issuer, at_home: Browser, away: Browser) -> None:
        self.issuer, self.at_home, self.away = issuer, at_home, away
        self.sub = secrets.token_hex(4)

    async def settle_in(self, *, with_account: bool) -> None:
        if with_account:
            assert await self.sign_in(self.at_home) == 200
            await self.at_home.put("/api/settings", {"settings": {"made": {"by": "user"}}, "change_note": "mine"})
            await self.at_home.put("/api/runs/at-home", run("at-home", self.sub))
        await self.away.put("/api/settings", {"settings": {"made": {"by": "guest"}}, "change_note": "guest's"})
        for name in ("away-1", "away-2"):
            await self.away.put(f"/api/runs/{name}", run(name, self.sub))
        await self.away.put("/api/settings/api-keys/veo", {"api_key": f"veo-key-of-{self.sub}"})

    async def sign_in(self, browser: Browser) -> int | None:
        return await attempt(browser, "POST", "/api/auth/google", {"credential": self.issuer.credential(sub=self.sub)})

    async def shown(self, browser: Browser) -> Shown:
        looks = {"settings": settings_of, "history": history_of, "runs": runs_of, "api_keys": keys_of}
        return {part: await look(browser) for part, look in looks.items()}


async def attempt(browser: Browser, method: str, path: str, value: Any) -> int | None:
    """The status of the answer, or None where there was none."""
    try:
        status, head, _ = await browser.ask(method, path, json=value, timeout=aiohttp.ClientTimeout(total=30))
    except (aiohttp.ClientError, ConnectionError):
        return None
    assert status != 503 or "Retry-After" in head
    return status


@asynccontextmanager
async def person(plant: Plant, issuer: Issuer, *, with_account: bool) -> AsyncIterator[Person]:
    async with Browser(plant.stack.url) as at_home, Browser(plant.stack.url) as away:
        made = Person(issuer, at_home, away)
        await made.settle_in(with_account=with_account)
        yield made


@pytest.mark.parametrize("kill", spread(KILLS, 5), ids=str)
@pytest.mark.parametrize("with_account", [False, True], ids=["new account", "old account"])
async def test_a_sign_in_during_which_a_process_is_killed_loses_nothing_and_doubles_nothing(
    plant: Plant, issuer: Issuer, kill: Kill, with_account: bool
) -> None:
    await plant.run_gateways(1)
    async with person(plant, issuer, with_account=with_account) as somebody:
        mine, theirs = [await somebody.shown(it) for it in (somebody.at_home, somebody.away)]
        accident = kill.at(plant, ADOPTING)
        status = await somebody.sign_in(somebody.away)
        assert accident.happened.is_set()
        assert status in (200, 503, None)
        await plant.come_back(kill.victim)
        assert await somebody.sign_in(somebody.away) == 200
        assert await somebody.sign_in(somebody.at_home) == 200
        await do_once_more(plant)
        shown = await somebody.shown(somebody.away)
        assert shown == await somebody.shown(somebody.at_home)
        assert shown["runs"] == mine["runs"] | theirs["runs"]
        assert shown["api_keys"] == theirs["api_keys"]
        check_settings(shown, mine, theirs, with_account=with_account)
        files.check_files(plant.data)


def check_settings(shown: Shown, mine: Shown, theirs: Shown, *, with_account: bool) -> None:
    """A new account has the guest's profile as it was; an old one its own, and the guest's in the history."""
    assert shown["settings"] == (mine if with_account else theirs)["settings"]
    notes = [note for note, _ in shown["history"]]
    if with_account:
        assert notes == sorted(["initial_profile", "mine", "from guest", "kept at sign-in"])
    else:
        assert shown["history"] == theirs["history"]


@pytest.mark.parametrize("kill", spread(KILLS, 5), ids=str)
async def test_a_deletion_during_which_a_process_is_killed_leaves_nothing_behind(
    plant: Plant, issuer: Issuer, kill: Kill
) -> None:
    await plant.run_gateways(1)
    async with person(plant, issuer, with_account=True) as somebody:
        assert await somebody.sign_in(somebody.away) == 200
        [(user,)] = files.rows(plant.data, "auth", "SELECT user_id FROM users WHERE google_sub = ?", somebody.sub)
        accident = kill.at(plant, ERASING)
        status = await attempt(somebody.away, "DELETE", "/api/account", {"confirm": True})
        assert accident.happened.is_set()
        assert status in (200, 503, None)
        await plant.come_back(kill.victim)
        await do_once_more(plant)
        assert files.rows_of_owner(plant.data, f"user:{user}").keys() == {"gateway.operations"}  # that it was deleted
        files.check_files(plant.data)


async def do_once_more(plant: Plant) -> None:
    """What is put off to be done once more, done now."""
    with closing(sqlite3.connect(files.path_of(plant.data, "gateway"), timeout=10)) as file:
        file.execute("UPDATE operations SET lease_until = 0, holder = '' WHERE holder = 'postponed'")
        file.commit()
    await files.at_rest(plant.data)
