"""The vault's share of a restore: plan, merge, replace, undo; and nothing of it in clear anywhere."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from chassis.peers import Scope
from chassis.schema import steps_of
from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, ROOT, Start
from tests.vault_service.restoring import PASSPHRASE, keys, restore, sealed, stage, step, table, told, undo
from tests.vault_service.test_routes import KEYS, keep, plaintext, problem, rows
from tests.vault_service.test_store import API_KEY, assert_nowhere, back_up, change

OLD, NEW, OTHER = "the-old-key-0123456789", "the-new-key-0123456789", "another-key-0123456789"


def counts(added: int = 0, changed: int = 0, unchanged: int = 0, refused: int = 0) -> dict[str, dict[str, int]]:
    return {"api_keys": {"added": added, "changed": changed, "unchanged": unchanged, "refused": refused}}


async def filled(asker: Asker) -> dict[str, str]:
    """Keys to be changed, to be left as they are and to be removed."""
    for provider, api_key in (("runway", OLD), ("veo", "veo-key-0123456789"), ("sora", "sora-key-0123456789")):
        await keep(asker, provider, api_key)
    return await keys(asker)


DOCUMENT = {"runway": NEW, "veo": "veo-key-0123456789", "flux": "flux-key-0123456789"}


async def test_staging_changes_nothing_and_says_what_would(asker: Asker, file: Path) -> None:
    await filled(asker)
    before = table(file, "api_keys")
    staged = await told(await stage(asker, sealed(**DOCUMENT)))
    assert staged["plan"] == counts(added=1, changed=1, unchanged=1)
    assert (staged["restored"], staged["removed"]) == ({"api_keys": 3}, {"api_keys": 0})
    assert table(file, "api_keys") == before
    assert await told(await stage(asker, sealed(**DOCUMENT))) == staged, "once more takes the place of the first"
    await told(await step(asker, "abort"))
    assert (table(file, "api_keys"), table(file, "staged_keys"), table(file, "undo_keys")) == (before, [], [])


async def test_merge_puts_in_what_is_named_and_leaves_the_rest(asker: Asker, file: Path) -> None:
    before = await filled(asker)
    await restore(asker, **DOCUMENT)
    assert await keys(asker) == {**before, **DOCUMENT}
    assert table(file, "staged_keys") == []


async def test_replace_removes_what_is_not_named(asker: Asker) -> None:
    await filled(asker)
    await keep(asker, "sora", OTHER, owner="guest:b")
    done = await restore(asker, mode="replace", **DOCUMENT)
    assert (done["plan"], done["removed"]) == (counts(added=1, changed=1, unchanged=1), {"api_keys": 1})
    assert await keys(asker) == DOCUMENT
    assert await keys(asker, "guest:b") == {"sora": OTHER}, "another owner's keys are none of its business"


async def test_replace_with_no_key_in_the_document_empties_the_profile(asker: Asker) -> None:
    before = await filled(asker)
    done = await restore(asker, mode="replace")
    assert (done["plan"], done["removed"]) == (counts(), {"api_keys": 3})
    assert await keys(asker) == {}
    assert await undo(asker) == (3, 0)
    assert await keys(asker) == before


async def test_replace_leaves_keys_alone_where_the_document_carries_none(asker: Asker) -> None:
    before = await filled(asker)
    done = await told(await stage(asker, [], mode="replace", parts=("runs", "settings"), headers={}))
    assert (done["plan"], done["removed"]) == (counts(), {"api_keys": 0})
    await told(await step(asker, "commit"))
    assert await keys(asker) == before


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_the_same_document_again_changes_nothing(asker: Asker, file: Path, mode: str) -> None:
    await filled(asker)
    await restore(asker, mode=mode, **DOCUMENT)
    before = table(file, "api_keys")
    done = await restore(asker, "r2", mode=mode, **DOCUMENT)
    assert (done["plan"], done["removed"]) == (counts(unchanged=3), {"api_keys": 0})
    assert table(file, "api_keys") == before
    assert table(file, "undo_keys") == []


async def test_an_unchanged_key_keeps_its_time_and_a_changed_one_gets_the_restores(asker: Asker) -> None:
    await filled(asker)
    before = await rows(asker)
    await restore(asker, **DOCUMENT)
    after = await rows(asker)
    assert after["veo"] == before["veo"]
    assert after["sora"] == before["sora"]
    assert after["runway"]["updated_at"] > before["runway"]["updated_at"]


async def test_an_unreadable_key_counts_as_changed_and_is_whole_again(asker: Asker, file: Path) -> None:
    await filled(asker)
    change(file, "UPDATE api_keys SET wrapped_key = x'00' WHERE provider = 'veo'")
    damaged = table(file, "api_keys")
    assert (await restore(asker, **DOCUMENT))["plan"] == counts(added=1, changed=2)
    assert (await keys(asker))["veo"] == DOCUMENT["veo"]
    await undo(asker)
    assert table(file, "api_keys") == damaged


async def test_what_was_written_between_plan_and_commit_is_in_the_answer_of_the_commit(asker: Asker) -> None:
    await told(await stage(asker, sealed(**DOCUMENT), mode="replace"))
    await keep(asker, "flux", DOCUMENT["flux"])
    await keep(asker, "pika", OLD)
    done = await told(await step(asker, "commit"))
    assert (done["plan"], done["removed"]) == (counts(added=2, unchanged=1), {"api_keys": 1})
    assert await keys(asker) == DOCUMENT


async def test_undo_gives_back_every_row_as_it_was(asker: Asker, file: Path) -> None:
    await filled(asker)
    before = table(file, "api_keys")
    await restore(asker, mode="replace", **DOCUMENT)
    assert table(file, "api_keys") != before
    assert await undo(asker) == (3, 0), "changed, added and removed; the unchanged one is none of its business"
    assert table(file, "api_keys") == before, "times and seals included"
    assert (table(file, "undo_keys"), table(file, "staged_keys")) == ([], [])


Write = Callable[[Asker, str], Awaitable[object]]


async def save_another(asker: Asker, provider: str) -> None:
    await keep(asker, provider, OTHER)


async def there_and_back(asker: Asker, provider: str) -> None:
    await keep(asker, provider, OTHER)
    await put_back(asker, provider)


async def put_back(asker: Asker, provider: str) -> None:
    await keep(asker, provider, DOCUMENT.get(provider, "sora-key-0123456789"))


async def delete(asker: Asker, provider: str) -> None:
    if provider == "sora":
        await save_another(asker, provider)
    await asker.delete(f"{KEYS}/{provider}")


async def delete_and_make_again(asker: Asker, provider: str) -> None:
    await delete(asker, provider)
    await put_back(asker, provider)


@pytest.mark.parametrize("provider", ["runway", "flux", "sora"])
@pytest.mark.parametrize("write", [save_another, there_and_back, delete, delete_and_make_again])
async def test_what_was_written_since_stays_and_the_rest_goes_back(asker: Asker, write: Write, provider: str) -> None:
    """`provider` was changed, added or removed by the restore."""
    before = await filled(asker)
    await restore(asker, mode="replace", **DOCUMENT)
    await write(asker, provider)
    since = await keys(asker)
    assert await undo(asker) == (2, 1)
    after = await keys(asker)
    assert after.get(provider) == since.get(provider)
    assert {**after, provider: None} == {**before, provider: None}


async def test_the_key_from_before_saved_by_hand_stays_and_keeps_its_new_time(asker: Asker) -> None:
    await filled(asker)
    await restore(asker, **DOCUMENT)
    kept = await keep(asker, "runway", OLD)
    assert await undo(asker) == (1, 1)
    assert (await rows(asker))["runway"]["updated_at"] == kept["updated_at"]


async def test_saving_what_is_there_already_and_deleting_what_is_not_are_no_writes(asker: Asker) -> None:
    before = await filled(asker)
    await restore(asker, mode="replace", **DOCUMENT)
    await keep(asker, "runway", NEW)
    await keep(asker, "flux", DOCUMENT["flux"])
    assert await (await asker.delete(f"{KEYS}/sora")).json() == {"provider": "sora", "deleted": False}
    assert await undo(asker) == (3, 0)
    assert await keys(asker) == before


async def test_a_write_of_another_owner_or_provider_drops_nothing(asker: Asker) -> None:
    before = await filled(asker)
    await restore(asker, mode="replace", **DOCUMENT)
    for provider in ("runway", "flux", "sora"):
        await keep(asker, provider, OTHER, owner="guest:b")
        await asker.delete(f"{KEYS}/{provider}", owner="guest:b")
    await keep(asker, "veo", OTHER)
    await keep(asker, "pika", OTHER)
    assert await undo(asker) == (3, 0)
    assert await keys(asker) == {**before, "veo": OTHER, "pika": OTHER}


async def test_a_write_between_the_plan_of_an_undo_and_its_commit_stays(asker: Asker) -> None:
    await filled(asker)
    await restore(asker, **DOCUMENT)
    planned = await told(await stage(asker, [], "u1", parts=(), headers={}, mode="undo", undoes="r1"))
    assert planned == {"undone": {"api_keys": 2}, "stayed": {"api_keys": 0}}
    await keep(asker, "runway", OTHER)
    done = await told(await step(asker, "commit", "u1"))
    assert done == {"undone": {"api_keys": 1}, "stayed": {"api_keys": 1}}
    assert (await keys(asker))["runway"] == OTHER


async def test_what_nothing_can_bring_back_is_dropped_at_once(asker: Asker, file: Path) -> None:
    await filled(asker)
    await restore(asker, mode="replace", **DOCUMENT)
    assert [row[2] for row in table(file, "undo_keys")] == ["flux", "runway", "sora"]
    await keep(asker, "runway", OTHER)
    assert [row[2] for row in table(file, "undo_keys")] == ["flux", "sora"]
    await asker.delete(f"{KEYS}/flux")
    assert [row[2] for row in table(file, "undo_keys")] == ["sora"]
    await keep(asker, "sora", OTHER)
    assert table(file, "undo_keys") == []
    assert await undo(asker) == (0, 3)


async def test_the_next_restore_takes_the_place_of_what_the_last_one_kept(asker: Asker, file: Path) -> None:
    await filled(asker)
    await restore(asker, runway=NEW)
    await restore(asker, "r1-of-b-is-another-id", veo=OTHER)
    assert [row[0] for row in table(file, "undo_keys")] == ["r1-of-b-is-another-id"]
    answer = await stage(asker, [], "u1", parts=(), headers={}, mode="undo", undoes="r1")
    await problem(answer, 409, "undo_closed")
    assert await undo(asker, "r1-of-b-is-another-id", "u2") == (1, 0)
    assert (await keys(asker))["veo"] == "veo-key-0123456789"
    assert (await keys(asker))["runway"] == NEW


async def test_an_undo_happens_once_and_its_answer_is_remembered(asker: Asker) -> None:
    await filled(asker)
    await restore(asker, **DOCUMENT)
    await undo(asker)
    await keep(asker, "runway", OTHER)
    assert await told(await step(asker, "commit", "u1")) == {"undone": {"api_keys": 2}, "stayed": {"api_keys": 0}}
    assert (await keys(asker))["runway"] == OTHER
    answer = await stage(asker, [], "u2", parts=(), headers={}, mode="undo", undoes="r1")
    await problem(answer, 409, "undo_closed")


async def test_an_undo_that_is_aborted_leaves_the_restore_and_the_way_back(asker: Asker) -> None:
    before = await filled(asker)
    await restore(asker, **DOCUMENT)
    await told(await stage(asker, [], "u1", parts=(), headers={}, mode="undo", undoes="r1"))
    await told(await step(asker, "abort", "u1"))
    assert await keys(asker) == {**before, **DOCUMENT}
    assert await undo(asker, id_="u2") == (2, 0)
    assert await keys(asker) == before


async def test_an_undo_stages_nothing_of_what_it_is_sent(asker: Asker, file: Path) -> None:
    await filled(asker)
    await restore(asker, runway=NEW)
    await told(await stage(asker, sealed(pika=OTHER), "u1", mode="undo", undoes="r1"))
    assert table(file, "staged_keys") == []
    await told(await step(asker, "commit", "u1"))
    assert "pika" not in await keys(asker)


async def test_a_restore_that_changed_nothing_is_undone_without_a_trace(asker: Asker, file: Path) -> None:
    await filled(asker)
    before = table(file, "api_keys")
    await restore(asker, veo="veo-key-0123456789")
    await keep(asker, "veo", OTHER)
    assert await undo(asker) == (0, 0)
    assert (await keys(asker))["veo"] == OTHER
    assert [row[:2] for row in table(file, "api_keys")] == [row[:2] for row in before]


async def test_another_owner_can_take_nothing_back(asker: Asker) -> None:
    await filled(asker)
    await restore(asker, **DOCUMENT)
    query = {"mode": "undo", "undoes": "r1"}
    await problem(await stage(asker, [], "u1", parts=(), headers={}, owner="guest:b", **query), 409, "undo_closed")
    assert await keys(asker, "guest:b") == {}


async def test_what_is_kept_is_shown_nowhere_and_in_no_backup(asker: Asker) -> None:
    await keep(asker, "runway", OLD)
    await restore(asker, mode="replace", veo=NEW)
    assert not (await rows(asker))["runway"]["configured"]
    await problem(await plaintext(asker), 404, "no_key")
    assert '"providers":["veo"]' in await (await back_up(asker)).text()
    assert "runway" not in (await (await asker.get("/api/providers")).json())["available_providers"]


async def test_a_rekey_is_no_write(asker: Asker, file: Path) -> None:
    """Wrapping the data keys anew changes key_id and wrapped_key alone, in every table that has them."""
    before = await filled(asker)
    await restore(asker, mode="replace", **DOCUMENT)
    wrapped = [table(file, name) for name in ("api_keys", "undo_keys")]
    there = "key_id = 'x' || key_id, wrapped_key = CAST(x'00' || wrapped_key AS BLOB)"
    back = "key_id = substr(key_id, 2), wrapped_key = substr(wrapped_key, 2)"
    for turn in (there, back):
        for name in ("api_keys", "undo_keys"):
            change(file, f"UPDATE {name} SET {turn}, ciphertext = ciphertext WHERE wrapped_key IS NOT NULL")
    assert [table(file, name) for name in ("api_keys", "undo_keys")] == wrapped
    assert await undo(asker) == (3, 0)
    assert await keys(asker) == before


def test_every_table_of_sealed_keys_names_their_columns_alike(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "new.db")) as file:
        for _, script in steps_of("vault_service"):
            file.executescript(script)
        found = "SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = ?"
        named = [{row[0] for row in file.execute(found, (each,))} for each in ("ciphertext", "wrapped_key", "key_id")]
    assert named == [{"api_keys", "staged_keys", "undo_keys"}] * 3


async def test_a_locked_vault_is_neither_emptied_nor_taken_back(start: Start, file: Path) -> None:
    asker, foreign = await start(), await start(root=FOREIGN_ROOT)
    await filled(asker)
    await problem(await stage(foreign, [], "r0", mode="replace", headers={}), 503, "vault_locked")
    await told(await stage(foreign, [], "r-runs-only", mode="replace", parts=("runs",), headers={}))
    await restore(asker, **DOCUMENT)
    before = table(file, "api_keys")
    answer = await stage(foreign, [], "u1", parts=(), headers={}, mode="undo", undoes="r1")
    await problem(answer, 503, "vault_locked")
    assert table(file, "api_keys") == before
    assert await undo(asker, id_="u2") == (2, 0)


async def test_what_is_decided_goes_through_even_where_the_secret_was_changed_meanwhile(start: Start) -> None:
    asker, foreign = await start(), await start(root=FOREIGN_ROOT)
    before = await filled(asker)
    await told(await stage(asker, sealed(**DOCUMENT), mode="replace"))
    await told(await step(foreign, "commit"))
    assert await keys(asker) == DOCUMENT
    await told(await stage(asker, [], "u1", parts=(), headers={}, mode="undo", undoes="r1"))
    await told(await step(foreign, "commit", "u1"))
    assert await keys(asker) == before


async def test_writes_and_restores_at_once_leave_whole_keys_and_a_true_count(start: Start) -> None:
    one, other = await start(), await start()
    await filled(one)
    await told(await stage(one, sealed(**DOCUMENT)))
    written = [f"written-meanwhile-{number:04}" for number in range(20)]
    commit = asyncio.create_task(step(other, "commit"))
    await asyncio.gather(*(keep((one, other)[n % 2], "runway", key) for n, key in enumerate(written)))
    await told(await commit)
    found = await keys(one)
    assert found["runway"] in {*written, NEW}
    undone, stayed = await undo(one)
    assert undone + stayed == 2
    after = await keys(one)
    assert after["runway"] in {*written, OLD}
    assert (after["runway"] == found["runway"]) == (stayed == 1)


async def test_nothing_of_a_restore_stands_in_clear_in_any_file_or_log_line(
    start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old, wrong = API_KEY[::-1], "a-wrong-passphrase-nobody-may-read"
    unfit = "an-unfit-key-nobody-may-read\x07"
    with structlog.testing.capture_logs() as events:
        asker = await start()
        query = {"mode": "undo", "undoes": "r1"}
        steps: list[Callable[[], Awaitable[object]]] = [
            lambda: keep(asker, api_key=old),
            lambda: back_up(asker, PASSPHRASE),
            lambda: back_up(asker, PASSPHRASE[:4]),
            lambda: stage(asker, sealed(runway=API_KEY), headers={"Animatize-Backup-Passphrase": wrong}),
            lambda: stage(asker, sealed(runway=API_KEY), headers={"Animatize-Backup-Passphrase": wrong + "%"}),
            lambda: stage(asker, [("", "sealed_api_keys", {"runway": "unsealed"})]),
            lambda: stage(asker, sealed(runway=API_KEY, veo=unfit, kling=unfit)),
            lambda: step(asker, "commit"),
            lambda: stage(asker, [], "u1", parts=(), headers={}, **query),
            lambda: step(asker, "commit", "u1"),
            lambda: asker.get("/internal/backup", scope=Scope.SYSTEM),
            lambda: asker.delete(f"{KEYS}/runway"),
        ]
        for each in steps:
            await each()
            shown = capfd.readouterr()
            logged = repr(events) + shown.out + shown.err
            for secret in (API_KEY, old, unfit, wrong, PASSPHRASE, ROOT):
                assert_nowhere(secret, tmp_path, logged)
    assert [event for event in events if event["event"] == "request"], "refusals are logged"
