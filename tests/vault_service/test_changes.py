"""What an owner's other devices are told: that a key is another one, however it came or went, and nothing about it."""

import asyncio
import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from chassis.peers import Scope
from tests.support import Asker
from tests.vault_service.conftest import NEW_ROOT, ROOT, Start
from tests.vault_service.restoring import keys, restore, sealed, stage, step, told, undo
from tests.vault_service.test_routes import KEYS, keep, plaintext
from vault_service.rekeying import rekey

GUEST, USER = "guest:a", "user:ada"


async def version(asker: Asker, owner: str = GUEST) -> int:
    answer = await told(await asker.get("/internal/changes/current", scope=Scope.SYSTEM, owner=owner))
    assert answer == {"version": answer["version"], "value": {"version": answer["version"]}}
    found: int = answer["version"]
    return found


async def rises(asker: Asker, write: Any, owner: str = GUEST) -> bool:
    """Whether the owner's devices are told of a write."""
    before = await version(asker, owner)
    await write
    after = await version(asker, owner)
    assert after >= before
    return after > before


async def test_every_key_that_is_stored_changed_or_deleted_is_told(asker: Asker) -> None:
    assert await version(asker) == 0
    assert await rises(asker, keep(asker))
    assert await rises(asker, keep(asker, "veo"))
    assert await rises(asker, keep(asker, api_key="another-key-0123456789"))
    assert await rises(asker, asker.delete(f"{KEYS}/runway"))


async def test_what_leaves_every_key_as_it_was_is_not_told(asker: Asker) -> None:
    await keep(asker)
    for nothing in (
        keep(asker),
        keep(asker, owner="guest:b"),
        plaintext(asker),
        asker.get(KEYS),
        asker.get("/internal/backup", scope=Scope.SYSTEM),
        asker.delete(f"{KEYS}/veo"),
        asker.put(f"{KEYS}/runway", json={"api_key": "short"}),
        restore(asker, "same", runway="rk-0123456789-7890"),
    ):
        assert not await rises(asker, nothing)


async def test_a_restore_is_told_once_it_is_committed_and_its_undo_too(asker: Asker) -> None:
    await keep(asker)
    items = sealed(runway="another-key-0123456789", veo="veo-key-0123456789")
    assert not await rises(asker, stage(asker, items, "r1", mode="replace"))
    assert await rises(asker, step(asker, "commit"))
    assert not await rises(asker, step(asker, "commit"))
    assert await rises(asker, undo(asker))
    assert await keys(asker) == {"runway": "rk-0123456789-7890"}


async def test_a_restore_that_only_removes_keys_is_told(asker: Asker) -> None:
    await keep(asker)
    await keep(asker, "veo")
    assert await rises(asker, restore(asker, mode="replace", runway="rk-0123456789-7890"))
    assert list(await keys(asker)) == ["runway"]


async def test_an_adoption_is_told_to_the_user_and_leaves_nothing_to_tell_the_guest(asker: Asker) -> None:
    await keep(asker)
    assert await version(asker) == 1
    adopt = asker.post("/internal/adoptions/o1", scope=Scope.SYSTEM, owner=USER, guest=GUEST)
    assert await rises(asker, adopt, USER)
    assert await version(asker) == 0
    assert not await rises(
        asker, asker.post("/internal/adoptions/o2", scope=Scope.SYSTEM, owner=USER, guest=GUEST), USER
    )


async def test_wrapping_the_keys_anew_is_no_change(start: Start, file: Path) -> None:
    asker = await start()
    await keep(asker)
    before = await version(asker)
    standing = await asyncio.to_thread(rekey, file, SecretStr(NEW_ROOT), [SecretStr(ROOT)], lambda seen, total: None)
    assert standing.rewrapped == 1
    assert await version(await start(NEW_ROOT)) == before


async def test_an_owner_who_is_erased_is_told_of_no_more(asker: Asker) -> None:
    await keep(asker)
    await told(await asker.post("/internal/erasure", scope=Scope.SYSTEM))
    assert await version(asker) == 0


async def test_what_one_instance_stores_another_tells_within_a_second_and_nothing_of_the_key(start: Start) -> None:
    first, second = await start(), await start()
    answer = await second.get("/internal/changes", scope=Scope.SYSTEM, owner="system")
    try:
        assert json.loads(await answer.content.readline()) == {"seq": 0}
        await keep(first)
        async with asyncio.timeout(1):
            line = await answer.content.readline()
        assert json.loads(line) == {"owner": GUEST, "version": 1, "seq": 1, "value": {"version": 1}}
    finally:
        answer.close()
