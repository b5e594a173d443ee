"""`animatize recover DIR`: puts a snapshot in the place of the five files, or leaves them as they were."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from animatize import swapping, troubles
from animatize.bygone import Adjusted, Bygone, adjust, read_bygone
from animatize.examining import examine
from animatize.places import Place, place
from animatize.quiet import no_starts, refuse_used, shut
from animatize.snapshots import Snapshot, read_snapshot, refuse_newer
from animatize.swapping import Settled
from animatize.telling import Exit, Json, Stop, answering, progress, tell
from animatize.workplaces import workplace
from chassis.schema import lock_of

TO_SETTLE = "Only bring an earlier one to its end that was broken off."


class Recovered(NamedTuple):
    snapshot: Snapshot
    kept: list[Path]
    bygone: Bygone
    adjusted: Adjusted

    def as_json(self) -> dict[str, Any]:
        return {
            "snapshot": str(self.snapshot.folder),
            "taken_at": self.snapshot.manifest.taken_at.isoformat(),
            "kept": [str(each) for each in self.kept],
            **self.adjusted._asdict(),
            "unread": self.bygone.unread,
        }

    def lines(self) -> list[str]:
        done = self.adjusted
        return [
            f"The five files are as of {self.snapshot.manifest.taken_at:%F %T} UTC. Devices will read all runs anew.",
            f"Sessions ended again: {done.sessions_ended}; settings that follow once more, since devices know later"
            f" versions: {done.settings_raised}; deletions of accounts to be done again: {done.deletions_repeated}.",
            *self.bygone.unread,
            *(f"kept: {each}" for each in self.kept),
        ]


class BroughtToItsEnd(NamedTuple):
    found: Settled | None

    def as_json(self) -> dict[str, Any]:
        return {"settled": self.found}

    def lines(self) -> list[str]:
        told = {
            None: "Nothing was broken off.",
            Settled.TAKEN_BACK: "The five files are again those of before.",
            Settled.KEPT: "The recovery was complete: the five files are those of the snapshot.",
        }
        return [told[self.found]]


def recover(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="The folder of the snapshot.")] = None,
    settle: Annotated[bool, typer.Option("--settle", help=TO_SETTLE)] = False,
    as_json: Json = False,
) -> None:
    """Put the snapshot DIR in the place of the five files, once no process runs any more.

    A damaged copy, a newer schema or another secret is refused before anything is touched. The old files are kept
    beside the new ones. Where it fails, or is killed and begun again, the old ones come back first.
    """
    if (folder is None) is not settle:
        raise typer.BadParameter("name the folder of a snapshot, or --settle alone")
    with answering(as_json=as_json), troubles.told():
        where = place()
        if folder is None:
            tell(BroughtToItsEnd(settled(where)), as_json=as_json)
        else:
            tell(put_back(folder, where), as_json=as_json)


def settled(where: Place) -> Settled | None:
    files = _resolved(where)
    with no_starts(files.values()):
        refuse_used(files.values())
        return swapping.settle(files)


def put_back(folder: Path, where: Place) -> Recovered:
    """1 keep everybody away   2 take back what was broken off   3 copy and examine   4 have the copies follow what
    devices know   5 exchange. Raises Stop, or what went wrong, all being as before."""
    snapshot, files = read_snapshot(folder), _resolved(where)
    refuse_newer(snapshot)
    _ = where.root  # Stop, before a folder is made for files that could not be read
    with no_starts(files.values()):
        refuse_used(files.values())
        swapping.settle(files)
        with workplace(files["gateway"].parent) as scratch:
            new = _examined(snapshot, scratch, where)
            bygone = read_bygone(files)
            adjusted = adjust(new, bygone, snapshot.manifest)
            for package, path in files.items():
                _give_to_owner(new[package], path)
                _give_to_owner(lock_of(path), path)
            with shut(files.values()):
                kept = swapping.swap(files, new, f".before-recover-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    return Recovered(snapshot, kept, bygone, adjusted)


def _examined(snapshot: Snapshot, scratch: Path, where: Place) -> dict[str, Path]:
    with progress("Examining") as step:
        found = examine(snapshot, scratch, where, step)
    if found.findings:
        told = f"{snapshot.folder} is damaged, and nothing was changed: {'; '.join(found.findings)}"
        raise Stop(Exit.REFUSED, f"{told}.", findings=found.findings)
    return found.files


def _resolved(where: Place) -> dict[str, Path]:
    """What lies where a link leads is replaced, and not the link."""
    return {package: path.resolve() for package, path in where.files.items()}


def _give_to_owner(new: Path, old: Path) -> None:
    """Where root puts them back, they are still for the user of the services."""
    with suppress(PermissionError):
        like = (old if old.exists() else old.parent).stat()
        os.chown(new, like.st_uid, like.st_gid)
