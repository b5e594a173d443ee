"""What stands in the file: rows that were tampered with, the audit, and nothing in clear."""

import base64
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse

from chassis.peers import Scope
from tests.support import Asker
from tests.vault_service.conftest import ROOT, Start
from tests.vault_service.test_routes import KEYS, keep, plaintext, problem, rows

API_KEY = "sk-live-Zq7!nothing-secret-in-clear/0123456789+ąę"


def change(file: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute(sql, values).rowcount > 0


def audit(file: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(
            "SELECT owner, session, provider, source, outcome FROM key_reads ORDER BY id"
        ).fetchall()


def deny_audit(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TRIGGER deny BEFORE INSERT ON key_reads BEGIN SELECT raise(ABORT, 'no audit'); END")


async def back_up(asker: Asker, passphrase: str = "correct horse battery", **rest: Any) -> ClientResponse:
    return await asker.post("/internal/backup", scope=Scope.SYSTEM, json={"passphrase": passphrase}, **rest)


def swap(file: Path, columns: str, one: tuple[str, str], other: tuple[str, str]) -> None:
    """Exchange the named columns of two rows."""
    names = columns.split(", ")
    with closing(sqlite3.connect(file)) as database, database:
        select = f"SELECT {columns} FROM api_keys WHERE owner = ? AND provider = ?"
        found = {each: database.execute(select, each).fetchone() for each in (one, other)}
        for here, there in ((one, other), (other, one)):
            update = (
                f"UPDATE api_keys SET {', '.join(f'{name} = ?' for name in names)} WHERE owner = ? AND provider = ?"
            )
            database.execute(update, (*found[there], *here))


def overwrite(column: str, expression: str) -> Callable[[Path], None]:
    return lambda file: change(file, f"UPDATE api_keys SET {column} = {expression} WHERE provider = 'runway'")


DAMAGE = {
    "cut ciphertext": overwrite("ciphertext", "substr(ciphertext, 1, length(ciphertext) - 1)"),
    "empty ciphertext": overwrite("ciphertext", "x''"),
    "foreign ciphertext": overwrite("ciphertext", "randomblob(length(ciphertext))"),
    "long ciphertext": overwrite("ciphertext", "CAST(ciphertext || x'00' AS BLOB)"),
    "cut data key": overwrite("wrapped_key", "substr(wrapped_key, 1, 30)"),
    "empty data key": overwrite("wrapped_key", "x''"),
    "foreign data key": overwrite("wrapped_key", "randomblob(72)"),
    "wrong fingerprint": overwrite("key_id", "'0000000000000000'"),
    "empty fingerprint": overwrite("key_id", "''"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_row_says_so_and_breaks_nothing_else(
    asker: Asker, file: Path, damage: Callable[[Path], None]
) -> None:
    await keep(asker)
    await keep(asker, "veo", "veo-key-0123456789")
    damage(file)
    found = await rows(asker)
    assert found["runway"]["masked"] == "corrupted"
    assert (found["runway"]["configured"], found["runway"]["source"]) == (True, "profile")
    assert found["veo"]["masked"] == "veo-********6789"
    assert (await (await asker.get("/api/providers")).json())["available_providers"] == ["veo"]
    await problem(await plaintext(asker), 409, "key_unreadable")
    assert (await plaintext(asker, "veo")).status == 200
    assert (await keep(asker))["masked"] == "rk-0********7890", "saving it again makes it whole"
    assert (await plaintext(asker)).status == 200


@pytest.mark.parametrize("columns", ["key_id, wrapped_key, ciphertext", "wrapped_key", "ciphertext"])
@pytest.mark.parametrize("other", [("guest:a", "veo"), ("guest:b", "runway"), ("guest:b", "veo")])
async def test_rows_swapped_between_owners_or_providers_do_not_open(
    asker: Asker, file: Path, columns: str, other: tuple[str, str]
) -> None:
    await keep(asker)
    await keep(asker, other[1], "the-other-key-0123456789", owner=other[0])
    swap(file, columns, ("guest:a", "runway"), other)
    assert (await rows(asker))["runway"]["masked"] == "corrupted"
    assert (await rows(asker, owner=other[0]))[other[1]]["masked"] == "corrupted"
    await problem(await plaintext(asker), 409, "key_unreadable")


async def test_the_environment_serves_where_the_row_is_damaged(start: Start, file: Path) -> None:
    asker = await start(RUNWAY_API_KEY="server-key-0123456789")
    await keep(asker)
    DAMAGE["cut ciphertext"](file)
    assert (await rows(asker))["runway"]["masked"] == "corrupted"
    assert (await (await asker.get("/api/providers")).json())["available_providers"] == ["runway"]
    found = await (await plaintext(asker)).json()
    assert (found["api_key"], found["source"]) == ("server-key-0123456789", "environment")


async def test_a_damaged_row_can_be_deleted(asker: Asker, file: Path) -> None:
    await keep(asker)
    DAMAGE["wrong fingerprint"](file)
    assert (await (await asker.delete(f"{KEYS}/runway")).json())["deleted"] is True


async def test_every_plaintext_read_is_audited_with_its_outcome(start: Start, file: Path) -> None:
    asker = await start(VEO_API_KEY="server-veo-0123456789")
    await keep(asker)
    await keep(asker, "pika", "pika-key-0123456789")
    change(file, "UPDATE api_keys SET ciphertext = x'00' WHERE provider = 'pika'")
    for provider in ("runway", "veo", "flux", "pika"):
        await plaintext(asker, provider)
    await plaintext(asker, owner="user:bob")
    assert audit(file) == [
        ("guest:a", "s-1", "runway", "profile", "served"),
        ("guest:a", "s-1", "veo", "environment", "served"),
        ("guest:a", "s-1", "flux", None, "absent"),
        ("guest:a", "s-1", "pika", None, "unreadable"),
        ("user:bob", "s-1", "runway", None, "absent"),
    ]


async def test_every_key_that_leaves_in_a_backup_is_audited(start: Start, file: Path) -> None:
    asker = await start(VEO_API_KEY="server-veo-0123456789")
    for provider in ("runway", "pika", "sora"):
        await keep(asker, provider)
    change(file, "UPDATE api_keys SET ciphertext = x'00' WHERE provider = 'pika'")
    answer = await back_up(asker, session="s-2")
    sealed, *shown = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert sealed["providers"] == ["runway", "sora"]
    assert shown[1]["masked"] == "corrupted"
    assert audit(file) == [("guest:a", "s-2", name, "profile", "sealed") for name in ("runway", "sora")]


async def test_a_backup_that_cannot_be_audited_carries_nothing_out(asker: Asker, file: Path) -> None:
    await keep(asker)
    deny_audit(file)
    answer = await back_up(asker)
    assert answer.status == 500
    assert "ciphertext" not in await answer.text()


async def test_nothing_but_a_plaintext_read_is_audited(asker: Asker, file: Path) -> None:
    await keep(asker)
    await rows(asker)
    await asker.get("/api/providers")
    await asker.get("/internal/backup", scope=Scope.SYSTEM)
    await asker.get("/internal/keys/runway", scope=Scope.OWNER)
    assert audit(file) == []


async def test_a_read_that_cannot_be_audited_hands_out_nothing(asker: Asker, file: Path) -> None:
    await keep(asker)
    deny_audit(file)
    answer = await plaintext(asker)
    assert answer.status == 500
    assert "rk-0123456789" not in await answer.text()


def forms(secret: str) -> list[bytes]:
    """Everything that the secret could look like in a file: its bytes, hex, and base64 at any offset."""
    text = secret.encode()
    middles = [base64.b64encode(text[offset : offset + 24]) for offset in range(3)]
    return [
        text,
        text[:16],
        text[-16:],
        text.hex().encode(),
        text.hex().upper().encode(),
        *middles,
        *(base64.urlsafe_b64encode(text[offset : offset + 24]) for offset in range(3)),
        secret.encode("utf-16-le"),
    ]


def assert_nowhere(secret: str, folder: Path, logged: str) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert any(file.name.endswith("-wal") for file in files)
    for file in files:
        content = file.read_bytes()
        assert not [form for form in forms(secret) if form in content], file
    assert not [form for form in forms(secret) if form.decode(errors="replace") in logged]


async def test_nothing_secret_stands_in_clear_in_any_file_or_log_line(
    start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server_key = "server-key-that-is-not-for-any-file-0123456789"
    with structlog.testing.capture_logs() as events:
        asker = await start(VEO_API_KEY=server_key)
        steps = [
            lambda: keep(asker, api_key=API_KEY),
            lambda: rows(asker),
            lambda: plaintext(asker),
            lambda: plaintext(asker, "veo"),
            lambda: asker.put(f"{KEYS}/runway", json={"api_key": API_KEY + "\x00"}),
            lambda: asker.put(f"{KEYS}/runway", json={"api_key": API_KEY, "more": API_KEY}),
            lambda: keep(asker, api_key=API_KEY[::-1]),
            lambda: asker.get("/internal/backup", scope=Scope.SYSTEM),
            lambda: asker.delete(f"{KEYS}/runway"),
        ]
        for step in steps:
            await step()  # type: ignore[no-untyped-call]
            shown = capfd.readouterr()
            logged = repr(events) + shown.out + shown.err
            for secret in (API_KEY, API_KEY[::-1], server_key, ROOT):
                assert_nowhere(secret, tmp_path, logged)
    assert events


def test_the_search_for_secrets_finds_one(tmp_path: Path) -> None:
    """The test above can fail."""
    (tmp_path / "some.db-wal").write_bytes(b"....")
    for form in forms(API_KEY):
        (tmp_path / "some.db").write_bytes(b"\x00" + form + b"\x00")
        with pytest.raises(AssertionError):
            assert_nowhere(API_KEY, tmp_path, "")
    (tmp_path / "some.db").write_bytes(b"")
    with pytest.raises(AssertionError):
        assert_nowhere(API_KEY, tmp_path, f"key={API_KEY}")
