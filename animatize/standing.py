"""How the five files stand: of which schema, how large, and what the journal and the services say of each other."""

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from animatize.places import OWNERS
from chassis.parts import UNDO_DAYS
from chassis.remembered import remembered
from chassis.schema import Unusable, connect, refuse_half_replaced, schema_of
from gateway import in_flight
from gateway.in_flight import Left

PATIENCE: Final = 0.5  # seconds that a locked file is waited for
LOOKS: Final = 3  # what is only under way at one look has gone at the next
PAUSE: Final = 0.3
STAGING: Final = ("settings_service", "runs_service", "vault_service")


class File(NamedTuple):
    """One file. `problem` is None where it is as this release would use it; sizes are in bytes."""

    package: str
    path: Path
    size: int
    wal: int
    schema: int | None
    known: int | None
    problem: str | None

    def as_json(self) -> dict[str, Any]:
        names = {"file": str(self.path), "size": self.size, "wal": self.wal}
        return names | {"schema": self.schema, "known_schema": self.known, "problem": self.problem}

    def line(self) -> str:
        if self.schema is None:
            return f"{self.path}: {self.problem}"
        return f"{self.path}: schema {self.schema} of {self.known}, {self.size} bytes and {self.wal} in its log"


def look_at(package: str, path: Path) -> File:
    size, wal = _size(path), _size(path.with_name(f"{path.name}-wal"))
    try:
        schema = schema_of(path, package, PATIENCE)
        refuse_half_replaced(path)
    except (Unusable, OSError, sqlite3.Error) as error:
        return File(package, path, size, wal, None, None, str(error))
    problem = None
    if schema.version > schema.known:
        problem = f"{path} is of a newer release, with schema {schema.version}; this one knows {schema.known}"
    elif schema.version < schema.known:
        problem = f"{path} is of an older release, with schema {schema.version} of {schema.known}: start its {package}"
    return File(package, path, size, wal, schema.version, schema.known, problem)


def operations_left(files: Mapping[str, Path]) -> list[Left]:
    """Raises sqlite3.Error where the journal cannot be read."""
    with closing(connect(files["gateway"], PATIENCE)) as tx:
        return in_flight.left(tx)


def differences(files: Mapping[str, Path]) -> list[str]:
    """Between what the services finished and what the journal says, at each of several looks.

    Only of the files that are given, and none without the journal. Raises sqlite3.Error where one cannot be read.
    """
    found = _differences(files)
    for _ in range(LOOKS - 1):
        if not found:
            break
        time.sleep(PAUSE)
        found = [each for each in _differences(files) if each in found]
    return found


def _differences(files: Mapping[str, Path]) -> list[str]:
    """The journal first: what has ended there has ended in every service."""
    with closing(connect(files["gateway"], PATIENCE)) as tx:
        journal = in_flight.journalled(tx)
    told, since = [], (datetime.now(UTC) - timedelta(days=UNDO_DAYS)).isoformat()  # so long nobody forgets anything
    for package in STAGING:
        if package in files:
            with closing(connect(files[package], PATIENCE)) as tx:
                told += in_flight.differences(journal, OWNERS[package], remembered(tx), since)
    return told


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
