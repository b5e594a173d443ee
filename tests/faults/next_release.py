"""A release after this one: the same code with one more migration in each package, which expands its whole schema."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from chassis.schema import steps_of
from tests.processes import ROOT, SERVICES

PACKAGES: Final = ("chassis", "gateway", *SERVICES)
OWNING: Final = PACKAGES[1:]


def build(folder: Path) -> Path:
    """Where the packages of the next release stand."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for package in OWNING:
        script = folder / package / "migrations" / f"{len(steps_of(package)) + 1:03}_next.sql"
        script.write_text(expansion_of(package), encoding="utf-8")
    return folder


def expansion_of(package: str) -> str:
    """What an expand step may do, done to every table: columns that older code does not write, an index, a table."""
    lines = ["CREATE TABLE next_notes (id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;"]
    for table in _tables(package):
        lines.append(f"ALTER TABLE {table} ADD COLUMN next_mark TEXT;")
        lines.append(f"ALTER TABLE {table} ADD COLUMN next_number INTEGER NOT NULL DEFAULT 7;")
        lines.append(f"CREATE INDEX next_{table} ON {table} (next_mark, next_number);")
    return "\n".join(lines)


def _tables(package: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as file:
        file.executescript("\n".join(script for _, script in steps_of(package)))
        listed = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        return [name for (name,) in file.execute(listed)]
