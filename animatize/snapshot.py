"""`animatize snapshot DIR`: copies of all five files, of one moment, while everything runs."""

import os
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from animatize import retention, troubles
from animatize.copying import copy_view, count_rows, digest
from animatize.moments import Moment, one_moment
from animatize.places import place
from animatize.snapshots import MANIFEST, Copy, Manifest, Snapshot, read_snapshot, write_model
from animatize.telling import Exit, Json, Step, Stop, answering, progress, tell
from animatize.workplaces import sync_folder, workplace
from chassis.release import RELEASE
from chassis.schema import refuse_unready
from vault_service import canary

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the snapshot.", show_default=False)]


class Taken(NamedTuple):
    snapshot: Snapshot
    removed: list[Path]

    def as_json(self) -> dict[str, Any]:
        manifest = self.snapshot.manifest.model_dump(mode="json", by_alias=True)
        return {"snapshot": str(self.snapshot.folder), **manifest, "removed": [str(each) for each in self.removed]}

    def lines(self) -> list[str]:
        manifest = self.snapshot.manifest
        what = f"{self.snapshot.folder}: five files as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC"
        told = [f"{what}, {manifest.size} bytes; the journal was held for {manifest.held_ms} ms"]
        return told + [f"removed: {each}" for each in self.removed]


def snapshot(
    folder: Folder,
    keep: Annotated[int | None, typer.Option(min=1, help="Remove older ones beside it, but for so many.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for what is decided to be in place first.")] = 60,
    as_json: Json = False,
) -> None:
    """Copy all five files into a new folder DIR while everything runs, as they are at one moment.

    Nobody who writes waits for it. DIR appears when it is whole, with a manifest, and is not there before.
    """
    with answering(as_json=as_json), troubles.told():
        taken = take(place().files, folder, wait)
        old = retention.superfluous(list(retention.beside(taken)), keep) if keep else []
        tell(Taken(taken, retention.remove(old)), as_json=as_json)


def take(files: Mapping[str, Path], folder: Path, patience: float) -> Snapshot:
    """Raises Stop, or Unusable where a file is not there or of another release."""
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Stop(Exit.REFUSED, f"{folder} is there already: name a folder that is new, or empty.")
    for package, file in files.items():
        refuse_unready(file, package)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with workplace(folder.parent) as making:
        with one_moment(files, patience) as moment, progress("Copying") as step:
            copies = {each: _copied(moment, each, making / file.name, step) for each, file in files.items()}
            manifest = _manifest(moment, copies)
        write_model(making / MANIFEST, manifest)
        os.rename(making, folder)
        sync_folder(folder.parent)
    return read_snapshot(folder)


def _copied(moment: Moment, package: str, target: Path, step: Step) -> Copy:
    view = moment.views[package]
    copy_view(view, target, step)
    return Copy(
        file=target.name,
        size=target.stat().st_size,
        sha256=digest(target),
        schema=_version(view),
        counts=count_rows(view),
    )


def _manifest(moment: Moment, copies: dict[str, Copy]) -> Manifest:
    vault = canary.identity(moment.views["vault_service"])
    return Manifest(
        format=1,
        release=RELEASE,
        taken_at=moment.at,
        ended_at=datetime.now(UTC),
        held_ms=round(moment.held * 1000, 1),
        vault=vault.id,
        fingerprint=vault.fingerprint,
        files=copies,
    )


def _version(view: sqlite3.Connection) -> int:
    return int(view.execute("PRAGMA user_version").fetchone()[0])
