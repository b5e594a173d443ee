"""`animatize prune`: removes what is too old, or what nothing refers to, from all five files beside their services.

1 see that every file is of this release   2 ask the journal what is not at its end   3 file by file, look or remove
4 give the freed pages back to the disk   5 tell
"""

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from animatize import troubles
from animatize.chores import Chores, Keep, chores_of
from animatize.places import place
from animatize.pruned import File, Pruned
from animatize.telling import Exit, Json, Step, Stop, answering, progress, tell
from chassis import upkeep
from chassis.schema import connect, refuse_unready

Yes = Annotated[bool, typer.Option("--yes/--dry-run", help="Do it; without, only tell what there is.")]
KeepHistory = Annotated[
    int | None, typer.Option("--keep-history", min=1, help="Versions of each profile to keep; without, all are kept.")
]
KeepAudit = Annotated[int, typer.Option("--keep-audit", min=1, help="Days to keep of the audits of workers.")]
Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Write files anew that cannot shrink in pieces. Nobody can write meanwhile.")
]


def prune(
    yes: Yes = False,
    keep_history: KeepHistory = None,
    keep_audit: KeepAudit = 365,
    rebuild: Rebuild = False,
    as_json: Json = False,
) -> None:
    """Remove what is too old or refers to nothing, and give the room back. Tells only, unless it is given --yes.

    Works beside the services, in short transactions; may be broken off at any moment and begun again.
    """
    with answering(as_json=as_json), troubles.told(troubles.BIT_BY_BIT):
        files = place().files
        for package, file in files.items():
            refuse_unready(file, package)
        troubles.refuse_read_only(*files.values())
        with alone(files["gateway"]):
            chores = chores_of(files, Keep(keep_history, keep_audit), datetime.now(UTC))
            found = _removed(files, chores, rebuild=rebuild) if yes else _looked_at(files, chores)
        tell(Pruned(yes, found), as_json=as_json)


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """One prune at a time of what lies together. The kernel lets go when the holder dies."""
    with file.with_name(f"{file.name}.prune.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(Exit.AWAY, "Another prune of these files is under way: wait until it has ended.") from None
        yield


def _looked_at(files: dict[str, Path], chores: Chores) -> list[File]:
    return [_look(package, file, chores) for package, file in files.items()]


def _look(package: str, file: Path, chores: Chores) -> File:
    with closing(connect(file)) as tx:
        space = upkeep.space(tx)
        return File(package, upkeep.look(tx, chores[package]), space, space)


def _removed(files: dict[str, Path], chores: Chores, *, rebuild: bool) -> list[File]:
    found = _looked_at(files, chores)
    total = sum(amount.rows for file in found for amount in file.found.values())
    with progress("Rows", total) as step:
        count = Count(step)
        return [_remove(file, files[file.package], chores, count, rebuild=rebuild) for file in found]


def _remove(before: File, file: Path, chores: Chores, count: "Count", *, rebuild: bool) -> File:
    with closing(connect(file)) as tx:
        removed = upkeep.clean(tx, chores[before.package], count)
        if rebuild and not before.before.shrinks:
            upkeep.rebuild(tx)
        upkeep.give_back(tx)
        found = {name: upkeep.Amount(rows, before.found[name].size) for name, rows in removed.items()}
        return File(before.package, found, before.before, upkeep.space(tx))


@dataclass
class Count:
    """Adds up the rows of all files for the progress bar."""

    step: Step
    done: int = 0

    def __call__(self, rows: int) -> None:
        self.done += rows
        self.step(self.done)
