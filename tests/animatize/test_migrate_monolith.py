"""The way out of the single-process console's file, whatever is in it and however often it is begun."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from animatize import migration, moving
from animatize.migration import migrate
from animatize.places import place
from auth_service.monolith import COOKIE
from chassis.schema import bring_up, writing
from gateway import identity
from tests import old_console
from tests.animatize.commanding import SECRET, Command
from tests.old_console import ANA, BO, COOKIES, GUEST, OldConsole

PARTS = ["settings", "runs", "api_keys", "users", "sessions"]
EVERYTHING = {"settings": 9, "runs": 9, "api_keys": 4, "users": 2, "sessions": 3}  # of the small one, but one key
TABLES = {
    "settings": ("profiles", "versions"),
    "runs": ("runs", "contents", "images", "usage", "tombstones"),
    "vault": ("api_keys",),
    "auth": ("users", "sessions"),
}
UNSTEADY = {"key_id", "session_id", "moved_at", "wrapped_key", "ciphertext", "content_id", "place"}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path / "data", monkeypatch)


@pytest.fixture
def old(tmp_path: Path) -> OldConsole:
    (tmp_path / "old").mkdir()
    return old_console.small(tmp_path / "old" / "monolith.db")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The old console's secrets, the current and the one before, a line each."""
    (tmp_path / "secrets").write_text(f"{old_console.SECRET}\n\n{old_console.OLDER_SECRET}\n")
    return tmp_path / "secrets"


@pytest.fixture
def move(command: Command, old: OldConsole, secrets: Path) -> Callable[..., tuple[int, Any]]:
    return lambda *more: command.json("migrate-monolith", old.path, "--secret-file", secrets, *more)


def rows(file: Path, sql: str, *values: Any) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(file)) as tx:
        tx.row_factory = sqlite3.Row
        return [dict(row) for row in tx.execute(sql, values)]


def contents(command: Command) -> dict[str, Any]:
    """All that owners have in the files, but for what is random in each."""
    return {
        f"{name}.{table}": sorted(
            (
                {key: row[key] for key in row.keys() - UNSTEADY}
                for row in rows(command.file(name), f"SELECT * FROM {table}")
            ),
            key=repr,
        )
        for name, tables in TABLES.items()
        for table in tables
    }


def numbers(told: Any, name: str) -> dict[str, int]:
    """One number of each part."""
    return {part: found[name] for part, found in told["parts"].items()}


def change(file: Path, *statements: tuple[str, *tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(file)) as tx, tx:
        for sql, *values in statements:
            tx.execute(sql, values)


def save_here(command: Command, owner: str) -> None:
    """What the owner saved in the new console, as version 4."""
    made = "INSERT INTO versions SELECT owner, 4, x'7b7d', 'mine', created_at, NULL, x'00' FROM versions"
    file = command.file("settings")
    change(file, (f"{made} WHERE owner = ? AND version = 1", owner))
    change(file, ("UPDATE profiles SET version = 4 WHERE owner = ?", owner))


def test_a_dry_run_tells_all_of_it_and_makes_nothing(move: Any, command: Command, old: OldConsole) -> None:
    before = old_console.state(old.path)
    code, told = move()
    assert (code, told["done"]) == (1, False)
    assert numbers(told, "added") == EVERYTHING
    assert told["named"] == [
        {"part": "api_keys", "owner": BO, "what": "key flux", "reason": "none of the given secrets opens it"}
    ]
    assert not command.data.exists()
    assert old_console.state(old.path) == before


def test_what_was_there_is_there_to_the_letter(move: Any, command: Command, old: OldConsole) -> None:
    code, told = move("--yes")
    assert (code, numbers(told, "added"), numbers(told, "equal")) == (1, EVERYTHING, EVERYTHING)
    assert set(numbers(told, "wrong").values()) == {0}
    for owner in (GUEST, ANA, BO):
        history = old.do(
            "SELECT version, payload, change_note, created_at FROM settings_history WHERE owner_key = ? ORDER BY id",
            owner,
        )
        found = rows(command.file("settings"), "SELECT * FROM versions WHERE owner = ? ORDER BY version", owner)
        assert [
            (row["version"], orjson.loads(row["settings"]), row["change_note"], row["created_at"]) for row in found
        ] == [(version, orjson.loads(payload), note, moment) for version, payload, note, moment in history]
    [image] = {row["sha256"] for row in rows(command.file("runs"), "SELECT * FROM images")}
    assert len(rows(command.file("runs"), "SELECT * FROM images")) == 3  # once an owner
    assert {row["image_sha256"] for row in rows(command.file("runs"), "SELECT * FROM runs")} == {image}
    assert [file.name for file in sorted(command.data.glob("*.db"))] == [
        f"animatize_web.{name}.db" for name in ("auth", "gateway", "runs", "settings", "vault")
    ]


def test_a_second_time_adds_nothing_and_names_what_cannot_be_read_again(move: Any, command: Command) -> None:
    first = move("--yes")
    before = contents(command)
    code, told = move("--yes")
    assert (code, told["named"]) == (1, first[1]["named"])
    assert set(numbers(told, "added").values()) == {0}
    assert contents(command) == before


def test_a_key_comes_in_later_once_its_secret_is_given(move: Any, command: Command, tmp_path: Path) -> None:
    move("--yes")
    (tmp_path / "lost").write_text("nobody knows this one")
    code, told = move("--secret-file", tmp_path / "lost", "--yes")
    assert (code, numbers(told, "added")["api_keys"], told["named"]) == (0, 1, [])


def test_without_a_secret_every_key_is_named_and_the_rest_goes_in(command: Command, old: OldConsole) -> None:
    code, told = command.json("migrate-monolith", old.path, "--yes")
    assert (code, len(told["named"]), numbers(told, "added")["runs"]) == (1, 5, 9)


def test_what_its_owner_did_since_stays(move: Any, command: Command) -> None:
    move("--yes")
    deleted = ("DELETE FROM runs WHERE owner = ? AND run_id = 'R1'", ANA)
    change(command.file("runs"), deleted, ("DELETE FROM tombstones",))
    change(command.file("vault"), ("DELETE FROM api_keys WHERE owner = ?", GUEST))
    change(command.file("auth"), ("DELETE FROM sessions WHERE owner = ?", BO))  # logged out, and swept
    save_here(command, ANA)
    before = contents(command)
    code, told = move("--yes")
    assert code == 1  # for the key that nothing opens
    assert numbers(told, "changed_since") == {"settings": 0, "runs": 1, "api_keys": 1, "users": 0, "sessions": 1}
    assert set(numbers(told, "wrong").values()) == {0}
    assert contents(command) == before


def test_whoever_was_erased_since_does_not_come_back(move: Any, command: Command, old: OldConsole) -> None:
    move("--yes")
    for name, tables in TABLES.items():
        with closing(sqlite3.connect(command.file(name))) as tx, tx:
            for table in ("profiles", "versions") if name == "settings" else tables[:1] if name != "auth" else tables:
                column = "'user:' || user_id" if table == "users" else "owner"
                tx.execute(f"DELETE FROM {table} WHERE {column} IN (?, ?)", (BO, GUEST))
    before = contents(command)
    old.run(BO, "R-new")
    old.run(GUEST, "R-new")
    move("--yes")
    assert contents(command) == before


def test_what_the_old_console_wrote_since_comes_along_where_nothing_was_changed_here(
    move: Any, command: Command, old: OldConsole
) -> None:
    move("--yes")
    save_here(command, ANA)
    old.settings(ANA, {"then": 1}, {"then": 2})
    old.settings(BO, {"then": 1}, {"then": 2})
    old.run(BO, "R-new")
    _, told = move("--yes")
    assert numbers(told, "added") == {"settings": 2, "runs": 1, "api_keys": 0, "users": 0, "sessions": 0}
    assert [each["what"] for each in told["named"] if each["owner"] == ANA] == ["version 4", "version 5"]
    current = "SELECT settings FROM profiles JOIN versions USING (owner, version) WHERE owner = ?"
    assert [rows(command.file("settings"), current, owner) for owner in (ANA, BO)] == [
        [{"settings": b"{}"}],
        [{"settings": b'{"then":2}'}],
    ]


def test_a_profile_that_is_here_already_is_left_as_it_is(move: Any, command: Command) -> None:
    bring_up(command.file("settings"), "settings_service")
    change(
        command.file("settings"),
        ("INSERT INTO versions VALUES (?, 1, x'7b7d', 'mine', '2026-01-01', NULL, x'00')", ANA),
        (
            "INSERT INTO profiles (owner, version, created_at, updated_at) VALUES (?, 1, '2026-01-01', '2026-01-01')",
            ANA,
        ),
    )
    _, told = move("--yes")
    assert numbers(told, "kept")["settings"] == 3
    assert len(rows(command.file("settings"), "SELECT * FROM versions WHERE owner = ?", ANA)) == 1


def test_what_is_only_in_the_log_beside_the_file_counts_and_neither_is_touched(
    move: Any, command: Command, old: OldConsole
) -> None:
    with old_console.in_use(old.path) as tx:
        tx.execute("UPDATE generation_runs SET payload = ? WHERE owner_key = ? AND run_id = 'R0'", ('{"late":1}', BO))
        tx.commit()
        with closing(sqlite3.connect(f"file:{old.path}?immutable=1", uri=True)) as file:
            assert file.execute("SELECT 1 FROM generation_runs WHERE payload = '{\"late\":1}'").fetchone() is None
        before = old_console.state(old.path)
        assert {name.rpartition("-")[2] for name in before} == {"monolith.db", "wal", "shm"}
        code, told = move("--yes")
        assert (code, numbers(told, "equal")["runs"]) == (1, 9)
        assert old_console.state(old.path) == before
    assert rows(command.file("runs"), "SELECT 1 FROM contents WHERE instr(payload, 'late') > 0") == [{"1": 1}]


def test_nothing_of_a_copy_is_left(move: Any, old: OldConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    seen: list[list[Path]] = []

    def look(*_: Any) -> moving.Tally:
        seen.append(list((tmp_path / "scratch").iterdir()))
        return moving.Tally()

    monkeypatch.setattr(moving, "plan", look)
    with old_console.in_use(old.path) as tx:
        tx.execute("UPDATE users SET name = 'late'")
        tx.commit()
        move()
    assert seen == [[]] * 5


def test_a_run_that_cannot_be_kept_is_named_and_the_rest_goes_in(move: Any, old: OldConsole) -> None:
    for name, payload in {
        "cut": '{"run_id": "cut", "int',
        "twice": '{"run_id": "twice", "a": 1, "a": 2}',
        "number": "17",
        "half": '{"run_id": "half", "intent": "\\ud83c"}',
        "other": '{"run_id": "another"}',
        "variants": '{"run_id": "variants", "variants": 1}',
        "bytes": b"\xff\xfe",
    }.items():
        old.payload(GUEST, name, payload)
    old.payload(GUEST, "bare", '{"intent": "without an id of its own"}')
    _, told = move("--yes")
    assert numbers(told, "added")["runs"] == 10
    named = [each["what"] for each in told["named"] if each["part"] == "runs"]
    assert named == [f"run {name}" for name in ("cut", "twice", "number", "half", "other", "variants", "bytes")]


def test_what_belongs_to_nobody_is_named_and_left_out(move: Any, old: OldConsole, command: Command) -> None:
    old.run("user:u_gone", "R1")
    old.run("neither", "R1")
    _, told = move("--yes")
    assert told["owners_left_out"] == ["neither", "user:u_gone"]
    assert rows(command.file("runs"), "SELECT * FROM runs WHERE owner IN ('neither', 'user:u_gone')") == []


def test_a_user_who_is_left_out_is_let_in_by_no_session_and_is_named_until_it_can_come(
    move: Any, old: OldConsole, command: Command
) -> None:
    old.do("UPDATE users SET email = ' ' WHERE id = 'u_bo'")
    for _ in range(2):
        _, told = move("--yes")
        assert [each["part"] for each in told["named"] if each["owner"] == BO] == ["api_keys", "users", "sessions"]
        assert rows(command.file("auth"), "SELECT 1 FROM sessions WHERE owner = ?", BO) == []
    old.do("UPDATE users SET email = 'bo@example.com' WHERE id = 'u_bo'")
    _, told = move("--yes")
    assert (numbers(told, "added")["users"], numbers(told, "added")["sessions"]) == (1, 1)


def test_a_guest_who_has_no_session_left_is_swept_in_its_time(move: Any, old: OldConsole, command: Command) -> None:
    old.run("guest:g_lost", "R1")
    _, told = move("--yes")
    [session] = rows(command.file("auth"), "SELECT * FROM sessions WHERE owner = 'guest:g_lost'")
    assert session["over_at"] == session["created_at"]
    _, told = move("--yes")
    assert (numbers(told, "added")["sessions"], numbers(told, "changed_since")["sessions"]) == (0, 0)


def test_cookies_are_kept_nowhere_in_clear(move: Any, command: Command) -> None:
    move("--yes")
    for file in command.data.iterdir():
        assert all(cookie.encode() not in file.read_bytes() for cookie in COOKIES.values())
        assert b"key of user" not in file.read_bytes()


def test_a_cookie_is_taken_over_only_where_a_gateway_takes_it() -> None:
    assert COOKIE.pattern == identity.TOKEN.pattern


def dies_at(number: int, work: Callable[[], Any]) -> bool:
    """Run it in a process that is killed at the `number`-th moment that counts, before a file is made or a transaction
    is committed; whether it was."""
    moments = iter(range(1, number + 1))

    def live_on() -> None:
        if next(moments) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def bring_up_or_die(*given: Any) -> None:
        live_on()
        bring_up(*given)

    @contextmanager
    def writing_or_dying(tx: sqlite3.Connection) -> Iterator[None]:
        with writing(tx):
            yield
            live_on()

    child = os.fork()
    if child == 0:
        for module in (migration, moving):
            vars(module).update(bring_up=bring_up_or_die, writing=writing_or_dying)
        with suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_at_any_moment_and_begun_again_it_comes_to_the_same(
    move: Any, command: Command, old: OldConsole, secrets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(moving, "MOST_THINGS", 2)
    monkeypatch.setattr(moving, "PAUSE_SECONDS", 0)
    before = old_console.state(old.path)
    move("--yes")
    whole = contents(command)
    command.data.rename(tmp_path / "whole")
    given = [SecretStr(text) for text in secrets.read_text().split("\n") if text]

    def attempt() -> Any:
        return migrate(old.path, given, place(), for_real=True)

    kills = 0
    while dies_at(kills + 1, attempt):
        kills += 1
    assert kills > 20
    assert contents(command) == whole
    assert old_console.state(old.path) == before


@pytest.mark.parametrize("name", ["settings", "runs", "vault"])
def test_where_something_is_not_as_it_was_nobody_is_let_in(
    name: str, move: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil = {
        "settings": "UPDATE versions SET settings = x'7b7d' WHERE owner = ? AND version = 2",
        "runs": "UPDATE contents SET payload = CAST('{\"run_id\":\"R0\"}' AS BLOB) WHERE content_id = 5 AND ? <> ''",
        "vault": "DELETE FROM api_keys WHERE owner = ?",
    }[name]
    compare = moving.compare

    def spoiled(part: Any, tx: sqlite3.Connection, tally: Any) -> None:
        if part.package == f"{name}_service":
            tx.execute(spoil, (ANA,))
        compare(part, tx, tally)

    monkeypatch.setattr(moving, "compare", spoiled)
    code, told = move("--yes")
    assert (code, sum(numbers(told, "wrong").values()) > 0, "sessions" in told["parts"]) == (1, True, False)
    assert rows(command.file("auth"), "SELECT * FROM sessions") == []


def test_bad_input_changes_nothing(command: Command, old: OldConsole, secrets: Path, tmp_path: Path) -> None:
    (tmp_path / "rubbish.db").write_bytes(b"no database at all" * 100)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as tx:
        tx.execute("CREATE TABLE users (id TEXT)")
    for path in (tmp_path / "absent.db", tmp_path / "rubbish.db", tmp_path / "foreign.db", tmp_path):
        code, told = command.json("migrate-monolith", path, "--secret-file", secrets, "--yes")
        assert (code, told["exit_code"]) == (3, 3), path
    code, told = command.json("migrate-monolith", old.path, "--secret-file", tmp_path / "absent", "--yes")
    assert (code, str(tmp_path / "absent") in told["error"]) == (3, True)
    assert not command.data.exists()


def test_a_vault_of_another_secret_or_a_newer_file_is_refused_before_anything_is_made(
    move: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_up(command.file("vault"), "vault_service")
    with closing(sqlite3.connect(command.file("vault"))) as tx, tx:
        tx.execute("INSERT INTO vault VALUES (1, zeroblob(16), 'another', '2026-01-01')")
    for arguments in ((), ("--yes",)):
        code, told = move(*arguments)
        assert (code, "another secret" in told["error"]) == (3, True)
    command.file("vault").unlink()
    bring_up(command.file("auth"), "auth_service")
    with closing(sqlite3.connect(command.file("auth"))) as tx:
        tx.execute("PRAGMA user_version = 99")
    assert move("--yes")[0] == 3
    assert [file.name for file in command.data.glob("*.db")] == ["animatize_web.auth.db"]


def test_a_file_that_is_written_to_meanwhile_is_not_taken_for_moved(
    move: Any, old: OldConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = moving.plan
    monkeypatch.setattr(moving, "plan", lambda *given: (old.run(BO, f"R-{os.urandom(4).hex()}"), plan(*given))[1])
    code, told = move()
    assert (code, "written to meanwhile" in told["error"]) == (1, True)


def test_no_secret_and_no_cookie_is_ever_told(command: Command, old: OldConsole, secrets: Path) -> None:
    old.session(GUEST, "short")
    for arguments in (("--yes",), ("--yes", "--json"), ()):
        _, text = command("migrate-monolith", old.path, "--secret-file", secrets, *arguments)
        hidden = [*COOKIES.values(), old_console.SECRET, old_console.OLDER_SECRET, SECRET, "key of", "short", "gAAAA"]
        assert [each for each in hidden if each in text] == []


def test_people_read_it_as_sentences(command: Command, old: OldConsole, secrets: Path) -> None:
    _, text = command("migrate-monolith", old.path, "--secret-file", secrets)
    assert "runs: 9 in the old file: 9 to move\n" in text
    assert (
        "  user:u_bo: key flux: none of the given secrets opens it\nNothing was changed. With --yes it is moved.\n"
        in text
    )
    _, text = command("migrate-monolith", old.path, "--secret-file", secrets, "--yes")
    assert "runs: 9 in the old file: 9 moved, 9 compared equal\n" in text
