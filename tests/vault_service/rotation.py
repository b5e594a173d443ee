"""A vault's file with many keys, made at once, and the command that changes the secret that they hang on."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from chassis.schema import bring_up, connect
from tests.processes import ROOT as CHECKOUT
from tests.vault_service.conftest import NEW_ROOT, ROOT
from vault_service.ring import KeyRing, derive_ring
from vault_service.sealing import SALT_BYTES, Sealed
from vault_service.wrapped import SEALED_TABLES

SALT: Final = b"s" * SALT_BYTES
OLD: Final = derive_ring(SecretStr(ROOT), [], SALT)
NEW: Final = derive_ring(SecretStr(NEW_ROOT), [], SALT)
BOTH: Final = derive_ring(SecretStr(NEW_ROOT), [SecretStr(ROOT)], SALT)
TIME: Final = "2026-03-01T10:00:00.000000+00:00"
Row = dict[str, Any]


def made(file: Path, number: int, ring: KeyRing = OLD) -> None:
    """A vault of the ring's current secret with so many keys in each table; some that are kept for an undo are none."""
    bring_up(file, "vault_service")
    with closing(connect(file)) as tx:
        tx.execute("BEGIN IMMEDIATE")
        tx.execute("INSERT INTO vault VALUES (1, ?, ?, ?)", (SALT, ring.current.id, TIME))
        for which in range(number):
            owner, restore = f"user:{which:05}", f"r-{which:05}"
            tx.execute(
                "INSERT INTO restores (restore_id, owner, mode, state, changed_at, kept)"
                " VALUES (?, ?, 'merge', 'committed', ?, 1)",
                (restore, owner, TIME),
            )
            tx.execute(
                "INSERT INTO api_keys VALUES (?, 'veo', ?, ?, ?, ?, ?)",
                (owner, *sealed(ring, owner, f"live {which}"), TIME, TIME),
            )
            tx.execute(
                "INSERT INTO staged_keys VALUES (?, ?, 'veo', ?, ?, ?)",
                (restore, owner, *sealed(ring, owner, f"staged {which}")),
            )
            kept = (*sealed(ring, owner, f"kept {which}"), TIME, TIME) if which % 3 else (None,) * 5
            tx.execute("INSERT INTO undo_keys VALUES (?, ?, 'veo', ?, ?, ?, ?, ?)", (restore, owner, *kept))
        tx.execute("COMMIT")


def sealed(ring: KeyRing, owner: str, text: str) -> tuple[str, bytes, bytes]:
    box = ring.seal(owner, "veo", SecretStr(f"the key that is {text}"))
    return box.key_id, box.wrapped_key, box.ciphertext


def rows(file: Path, table: str) -> list[Row]:
    with closing(connect(file)) as tx:
        return [dict(row) for row in tx.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]


def everything(file: Path) -> dict[str, list[Row]]:
    with closing(sqlite3.connect(file)) as database:
        tables = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
    return {table: rows(file, table) for table in tables}


def without_wrapping(found: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """All that changing the secret must leave as it was."""
    outside = {"key_id", "wrapped_key", "fingerprint"}
    return {table: [{name: row[name] for name in row.keys() - outside} for row in of] for table, of in found.items()}


def opened_with(ring: KeyRing, file: Path) -> list[str]:
    """Every stored key in clear; fails where one does not open."""
    return [
        ring.unseal(
            row["owner"], row["provider"], Sealed(row["key_id"], row["wrapped_key"], row["ciphertext"])
        ).get_secret_value()
        for table in SEALED_TABLES
        for row in rows(file, table)
        if row["key_id"] is not None
    ]


def command(
    file: Path, *arguments: str, secret: str = NEW_ROOT, previous: str = ROOT, **environment: str
) -> subprocess.Popen[str]:
    """The operator's command on a file `x/animatize_web.vault.db`, begun."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("ANIMATIZE_")}
    given |= {"ANIMATIZE_WEB_DB_PATH": str(file.parent), "ANIMATIZE_SECRET_KEY": secret}
    given |= {"ANIMATIZE_SECRET_KEY_PREVIOUS": previous} | environment
    return subprocess.Popen(
        [sys.executable, "-m", "vault_service.rekey", *arguments],
        cwd=CHECKOUT,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(file: Path, *arguments: str, **rest: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    process = command(file, *arguments, **rest)
    told, progress = process.communicate(timeout=30)
    return process.returncode, told, progress


def run_json(file: Path, *arguments: str, **rest: str) -> tuple[int, Any]:
    code, told, _ = run(file, "--json", *arguments, **rest)
    return code, json.loads(told)
