"""Old and new root secret side by side: every row opens under the one it names, and what is new is under the new."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog
from aiohttp import ClientResponse
from prometheus_client import REGISTRY
from pydantic import SecretStr

from chassis.metrics import ON_SCRAPE
from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, NEW_ROOT, ROOT, Start
from tests.vault_service.restoring import keys, restore, sealed, stage, step, told, undo
from tests.vault_service.test_app import select
from tests.vault_service.test_metrics import Since
from tests.vault_service.test_routes import KEYS, keep, plaintext, problem, rows
from tests.vault_service.test_store import DAMAGE, back_up
from vault_service.metrics import Reason
from vault_service.rekeying import rekey
from vault_service.ring import derive_ring
from vault_service.sealing import SALT_BYTES, Unreadable, derive_key

SALT = b"s" * SALT_BYTES
OLD_KEY, NEW_KEY = derive_key(SecretStr(ROOT), SALT), derive_key(SecretStr(NEW_ROOT), SALT)


def under_another() -> float | None:
    return REGISTRY.get_sample_value("animatize_vault_keys_under_another_secret")


def fingerprints(file: Path, table: str = "api_keys") -> set[str]:
    return {key_id for (key_id,) in select(file, f"SELECT key_id FROM {table}")}


def vaults_own(file: Path) -> str:
    return str(select(file, "SELECT fingerprint FROM vault")[0][0])


async def swapped(start: Start) -> Asker:
    return await start(NEW_ROOT, previous=[ROOT])


def test_a_ring_has_each_key_once_the_current_one_first() -> None:
    ring = derive_ring(SecretStr(NEW_ROOT), [SecretStr(each) for each in (ROOT, NEW_ROOT, ROOT)], SALT)
    assert (ring.current, ring.previous) == (NEW_KEY, (OLD_KEY,))
    assert [each in ring for each in (OLD_KEY.id, NEW_KEY.id, "", "0" * 16)] == [True, True, False, False]


def test_a_ring_seals_under_the_current_key_and_opens_under_each() -> None:
    ring = derive_ring(SecretStr(NEW_ROOT), [SecretStr(ROOT)], SALT)
    old = derive_ring(SecretStr(ROOT), [], SALT)
    for sealing in (ring, old):
        box = sealing.seal("user:ada", "veo", SecretStr("a key"))
        assert box.key_id == sealing.current.id
        assert ring.unseal("user:ada", "veo", box).get_secret_value() == "a key"
    with pytest.raises(Unreadable):
        old.unseal("user:ada", "veo", ring.seal("user:ada", "veo", SecretStr("a key")))


async def test_with_old_and_new_secret_every_key_is_there_from_the_start(start: Start, file: Path) -> None:
    before = await start()
    await keep(before)
    shown = await rows(before)
    after = await swapped(start)
    assert await rows(after) == shown
    assert await keys(after) == {"runway": "rk-0123456789-7890"}
    assert (await back_up(after)).status == 200
    assert vaults_own(file) in fingerprints(file)


async def test_what_is_written_after_the_swap_is_under_the_new_secret(start: Start, file: Path) -> None:
    await keep(await start())
    old = fingerprints(file)
    after = await swapped(start)
    await keep(after, "veo", "veo-key-0123456789")
    await keep(after, "runway", "another-key-0123456789")
    assert len(fingerprints(file)) == 1
    assert not fingerprints(file) & old
    assert {vaults_own(file)} == old, "it is the vault of the old secret until nothing hangs on that one"


async def test_processes_on_both_sides_of_the_swap_read_what_the_other_writes(start: Start) -> None:
    ahead, behind = await swapped(start), await start(ROOT, previous=[NEW_ROOT])
    await keep(ahead, "veo", "of-the-new-one-0123")
    await keep(behind, "flux", "of-the-old-one-0123")
    assert await keys(ahead) == await keys(behind) == {"veo": "of-the-new-one-0123", "flux": "of-the-old-one-0123"}


async def test_a_restore_staged_before_the_swap_is_committed_and_undone_after_it(start: Start) -> None:
    before = await start()
    await keep(before, "veo", "veo-before-0123456789")
    await told(await stage(before, sealed(veo="veo-after-0123456789")))
    after = await swapped(start)
    committed = await told(await step(after, "commit"))
    assert committed["plan"]["api_keys"]["changed"] == 1
    assert await keys(after) == {"veo": "veo-after-0123456789"}
    assert await undo(after) == (1, 0)
    assert await keys(after) == {"veo": "veo-before-0123456789"}


async def test_the_same_key_under_the_other_secret_is_the_same_key(start: Start) -> None:
    updated_at = (await keep(await start()))["updated_at"]
    after = await swapped(start)
    assert (await keep(after))["updated_at"] == updated_at
    plan = (await restore(after, runway="rk-0123456789-7890"))["plan"]["api_keys"]
    assert plan == {"added": 0, "changed": 0, "unchanged": 1, "refused": 0}


async def test_a_key_under_the_previous_secret_that_is_damaged_is_unreadable_and_not_foreign(
    start: Start, file: Path
) -> None:
    await keep(await start())
    DAMAGE["cut ciphertext"](file)
    after, since = await swapped(start), Since()
    assert (await rows(after))["runway"]["masked"] == "corrupted"
    await problem(await plaintext(after), 409, "key_unreadable")
    assert since() == {Reason.UNREADABLE_KEY: 2}
    DAMAGE["wrong fingerprint"](file)
    await rows(after)
    assert since() == {Reason.UNREADABLE_KEY: 2, Reason.FOREIGN_KEY: 1}


Write = Callable[[Asker], Awaitable[ClientResponse]]


@pytest.mark.parametrize(
    "write",
    [
        lambda asker: asker.put(f"{KEYS}/runway", json={"api_key": "another-key-0123456789"}),
        lambda asker: asker.delete(f"{KEYS}/runway"),
        back_up,
        lambda asker: stage(asker, sealed(runway="another-key-0123456789")),
    ],
)
async def test_two_secrets_of_which_none_is_the_vaults_lock_it_as_one_does(start: Start, write: Write) -> None:
    await keep(await start())
    foreign = await start(FOREIGN_ROOT, previous=[NEW_ROOT])
    assert REGISTRY.get_sample_value("animatize_vault_locked") == 1
    await problem(await write(foreign), 503, "vault_locked")
    assert (await rows(foreign))["runway"]["masked"] == "corrupted"


async def test_how_many_keys_hang_on_another_secret_is_told_at_the_start_and_at_each_scrape(start: Start) -> None:
    before = await start()
    for provider in ("veo", "flux"):
        await keep(before, provider, "some-key-0123456789")
    await told(await stage(before, sealed(pika="pika-key-0123456789")))
    assert under_another() == 0
    with structlog.testing.capture_logs() as events:
        after = await swapped(start)
    [line] = [event for event in events if event["event"] == "vault_unlocked"]
    assert line["keys_under_another"] == under_another() == 3
    assert line["rekey_needed"]
    assert ROOT not in repr(line)
    assert NEW_ROOT not in repr(line)
    await keep(after, "veo", "another-key-0123456789")
    await refreshed(after)
    assert under_another() == 2


async def test_a_vault_that_was_empty_at_the_swap_needs_the_old_secret_until_rekey_is_done(
    start: Start, file: Path
) -> None:
    """No key is under another secret then, and still the vault is marked as made with the old one."""
    await start()
    with structlog.testing.capture_logs() as events:
        await keep(await swapped(start))
        await swapped(start)
        await asyncio.to_thread(rekey, file, SecretStr(NEW_ROOT), [SecretStr(ROOT)], lambda seen, total: None)
        assert await keys(await start(NEW_ROOT)) == {"runway": "rk-0123456789-7890"}
    lines = [event for event in events if event["event"] == "vault_unlocked"]
    assert [(line["keys_under_another"], line["rekey_needed"]) for line in lines] == [
        (0, True), (0, True), (0, False)
    ]  # fmt: skip


async def test_a_process_that_does_not_know_the_new_secret_is_locked_by_rekey_until_it_is_given_it(
    start: Start, file: Path
) -> None:
    behind = await start()
    await keep(behind)
    await asyncio.to_thread(rekey, file, SecretStr(NEW_ROOT), [SecretStr(ROOT)], lambda seen, total: None)
    assert (await rows(behind))["runway"]["masked"] == "corrupted"
    await problem(await behind.put(f"{KEYS}/veo", json={"api_key": "veo-key-0123456789"}), 503, "vault_locked")
    for mended in (await start(ROOT, previous=[NEW_ROOT]), await swapped(start)):
        assert await keys(mended) == {"runway": "rk-0123456789-7890"}
        await keep(mended)


async def refreshed(asker: Asker) -> None:
    """As before each page of metrics."""
    assert asker.client.app is not None
    await asyncio.gather(*(refresh() for refresh in asker.client.app[ON_SCRAPE]))


def test_no_repr_of_a_ring_shows_a_key() -> None:
    ring = derive_ring(SecretStr(NEW_ROOT), [SecretStr(ROOT)], SALT)
    for key in (OLD_KEY, NEW_KEY):
        assert repr(key.secret) not in repr(ring)
