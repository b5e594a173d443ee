"""Copies of one moment, while everything runs."""

import hashlib
import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from animatize import moments
from animatize.snapshot import take
from animatize.snapshots import read_snapshot
from chassis.schema import connect, steps_of, take_turn
from tests.animatize.console import Console, killed_at, made, unmade
from tests.vault_service.rotation import OLD


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return made(tmp_path)


def test_a_snapshot_is_five_whole_files_and_a_manifest_that_says_what_they_are(
    console: Console, tmp_path: Path
) -> None:
    told = console("snapshot", tmp_path / "snaps" / "one", "--json")
    assert (told.code, told.out.count("\n")) == (0, 1)
    folder = tmp_path / "snaps" / "one"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest.items() <= told.json.items()
    assert manifest["fingerprint"] == OLD.current.id
    for package, copy in manifest["files"].items():
        file = folder / copy["file"]
        assert (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()) == (copy["size"], copy["sha256"])
        assert copy["schema"] == len(steps_of(package))
    assert manifest["files"]["vault_service"]["counts"]["api_keys"] == 3
    assert manifest["files"]["settings_service"]["counts"]["versions"] == 2
    assert {each.name for each in folder.parent.iterdir()} == {"one"}, "nothing else is left"


def test_the_copies_need_nothing_beside_them_and_say_what_the_files_say(console: Console, tmp_path: Path) -> None:
    assert console("snapshot", tmp_path / "one").code == 0
    for file in console.files.values():
        with closing(sqlite3.connect(f"file:{tmp_path / 'one' / file.name}?immutable=1", uri=True)) as copy:
            assert (tmp_path / "one" / file.name).read_bytes()[18:20] == b"\1\1", "opened without a log"
            with closing(connect(file)) as live:
                assert list(copy.iterdump()) == [*live.iterdump()]


def test_who_may_not_read_the_files_may_not_read_the_copies(console: Console, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert console("snapshot", tmp_path / "one").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "one").iterdir()} == {0o600}


@contextmanager
def busy(*works: Callable[[], object]) -> Iterator[None]:
    """Each is done over and over, in a thread of its own."""
    ended, failures = threading.Event(), list[BaseException]()

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not ended.is_set():
                work()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []


def restoring(console: Console, name: str) -> Callable[[], object]:
    """What gateways and services write for one restore after the other."""
    number = 0
    begin = "INSERT INTO restores (restore_id, owner, mode, state, changed_at) VALUES (?, 'user:a', 'merge', ?, '')"
    commit = "UPDATE restores SET state = 'committed' WHERE restore_id = ?"
    opened = {each: console.connect(each) for each in ("gateway", "settings", "runs", "vault")}

    def write(owner: str, sql: str, *values: object) -> None:
        take_turn(opened[owner], lambda: opened[owner].execute("BEGIN IMMEDIATE"))
        opened[owner].execute(sql, values)
        opened[owner].execute("COMMIT")

    def restore() -> None:
        nonlocal number
        number += 1
        id_ = f"{name}-{number}"
        console.operation(id_, "staging")
        for service in ("settings", "runs", "vault"):
            write(service, begin, id_, "staged")
        write("gateway", "UPDATE operations SET stage = 'committing' WHERE id = ?", id_)
        for service in ("settings", "runs", "vault"):
            write(service, commit, id_)
        write("gateway", "UPDATE operations SET stage = 'done' WHERE id = ?", id_)

    return restore


def test_no_restore_is_half_in_a_snapshot_however_many_are_decided_meanwhile(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = moments._look

    def slowly(view: sqlite3.Connection) -> None:
        look(view)
        time.sleep(0.005)  # room for a whole restore between two views

    monkeypatch.setattr(moments, "_look", slowly)
    began = time.monotonic()
    with busy(restoring(console, "one"), restoring(console, "other")):
        for number in range(6):
            taken = take(console.files, tmp_path / f"s{number}", 60)
            check_decided_nowhere_or_everywhere(taken.folder)
    print(f"six snapshots beside two restores without a pause: {time.monotonic() - began:.1f} s")


def check_decided_nowhere_or_everywhere(folder: Path) -> None:
    found: dict[str, dict[str, str]] = {}
    for owner, sql in {
        "gateway": "SELECT id, stage FROM operations",
        **dict.fromkeys(("settings", "runs", "vault"), "SELECT restore_id, state FROM restores"),
    }.items():
        with closing(sqlite3.connect(folder / f"animatize_web.{owner}.db")) as copy:
            found[owner] = dict(copy.execute(sql).fetchall())
    assert found["gateway"], "some were under way"
    for id_, stage in found["gateway"].items():
        states = {found[owner].get(id_) for owner in ("settings", "runs", "vault")}
        assert stage != "committing"
        assert states == {"committed"} if stage == "done" else "committed" not in states, (id_, stage, states)


def waited_for_turn(tx: sqlite3.Connection) -> float:
    """Begin to write as soon as the file is free: for so many seconds it was not, whatever else the machine is at."""
    tx.execute("PRAGMA busy_timeout = 0")
    found_locked: float | None = None
    while True:
        try:
            tx.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            found_locked = found_locked or time.monotonic()
        else:
            return time.monotonic() - found_locked if found_locked is not None else 0.0


def test_nobody_who_writes_waits_for_a_snapshot(console: Console, tmp_path: Path) -> None:
    """The figure is what the writers of all five files waited for their turn, in the worst case."""
    for owner in ("settings", "runs"):  # something that takes a while to copy
        console.write(owner, "CREATE TABLE ballast (bytes BLOB)")
        number = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 64)"
        console.write(owner, f"INSERT INTO ballast SELECT zeroblob(1000000) FROM ({number} SELECT i FROM n)")
    waited: dict[str, list[float]] = {}

    def writing(owner: str) -> Callable[[], object]:
        tx, waits = console.connect(owner), waited.setdefault(owner, [])
        tx.execute("CREATE TABLE written (number INTEGER)")

        def write() -> None:
            waits.append(waited_for_turn(tx))
            tx.execute("INSERT INTO written VALUES (1)")
            tx.execute("COMMIT")
            time.sleep(0.001)

        return write

    with busy(*map(writing, ("gateway", "auth", "settings", "runs", "vault"))):
        time.sleep(0.3)
        for waits in waited.values():
            waits.clear()
        began = time.monotonic()
        taken = take(console.files, tmp_path / "one", 60)
        took = time.monotonic() - began
        beside = {owner: max(waits, default=0) for owner, waits in waited.items()}
    writes = sum(map(len, waited.values()))
    print(f"{taken.manifest.size >> 20} MiB in {took:.2f} s beside {writes} writes; the journal was held for", end=" ")
    print(f"{taken.manifest.held_ms} ms; longest wait {max(beside.values()) * 1000:.1f} ms")
    assert writes > 20
    assert taken.manifest.held_ms < 100
    assert max(beside.values()) < 0.1


def test_what_is_decided_is_waited_for_and_named(console: Console, tmp_path: Path) -> None:
    console.operation("r_1", "committing")
    told = console("snapshot", tmp_path / "one", "--wait", 0.1, "--json")
    assert (told.code, told.json["operation"]) == (4, "r_1")
    assert "A restore that was decided" in told.err
    assert not (tmp_path / "one").exists()
    ending = threading.Timer(0.3, console.write, ("gateway", "UPDATE operations SET stage = 'done'"))
    ending.start()
    assert console("snapshot", tmp_path / "one", "--wait", 20).code == 0
    ending.join()


@pytest.mark.parametrize(
    ("stage", "holder"), [("staging", "a gateway"), ("aborting", "a gateway"), ("committing", "postponed")]
)
def test_what_is_not_being_put_in_place_is_not_waited_for(
    console: Console, tmp_path: Path, stage: str, holder: str
) -> None:
    console.operation("r_1", stage, holder=holder)
    assert console("snapshot", tmp_path / "one", "--wait", 0).code == 0


def test_a_folder_that_is_there_is_left_alone(console: Console, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    assert console("snapshot", tmp_path / "one").code == 0, "an empty one will do"
    before = {each: each.read_bytes() for each in (tmp_path / "one").iterdir()}
    assert console("snapshot", tmp_path / "one").code == 3
    assert {each: each.read_bytes() for each in (tmp_path / "one").iterdir()} == before
    (tmp_path / "file").touch()
    assert console("snapshot", tmp_path / "file").code == 3


def test_where_a_file_is_not_as_it_should_be_nothing_is_made(console: Console, tmp_path: Path) -> None:
    console.write("runs", "PRAGMA user_version = 1")
    told = console("snapshot", tmp_path / "snaps" / "one")
    assert (told.code, "older release" in told.err) == (3, True)
    console.write("runs", "PRAGMA user_version = 99")
    assert "newer release" in console("snapshot", tmp_path / "snaps" / "one").err
    console.files["runs_service"].unlink()
    assert "there is no file of runs_service" in console("snapshot", tmp_path / "snaps" / "one").err
    assert not (tmp_path / "snaps").exists()


def test_where_nothing_is_there_nothing_is_made(tmp_path: Path) -> None:
    assert unmade(tmp_path)("snapshot", tmp_path / "one").code == 3
    assert list(tmp_path.iterdir()) == []


def test_killed_at_any_step_there_is_no_snapshot_or_a_whole_one_and_nothing_stays(
    console: Console, tmp_path: Path
) -> None:
    step, folder = 0, tmp_path / "snaps"
    while killed_at(step := step + 1, lambda: take(console.files, folder / f"s{step}", 5)):
        for whole in folder.glob("s*"):
            assert read_snapshot(whole).is_whole
    assert step > 12
    assert console("snapshot", folder / "last").code == 0
    assert list(folder.glob(".*")) == []


def test_of_older_snapshots_so_many_are_kept_and_the_last_verified_one_never_goes(
    console: Console, tmp_path: Path
) -> None:
    snaps = tmp_path / "snaps"
    for number in range(4):
        assert console("snapshot", snaps / f"s{number}").code == 0
        if number < 2:
            assert console("verify", snaps / f"s{number}").code == 0
    told = console("snapshot", snaps / "s4", "--keep", 2, "--json")
    assert told.json["removed"] == [str(snaps / "s2"), str(snaps / "s0")]
    assert {each.name for each in snaps.iterdir()} == {"s1", "s3", "s4"}
    assert console("verify", snaps / "s4").code == 0
    assert console("verify", snaps / "s1").code == 0
    assert console("snapshot", snaps / "s5", "--keep", 1, "--json").json["removed"] == [str(snaps / "s3")]


def test_what_is_no_whole_snapshot_of_this_console_is_never_removed(console: Console, tmp_path: Path) -> None:
    snaps = tmp_path / "snaps"
    for name in ("cut", "noted", "changed"):
        assert console("snapshot", snaps / name).code == 0
    (snaps / "cut" / console.files["runs_service"].name).unlink()
    (snaps / "noted" / "note.txt").write_text("keep this")
    manifest = snaps / "changed" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"vault":"', '"vault":"another'))
    (snaps / "linked").symlink_to(tmp_path / "elsewhere")
    assert console("snapshot", tmp_path / "elsewhere").code == 0
    (snaps / "file").write_text("a file")
    there = set(snaps.iterdir())
    assert console("snapshot", snaps / "new", "--keep", 1, "--json").json["removed"] == []
    assert set(snaps.iterdir()) == there | {snaps / "new"}


def test_keeping_none_is_a_mistake(console: Console, tmp_path: Path) -> None:
    assert console("snapshot", tmp_path / "one", "--keep", 0).code == 2
    assert not (tmp_path / "one").exists()
