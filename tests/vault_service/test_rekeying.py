"""Every stored key comes under the new root secret, without being opened, whatever happens meanwhile."""

import asyncio
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from chassis.schema import bring_up, connect
from tests.vault_service.conftest import FOREIGN_ROOT, NEW_ROOT, ROOT, Start
from tests.vault_service.restoring import keys, restore, undo
from tests.vault_service.rotation import (
    BOTH,
    NEW,
    OLD,
    command,
    everything,
    made,
    opened_with,
    rows,
    run,
    run_json,
    without_wrapping,
)  # fmt: skip
from tests.vault_service.test_app import select
from tests.vault_service.test_metrics import Since
from tests.vault_service.test_routes import keep
from tests.vault_service.test_store import change
from vault_service import rekeying
from vault_service.rekeying import Refused, rekey, standing
from vault_service.ring import KeyRing, derive_ring
from vault_service.sealing import Sealed, Unreadable
from vault_service.standing import Standing
from vault_service.wrapped import SEALED_TABLES

KNOWN_PLAIN: Final = {
    ("vault", "salt"),
    ("moved", "digest"),
    ("requests", "body"),
}  # of a kept answer the key's mask is left out
NEW_SECRET, OLD_SECRET = SecretStr(NEW_ROOT), SecretStr(ROOT)
KEYS: Final = 250  # of each kind: more than two transactions
ALL_KEYS: Final = KEYS * 3 - 84  # every third of those kept for an undo is none


def rekeyed(file: Path, tell: rekeying.Tell = lambda seen, total: None) -> Standing:
    return rekey(file, NEW_SECRET, [OLD_SECRET], tell)


@pytest.fixture(name="vault")
def many_keys(file: Path) -> Path:
    made(file, KEYS)
    return file


def test_every_sealed_column_of_the_schema_is_wrapped_anew(file: Path) -> None:
    """What is sealed is a BLOB. A table with a new one belongs to SEALED_TABLES, or its column to those known plain."""
    bring_up(file, "vault_service")
    listed = (
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c"
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.type NOT IN ('TEXT', 'INTEGER', 'REAL')"
    )
    sealed = {(table, column) for table in SEALED_TABLES for column in ("wrapped_key", "ciphertext")}
    assert set(select(file, listed)) == sealed | KNOWN_PLAIN
    primary = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
    with closing(sqlite3.connect(file)) as database:
        for table, place in SEALED_TABLES.items():
            assert tuple(name for (name,) in database.execute(primary, (table,))) == place


def test_all_keys_come_under_the_new_secret_and_nothing_else_changes(vault: Path) -> None:
    before, plain = everything(vault), opened_with(OLD, vault)
    done = rekeyed(vault)
    assert (done.done, done.rewrapped, done.left, done.free) == (True, ALL_KEYS, {}, [OLD.current.id])
    after = everything(vault)
    assert without_wrapping(after) == without_wrapping(before), "not a byte of a ciphertext, no time, no undo"
    assert opened_with(NEW, vault) == plain
    assert after["vault"][0]["fingerprint"] == NEW.current.id
    assert rekeyed(vault).rewrapped == 0
    assert everything(vault) == after


def test_a_key_is_never_in_clear_while_its_secret_changes(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening the box around the data key is all that it takes: a provider key is nowhere asked for."""
    monkeypatch.setattr("vault_service.ring.unseal", None)
    assert rekeyed(vault).done


def test_back_and_forth_gives_rows_as_the_release_before_reads_them(vault: Path) -> None:
    plain = opened_with(OLD, vault)
    assert rekeyed(vault).done
    assert rekey(vault, OLD_SECRET, [NEW_SECRET], lambda seen, total: None).done
    assert {len(row["wrapped_key"]) for row in rows(vault, "api_keys")} == {72}
    assert opened_with(OLD, vault) == plain


def test_a_third_secret_follows_the_second(vault: Path) -> None:
    plain = opened_with(OLD, vault)
    assert rekeyed(vault).done
    third = SecretStr(FOREIGN_ROOT)
    assert rekey(vault, third, [NEW_SECRET], lambda seen, total: None).done
    ring = derive_ring(third, [], rows(vault, "vault")[0]["salt"])
    assert opened_with(ring, vault) == plain


@pytest.mark.parametrize("column", ["wrapped_key", "ciphertext"])
def test_a_row_wrapped_anew_opens_only_in_its_place_and_unchanged(vault: Path, column: str) -> None:
    rekeyed(vault)
    one, other, *_ = (
        (row["owner"], Sealed(row["key_id"], row["wrapped_key"], row["ciphertext"])) for row in rows(vault, "api_keys")
    )
    assert NEW.unseal(one[0], "veo", one[1])
    box = vars(one[1])
    swapped = Sealed(**box | {column: vars(other[1])[column]})
    cut = Sealed(**box | {column: box[column][:-1]})
    flipped = Sealed(**box | {column: box[column][:-1] + bytes([box[column][-1] ^ 1])})
    for owner, sealed in ((other[0], one[1]), (one[0], swapped), (one[0], cut), (one[0], flipped)):
        with pytest.raises(Unreadable):
            NEW.unseal(owner, "veo", sealed)
    with pytest.raises(Unreadable):
        NEW.unseal(one[0], "flux", one[1])


def test_nothing_is_noted_before_the_last_key_is_under_the_new_secret(vault: Path) -> None:
    def stop_half_way(seen: int, total: int) -> None:
        assert total == ALL_KEYS
        if seen > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rekeyed(vault, stop_half_way)
    half = standing(vault, NEW_SECRET, [OLD_SECRET])
    assert (half.done, half.free, half.vault) == (False, [], OLD.current.id)
    assert 0 < half.left[OLD.current.id] < ALL_KEYS
    assert len(opened_with(BOTH, vault)) == ALL_KEYS, "old and new are both needed, and enough"
    finished = rekeyed(vault)
    assert (finished.done, finished.rewrapped) == (True, half.left[OLD.current.id])


def test_a_write_waits_for_no_more_than_a_hundred_rows(vault: Path) -> None:
    looked_at: list[int] = []
    rekeyed(vault, lambda seen, total: looked_at.append(seen))
    steps = [after - before for before, after in zip([0, *looked_at], looked_at, strict=False)]
    assert max(steps) == 100
    assert sum(steps) == ALL_KEYS


def test_the_status_changes_nothing(vault: Path) -> None:
    before = everything(vault)
    told = standing(vault, NEW_SECRET, [OLD_SECRET])
    assert (told.left, told.free, told.done) == ({OLD.current.id: ALL_KEYS}, [], False)
    assert everything(vault) == before


def test_what_is_damaged_is_named_and_holds_nothing_back(vault: Path) -> None:
    for table in ("api_keys", "undo_keys"):
        change(vault, f"UPDATE {table} SET wrapped_key = randomblob(72) WHERE owner = 'user:00007'")
    told = rekeyed(vault)
    assert [(each.table, each.owner, each.provider) for each in told.damaged] == [
        ("api_keys", "user:00007", "veo"),
        ("undo_keys", "user:00007", "veo"),
    ]
    assert (told.done, told.left, told.rewrapped) == (False, {OLD.current.id: 2}, ALL_KEYS - 2)
    assert (told.vault, told.free) == (NEW.current.id, [OLD.current.id]), "no secret opens them: the old one can go"


def test_keys_of_an_unknown_secret_are_counted_and_left_alone(vault: Path) -> None:
    change(vault, "UPDATE api_keys SET key_id = '0123456789abcdef' WHERE owner < 'user:00005'")
    before = rows(vault, "api_keys")[:5]
    told = rekeyed(vault)
    assert (told.left, told.damaged, told.done) == ({"0123456789abcdef": 5}, [], False)
    assert rows(vault, "api_keys")[:5] == before
    with pytest.raises(Refused, match=r"5 under 0123456789abcdef.*ANIMATIZE_SECRET_KEY_PREVIOUS"):
        rekey(vault, NEW_SECRET, [], lambda seen, total: None)


def test_a_write_in_between_wins(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading a page and writing it: one key is replaced, one deleted, one replaced under the old secret."""
    real, others = rekeying._wrapped_anew, iter(["interfere"])

    def interfering(ring: KeyRing, row: sqlite3.Row) -> Sealed | None:
        if next(others, None):
            _replace(vault, "user:00001", NEW)
            change(vault, "DELETE FROM api_keys WHERE owner = 'user:00002'")
            _replace(vault, "user:00003", OLD)
        return real(ring, row)

    monkeypatch.setattr(rekeying, "_wrapped_anew", interfering)
    assert rekeyed(vault).done
    found = [text for text in opened_with(NEW, vault) if "live" in text or "written" in text]
    assert found[:3] == [
        "the key that is live 0",
        "the key that is written by user:00001",
        "the key that is written by user:00003",
    ]


def _replace(file: Path, owner: str, ring: KeyRing) -> None:
    box = ring.seal(owner, "veo", SecretStr(f"the key that is written by {owner}"))
    put = "UPDATE api_keys SET key_id = ?, wrapped_key = ?, ciphertext = ? WHERE owner = ?"
    change(file, put, box.key_id, box.wrapped_key, box.ciphertext, owner)


def test_a_process_that_goes_on_with_the_old_secret_is_told_of_and_not_followed_for_ever(vault: Path) -> None:
    def written_behind(seen: int, total: int) -> None:
        _replace(vault, "user:00001", OLD)

    told = rekeyed(vault, written_behind)
    assert (told.done, told.left, told.vault) == (False, {OLD.current.id: 1}, OLD.current.id)
    assert rekeyed(vault).done


async def test_an_undo_that_was_open_stays_open_and_gives_back_the_key(start: Start, file: Path) -> None:
    before = await start()
    await keep(before, "veo", "veo-before-0123456789")
    await restore(before, veo="veo-after-0123456789")
    assert (await asyncio.to_thread(rekeyed, file)).rewrapped == 2
    after, since = await start(NEW_ROOT), Since()
    assert await keys(after) == {"veo": "veo-after-0123456789"}
    assert await undo(after) == (1, 0)
    assert await keys(after) == {"veo": "veo-before-0123456789"}
    assert since() == {}


async def test_reads_and_writes_go_on_while_all_keys_change_their_secret(start: Start, file: Path) -> None:
    await asyncio.to_thread(made, file, KEYS * 2)
    asker = await start(NEW_ROOT, previous=[ROOT])
    since, pace = Since(), lambda seen, total: time.sleep(0.03)
    working = asyncio.create_task(asyncio.to_thread(rekeyed, file, pace))
    written, looks = 0, 0
    while not working.done():
        written += 1
        await keep(asker, "veo", f"written-{written:05}-0123456789", owner=f"user:{written * 7 % 500:05}")
        await keep(asker, "flux", f"written-{written:05}-0123456789", owner=f"user:{written:05}")
        looks += len(await keys(asker, f"user:{random.randrange(500):05}"))
    assert (await working).done
    assert written > 3
    assert looks > 3
    assert since() == {}
    assert all(f"written-{each:05}-0123456789" in opened_with(NEW, file) for each in range(1, written + 1))


KILLS: Final = 7


def test_killed_over_and_over_it_ends_with_every_key_under_the_new_secret(file: Path) -> None:
    made(file, 3000)
    before, plain, left = everything(file), opened_with(OLD, file), []
    for _ in range(KILLS):
        process = command(file)
        assert process.stderr is not None
        process.stderr.readline()  # it is at work
        time.sleep(random.uniform(0, 0.02))
        process.kill()
        process.communicate(timeout=30)
        left.append(standing(file, NEW_SECRET, [OLD_SECRET]).left.get(OLD.current.id, 0))
        assert opened_with(BOTH, file) == plain
    assert left == sorted(left, reverse=True)
    assert any(0 < each < len(plain) for each in left), "a kill came half way"
    assert run(file)[0] == 0
    assert opened_with(NEW, file) == plain
    assert without_wrapping(everything(file)) == without_wrapping(before)


def test_broken_off_at_the_keyboard_it_says_that_it_may_begin_again(file: Path) -> None:
    made(file, 3000)
    process = command(file)
    assert process.stderr is not None
    process.stderr.readline()  # it is at work
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=30)
    assert (process.returncode, told) == (1, ""), said
    assert said.splitlines()[-1] == "broken off; what is done stays done: begin again"
    assert "Traceback" not in said
    assert run(file)[0] == 0


def test_two_at_once_do_the_work_together(vault: Path) -> None:
    plain = opened_with(OLD, vault)
    both = [command(vault, "--json") for _ in range(2)]
    assert [(process.communicate(timeout=30), process.returncode)[1] for process in both] == [0, 0]
    assert opened_with(NEW, vault) == plain


def test_the_command_tells_its_progress_what_it_did_and_what_can_go(vault: Path) -> None:
    code, told, progress = run(vault, "--status")
    assert (code, progress) == (1, "")
    assert f"previous secret {OLD.current.id}: {ALL_KEYS} keys hang on it" in told
    code, told, progress = run(vault)
    assert (code, progress.splitlines()[-1]) == (0, f"{ALL_KEYS} of {ALL_KEYS} keys")
    assert f"current secret {NEW.current.id}: {ALL_KEYS} keys, {ALL_KEYS} of them just now" in told
    assert f"previous secret {OLD.current.id}: nothing hangs on it (not in use yet, or any more); it can go" in told
    code, found = run_json(vault, "--status")
    assert (code, found["done"], found["left"], found["free"]) == (0, True, {}, [OLD.current.id])
    assert run(vault, previous="")[0] == 0
    for secret in (ROOT, NEW_ROOT, "the key that"):
        assert secret not in told + progress + repr(found)


def test_a_secret_that_is_announced_is_not_told_to_be_done_with(vault: Path) -> None:
    _, told, _ = run(vault, "--status", secret=ROOT, previous=NEW_ROOT)
    assert f"previous secret {NEW.current.id}: nothing hangs on it (not in use yet, or any more)" in told


def test_the_command_names_what_it_cannot_open_and_exits_with_1(vault: Path) -> None:
    change(vault, "UPDATE staged_keys SET wrapped_key = x'00' WHERE owner = 'user:00003'")
    code, told, _ = run(vault)
    assert code == 1
    assert f"damaged: veo key of user:00003 (staged_keys, {OLD.current.id})" in told
    code, found = run_json(vault)
    assert (code, found["damaged_count"], found["damaged"][0]["owner"]) == (1, 1, "user:00003")


def _no_file(file: Path) -> None:
    for each in file.parent.glob("*.vault.db*"):
        each.unlink()


def _never_started(file: Path) -> None:
    change(file, "UPDATE vault SET fingerprint = NULL")


def _of_another_service(file: Path) -> None:
    _no_file(file)
    bring_up(file, "runs_service")


def _older(file: Path) -> None:
    change(file, "DELETE FROM restores")
    with closing(connect(file)) as tx:
        tx.execute("PRAGMA user_version = 1")


def _newer(file: Path) -> None:
    with closing(connect(file)) as tx:
        tx.execute("PRAGMA user_version = 99")


def _rubbish(file: Path) -> None:
    _no_file(file)
    file.write_bytes(b"this was never a database\n" * 500)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_no_file, "there is no file of vault_service at"),
        (_never_started, "never started"),
        (_of_another_service, "is not a file of vault_service"),
        (_older, "start its vault_service once"),
        (_newer, "start the newer release"),
        (_rubbish, "not a readable database"),
    ],
)
@pytest.mark.parametrize("work", [rekeyed, lambda file: standing(file, NEW_SECRET, [OLD_SECRET])])
def test_what_is_no_vault_of_this_release_is_refused_and_left_alone(
    file: Path, spoil: Callable[[Path], None], message: str, work: Callable[[Path], Standing]
) -> None:
    made(file, 3)
    spoil(file)
    before = file.read_bytes() if file.exists() else None
    with pytest.raises(Refused, match=message):
        work(file)
    assert (file.read_bytes() if file.exists() else None) == before


def test_a_wrong_set_up_exits_with_2_and_says_what_to_give(vault: Path, tmp_path: Path) -> None:
    before = everything(vault)
    for arguments, rest, message in (
        ([], {"secret": FOREIGN_ROOT, "previous": ""}, f"made with the secret of fingerprint {OLD.current.id}"),
        (["--status"], {"secret": FOREIGN_ROOT, "previous": NEW_ROOT}, "ANIMATIZE_SECRET_KEY_PREVIOUS"),
        ([], {"ANIMATIZE_ENV": "production", "previous": "short"}, "ANIMATIZE_SECRET_KEY_PREVIOUS: "),
        ([], {"ANIMATIZE_WEB_DB_PATH": str(tmp_path / "nowhere")}, "there is no file of vault_service at"),
        (["--nonsense"], {}, "--nonsense"),
    ):
        code, told, said = run(vault, *arguments, **rest)
        assert (code, told) == (2, ""), said
        assert message in said
        assert "Traceback" not in said
        assert FOREIGN_ROOT not in said
    assert everything(vault) == before
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_another_program_holds_is_told_of_and_the_work_goes_on_later(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.schema.BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(vault, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            rekeyed(vault)
        other.execute("ROLLBACK")
    assert rekeyed(vault).done
