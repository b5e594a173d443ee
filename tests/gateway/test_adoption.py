"""A guest signs in: its things move first, all of them, whatever breaks on the way; the session changes last."""

import asyncio
import sqlite3
import time
from typing import Any, cast

import pytest

from chassis.database import Database
from chassis.problems import Problem
from gateway import adoption, erasure
from gateway.journal import Journal
from gateway.operations import Kind
from gateway.services import Services
from gateway.settling import settle
from tests.gateway.owners import FakeServices

LATER = "SELECT lease_until FROM operations WHERE holder = 'postponed'"
ROWS = "SELECT kind, owner, target, stage, holder = 'postponed' AS postponed FROM operations ORDER BY rowid"


@pytest.fixture
def services() -> FakeServices:
    made = FakeServices()
    for keeper, number in zip(made.keepers(), (1, 20, 3), strict=True):
        keeper.things["guest:a"] = number
    return made


async def sign_in(services: FakeServices, journal: Journal, token: str | None = "token") -> dict[str, Any]:
    answer, made = await adoption.sign_in("good", token, "browser", cast("Services", services), journal)
    assert made["token"] == "new"
    return answer


async def in_journal(database: Database) -> list[tuple[Any, ...]]:
    return await database.read(lambda tx: [tuple(row) for row in tx.execute(ROWS)])


async def recover(services: FakeServices, journal: Journal, database: Database) -> None:
    """What recovery does, once every lease has lapsed and every time to repeat has come."""

    def backdate(tx: sqlite3.Connection) -> None:
        tx.execute("UPDATE operations SET lease_until = 0")

    await database.write(backdate)
    while (operation := await journal.take_lapsed()) is not None:
        await settle(operation, cast("Services", services), journal)


USERS = {"settings": {"user:1": 1}, "runs": {"user:1": 20}, "vault": {"user:1": 3}}
GUESTS = {"settings": {"guest:a": 1}, "runs": {"guest:a": 20}, "vault": {"guest:a": 3}}
ADOPTED = {"settings": 1, "history": 0, "runs": 20, "api_keys": 3}


async def test_everything_moves_and_only_then_the_session_changes(services: FakeServices, journal: Journal) -> None:
    answer = await sign_in(services, journal)
    assert answer["authenticated"]
    assert answer["user"]["email"] == "ana@example.org"
    assert answer["adopted"].items() >= ADOPTED.items()
    assert services.things() == USERS
    assert services.diary == ["settings adopts", "runs adopts", "vault adopts", "auth signs in"]


async def test_who_is_refused_moves_nothing(services: FakeServices, journal: Journal, database: Database) -> None:
    with pytest.raises(Problem, match="none of Google's"):
        await adoption.sign_in("bad", "token", "browser", cast("Services", services), journal)
    assert services.things() == GUESTS
    assert await in_journal(database) == []


async def test_a_write_that_was_still_under_way_comes_along_a_minute_later(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    await sign_in(services, journal)
    services.runs.things["guest:a"] = 1
    assert await journal.take_lapsed() is None  # it is not time yet
    [(until,)] = await database.read(lambda tx: tx.execute(LATER).fetchall())
    assert until - time.time() == pytest.approx(60, abs=5)
    await recover(services, journal, database)
    assert services.things()["runs"] == {"user:1": 21}
    assert [row[3] for row in await in_journal(database)] == ["done", "done"]


@pytest.mark.parametrize("away", ["settings", "runs", "vault"])
async def test_where_a_service_is_away_nothing_is_moved_at_all(
    services: FakeServices, journal: Journal, database: Database, away: str
) -> None:
    getattr(services, away).away = True
    with pytest.raises(Problem) as refused:
        await sign_in(services, journal)
    assert refused.value.status == 503
    assert refused.value.extra["service"] == away
    assert services.things() == GUESTS
    assert await in_journal(database) == []
    assert "token" in services.auth.sessions


@pytest.mark.parametrize("broken", ["settings", "runs", "vault"])
async def test_what_broke_half_way_is_completed_and_counted_once(
    services: FakeServices, journal: Journal, database: Database, broken: str
) -> None:
    getattr(services, broken).fails_after = True
    with pytest.raises(Problem) as refused:
        await sign_in(services, journal)
    assert refused.value.code == "adoption_completing"
    assert "auth signs in" not in services.diary
    await recover(services, journal, database)
    assert services.things() == USERS
    assert (await sign_in(services, journal))["adopted"]["runs"] == 0


async def test_two_tabs_that_sign_in_at_once_double_nothing(services: FakeServices, journal: Journal) -> None:
    answers = await asyncio.gather(*(sign_in(services, journal) for _ in range(5)))
    assert services.things() == USERS
    assert sorted(answer["adopted"]["runs"] for answer in answers) == [0, 0, 0, 0, 20]


async def test_a_guest_that_wrote_nothing_needs_no_service_but_its_first_write_would_come_along(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    services.auth.sessions["token"]["wrote"] = False
    for keeper in services.keepers():
        keeper.away = True
    assert (await sign_in(services, journal))["adopted"]["runs"] == 0
    for keeper in services.keepers():
        keeper.away = False
    await recover(services, journal, database)
    assert services.things() == USERS


async def test_signing_in_without_a_live_session_adopts_nothing(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    for token in (None, "of no session"):
        assert (await sign_in(services, journal, token))["adopted"]["runs"] == 0
    assert await in_journal(database) == []


async def test_a_user_that_signs_in_as_another_hands_nothing_over(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    services.auth.sessions["token"]["owner"] = "user:2"
    await sign_in(services, journal)
    assert await in_journal(database) == []


async def test_an_import_of_the_guest_is_waited_for_and_then_refused(
    services: FakeServices, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "WAIT_SECONDS", 0.3)
    await journal.begin("guest:a", Kind.RESTORE, "merge")
    with pytest.raises(Problem) as refused:
        await sign_in(services, journal)
    assert refused.value.status == 409
    assert services.things() == GUESTS


async def test_a_restore_of_the_user_keeps_nobody_from_signing_in(services: FakeServices, journal: Journal) -> None:
    await journal.begin("user:1", Kind.RESTORE, "merge")
    await sign_in(services, journal)
    assert services.things() == USERS


async def test_an_account_that_is_deleted_meanwhile_gets_nothing(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    await erasure.erase("user:1", Kind.DELETION, cast("Services", services), journal)
    with pytest.raises(Problem) as refused:
        await sign_in(services, journal)
    assert refused.value.code == "account_deleted"
    assert services.things() == GUESTS
    await recover(services, journal, database)


async def test_a_backup_of_the_user_waits_for_the_adoption(services: FakeServices, journal: Journal) -> None:
    before = await journal.steps("user:1")
    operation = await journal.begin_adoption("guest:a", "user:1")
    assert await journal.commit_under_way("user:1")
    await settle(operation, cast("Services", services), journal)
    assert not await journal.commit_under_way("user:1")  # although it will be done once more
    assert await journal.steps("user:1") > before
