"""Whether a snapshot could be put back is found out by putting it back, somewhere else."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from animatize.places import OWNERS
from chassis.schema import steps_of
from tests.animatize.console import Console, made
from tests.vault_service.conftest import NEW_ROOT, ROOT
from tests.vault_service.rotation import NEW, OLD


@pytest.fixture
def console(tmp_path: Path) -> Console:
    made(tmp_path)("snapshot", tmp_path / "snaps" / "one")
    return Console(tmp_path)


@pytest.fixture
def snap(console: Console) -> Path:
    return console.folder / "snaps" / "one"


def copy_of(snap: Path, owner: str) -> Path:
    return snap / f"animatize_web.{owner}.db"


def change(snap: Path, owner: str, sql: str) -> None:
    with closing(sqlite3.connect(copy_of(snap, owner), isolation_level=None)) as tx:
        tx.execute(sql)


def forge(snap: Path, **more: object) -> None:
    """Have the manifest say that the copies are as they should be."""
    manifest = json.loads((snap / "manifest.json").read_bytes())
    for copy in manifest["files"].values():
        content = (snap / copy["file"]).read_bytes()
        copy |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (snap / "manifest.json").write_text(json.dumps(manifest | more))


def test_a_good_snapshot_is_recorded_beside_it_and_beside_the_files(console: Console, snap: Path) -> None:
    told = console("verify", snap, "--json")
    assert (told.code, told.json["good"], told.json["findings"]) == (0, True, [])
    assert (told.json["keys_opened"], told.json["keys_unreadable"]) == (8, 0), "live, staged and kept ones"
    beside = json.loads((snap / "verified.json").read_bytes())
    assert json.loads((console.data / "animatize_web.verified.json").read_bytes()) == beside
    assert (beside["snapshot"], beside["taken_at"][:19]) == (str(snap), told.json["taken_at"][:19])
    assert {each.name for each in snap.parent.iterdir()} == {"one"}, "the scratch folder is gone"
    assert "can be put back" in console("verify", snap).out


def test_where_there_are_no_files_it_is_recorded_beside_the_snapshot_alone(console: Console, snap: Path) -> None:
    shutil.rmtree(console.data)
    assert console("verify", snap).code == 0
    assert (snap / "verified.json").exists()
    assert not console.data.exists()


def test_a_changed_byte_is_found(console: Console, snap: Path) -> None:
    content = bytearray(copy_of(snap, "runs").read_bytes())
    content[-100] ^= 1
    copy_of(snap, "runs").write_bytes(content)
    told = console("verify", snap, "--json")
    assert told.code == 1
    assert told.json["findings"] == ["animatize_web.runs.db is not what it was: its SHA-256 is another"]
    assert not (snap / "verified.json").exists()
    assert "is damaged" in console("verify", snap).out


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda snap: copy_of(snap, "auth").unlink(), "auth.db cannot be read"),
        (lambda snap: copy_of(snap, "auth").write_bytes(b"rubbish" * 999), "auth.db cannot be read"),
        (lambda snap: shutil.copy(copy_of(snap, "runs"), copy_of(snap, "auth")), "is not a file of auth_service"),
        (lambda snap: change(snap, "settings", "DELETE FROM usage"), "usage has 0 rows, and the manifest says 1"),
        (lambda snap: change(snap, "settings", "UPDATE profiles SET version = 7"), "refers to something in versions"),
        (lambda snap: change(snap, "settings", "PRAGMA user_version = 3"), "schema is 3, and the manifest says "),
        (lambda snap: change(snap, "vault", "UPDATE api_keys SET wrapped_key = zeroblob(72)"), None),
    ],
    ids=["missing", "rubbish", "another's", "rows", "references", "schema", "some keys"],
)
def test_what_a_hash_does_not_tell_is_found_by_looking(
    console: Console, snap: Path, damage: Callable[[Path], object], finding: str | None
) -> None:
    damage(snap)
    if copy_of(snap, "auth").exists():
        forge(snap)
    told = console("verify", snap, "--json")
    assert told.code == (1 if finding else 0)
    assert finding is None or finding in " ".join(told.json["findings"])


def test_a_damaged_page_is_found(console: Console, snap: Path) -> None:
    content = bytearray(copy_of(snap, "vault").read_bytes())
    [page] = (
        sqlite3.connect(copy_of(snap, "vault"))
        .execute("SELECT rootpage FROM sqlite_schema WHERE name = 'api_keys_by_key'")
        .fetchone()
    )
    content[(page - 1) * 4096 + 8 : (page - 1) * 4096 + 30] = b"\xff" * 22
    copy_of(snap, "vault").write_bytes(content)
    forge(snap)
    assert console("verify", snap).code == 1


def test_where_no_stored_key_opens_it_is_no_good(console: Console, snap: Path) -> None:
    for table in ("api_keys", "staged_keys", "undo_keys"):
        change(snap, "vault", f"UPDATE {table} SET wrapped_key = zeroblob(72) WHERE key_id IS NOT NULL")
    forge(snap)
    told = console("verify", snap, "--json")
    assert told.json["findings"] == ["none of 8 stored keys can be opened"]


def test_another_secret_is_refused_and_named_by_its_fingerprint_alone(console: Console, snap: Path) -> None:
    console.environment["ANIMATIZE_SECRET_KEY"] = NEW_ROOT
    told = console("verify", snap)
    assert told.code == 3
    assert OLD.current.id in told.err
    assert NEW.current.id in told.err
    assert NEW_ROOT not in told.err
    console.environment["ANIMATIZE_SECRET_KEY_PREVIOUS"] = ROOT
    assert console("verify", snap).code == 0


def test_without_a_secret_nothing_is_done_and_none_is_made(console: Console, snap: Path) -> None:
    console.environment["ANIMATIZE_SECRET_KEY"] = ""
    before = set(console.data.iterdir())
    told = console("verify", snap)
    assert (told.code, "There is no root secret" in told.err) == (3, True)
    assert set(console.data.iterdir()) == before


def test_a_snapshot_of_a_newer_release_is_refused(console: Console, snap: Path) -> None:
    manifest = json.loads((snap / "manifest.json").read_bytes())
    manifest["files"]["runs_service"]["schema"] = 99
    (snap / "manifest.json").write_text(json.dumps(manifest | {"release": "7.7.7"}))
    told = console("verify", snap)
    assert (told.code, "has schema 99" in told.err, "7.7.7" in told.err) == (3, True, True)


@pytest.mark.parametrize("content", [None, b"{}", b'{"format": 2}', b"\xff"])
def test_a_folder_without_a_manifest_that_can_be_read_is_no_snapshot(
    console: Console, snap: Path, content: bytes | None
) -> None:
    (snap / "manifest.json").unlink()
    if content is not None:
        (snap / "manifest.json").write_bytes(content)
    assert console("verify", snap).code == 3


def test_a_manifest_cannot_lead_out_of_its_folder(console: Console, snap: Path) -> None:
    text = (snap / "manifest.json").read_text()
    (snap / "manifest.json").write_text(text.replace('"animatize_web.runs.db"', '"../animatize_web.runs.db"'))
    assert console("verify", snap).code == 3


def test_a_snapshot_of_an_older_schema_is_good_since_its_files_can_be_brought_up(tmp_path: Path) -> None:
    console = made(tmp_path)
    assert console("snapshot", tmp_path / "one").code == 0
    snap, older = tmp_path / "one", {}
    for package, owner in OWNERS.items():
        steps = [script for _, script in steps_of(package)][:-1]
        copy_of(snap, owner).unlink()
        with closing(sqlite3.connect(copy_of(snap, owner), isolation_level=None)) as tx:
            tx.executescript("".join(steps) + f"PRAGMA user_version = {len(steps)};")
            names = tx.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
            counts = {name: tx.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in names.fetchall()}
        older[package] = {"file": copy_of(snap, owner).name, "size": 0, "sha256": "", "counts": counts}
        older[package]["schema"] = len(steps)
    manifest = json.loads((snap / "manifest.json").read_bytes()) | {"files": older}
    (snap / "manifest.json").write_text(json.dumps(manifest))
    forge(snap)
    told = console("verify", snap, "--json")
    assert (told.code, told.json["findings"]) == (0, [])
    assert console("recover", snap).code == 0
    assert console("status", "--json").json["files"]["runs_service"]["problem"] is None


def test_what_cannot_be_recorded_is_told(console: Console, snap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("animatize.verify.write_model", full)
    told = console("verify", snap, "--scratch", console.folder)
    assert (told.code, "could not be recorded" in told.out) == (1, True)
