"""A snapshot takes the place of the files entirely, or they are left as they were."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from animatize import swapping
from animatize.places import OWNERS, Place
from animatize.recover import put_back
from animatize.swapping import Settled
from chassis.schema import Unusable, bring_up, lock_of, refuse_unready, replacing_mark
from tests.animatize.console import WHEN, Console, killed_at, made, unmade
from tests.vault_service.conftest import NEW_ROOT

NOTE = "SELECT version, change_note FROM versions WHERE owner = ? ORDER BY version"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """With a snapshot, and more written since."""
    console = made(tmp_path)
    assert console("snapshot", tmp_path / "one").code == 0
    console.save("user:a", theme={"grain": 0.9})
    console.session("s-b", "user:b")
    return console


@pytest.fixture
def snap(console: Console) -> Path:
    return console.folder / "one"


def kept_of(console: Console) -> dict[str, Path]:
    """The old files, by owner."""
    found = {owner: list(console.data.glob(f"*.{owner}.db.before-recover-*Z")) for owner in OWNERS.values()}
    return {owner: paths[0] for owner, paths in found.items() if paths}


def test_the_files_are_those_of_the_snapshot_and_the_old_ones_are_kept(console: Console, snap: Path) -> None:
    before = {package: list(dump(file)) for package, file in console.files.items()}
    told = console("recover", snap, "--json")
    assert told.code == 0, told.err
    assert console.rows("auth", "SELECT session_id FROM sessions") == [("s-a",)]
    assert {package: list(dump(kept_of(console)[owner])) for package, owner in OWNERS.items()} == before
    assert {str(path) for path in kept_of(console).values()} == set(told.json["kept"])
    left = {each.name for each in console.data.iterdir()}
    assert not [name for name in left if "replac" in name or name.startswith(".animatize")]
    for package, file in console.files.items():
        bring_up(file, package)  # a service can start


def dump(file: Path) -> Iterator[str]:
    with closing(sqlite3.connect(file)) as tx:
        yield from tx.iterdump()


def test_no_device_takes_what_was_lost_for_what_is_there(console: Console, snap: Path) -> None:
    key = console.rows("runs", "SELECT key FROM file_key")
    console.save("user:a", theme={"grain": 0.1})
    assert console("recover", snap, "--json").json["settings_raised"] == 1
    assert console.rows("runs", "SELECT key FROM file_key") != key
    versions = console.rows("settings", NOTE, "user:a")
    assert [number for number, _ in versions] == [1, 2, 5], "devices have seen 4"
    assert versions[-1][1].startswith("recover:20")
    same = "SELECT count(DISTINCT digest) FROM versions WHERE owner = 'user:a' AND version IN (2, 5)"
    assert console.rows("settings", same) == [(1,)]
    assert console.rows("settings", "SELECT version FROM profiles") == [(5,)]
    assert console.rows("settings", "SELECT version FROM changes WHERE owner = 'user:a'") == [(5,)]


def test_settings_that_nobody_changed_since_stay_as_they_are(tmp_path: Path) -> None:
    console = made(tmp_path)
    assert console("snapshot", tmp_path / "one").code == 0
    assert console("recover", tmp_path / "one", "--json").json["settings_raised"] == 0
    assert len(console.rows("settings", NOTE, "user:a")) == 2


def test_who_first_saved_since_and_still_has_a_session_begins_above_what_devices_know(tmp_path: Path) -> None:
    console = made(tmp_path)
    for owner in ("user:b", "user:c"):
        console.session(f"s-{owner}", owner)
    console.write("auth", "DELETE FROM sessions WHERE owner = 'user:c'")
    assert console("snapshot", tmp_path / "one").code == 0
    for owner in ("user:b", "user:c"):
        console.save(owner, theme={"grain": 0.2})
    assert console("recover", tmp_path / "one", "--json").json["settings_raised"] == 1
    assert console.rows("settings", NOTE, "user:b") == [(3, "initial_profile")]
    assert console.rows("settings", NOTE, "user:c") == []


def test_a_session_that_was_ended_since_stays_ended(console: Console, snap: Path) -> None:
    console.write("auth", "UPDATE sessions SET ended_at = ? WHERE session_id = 's-a'", WHEN)
    assert console("recover", snap, "--json").json["sessions_ended"] == 1
    assert console.rows("auth", "SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(0,)]


def test_an_account_that_was_deleted_since_is_deleted_again_whatever_its_owner_was_at(tmp_path: Path) -> None:
    console = made(tmp_path)
    console.operation("r_p", "committing", kind="adoption", owner="user:a", holder="postponed")
    console.operation("r_s", "staging", owner="user:b")
    console.operation("r_k", "done", kind="deletion", owner="user:k")
    assert console("snapshot", tmp_path / "one").code == 0
    console.write("gateway", "DELETE FROM operations WHERE id IN ('r_p', 'r_s')")
    for owner in "ab":
        console.operation(f"r_{owner}", "done", kind="deletion", owner=f"user:{owner}")
    console.operation("r_r", "committing", kind="deletion", owner="user:a", holder="postponed", repeats="r_a")
    console.operation("r_again", "done", kind="deletion", owner="user:c", repeats="r_c")
    assert console("recover", tmp_path / "one", "--json").json["deletions_repeated"] == 3
    assert console.rows("gateway", "SELECT id, owner, kind, stage FROM operations ORDER BY id") == [
        ("r_a", "user:a", "deletion", "committing"),
        ("r_b", "user:b", "deletion", "committing"),
        ("r_c", "user:c", "deletion", "committing"),
        ("r_k", "user:k", "deletion", "done"),
        ("r_s", "user:b", "restore", "aborting"),
    ]


def test_on_a_machine_that_has_no_files_they_are_made_and_versions_jump(console: Console, snap: Path) -> None:
    shutil.rmtree(console.data)
    told = console("recover", snap, "--json")
    assert (told.code, told.json["kept"]) == (0, [])
    assert len(told.json["unread"]) == 3
    assert [number for number, _ in console.rows("settings", NOTE, "user:a")] == [1, 2, 1002]


def test_old_files_that_are_damaged_are_kept_all_the_same(console: Console, snap: Path) -> None:
    for file in console.files.values():
        file.write_bytes(b"a disk has died" * 1000)
        file.with_name(f"{file.name}-wal").write_bytes(b"rubbish")
    told = console("recover", snap, "--json")
    assert (told.code, len(told.json["kept"])) == (0, 5)
    assert all(path.read_bytes().startswith(b"a disk") for path in kept_of(console).values())
    assert console("status", "--json").json["files"]["runs_service"]["problem"] is None


def test_another_secret_is_refused_before_anything_is_touched(console: Console, snap: Path) -> None:
    console.environment["ANIMATIZE_SECRET_KEY"] = NEW_ROOT
    check_refused(console, snap, "given are")
    console.environment["ANIMATIZE_SECRET_KEY"] = ""
    check_refused(console, snap, "There is no root secret")


def test_a_newer_schema_is_refused_before_anything_is_touched(console: Console, snap: Path) -> None:
    text = (snap / "manifest.json").read_text().replace('"schema":5', '"schema":6')
    (snap / "manifest.json").write_text(text)
    check_refused(console, snap, "has schema 6, and this release knows 5")


def test_a_damaged_copy_is_refused_before_anything_is_touched(console: Console, snap: Path) -> None:
    with (snap / "animatize_web.vault.db").open("ab") as file:
        file.write(b"x")
    check_refused(console, snap, "is damaged, and nothing was changed")
    shutil.rmtree(snap)
    check_refused(console, snap, "is no snapshot")


def test_where_there_is_no_room_all_stays_as_it_was_and_the_snapshot_is_not_blamed(
    console: Console, snap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = console.everything
    monkeypatch.setattr("animatize.examining.copy_file", full)
    for command in ("recover", "verify"):
        told = console(command, snap)
        assert (told.code, "no room left" in told.err, "damaged" in told.err) == (5, True, False)
    assert console.everything == before


def check_refused(console: Console, snap: Path, reason: str) -> None:
    before = console.everything
    told = console("recover", snap)
    assert (told.code, reason in told.err) == (3, True), told
    assert console.everything == before


@contextmanager
def another_process(code: str, *arguments: object) -> Iterator[int]:
    """One that does something and then waits; its pid."""
    script = f"import sqlite3, sys, fcntl\n{code}\nprint('there', flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


HAS_READ = "it = sqlite3.connect(sys.argv[1]); it.execute('SELECT count(*) FROM sqlite_schema').fetchone()"
STARTS = "it = open(sys.argv[1], 'w'); fcntl.flock(it, fcntl.LOCK_EX)"


@pytest.mark.parametrize("package", OWNERS)
def test_while_a_process_has_one_of_the_files_open_it_is_refused(console: Console, snap: Path, package: str) -> None:
    with another_process(HAS_READ, console.files[package]) as pid:
        check_refused(console, snap, f"{console.files[package]} is open in process {pid}")
        assert console("recover", "--settle").code == 3
    assert console("recover", snap).code == 0


def test_while_a_process_starts_it_is_told_to_try_again(
    console: Console, snap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("animatize.quiet.PATIENCE", 0.1)
    with another_process(STARTS, lock_of(console.files["runs_service"])):
        assert console("recover", snap).code == 4


def test_what_a_killed_process_has_left_in_its_log_is_kept_with_the_old_file_and_not_read_into_the_new_one(
    console: Console, snap: Path
) -> None:
    write = "it = sqlite3.connect(sys.argv[1]); it.execute('CREATE TABLE lost (x)'); import os; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", f"import sqlite3, sys; {write}", console.files["auth_service"]], check=False)
    assert console.files["auth_service"].with_name("animatize_web.auth.db-wal").stat().st_size > 0
    assert console("recover", snap).code == 0
    tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'lost'"
    assert console.rows("auth", tables) == [(0,)]
    with closing(sqlite3.connect(kept_of(console)["auth"])) as old:
        assert old.execute(tables).fetchone() == (1,)


def swapped(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Old and new stand-ins; the vault's is not there yet, and two have a log."""
    files = {package: folder / "data" / f"{owner}.db" for package, owner in OWNERS.items()}
    new = {package: folder / "new" / path.name for package, path in files.items()}
    for each in (folder / "data", folder / "new"):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    for package, path in files.items():
        new[package].write_text(f"new {package}")
        if package != "vault_service":
            path.write_text(f"old {package}")
    for package in ("gateway", "runs_service"):
        files[package].with_name(f"{files[package].name}-wal").write_text(f"log {package}")
    return files, new


def contents(folder: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in (folder / "data").iterdir()}


def test_killed_at_any_step_all_files_are_the_old_ones_or_all_are_the_new_ones(tmp_path: Path) -> None:
    swapped(tmp_path)
    old, step, ends, again = contents(tmp_path), 0, list[Settled | None](), True
    while again:
        files, new = swapped(tmp_path)
        again = killed_at(step := step + 1, lambda: swapping.swap(files, new, ".kept"))  # noqa: B023
        if all(replacing_mark(path).exists() for path in files.values()):
            with pytest.raises(Unusable, match="animatize recover --settle"):
                bring_up(files["runs_service"], "runs_service")
            lock_of(files["runs_service"]).unlink()
        ends.append(swapping.settle(files))
        if Settled.KEPT in ends:
            check_new(tmp_path, files)
        else:
            assert contents(tmp_path) == old, step
    assert [found for found, _ in groupby(ends)] == [None, Settled.TAKEN_BACK, Settled.KEPT, None]
    assert step > 60


def check_new(folder: Path, files: dict[str, Path]) -> None:
    assert [path.read_text() for path in files.values()] == [f"new {package}" for package in files]
    assert (folder / "data" / "runs.db.kept-wal").read_text() == "log runs_service"
    assert len(contents(folder)) == 5 + 4 + 2


def test_where_a_step_fails_all_files_are_the_old_ones_but_for_what_fails_behind_the_decision(tmp_path: Path) -> None:
    swapped(tmp_path)
    old = contents(tmp_path)
    for step in range(1, 80):
        files, new = swapped(tmp_path)
        failed = killed_at(step, lambda: swapping.swap(files, new, ".kept"), fails=True)  # noqa: B023
        assert failed or step in (1, 4, 7, 10, 13) or step > 76, "only a renaming has another way, by copying"
        if not failed or swapping.settle(files) is Settled.KEPT or step > 75:
            check_new(tmp_path, files)
        else:
            assert contents(tmp_path) == old, step


def test_killed_while_it_takes_back_it_is_taken_back_the_next_time(tmp_path: Path) -> None:
    swapped(tmp_path)
    old, step = contents(tmp_path), 0
    middle = 41
    while True:
        files, new = swapped(tmp_path)
        assert killed_at(middle, lambda: swapping.swap(files, new, ".kept"))  # noqa: B023
        assert replacing_mark(files["gateway"]).exists()
        again = killed_at(step := step + 1, lambda: swapping.settle(files))  # noqa: B023
        swapping.settle(files)
        assert contents(tmp_path) == old, step
        if not again:
            break
    assert step > 5


def test_killed_at_any_step_of_the_whole_command_the_next_one_puts_it_right(tmp_path: Path) -> None:
    console = made(tmp_path)
    assert console("snapshot", tmp_path / "one").code == 0
    console.session("s-b", "user:b")
    where, sessions = Place(web_db_path=console.data, secret_key=console.environment["ANIMATIZE_SECRET_KEY"]), set()
    for step in (*range(1, 40, 13), *range(40, 200, 9)):
        again = killed_at(step, lambda: put_back(tmp_path / "one", where))
        assert console("recover", "--settle").code == 0
        for package, file in console.files.items():
            refuse_unready(file, package)
        sessions.add(now := len(console.rows("auth", "SELECT * FROM sessions")))
        if not again:
            break
        if now == 1:
            console.session("s-b", "user:b")
    assert not again
    assert sessions == {1, 2}
    assert not list(console.data.glob("*replac*"))


def test_it_says_what_became_of_one_that_was_broken_off(console: Console, snap: Path) -> None:
    assert console("recover", "--settle", "--json").json == {"settled": None}
    where = Place(web_db_path=console.data, secret_key=console.environment["ANIMATIZE_SECRET_KEY"])
    steps = iter(range(60, 400, 7))
    while not replacing_mark(console.files["gateway"]).exists():
        assert killed_at(next(steps), lambda: put_back(snap, where))
    assert "is not as it should be" in (told := console("status")).out
    assert "--settle" in told.out
    assert console("snapshot", console.folder / "two").code == 3
    assert console("recover", "--settle").out == "The five files are again those of before.\n"
    assert console.rows("auth", "SELECT count(*) FROM sessions") == [(2,)]


def test_what_lies_behind_links_is_replaced_and_the_links_stay(tmp_path: Path) -> None:
    """As where each file has a volume of its own."""
    console = made(tmp_path)
    for owner in OWNERS.values():
        volume = tmp_path / "volumes" / owner
        volume.mkdir(parents=True)
        name = f"animatize_web.{owner}.db"
        shutil.move(console.data / name, volume / name)
        (console.data / name).symlink_to(volume / name)
    assert console("snapshot", tmp_path / "one").code == 0
    console.session("s-b", "user:b")
    assert console("verify", tmp_path / "one").code == 0
    assert (tmp_path / "volumes" / "gateway" / "animatize_web.verified.json").exists()
    assert console("recover", tmp_path / "one").code == 0
    assert all(path.is_symlink() for path in console.files.values())
    assert console.rows("auth", "SELECT session_id FROM sessions") == [("s-a",)]
    assert list((tmp_path / "volumes" / "auth").glob("*.before-recover-*"))


@pytest.mark.parametrize("arguments", [(), ("somewhere", "--settle")])
def test_a_command_that_says_neither_or_both_is_wrong(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert unmade(tmp_path)("recover", *arguments).code == 2
    assert json.loads(unmade(tmp_path)("recover", "nowhere", "--json").out)["exit_code"] == 3
