"""The story of a restore when a service dies in the middle of it, told with peers that fail on command."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from chassis.database import Database
from chassis.problems import Problem, unavailable
from chassis.uploads import BLANK, encode_end, encode_item
from gateway import compression
from gateway.idempotency import Fingerprint
from gateway.journal import Journal
from gateway.operations import Operation, Stage
from gateway.restore import Order, restore
from gateway.services import Services
from gateway.settling import recover, settle
from gateway.undo import undo

OWNER = "guest:a"
COUNTS = {"added": 1, "changed": 0, "unchanged": 0, "refused": 0}


class FakeKeeper:
    """Remembers what it was told; fails at the verbs in `failing`."""

    def __init__(self, name: str, *parts: str) -> None:
        self.name, self.parts, self.failing = name, parts, set[str]()
        self.failure = unavailable("service_unavailable", "It does not answer.")
        self.told: list[str] = []
        self.lines: list[bytes] = []

    async def stage(self, operation: Operation, lines: AsyncIterable[bytes], _passphrase: Any = None) -> dict[str, Any]:
        self._take("undo" if operation.undoes else "stage")
        self.lines = [line async for line in lines if line != BLANK]
        return self._answer()

    async def commit(self, _operation: Operation) -> dict[str, Any]:
        self._take("commit")
        return self._answer()

    async def abort(self, _operation: Operation) -> None:
        self._take("abort")

    async def profile(self, _owner: str, known: Any = None) -> dict[str, Any]:
        self._take("profile")
        return {"settings": {}, "version": known["version"] if known else 1, "created_at": "", "updated_at": ""}

    def _take(self, verb: str) -> None:
        if verb in self.failing:
            raise self.failure
        self.told += [verb] if verb != "profile" else []

    def _answer(self) -> dict[str, Any]:
        one, none = dict.fromkeys(self.parts, 1), dict.fromkeys(self.parts, 0)
        plan = dict.fromkeys(self.parts, COUNTS)
        told = {"plan": plan, "restored": one, "removed": none, "warnings": [], "warning_count": 0}
        return told | {"undone": one, "stayed": none}


class Peers:
    """Three of them, as `Services` has them."""

    def __init__(self) -> None:
        self.settings, self.runs = FakeKeeper("settings", "settings", "history"), FakeKeeper("runs", "runs")
        self.vault = FakeKeeper("vault", "api_keys")

    def keeper(self, name: str) -> FakeKeeper:
        found: FakeKeeper = getattr(self, name)
        return found

    def taking_part(self, operation: Operation) -> list[FakeKeeper]:
        return [self.keeper(name) for name in ("settings", "runs", "vault") if name in operation.participants]

    @property
    def services(self) -> Services:
        return cast("Services", self)


def order(name: str | None = None, mode: str = "merge", *, dry_run: bool = False) -> Order:
    return Order(OWNER, mode, Fingerprint([b"key"], mode), dry_run=dry_run, name=name)


async def document() -> AsyncIterator[bytes]:
    yield b'{"runs": [{"run_id": "a"}], "settings": {"theme": {}}}'


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def stage_of(database: Database) -> str:
    query = "SELECT stage FROM operations ORDER BY rowid DESC"
    return str(await database.read(lambda tx: tx.execute(query).fetchone()["stage"]))


async def test_a_whole_restore_is_staged_everywhere_before_it_is_committed_anywhere(database: Database) -> None:
    peers = Peers()
    answer = await restore(document(), order(), peers.services, Journal(database))
    assert (answer["restored_runs"], answer["settings"]["version"]) == (1, 1)
    assert peers.settings.told == peers.runs.told == ["stage", "commit"]
    assert await stage_of(database) == Stage.DONE


@pytest.mark.parametrize("failing", ["settings", "runs"])
async def test_a_service_that_cannot_stage_aborts_all_and_commits_none(database: Database, failing: str) -> None:
    peers = Peers()
    getattr(peers, failing).failing = {"stage"}
    with pytest.raises(Problem, match="does not answer"):
        await restore(document(), order(), peers.services, Journal(database))
    assert "commit" not in peers.settings.told + peers.runs.told
    assert peers.settings.told[-1] == peers.runs.told[-1] == "abort"
    assert await stage_of(database) == Stage.ABORTED


async def test_a_document_that_breaks_half_way_aborts_all(database: Database) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b'{"settings": {"theme": {}}, "runs": [{"run_id": "a"}, '

    peers = Peers()
    with pytest.raises(Problem, match="cut short"):
        await restore(broken(), order(), peers.services, Journal(database))
    assert peers.settings.told[-1] == peers.runs.told[-1] == "abort"
    assert await stage_of(database) == Stage.ABORTED


async def test_an_upload_that_stalls_is_given_up_and_lets_the_next_one_in(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"settings": {"theme": {}}, "runs": [{"run_id": "a"}, '
        await asyncio.Event().wait()

    monkeypatch.setattr(compression, "STALL_SECONDS", 0.05)
    peers, journal = Peers(), Journal(database)
    with pytest.raises(Problem) as problem:
        await restore(compression.in_good_time(stalled()), order(), peers.services, journal)
    assert problem.value.code == "stalled"
    assert peers.settings.told[-1] == peers.runs.told[-1] == "abort"
    assert (await restore(document(), order(), peers.services, journal))["restored_runs"] == 1


async def test_a_service_hears_of_a_restore_with_its_first_item_and_of_the_rest_as_it_comes(database: Database) -> None:
    heard = asyncio.Event()

    async def late() -> AsyncIterator[bytes]:
        yield b'{"settings": {"theme": {}}, "runs": ['
        async with asyncio.timeout(5):
            await heard.wait()
        yield b'{"run_id": "a"}]}'

    class Listening(FakeKeeper):
        async def stage(self, _operation: Operation, lines: AsyncIterable[bytes], _: Any = None) -> dict[str, Any]:
            async for line in lines:
                if line == BLANK:
                    heard.set()
            return self._answer()

    peers = Peers()
    peers.settings = Listening("settings", "settings", "history")
    assert (await restore(late(), order(), peers.services, Journal(database)))["restored_runs"] == 1


async def test_a_service_for_which_the_document_has_nothing_is_not_asked_and_may_be_away(database: Database) -> None:
    peers = Peers()
    peers.runs.failing = peers.vault.failing = {"stage", "commit", "abort"}
    only_settings = _pieces(b'{"settings": {"theme": {}}}')
    answer = await restore(only_settings, order(), peers.services, Journal(database))
    assert answer["plan"]["settings"] == COUNTS
    assert answer["plan"]["runs"] == {"added": 0, "changed": 0, "unchanged": 0, "refused": 0}
    assert await stage_of(database) == Stage.DONE


async def test_each_service_is_told_which_parts_the_document_carries_even_if_they_are_empty(database: Database) -> None:
    peers = Peers()
    document = _pieces(b'{"runs": [], "history": [], "settings": {"settings": {}}}')
    await restore(document, order(mode="replace"), peers.services, Journal(database))
    assert peers.runs.lines == [encode_end(0, ["runs"])]
    assert peers.settings.lines[-1] == encode_end(1, ["history", "settings"])


async def test_a_dry_run_ends_with_an_abort_and_gives_the_plan(database: Database) -> None:
    peers = Peers()
    answer = await restore(document(), order(dry_run=True), peers.services, Journal(database))
    assert peers.settings.told == peers.runs.told == ["stage", "abort"]
    assert (answer["plan"]["runs"], answer["restored_runs"], answer["restored_at"]) == (COUNTS, 0, None)
    assert await stage_of(database) == Stage.ABORTED


async def test_a_dry_run_is_told_of_afterwards(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    answer = await restore(document(), order("mine", dry_run=True), peers.services, journal)
    entry = await journal.entry(OWNER, "mine")
    assert entry is not None
    assert entry.shown()["outcome"]["plan"] == answer["plan"]


async def test_the_same_request_again_gets_the_stored_answer_and_changes_nothing(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    first = await restore(document(), order("mine"), peers.services, journal)
    assert await restore(document(), order("mine"), peers.services, journal) == first
    assert peers.settings.told == peers.runs.told == ["stage", "commit"]
    for other, how in ((_pieces(b'{"runs": []}'), order("mine")), (document(), order("mine", "replace"))):
        with pytest.raises(Problem) as reused:
            await restore(other, how, peers.services, journal)
        assert reused.value.status == 422


async def test_an_id_whose_first_attempt_failed_may_be_used_again(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    peers.runs.failing = {"stage"}
    with pytest.raises(Problem):
        await restore(document(), order("mine"), peers.services, journal)
    peers.runs.failing = set()
    assert (await restore(document(), order("mine"), peers.services, journal))["restore_id"] == "mine"


async def test_an_id_that_is_still_being_put_in_place_is_answered_with_409(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    peers.runs.failing = {"commit"}
    with pytest.raises(Problem):
        await restore(document(), order("mine"), peers.services, journal)
    with pytest.raises(Problem) as still:
        await restore(document(), order("mine"), peers.services, journal)
    assert (still.value.status, still.value.code) == (409, "restore_under_way")


async def test_an_undo_asks_those_who_took_part_and_can_be_had_once(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    done = await restore(document(), order("mine"), peers.services, journal)
    answer = await undo("mine", OWNER, peers.services, journal)
    assert (answer["restore_id"], answer["undone"]["runs"], answer["stayed"]["runs"]) == (done["restore_id"], 1, 0)
    assert peers.settings.told == peers.runs.told == ["stage", "commit", "undo", "commit"]
    assert peers.vault.told == []
    assert peers.settings.lines[0] == encode_item("", "note", "undo:mine")
    with pytest.raises(Problem, match="undone already"):
        await undo("mine", OWNER, peers.services, journal)


async def test_an_undo_that_a_service_refuses_changes_nothing_and_can_be_tried_again(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    await restore(document(), order("mine"), peers.services, journal)
    peers.runs.failing = {"undo"}
    with pytest.raises(Problem):
        await undo("mine", OWNER, peers.services, journal)
    assert peers.settings.told == ["stage", "commit", "undo", "abort"]
    peers.runs.failing = set()
    assert (await undo("mine", OWNER, peers.services, journal))["undone"]["settings"] == 1


async def test_an_undo_that_is_decided_goes_forward(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    await restore(document(), order("mine"), peers.services, journal)
    peers.runs.failing = {"commit"}
    with pytest.raises(Problem) as problem:
        await undo("mine", OWNER, peers.services, journal)
    assert problem.value.code == "restore_completing"
    operation = await journal.take_lapsed()
    assert operation is not None
    peers.runs.failing = set()
    await settle(operation, peers.services, journal)
    entry = await journal.entry(OWNER, "mine")
    assert entry is not None
    assert entry.shown()["undo"]["undone_at"] is not None


async def test_a_service_that_dies_after_the_decision_is_asked_again_until_it_has_committed(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    peers.runs.failing = {"commit"}
    with pytest.raises(Problem) as problem:
        await restore(document(), order(), peers.services, journal)
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
        await restore(document(), order(), peers.services, journal)
    assert await stage_of(database) == Stage.ABORTING
    operation = await journal.take_lapsed()
    assert operation is not None
    peers.runs.failing = set()
    await settle(operation, peers.services, journal)
    assert peers.runs.told == ["abort"]
    assert await stage_of(database) == Stage.ABORTED


async def test_an_abort_that_waits_for_a_dead_service_keeps_nobody_from_the_next_restore(database: Database) -> None:
    peers, journal = Peers(), Journal(database)
    peers.runs.failing = {"stage", "abort"}
    with pytest.raises(Problem):
        await restore(document(), order(), peers.services, journal)
    assert await stage_of(database) == Stage.ABORTING
    only_settings = _pieces(b'{"settings": {"theme": {}}}')
    assert (await restore(only_settings, order(), peers.services, journal))["plan"]["settings"] == COUNTS


async def test_a_service_that_takes_nothing_more_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(FakeKeeper):
        async def stage(self, _operation: Operation, lines: AsyncIterable[bytes], _: Any = None) -> dict[str, Any]:
            async for _line in lines:
                await asyncio.Event().wait()
            return self._answer()

    monkeypatch.setattr("gateway.distribution.STALL_SECONDS", 0.05)
    peers = Peers()
    peers.runs = Hanging("runs", "runs")
    many = _pieces(b"[" + b",".join(b'{"run_id": "%d"}' % number for number in range(50)) + b"]")
    with pytest.raises(Problem) as problem:
        await restore(many, order(), peers.services, Journal(database))
    assert (problem.value.status, problem.value.code) == (503, "service_unavailable")
    assert (problem.value.extra, "runs" in problem.value.detail) == ({"service": "runs"}, True)
    assert await stage_of(database) == Stage.ABORTED


async def test_only_the_vault_is_told_the_passphrase(database: Database) -> None:
    told: dict[str, Any] = {}

    class Listening(FakeKeeper):
        async def stage(self, operation: Operation, lines: AsyncIterable[bytes], passphrase: Any = None) -> Any:
            told[self.name] = passphrase
            return await super().stage(operation, lines, passphrase)

    peers = Peers()
    peers.settings, peers.runs = Listening("settings", "settings", "history"), Listening("runs", "runs")
    peers.vault = Listening("vault", "api_keys")
    sealed = _pieces(b'{"settings": {"theme": {}}, "runs": [{"run_id": "a"}], "sealed_api_keys": {"providers": []}}')
    secret = SecretStr("a passphrase")
    await restore(sealed, replace(order(), passphrase=secret), peers.services, Journal(database))
    assert told == {"settings": None, "runs": None, "vault": secret}


async def test_an_operation_that_a_service_has_lost_is_ended_and_named(database: Database) -> None:
    """An operator put back an older copy of one service's file."""
    peers, journal = Peers(), Journal(database)
    peers.settings.failing, peers.settings.failure = {"commit"}, Problem(409, "not_staged", "Never staged here.")
    with pytest.raises(Problem) as problem:
        await restore(document(), order("mine"), peers.services, journal)
    assert (problem.value.status, problem.value.code) == (409, "operation_failed")
    assert await stage_of(database) == Stage.FAILED
    assert peers.runs.told == ["stage", "commit"], "what the others have goes in all the same"
    entry = await journal.entry(OWNER, "mine")
    assert entry is not None
    assert entry.shown()["outcome"]["problem"]["code"] == "operation_failed"
    assert await journal.take_lapsed() is None
    peers.settings.failing = set()
    assert (await restore(document(), order(), peers.services, journal))["restored_runs"] == 1


async def test_recovery_settles_each_operation_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose service hangs keeps no other waiting."""
    monkeypatch.setattr("gateway.settling.RECOVERY_SECONDS", 0.01)
    peers, journal = Peers(), Journal(database)
    peers.runs.failing = peers.settings.failing = {"commit"}
    only_settings = _pieces(b'{"settings": {"theme": {}}}')
    for upload, owner in ((document(), "guest:stuck"), (only_settings, "guest:free")):
        with pytest.raises(Problem):
            await restore(upload, replace(order(), owner=owner), peers.services, journal)

    class Hanging(FakeKeeper):
        async def commit(self, _operation: Operation) -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

    peers.settings.failing = set()
    peers.runs = Hanging("runs", "runs")
    recovering = asyncio.create_task(recover(peers.services, journal))
    async with asyncio.timeout(5):
        while (await journal.restores("guest:free"))[0].operation.stage is not Stage.DONE:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
    assert (await journal.restores("guest:stuck"))[0].operation.stage is Stage.COMMITTING
    recovering.cancel()
    await asyncio.gather(recovering, return_exceptions=True)


async def test_the_answer_tells_of_the_settings_as_the_restore_left_them(database: Database) -> None:
    """Whoever has written since, and also where the answer is given again."""

    class Stating(FakeKeeper):
        async def commit(self, operation: Operation) -> dict[str, Any]:
            state = {"version": 5, "created_at": "then", "updated_at": "now"}
            return await super().commit(operation) | {"state": state}

    peers, journal = Peers(), Journal(database)
    peers.settings = Stating("settings", "settings", "history")
    for _ in range(2):
        answer = await restore(document(), order("mine"), peers.services, journal)
        assert answer["settings"]["version"] == 5


async def test_an_upload_that_another_gateway_has_taken_back_is_told_as_lapsed(database: Database) -> None:
    peers = Peers()
    peers.runs.failing, peers.runs.failure = {"stage"}, Problem(410, "restore_aborted", "This restore was aborted.")
    with pytest.raises(Problem) as problem:
        await restore(document(), order(), peers.services, Journal(database))
    assert (problem.value.status, problem.value.code) == (503, "restore_lapsed")


async def test_the_journal_keeps_no_settings(database: Database) -> None:
    class Telling(FakeKeeper):
        async def profile(self, _owner: str, _known: Any = None) -> dict[str, Any]:
            return {"settings": {"a": "private"}, "version": 1, "created_at": "", "updated_at": ""}

    peers = Peers()
    peers.settings = Telling("settings", "settings", "history")
    await restore(document(), order(), peers.services, Journal(database))
    rows = await database.read(lambda tx: [str(tuple(row)) for row in tx.execute("SELECT * FROM operations")])
    assert "restored_runs" in rows[0]
    assert "private" not in rows[0]
