"""Handing an owner's things over and erasing them: what a sign-in, an account's end and a sweep rely on everywhere."""

import asyncio
import sqlite3
from contextlib import closing
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from chassis.once import KEYS_HEADER, NAME_HEADER
from chassis.owners import Belongings
from chassis.peers import Scope
from chassis.uploads import encode_end, encode_item
from tests.contract.conftest import Service, Start
from tests.contract.shape import problem
from tests.contract.test_staging import SAMPLES, Restoring, settled, told

NAMES = (f"gateway/{number}" for number in count())
OWNING = ("settings", "runs", "vault")
GUEST, USER, OTHER = "guest:a", "user:a", "user:b"
WRITTEN: dict[str, tuple[str, dict[str, Any]]] = {
    "settings": ("/api/settings", {"settings": {"mine": 1}}),
    "runs": ("/api/runs/R000000ff", {"run_id": "R000000ff", "source_image_data_url": "data:image/png;base64,AAAA"}),
    "vault": ("/api/settings/api-keys/runway", {"api_key": "a key of some length"}),
}
HISTORY = {"settings": {"of": "a document"}, "created_at": "2026-11-22T10:00:00Z", "change_note": "imported"}
Rows = dict[str, list[tuple[Any, ...]]]


def belongings_in(module: ModuleType) -> type[Belongings]:
    """The service's own, beside what it imports."""
    found = (each for name, each in vars(module).items() if name.endswith("Belongings"))
    [kind] = [each for each in found if each.__module__ == module.__name__]
    return cast("type[Belongings]", kind)


class Owning(Restoring):
    """The gateway's side, towards one service and its file."""

    def __init__(self, service: Service, folder: Path) -> None:
        super().__init__(service)
        self.file = folder / f"animatize_web.{service.name}.db"

    async def write(self, owner: str) -> None:
        path, body = WRITTEN[self.service.name]
        named = {NAME_HEADER: next(NAMES), KEYS_HEADER: "aa" * 32}
        assert (await self.service.ask.put(path, json=body, owner=owner, headers=named)).status < 300

    async def adopt(self, operation_id: str = "adoption", *, guest: str | None = GUEST, user: str = USER) -> Any:
        path = f"/internal/adoptions/{operation_id}"
        return await self.service.ask.post(path, owner=user, guest=guest, scope=Scope.SYSTEM)

    async def erase(self, owner: str) -> Any:
        return await self.service.ask.post("/internal/erasure", owner=owner, scope=Scope.SYSTEM)

    async def fill(self, owner: str) -> None:
        """Live, replaced by a restore and kept for its undo, staged, deleted, a worker's: some in every table."""
        await self.write(owner)
        first, second = f"{owner} first", f"{owner} second"
        parts = [self.sample.part, *["history"] * (self.service.name == "settings")]
        data = self.document()
        await told(await self.send(first, data + encode_end(self.count, parts), owner=owner, mode="replace"))
        await told(await self.step(first, "commit", owner=owner))
        await told(await self.send(second, data + encode_end(self.count), owner=owner))
        if self.service.name == "runs":
            await self.service.ask.put("/api/runs/deleted", json={"run_id": "deleted"}, owner=owner)
            await self.service.ask.put(
                "/internal/runs/deleted", json={"run_id": "deleted"}, owner=owner, scope=Scope.WORKER
            )
            await self.service.ask.delete("/api/runs/deleted", owner=owner)
        if self.service.name == "vault":
            await self.service.ask.get("/internal/keys/runway", owner=owner, scope=Scope.WORKER)

    def document(self) -> bytes:
        return b"".join(encode_item(*item) for item in self.items)

    @property
    def items(self) -> list[tuple[str, str, Any]]:
        return self.sample.good + [("/history/0", "history", HISTORY)] * (self.service.name == "settings")

    @property
    def count(self) -> int:
        return len(self.items)

    def rows(self) -> Rows:
        """The whole file, but for what tells of no owner how often anything was written."""
        with closing(sqlite3.connect(self.file)) as file:
            tables = self._columns(file).keys() - {"change_clock"}
            return {table: sorted(file.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}

    def rows_of(self, owner: str) -> dict[str, int]:
        """How many rows every table has that says whose they are, by owner or by restore."""
        with closing(sqlite3.connect(self.file)) as file:
            conditions = {
                table: "owner = :owner"
                if "owner" in columns
                else "restore_id IN (SELECT restore_id FROM restores WHERE owner = :owner)"
                for table, columns in self._columns(file).items()
                if columns & {"owner", "restore_id"}
            }
            return {
                table: file.execute(f"SELECT count(*) FROM {table} WHERE {condition}", {"owner": owner}).fetchone()[0]
                for table, condition in conditions.items()
            }

    def _columns(self, file: sqlite3.Connection) -> dict[str, set[str]]:
        listed = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        names = [name for (name,) in file.execute(listed)]
        return {name: {row[1] for row in file.execute(f"PRAGMA table_info({name})")} for name in names}


@pytest.fixture(params=OWNING)
async def owning(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Owning:
    return Owning(await start(request.param), tmp_path)


async def test_erasing_leaves_no_row_of_the_owner_and_every_row_of_the_others(owning: Owning) -> None:
    await owning.fill(OTHER)
    others = owning.rows()
    await owning.fill(GUEST)
    filled = owning.rows_of(GUEST)
    assert min(filled.values()) > 0, f"fill every table, so that this shows something: {filled}"
    assert await told(await owning.erase(GUEST)) == {"erased": True}
    assert set(owning.rows_of(GUEST).values()) == {0}
    assert owning.rows() == others


async def test_erasing_again_or_erasing_nobody_changes_nothing(owning: Owning) -> None:
    await owning.fill(OTHER)
    others = owning.rows()
    for owner in (GUEST, USER, GUEST):
        assert await told(await owning.erase(owner)) == {"erased": True}
    assert owning.rows() == others


async def test_an_upload_that_was_under_way_when_its_owner_was_erased_puts_nothing_in(owning: Owning) -> None:
    await told(await owning.stage("one"))
    await told(await owning.erase(GUEST))
    await problem(await owning.step("one", "commit"), 409, "not_staged")
    assert set(owning.rows_of(GUEST).values()) == {0}


async def test_whoever_comes_back_after_being_erased_begins_with_nothing(owning: Owning) -> None:
    unopened = await owning.live("user:never seen")
    await owning.fill(USER)
    await told(await owning.erase(USER))
    assert settled(await owning.live(USER)) == settled(unopened)


@pytest.mark.parametrize("path", ["/internal/adoptions/one", "/internal/erasure"])
@pytest.mark.parametrize("scope", sorted(set(Scope) - {Scope.SYSTEM}))
async def test_only_the_system_hands_over_and_erases(owning: Owning, path: str, scope: Scope) -> None:
    await owning.write(GUEST)
    before = owning.rows()
    answer = await owning.service.ask.post(path, owner=USER, guest=GUEST, scope=scope)
    await problem(answer, 401, "wrong_scope")
    await problem(await owning.service.ask.post(path, owner=GUEST, scope=scope), 401, "wrong_scope")
    assert owning.rows() == before


@pytest.mark.parametrize("guest", [None, "", USER])
async def test_an_adoption_of_nobody_or_of_oneself_is_a_400(owning: Owning, guest: str | None) -> None:
    await owning.fill(USER)
    before = owning.rows()
    await problem(await owning.adopt(guest=guest), 400, "no_guest")
    assert owning.rows() == before


async def test_what_a_guest_made_is_the_users_and_nothing_is_left_under_the_guest(owning: Owning) -> None:
    await owning.fill(OTHER)
    others = owning.rows_of(OTHER)
    await owning.write(GUEST)
    made = await owning.live(GUEST)
    answer = await told(await owning.adopt())
    assert set(answer) == {"moved", "stayed", "stayed_count", "renamed", "renamed_count"}
    assert answer["moved"][owning.sample.part] == 1
    assert (answer["stayed"], answer["stayed_count"], answer["renamed"], answer["renamed_count"]) == ([], 0, [], 0)
    assert set(owning.rows_of(GUEST).values()) == {0}
    assert settled(await owning.live(USER)) == settled(made)
    assert owning.rows_of(OTHER) == others


async def test_a_guest_who_made_nothing_leaves_nothing_and_changes_nothing(owning: Owning) -> None:
    await owning.write(USER)
    before = await owning.live(USER)
    await owning.live(GUEST)
    for operation_id in ("with what a read may have made", "with nothing at all"):
        assert set((await told(await owning.adopt(operation_id)))["moved"].values()) == {0}
    assert set(owning.rows_of(GUEST).values()) == {0}
    assert await owning.live(USER) == before


async def test_asking_again_under_the_same_id_gives_the_first_answer_and_moves_nothing_more(owning: Owning) -> None:
    await owning.write(GUEST)
    first = await told(await owning.adopt())
    between = await owning.live(USER)
    await owning.write(GUEST)
    before = owning.rows()
    assert await told(await owning.adopt()) == first
    assert owning.rows() == before
    assert await owning.live(USER) == between


async def test_another_adoption_finds_nothing_unless_the_guest_wrote_again(owning: Owning) -> None:
    await owning.write(GUEST)
    await told(await owning.adopt())
    between = settled(await owning.live(USER))
    assert set((await told(await owning.adopt("a minute later")))["moved"].values()) == {0}
    assert settled(await owning.live(USER)) == between
    await owning.write(GUEST)
    assert max((await told(await owning.adopt("after a late write")))["moved"].values()) == 1
    assert set(owning.rows_of(GUEST).values()) == {0}
    assert settled(await owning.live(USER)) == between, "the same once more doubles nothing"


async def test_adoptions_at_once_from_several_instances_move_once(owning: Owning, start: Start, tmp_path: Path) -> None:
    other = Owning(await start(owning.service.name), tmp_path)
    await owning.write(GUEST)
    answers = await asyncio.gather(*((owning, other)[n % 2].adopt() for n in range(6)))
    found = [await told(answer) for answer in answers]
    assert found == [found[0]] * 6
    assert found[0]["moved"][owning.sample.part] == 1


async def test_the_id_of_another_operation_is_refused(owning: Owning) -> None:
    await owning.write(GUEST)
    await told(await owning.stage("a restore", owner=USER))
    await told(await owning.adopt("of another", guest="guest:b", user=OTHER))
    before = owning.rows()
    for operation_id in ("a restore", "of another"):
        await problem(await owning.adopt(operation_id), 409, "another_operation")
    assert owning.rows() == before


async def test_a_restore_of_the_guests_cannot_be_undone_once_what_it_brought_is_the_users(owning: Owning) -> None:
    await told(await owning.stage("one"))
    await told(await owning.step("one", "commit"))
    restored = settled(await owning.live(GUEST))
    await told(await owning.adopt())
    await problem(await owning.stage_undo("undo", "one"), 409, "undo_closed")
    assert settled(await owning.live(USER)) == restored
    assert not any(count for table, count in owning.rows_of(GUEST).items() if "undo" in table)


@pytest.mark.parametrize("step", ["adopt_ahead", "clear", "erase_ahead"])
async def test_every_piece_is_a_transaction_of_its_own_until_none_is_left(
    owning: Owning, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    belongings, left = import_module(f"{owning.service.name}_service.belongings"), [True, True, True]
    kind = belongings_in(belongings)
    really, seen = getattr(kind, step), []

    def in_pieces(self: Any, tx: sqlite3.Connection, *owners: str) -> bool:
        others_see = owning.rows_of(GUEST) | {"images": 0}  # which are what there is to clear
        seen.append((owners, any(others_see.values())))
        return left.pop() if left else really(self, tx, *owners)

    await owning.write(GUEST)
    monkeypatch.setattr(kind, step, in_pieces)
    ending = owning.erase(GUEST) if step == "erase_ahead" else owning.adopt()
    answer = await told(await ending)
    assert answer["erased"] if step == "erase_ahead" else answer["moved"][owning.sample.part] == 1
    assert [owners for owners, _ in seen] == [(GUEST,) if step == "erase_ahead" else (GUEST, USER)] * 4
    assert [there for _, there in seen] == [True] + [step != "clear"] * 3
    assert set(owning.rows_of(GUEST).values()) == {0}


async def test_an_adoption_asked_for_again_still_clears_what_the_first_left_behind(
    owning: Owning, monkeypatch: pytest.MonkeyPatch
) -> None:
    belongings = import_module(f"{owning.service.name}_service.belongings")
    kind = belongings_in(belongings)
    cleared = []

    def clear(_: Any, tx: sqlite3.Connection, guest: str, user: str) -> bool:
        cleared.append((guest, user))
        return len(cleared) < 3

    await owning.write(GUEST)
    first = await told(await owning.adopt())
    monkeypatch.setattr(kind, "clear", clear)
    assert await told(await owning.adopt()) == first
    assert cleared == [(GUEST, USER)] * 3


async def test_a_guest_who_never_was_can_be_adopted_into_an_account_that_never_was(owning: Owning) -> None:
    answer = await told(await owning.adopt())
    assert set(answer["moved"].values()) == {0}
    assert SAMPLES[owning.service.name].part in answer["moved"]
