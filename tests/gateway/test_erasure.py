"""Everything of an owner goes, in every service, and the journal forgets the owner too."""

from typing import cast

import pytest

from chassis.database import Database
from chassis.problems import Problem
from gateway import adoption, erasure
from gateway.journal import Journal
from gateway.operations import Kind, Stage
from gateway.services import Services
from tests.gateway.owners import FakeServices
from tests.gateway.test_adoption import in_journal, recover, sign_in


@pytest.fixture
def services() -> FakeServices:
    made = FakeServices()
    for keeper in made.keepers():
        keeper.things |= {"guest:a": 5, "guest:b": 7}
    return made


async def erase(services: FakeServices, journal: Journal, owner: str = "guest:a") -> None:
    await erasure.erase(owner, Kind.DELETION, cast("Services", services), journal)


async def test_all_of_it_goes_the_sessions_first_and_of_nobody_else(services: FakeServices, journal: Journal) -> None:
    await erase(services, journal)
    assert services.diary == ["auth erases", "settings erases", "runs erases", "vault erases"]
    assert all(things == {"guest:b": 7} for things in services.things().values())
    assert services.auth.sessions == {}


async def test_the_journal_forgets_what_it_knew_of_the_owner(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    restore = await journal.begin("guest:a", Kind.RESTORE, "merge")
    assert await journal.move(restore, Stage.ABORTING)
    assert await journal.move(restore.at(Stage.ABORTING), Stage.ABORTED)
    async with journal.one_backup("guest:a"):
        pass
    await erase(services, journal)
    await recover(services, journal, database)
    assert [row[:2] for row in await in_journal(database)] == [("deletion", "guest:a")]
    assert await database.read(lambda tx: tx.execute("SELECT * FROM backups").fetchall()) == []


async def test_what_stayed_with_the_guest_that_the_owner_once_was_goes_too(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    await sign_in(services, journal)
    services.vault.things["guest:a"] = 1  # a key that could not come along
    await erase(services, journal, "user:1")
    assert all(things == {"guest:b": 7} for things in services.things().values())
    services.vault.things["guest:a"] = 1
    await recover(services, journal, database)
    assert services.things()["vault"] == {"guest:b": 7}
    assert [row[:2] for row in await in_journal(database)] == [("deletion", "user:1")]


async def test_what_is_written_while_it_goes_goes_a_minute_later(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    await erase(services, journal)
    services.runs.things["guest:a"] = 1
    await recover(services, journal, database)
    assert services.things()["runs"] == {"guest:b": 7}


@pytest.mark.parametrize("away", ["auth", "settings", "runs", "vault"])
async def test_where_a_service_is_away_it_is_decided_and_completed_later(
    services: FakeServices, journal: Journal, database: Database, away: str
) -> None:
    getattr(services, away).away = True
    with pytest.raises(Problem) as refused:
        await erase(services, journal)
    assert (refused.value.status, refused.value.code) == (503, "deletion_completing")
    getattr(services, away).away = False
    await recover(services, journal, database)
    assert all(things == {"guest:b": 7} for things in services.things().values())


async def test_an_owner_who_is_at_something_else_is_told_to_wait(services: FakeServices, journal: Journal) -> None:
    await journal.begin("guest:a", Kind.RESTORE, "merge")
    with pytest.raises(Problem) as refused:
        await erase(services, journal)
    assert refused.value.status == 409
    assert services.diary == []


async def test_what_is_still_being_taken_back_is_waited_for(services: FakeServices, journal: Journal) -> None:
    restore = await journal.begin("guest:a", Kind.RESTORE, "merge")
    assert await journal.move(restore, Stage.ABORTING)
    with pytest.raises(Problem) as refused:
        await erase(services, journal)
    assert refused.value.status == 409


async def test_a_user_to_whom_a_guest_is_being_moved_is_told_to_wait(services: FakeServices, journal: Journal) -> None:
    await journal.begin_adoption("guest:a", "user:1")
    with pytest.raises(Problem) as refused:
        await erase(services, journal, "user:1")
    assert refused.value.status == 409


async def test_an_adoption_is_not_done_once_more_for_an_account_that_is_gone(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    await sign_in(services, journal)
    await erase(services, journal, "user:1")
    services.runs.things["guest:a"] = 1  # a late write of the guest
    await recover(services, journal, database)
    assert services.things()["runs"] == {"guest:b": 7}


async def test_forgotten_guests_are_swept_and_leave_no_trace(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    services.auth.forgotten = ["guest:a"]
    assert await erasure.sweep(cast("Services", services), journal) == 1
    assert all(things == {"guest:b": 7} for things in services.things().values())
    assert await in_journal(database) == []


async def test_many_guests_are_swept_in_one_go(
    services: FakeServices, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_A_TIME", 3)
    services.auth.forgotten = [f"guest:{number}" for number in range(10)]
    assert await erasure.sweep(cast("Services", services), journal) == 10


async def test_a_guest_that_another_gateway_is_at_is_left_to_it(services: FakeServices, journal: Journal) -> None:
    services.auth.forgotten = ["guest:a", "guest:b"]
    await journal.begin_erasure("guest:a", Kind.SWEEP)
    assert await erasure.sweep(cast("Services", services), journal) == 1
    assert all(things == {"guest:a": 5} for things in services.things().values())


async def test_nobody_is_claimed_while_a_service_is_away(services: FakeServices, journal: Journal) -> None:
    services.auth.forgotten, services.runs.away = ["guest:a"], True
    with pytest.raises(Problem):
        await erasure.sweep(cast("Services", services), journal)
    assert services.diary == []


async def test_a_guest_may_sign_in_after_an_adoption_that_never_told_its_end(
    services: FakeServices, journal: Journal, database: Database
) -> None:
    await journal.begin_adoption("guest:a", "user:1")  # its gateway dies here
    await recover(services, journal, database)
    assert services.things()["runs"] == {"user:1": 5, "guest:b": 7}
    answer, _ = await adoption.sign_in("good", "token", "browser", cast("Services", services), journal)
    assert answer["adopted"]["runs"] == 0
