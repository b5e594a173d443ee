"""A guest's keys once the guest is a user, and nothing at all of an owner who is erased."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chassis.peers import Scope
from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, Start
from tests.vault_service.restoring import keys, restore, sealed, stage, told, undo
from tests.vault_service.test_app import select
from tests.vault_service.test_metrics import Since
from tests.vault_service.test_once import NAMED
from tests.vault_service.test_routes import KEYS, keep, plaintext, rows
from tests.vault_service.test_store import DAMAGE, audit, back_up
from vault_service.metrics import Reason

GUEST, USER = "guest:a", "user:ada"


async def adopt(asker: Asker, id_: str = "o1") -> dict[str, Any]:
    return await told(await asker.post(f"/internal/adoptions/{id_}", scope=Scope.SYSTEM, owner=USER, guest=GUEST))


async def erase(asker: Asker, owner: str = GUEST) -> None:
    answer = await told(await asker.post("/internal/erasure", scope=Scope.SYSTEM, owner=owner))
    assert answer == {"erased": True}


def owned(file: Path, owner: str) -> dict[str, int]:
    """The number of rows of an owner in every table that has owners, as the schema says."""
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        named = [
            each for each in tables if ("owner",) in database.execute(f"SELECT name FROM pragma_table_info('{each}')")
        ]
        count = "SELECT count(*) FROM {} WHERE owner = ?"
        return {name: database.execute(count.format(name), (owner,)).fetchone()[0] for name in named}


async def test_keys_move_to_a_user_who_has_none(asker: Asker, file: Path) -> None:
    await keep(asker)
    await keep(asker, "veo", "veo-key-0123456789")
    before = await rows(asker)
    answer = await adopt(asker)
    assert answer == {
        "moved": {"api_keys": 2}, "stayed": [], "stayed_count": 0, "renamed": [], "renamed_count": 0
    }  # fmt: skip
    assert await keys(asker, USER) == {"runway": "rk-0123456789-7890", "veo": "veo-key-0123456789"}
    assert await keys(asker, GUEST) == {}
    assert await rows(asker, owner=USER) == before, "with their times"
    assert select(file, "SELECT DISTINCT owner FROM api_keys") == [(USER,)]


async def test_a_key_that_moved_is_sealed_for_its_new_owner_alone(asker: Asker, file: Path) -> None:
    await keep(asker)
    [before] = select(file, "SELECT wrapped_key, ciphertext FROM api_keys")
    await adopt(asker)
    [after] = select(file, "SELECT wrapped_key, ciphertext FROM api_keys")
    assert not set(before) & set(after)


async def test_a_key_of_the_users_own_stays_and_so_does_the_guests(asker: Asker) -> None:
    await keep(asker, api_key="guests-key-0123456789")
    await keep(asker, api_key="users-key-0123456789", owner=USER)
    answer = await adopt(asker)
    assert (answer["moved"], answer["stayed_count"]) == ({"api_keys": 0}, 1)
    [stayed] = answer["stayed"]
    assert stayed["name"] == "runway"
    assert "another key for this provider" in stayed["reason"]
    assert await keys(asker, USER) == {"runway": "users-key-0123456789"}
    assert await keys(asker, GUEST) == {"runway": "guests-key-0123456789"}


async def test_a_key_that_both_have_is_the_users(asker: Asker) -> None:
    await keep(asker)
    await keep(asker, owner=USER)
    answer = await adopt(asker)
    assert (answer["moved"], answer["stayed"]) == ({"api_keys": 1}, [])
    assert (await keys(asker, USER), await keys(asker, GUEST)) == ({"runway": "rk-0123456789-7890"}, {})


async def test_an_unreadable_key_stays_the_guests_and_is_named(asker: Asker, file: Path) -> None:
    await keep(asker)
    DAMAGE["cut ciphertext"](file)
    await keep(asker, "veo", "veo-key-0123456789")
    answer = await adopt(asker)
    assert answer["moved"] == {"api_keys": 1}
    assert [(each["name"], "cannot be read" in each["reason"]) for each in answer["stayed"]] == [("runway", True)]
    assert (await rows(asker, owner=GUEST))["runway"]["masked"] == "corrupted"
    assert not (await rows(asker, owner=USER))["runway"]["configured"]


async def test_a_key_of_the_users_own_stays_also_when_it_is_unreadable(asker: Asker, file: Path) -> None:
    await keep(asker, owner=USER)
    DAMAGE["cut ciphertext"](file)
    await keep(asker, api_key="guests-key-0123456789")
    answer = await adopt(asker)
    assert "cannot be read" in answer["stayed"][0]["reason"]
    assert (await rows(asker, owner=USER))["runway"]["masked"] == "corrupted"
    assert await keys(asker, GUEST) == {"runway": "guests-key-0123456789"}


async def test_a_locked_vault_keeps_nobody_from_signing_in_and_the_keys_stay_the_guests(
    start: Start, file: Path
) -> None:
    unlocked = await start()
    for provider in ("veo", "runway"):
        await keep(unlocked, provider)
    before = select(file, "SELECT * FROM api_keys")
    foreign, since = await start(root=FOREIGN_ROOT), Since()
    answer = await adopt(foreign)
    assert answer["moved"] == {"api_keys": 0}
    assert [each["name"] for each in answer["stayed"]] == ["runway", "veo"]
    assert {each["reason"] for each in answer["stayed"]} == {
        "The server cannot read stored keys at the moment. Enter it again."
    }
    assert select(file, "SELECT * FROM api_keys") == before
    assert since() == {Reason.LOCKED: 1}
    empty = await foreign.post("/internal/adoptions/o2", scope=Scope.SYSTEM, owner=USER, guest="guest:b")
    assert (await told(empty))["stayed_count"] == 0
    assert since() == {Reason.LOCKED: 1}
    again = await adopt(await start(), "o3")
    assert (again["moved"], again["stayed"]) == ({"api_keys": 2}, []), "with the right secret they come along later"


async def test_asking_again_gives_the_first_answer_and_another_time_what_came_since(asker: Asker) -> None:
    await keep(asker)
    first = await adopt(asker, "o1")
    await keep(asker, "veo", "veo-key-0123456789")
    assert await adopt(asker, "o1") == first
    assert await keys(asker, GUEST) == {"veo": "veo-key-0123456789"}
    assert (await adopt(asker, "o2"))["moved"] == {"api_keys": 1}
    assert await keys(asker, USER) == {"runway": "rk-0123456789-7890", "veo": "veo-key-0123456789"}


async def test_a_key_that_came_along_is_not_taken_away_by_an_undo(asker: Asker) -> None:
    answer = await stage(asker, sealed(veo="veo-of-the-restore"), owner=USER)
    assert answer.status == 200
    await told(await asker.post("/internal/restores/r1/commit", scope=Scope.SYSTEM, owner=USER))
    await asker.delete(f"{KEYS}/veo", owner=USER)
    await keep(asker, "veo", "veo-of-the-guest")
    assert (await adopt(asker))["moved"] == {"api_keys": 1}
    query = {"mode": "undo", "undoes": "r1"}
    undone = await told(await stage(asker, [], "u1", parts=(), headers={}, owner=USER, **query))
    assert undone == {"undone": {"api_keys": 0}, "stayed": {"api_keys": 1}}
    assert await keys(asker, USER) == {"veo": "veo-of-the-guest"}


async def test_what_a_guests_restore_replaced_is_not_kept_after_it(asker: Asker, file: Path) -> None:
    await keep(asker, "veo", "veo-before-0123456789")
    await restore(asker, veo="veo-after-0123456789")
    assert owned(file, GUEST)["undo_keys"] == 1
    await adopt(asker)
    assert owned(file, GUEST)["undo_keys"] == 0
    with pytest.raises(AssertionError, match="undo_closed"):
        await undo(asker)


async def test_a_move_is_no_disclosure_and_counts_no_failure(asker: Asker, file: Path) -> None:
    await keep(asker)
    since = Since()
    await adopt(asker)
    assert audit(file) == []
    assert since() == {}


async def everything_of(asker: Asker, owner: str) -> None:
    """A row in every table that has owners: live, kept, staged, read, in a backup, and written under a name."""
    await keep(asker, "veo", "veo-before-0123456789", owner=owner, headers=NAMED)
    assert (await plaintext(asker, "veo", owner)).status == 200
    assert (await back_up(asker, owner=owner)).status == 200
    for name in ("done", "waits"):
        answer = await stage(asker, sealed(veo=f"veo-{name}-0123456789"), f"{name}-{owner}", owner=owner)
        assert answer.status == 200
        if name == "done":
            await told(await asker.post(f"/internal/restores/{name}-{owner}/commit", scope=Scope.SYSTEM, owner=owner))


async def test_an_erased_owner_has_no_row_left_in_any_table(asker: Asker, file: Path) -> None:
    for owner in (GUEST, USER):
        await everything_of(asker, owner)
    before = owned(file, USER)
    assert 0 not in before.values(), before
    assert owned(file, GUEST) == before
    for _ in range(2):
        await erase(asker)
        assert set(owned(file, GUEST).values()) == {0}
        assert owned(file, USER) == before
    assert await keys(asker, USER) == {"veo": "veo-done-0123456789"}


async def test_an_owner_can_be_erased_from_a_locked_vault(start: Start, file: Path) -> None:
    await everything_of(await start(), GUEST)
    await erase(await start(root=FOREIGN_ROOT))
    assert set(owned(file, GUEST).values()) == {0}
