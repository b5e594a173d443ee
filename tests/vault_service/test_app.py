"""Starting: restarts, several processes at once, and a start under another secret than the vault's own."""

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from chassis.database import opened
from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, NEW_ROOT, ROOT, Start
from tests.vault_service.test_routes import KEYS, keep, plaintext, problem, rows
from tests.vault_service.test_store import audit
from vault_service.app import create_app
from vault_service.ring import derive_ring
from vault_service.sealing import KeyEncryptionKey, derive_key
from vault_service.settings import Settings
from vault_service.unlocking import unlock


def select(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(sql).fetchall()


async def test_a_restart_keeps_every_key(start: Start) -> None:
    first = await start()
    await keep(first)
    before = await rows(first)
    await first.client.close()
    second = await start()
    assert await rows(second) == before
    assert (await (await plaintext(second)).json())["api_key"] == "rk-0123456789-7890"


async def test_vaults_that_start_together_agree_on_one_salt(start: Start, file: Path) -> None:
    askers: list[Asker] = list(await asyncio.gather(*(start() for _ in range(6))))
    assert len(select(file, "SELECT salt FROM vault")) == 1
    await keep(askers[0])
    answers = [await (await plaintext(each)).json() for each in askers]
    assert [each["api_key"] for each in answers] == ["rk-0123456789-7890"] * 6


async def test_two_vaults_with_one_secret_have_nothing_in_common(tmp_path: Path) -> None:
    for name in ("one.db", "other.db"):
        async with opened(tmp_path / name, "vault_service") as database:
            await unlock(database, SecretStr(ROOT))
    one, other = (select(tmp_path / name, "SELECT salt, fingerprint FROM vault")[0] for name in ("one.db", "other.db"))
    assert one[0] != other[0]
    assert one[1] != other[1]


async def test_a_start_under_other_secrets_logs_all_fingerprints(start: Start, file: Path) -> None:
    with structlog.testing.capture_logs() as events:
        await start()
        assert not [event for event in events if event["event"] == "vault_locked"]
        await start(root=FOREIGN_ROOT, previous=[NEW_ROOT])
    (event,) = [event for event in events if event["event"] == "vault_locked"]
    assert event["vault_fingerprint"] == select(file, "SELECT fingerprint FROM vault")[0][0]
    assert len(event["secret_fingerprint"]) == 16
    assert "ANIMATIZE_SECRET_KEY or in ANIMATIZE_SECRET_KEY_PREVIOUS" in event["advice"]
    salt = select(file, "SELECT salt FROM vault")[0][0]
    ring = derive_ring(SecretStr(FOREIGN_ROOT), [SecretStr(NEW_ROOT)], salt)
    assert (event["secret_fingerprint"], event["previous_fingerprints"]) == (ring.current.id, [ring.previous[0].id])
    for secret in (ROOT, NEW_ROOT, FOREIGN_ROOT):
        assert secret not in repr(events)


async def test_under_another_secret_rows_are_corrupted_and_writes_refused(start: Start) -> None:
    await keep(await start())
    foreign = await start(root=FOREIGN_ROOT, VEO_API_KEY="server-veo-0123456789")
    found = await rows(foreign)
    assert (found["runway"]["masked"], found["runway"]["configured"]) == ("corrupted", True)
    assert found["veo"]["masked"] == "serv********6789"
    assert (await (await foreign.get("/api/providers")).json())["available_providers"] == ["veo"]
    for refused in (
        await foreign.put(f"{KEYS}/runway", json={"api_key": "another-key-0123456789"}),
        await foreign.put(f"{KEYS}/pika", json={"api_key": "another-key-0123456789"}),
        await foreign.delete(f"{KEYS}/runway"),
        await foreign.delete(f"{KEYS}/pika"),
        await plaintext(foreign),
    ):
        told = await problem(refused, 503, "vault_locked")
        assert "secret is not the one that this vault was made with" in told["detail"]
        assert int(refused.headers["Retry-After"]) > 0
    assert (await plaintext(foreign, "veo")).status == 200, "the environment's keys are not the vault's"
    await problem(await plaintext(foreign, "flux"), 404, "no_key")


async def test_a_start_under_another_secret_makes_nothing_worse(start: Start, file: Path) -> None:
    tables = ("vault", "api_keys")
    await keep(await start())
    before = [select(file, f"SELECT * FROM {table}") for table in tables]
    foreign = await start(root=FOREIGN_ROOT)
    await foreign.put(f"{KEYS}/runway", json={"api_key": "another-key-0123456789"})
    await foreign.delete(f"{KEYS}/runway")
    await plaintext(foreign)
    assert [select(file, f"SELECT * FROM {table}") for table in tables] == before
    assert audit(file)[-1][-1] == "locked"
    again = await start()
    assert (await (await plaintext(again)).json())["api_key"] == "rk-0123456789-7890"
    await keep(again, api_key="another-key-0123456789")


async def test_the_first_secret_is_the_vaults_own_even_while_it_is_empty(start: Start) -> None:
    await start()
    foreign = await start(root=FOREIGN_ROOT)
    await problem(await foreign.put(f"{KEYS}/veo", json={"api_key": "0123456789"}), 503, "vault_locked")


async def test_a_vault_is_ready_once_it_answers(asker: Asker) -> None:
    for path in ("/health/live", "/health/ready"):
        assert (await asker.client.get(path)).status == 200


async def test_in_development_a_secret_is_made_beside_the_database(tmp_path: Path) -> None:
    settings = Settings(web_db_path=tmp_path / "web.db")
    for _ in range(2):
        async with TestClient(TestServer(create_app(settings))) as client:
            assert (await client.get("/health/ready")).status == 200
    file = tmp_path / "animatize_development_secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() not in (tmp_path / "web.vault.db").read_bytes()


@pytest.mark.parametrize("path", [KEYS, "/api/providers", "/internal/keys/runway", "/internal/backup", "/nowhere"])
async def test_nothing_is_answered_without_a_token(asker: Asker, path: str) -> None:
    await problem(await asker.client.get(path), 401, "unsigned")


async def test_the_key_is_derived_off_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def derive(root: SecretStr, salt: bytes) -> KeyEncryptionKey:
        threads.append(threading.current_thread())
        return derive_key(root, salt)

    monkeypatch.setattr("vault_service.ring.derive_key", derive)
    async with opened(tmp_path / "vault.db", "vault_service") as database:
        await unlock(database, SecretStr(ROOT))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
