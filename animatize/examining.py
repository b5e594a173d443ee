"""Whether a snapshot can be put back: its copies are copied once more, and those are looked through entirely."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from animatize.copying import copy_file, count_rows, stand_alone
from animatize.places import Place
from animatize.snapshots import Copy, Snapshot
from animatize.telling import Step
from animatize.troubles import is_full
from chassis.schema import Unusable, bring_up, schema_of
from vault_service import canary
from vault_service.canary import Canary

MOST_NAMED = 20


class Examined(NamedTuple):
    """The files, brought up to this release where the snapshot is of an older one; what is wrong with them, as
    sentences; and what the secret opens, where nothing was wrong before."""

    files: dict[str, Path]
    findings: list[str]
    keys: Canary | None


def examine(snapshot: Snapshot, into: Path, place: Place, step: Step) -> Examined:
    """Nothing outside of `into` is touched. Raises WrongSecret where the place's secret is not the vault's."""
    root, files, findings = place.root, {package: into / file.name for package, file in place.files.items()}, []
    for package, file in files.items():
        findings += _copied(snapshot, package, file, step) or _brought_up(package, file)
    if findings:
        return Examined(files, findings, None)
    keys = canary.sing(files["vault_service"], root, place.secret_key_previous)
    stand_alone(files["vault_service"])
    dead = [f"none of {keys.unreadable} stored keys can be opened"] if keys.is_dead else []
    return Examined(files, dead, keys)


def _copied(snapshot: Snapshot, package: str, file: Path, step: Step) -> list[str]:
    copy = snapshot.manifest.files[package]
    try:
        if copy_file(snapshot.file(package), file, step) != copy.sha256:
            return [f"{copy.file} is not what it was: its SHA-256 is another"]
        return [f"{copy.file}: {each}" for each in _looked_through(file, package, copy)]
    except (OSError, sqlite3.Error, Unusable) as error:
        _refuse_full(error)
        return [f"{copy.file} cannot be read: {error}"]


def _looked_through(file: Path, package: str, copy: Copy) -> Iterator[str]:
    version = schema_of(file, package).version
    if version != copy.version:
        yield f"its schema is {version}, and the manifest says {copy.version}"
    with closing(sqlite3.connect(file, isolation_level=None)) as tx:
        verdicts = [str(verdict) for (verdict,) in tx.execute(f"PRAGMA integrity_check({MOST_NAMED})")]
        yield from (verdict for verdict in verdicts if verdict != "ok")
        for table, row, parent, _ in tx.execute("PRAGMA foreign_key_check").fetchmany(MOST_NAMED):
            yield f"row {row} of {table} refers to something in {parent} that is not there"
        counts = count_rows(tx)
        for table in sorted(counts.keys() | copy.counts.keys()):
            if (found := counts.get(table, 0)) != (told := copy.counts.get(table, 0)):
                yield f"{table} has {found} rows, and the manifest says {told}"


def _brought_up(package: str, file: Path) -> list[str]:
    """As a service of this release would, at its start."""
    try:
        bring_up(file, package)
        stand_alone(file)
    except (sqlite3.Error, Unusable) as error:
        _refuse_full(error)
        return [f"{file.name} cannot be used: {error}"]
    return []


def _refuse_full(error: Exception) -> None:
    """That there is no room says nothing of the snapshot."""
    if is_full(error):
        raise error
