"""The story of a restore when a service dies in the middle of it, told with peers that fail on command."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from chassis.database import Database, opened
from chassis.problems import Problem, unavailable
from gateway.journal import Journal, Stage
from gateway.restore import restore, settle
from gateway.services import Services

OWNER = "guest:a"
COUNTS = {"added": 1, "changed": 0, "unchanged": 0, "refused": 0}


class FakeKeeper:
    """Remembers what it was told; fails at the verbs in `failing`."""

    def __init__(self, *parts: str) -> None:
        self.parts, self.failing = parts, set[str]()
        self.told: list[str] = []

    async def stage(self, _id: str, _owner: str, _mode: str, lines: AsyncIterable[bytes]) -> dict[str, Any]:
        self._take("stage")
        async for _ in lines:
            pass
        return self._answer()

    async def commit(self, _id: str, _owner: str) -> dict[str, Any]:
        self._take("commit")
        return self._answer()

    async def abort(self, _id: str, _owner: str) -> None:
        self._take("abort")

    async def call(self, *_: Any) -> dict[str, Any]:
        return {"version": 1}

    def _take(self, verb: str) -> None:
        if verb in self.failing:
            raise unavailable("service_unavailable", "It does not answer.")
        self.told.append(verb)

    def _answer(self) -> dict[str, Any]:
        restored = dict.fromkeys(self.parts, 1)
        return {"plan": dict.fromkeys(self.parts, COUNTS), "restored": restored, "warnings": [], "warning_count": 0}


class Peers:
    """Two of them, as `Services` has them."""

    def __init__(self) -> None:
        self.settings, self.runs = FakeKeeper("settings", "history"), FakeKeeper("runs")

    @property
    def services(self) -> Services:
        return cast("Services", self)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path / "gateway.db", "gateway") as database:
        yield database


async def document() -> AsyncIterator[bytes]:
    yield b'{"runs": [{"run_id": "a"}]}'


async def stage_of(database: Database) -> str:
    query = "SELECT stage FROM operations"
    return str(await database.read(lambda tx: tx.execute(query).fetchone()["stage"]))


async def test_a_whole_restore_is_staged_everywhere_before_it_is_committed_anywhere(database: Database) -> None:
    peers = Peers()
    answer = await restore(document(), OWNER, "merge", peers.services, Journal(database))
    assert (answer["restored_runs"], answer["settings"]) == (1, {"version": 1})
    assert peers.settings.told == peers.runs.told == ["stage", "commit"]
    assert await stage_of(database) == Stage.DONE


@pytest.mark.parametrize("failing", ["settings", "runs"])
async def test_a_service_that_cannot_stage_aborts_all_and_commits_none(database: Database, failing: str) -> None:
    peers = Peers()
    getattr(peers, failing).failing = {"stage"}
    with pytest.raises(Problem, match="does not answer"):
        await restore(document(), OWNER, "merge", peers.services, Journal(database))
    assert "commit" not in peers.settings.told + peers.runs.told
    assert peers.settings.told[-1] == peers.runs.told[-1] == "abort"
    assert await stage_of(database) == Stage.ABORTED


async def test_a_document_that_breaks_half_way_aborts_all(database: Database) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b'{"runs": [{"run_id": "a"}, '

    peers = Peers()
    with pytest.raises(Problem, match="cut short"):
        await restore(broken(), OWNER, "merge", peers.services, Journal(database))
    assert peers.settings.told[-1] == peers.runs.told[-1] == "abort"
    assert await stage_of(database) == Stage.ABORTED


async def test_an_upload_that_stalls_is_given_up_and_lets_the_next_one_in(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"runs": [{"run_id": "a"}, '
        await asyncio.Event().wait()

    monkeypatch.setattr("gateway.restore.STALL_SECONDS", 0.05)
    peers, journal = Peers(), Journal(database)
    with pytest.raises(Problem) as problem:
        await restore(stalled(), OWNER, "merge", peers.services, journal)
    assert problem.value.code == "stalled"
    assert peers.settings.told[-1] == peers.runs.told[-1] == "abort"
    assert (await restore(document(), OWNER, "merge", peers.services, journal))["restored_runs"] == 1


async def test_a_service_hears_of_a_restore_at_once_even_if_its_first_item_comes_late(database: Database) -> None:
    heard = asyncio.Event()

    async def late() -> AsyncIterator[bytes]:
        async with asyncio.timeout(5):
            await heard.wait()
        yield b'[{"run_id": "a"}]'

    class Listening(FakeKeeper):
        async def stage(self, _id: str, _owner: str, _mode: str, lines: AsyncIterable[bytes]) -> dict[str, Any]:
            async for _ in lines:
                heard.set()
            return self._answer()

    peers = Peers()
    peers.settings = Listening("settings", "history")
    assert (await restore(late(), OWNER, "merge", peers.services, Journal(database)))["restored_runs"] == 1


async def test_a_service_that_dies_after_the_decision_is_asked_again_until_it_has_committed(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    peers.runs.failing = {"commit"}
    with pytest.raises(Problem) as problem:
        await restore(document(), OWNER, "merge", peers.services, journal)
    assert problem.value.code == "restore_completing"
    assert "abort" not in peers.settings.told + peers.runs.told
    assert await stage_of(database) == Stage.COMMITTING
    operation = await journal.take_lapsed()
    assert operation is not None
    peers.runs.failing = set()
    await settle(operation, peers.services, journal)
    assert peers.runs.told == ["stage", "commit"]
    assert await stage_of(database) == Stage.DONE


async def test_an_abort_that_does_not_get_through_is_repeated_by_recovery(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    peers.runs.failing = {"stage", "abort"}
    with pytest.raises(Problem):
        await restore(document(), OWNER, "merge", peers.services, journal)
    assert await stage_of(database) == Stage.ABORTING
    operation = await journal.take_lapsed()
    assert operation is not None
    peers.runs.failing = set()
    await settle(operation, peers.services, journal)
    assert peers.runs.told == ["abort"]
    assert await stage_of(database) == Stage.ABORTED
