"""A file of the single-process console, made by the tests: its tables as the real one has them, and a few people."""

import hashlib
import json
import shutil
import sqlite3
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.fernet import Fernet

from tests.conftest import LEGACY

SECRET: Final = "the secret of the old console, which is no more"
OLDER_SECRET: Final = "the secret that it had before that"
REAL_SECRET: Final = "legacy-test-secret-0123456789abcdef"
GUEST, ANA, BO = "guest:g_1", "user:u_ana", "user:u_bo"
COOKIES: Final = {owner: hashlib.md5(owner.encode()).hexdigest() for owner in (GUEST, ANA, BO)}
PNG: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
SCHEMA: Final = """
    CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, picture TEXT,
        provider TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
    CREATE TABLE sessions (session_id TEXT PRIMARY KEY, user_id TEXT, guest_id TEXT, created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL, last_seen_at TEXT NOT NULL, FOREIGN KEY (user_id) REFERENCES users (id));
    CREATE TABLE settings_profiles (owner_key TEXT PRIMARY KEY, payload TEXT NOT NULL, version INTEGER NOT NULL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
    CREATE TABLE settings_history (id INTEGER PRIMARY KEY AUTOINCREMENT, owner_key TEXT NOT NULL,
        version INTEGER NOT NULL, payload TEXT NOT NULL, change_note TEXT, created_at TEXT NOT NULL);
    CREATE TABLE generation_runs (id INTEGER PRIMARY KEY AUTOINCREMENT, owner_key TEXT NOT NULL, run_id TEXT NOT NULL,
        created_at TEXT NOT NULL, payload TEXT NOT NULL, UNIQUE(owner_key, run_id));
    CREATE TABLE api_credentials (owner_key TEXT NOT NULL, provider TEXT NOT NULL, encrypted_key TEXT NOT NULL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (owner_key, provider));
"""


def now(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="microseconds")


class OldConsole:
    """Writes to such a file as the old console did."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def do(self, sql: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as file, file:
            return file.execute(sql, values).fetchall()

    def user(self, owner: str, email: str, name: str | None = None) -> None:
        values = (owner.partition(":")[2], email, name, None, "google", now(days=3), now(days=3))
        self.do("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    def session(self, owner: str, cookie: str, *, lives: float = 20) -> None:
        kind, _, name = owner.partition(":")
        of = (name, None) if kind == "user" else (None, name)
        self.do("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", cookie, *of, now(days=2), now(days=-lives), now())

    def settings(self, owner: str, *states: dict[str, Any]) -> None:
        """The states that a profile had one after the other."""
        for state in states:
            text, moment = json.dumps(state), now()
            self.do(
                "INSERT INTO settings_profiles VALUES (?, ?, 1, ?, ?) ON CONFLICT (owner_key) DO UPDATE"
                " SET payload = excluded.payload, version = version + 1, updated_at = excluded.updated_at",
                *(owner, text, moment, moment),
            )
            self.do(
                "INSERT INTO settings_history (owner_key, version, payload, change_note, created_at)"
                " SELECT owner_key, version, payload, 'change ' || version, updated_at FROM settings_profiles"
                " WHERE owner_key = ?",
                owner,
            )

    def run(self, owner: str, run_id: str, **more: Any) -> dict[str, Any]:
        run = {"run_id": run_id, "created_at": now(), "status": "success", "intent": '„żółw" <b>&amp; 🎬', **more}
        self.payload(owner, run_id, json.dumps(run))
        return run

    def payload(self, owner: str, run_id: str, text: Any) -> None:
        insert = "INSERT INTO generation_runs (owner_key, run_id, created_at, payload) VALUES (?, ?, ?, ?)"
        self.do(insert, owner, run_id, now(), text)

    def key(self, owner: str, provider: str, api_key: str, secret: str = SECRET) -> None:
        box = Fernet(urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))
        token = box.encrypt(api_key.encode()).decode()
        self.do("INSERT INTO api_credentials VALUES (?, ?, ?, ?, ?)", owner, provider, token, now(days=1), now(days=1))


def data_url(content: bytes = PNG) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"


def new(path: Path) -> OldConsole:
    """One that nobody has used yet."""
    with closing(sqlite3.connect(path)) as file:
        file.executescript("PRAGMA journal_mode = WAL;" + SCHEMA)
    return OldConsole(path)


def small(path: Path) -> OldConsole:
    """A guest, two users, what they made, and a key that nothing opens."""
    old = new(path)
    old.user(ANA, "Ana@gmail.com", "Ana Lovelace")
    old.user(BO, "bo@example.org")
    for owner in (GUEST, ANA, BO):
        old.session(owner, COOKIES[owner])
        old.settings(owner, {"theme": {"grain": 0.35}}, {"theme": {"grain": 7}, "mine": [1, None]}, {"of": owner})
        for number in range(3):
            old.run(owner, f"R{number}", source_image_data_url=data_url(), variants=[{"id": "v", "favorite": False}])
        old.key(owner, "runway", f"key of {owner}")
    old.key(ANA, "sora", "an older key of Ana", OLDER_SECRET)
    old.key(BO, "flux", "a lost key of Bo", "nobody knows this one")
    return old


def real(path: Path) -> OldConsole:
    """A copy of the real file, whose sessions go on. Skips where that is not there."""
    if not (LEGACY / "monolith.db").exists():
        pytest.skip("the real documents are not beside this checkout")
    shutil.copyfile(LEGACY / "monolith.db", path)
    old = OldConsole(path)
    old.do("UPDATE sessions SET expires_at = ?", now(days=-20))
    return old


def state(path: Path) -> dict[str, tuple[bytes, int]]:
    """By which it shows that the file, or what is beside it, was touched."""
    return {
        each.name: (each.read_bytes(), each.stat().st_mtime_ns)
        for each in sorted(path.parent.iterdir())
        if each.name.startswith(path.name)
    }


@contextmanager
def in_use(path: Path) -> Iterator[sqlite3.Connection]:
    """Inside, the file has a log beside it that no checkpoint has moved into it yet."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_autocheckpoint = 0")
        yield file
