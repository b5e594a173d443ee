"""`animatize verify DIR`: puts a snapshot back into a scratch folder, and says whether it would do."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from animatize import troubles
from animatize.examining import Examined, examine
from animatize.places import Place, place
from animatize.snapshot import Folder
from animatize.snapshots import VERIFIED, Snapshot, read_snapshot, refuse_newer, verified_now, write_model
from animatize.telling import Exit, Json, answering, progress, tell
from animatize.workplaces import workplace


class Verdict(NamedTuple):
    snapshot: Snapshot
    examined: Examined
    recorded: bool

    @property
    def is_good(self) -> bool:
        return not self.examined.findings

    def as_json(self) -> dict[str, Any]:
        keys = self.examined.keys
        return {
            "snapshot": str(self.snapshot.folder),
            "taken_at": self.snapshot.manifest.taken_at.isoformat(),
            "good": self.is_good,
            "findings": self.examined.findings,
            "keys_opened": keys.opened if keys else None,
            "keys_unreadable": keys.unreadable if keys else None,
            "recorded": self.recorded,
        }

    def lines(self) -> list[str]:
        if not self.is_good:
            return [f"{self.snapshot.folder} is damaged:", *(f"  {each}" for each in self.examined.findings)]
        keys = self.examined.keys
        told = f"{keys.opened} stored keys open, {keys.unreadable} do not" if keys else ""
        good = (
            f"{self.snapshot.folder} can be put back: it is as of {self.snapshot.manifest.taken_at:%F %T} UTC; {told}"
        )
        return [good] if self.recorded else [good, "That could not be recorded: the folder cannot be written to."]


def verify(
    folder: Folder,
    scratch: Annotated[Path | None, typer.Option(help="Where there is room for it; else beside DIR.")] = None,
    as_json: Json = False,
) -> None:
    """Find out whether the snapshot DIR could be put back, in a scratch folder that is removed again.

    Needs the vault's secret, to open what is stored. When it was last found good is recorded, for `status`.
    """
    with answering(as_json=as_json), troubles.told():
        verdict = examined(folder, scratch or folder.absolute().parent, place())
        tell(verdict, as_json=as_json)
        if not verdict.is_good or not verdict.recorded:
            raise typer.Exit(int(Exit.FOUND))


def examined(folder: Path, scratch: Path, where: Place) -> Verdict:
    """Raises Stop where there is nothing to examine, or no secret to do it with."""
    snapshot = read_snapshot(folder)
    refuse_newer(snapshot)
    with workplace(scratch) as into, progress("Verifying") as step:
        found = examine(snapshot, into, where, step)
    return Verdict(snapshot, found, not found.findings and _recorded(snapshot, where))


def _recorded(snapshot: Snapshot, where: Place) -> bool:
    """Beside the snapshot, for who removes old ones, and beside the databases where there are any."""
    try:
        record = verified_now(snapshot)
        write_model(snapshot.folder / VERIFIED, record)
        if where.verified.parent.is_dir():
            write_model(where.verified, record)
    except OSError:
        return False
    return True
