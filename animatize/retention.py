"""Which snapshots of a folder go, so that a nightly one does not fill the disk."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from animatize.snapshots import Snapshot, read_snapshot
from animatize.telling import Stop
from animatize.workplaces import workplace


def superfluous(snapshots: Sequence[Snapshot], keep: int) -> list[Snapshot]:
    """All but the newest `keep`; never the one that was verified last, nor the newest that ever was. Pure."""
    newest_first = sorted(snapshots, key=lambda each: each.manifest.taken_at, reverse=True)
    verified = [(each.verified.verified_at, each) for each in newest_first if each.verified is not None]
    kept = newest_first[:keep] + [each for _, each in verified[:1]]
    kept += [each for _, each in sorted(verified, key=lambda pair: pair[0])[-1:]]
    return [each for each in newest_first if each not in kept]


def beside(snapshot: Snapshot) -> Iterator[Snapshot]:
    """The whole snapshots of the same vault, and so of the same console, in the folder above; this one too."""
    for folder in snapshot.folder.parent.iterdir():
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            found = read_snapshot(folder)
        except Stop:
            continue
        if found.is_whole and found.manifest.vault == snapshot.manifest.vault:
            yield found


def remove(snapshots: Sequence[Snapshot]) -> list[Path]:
    """What is removed leaves its name first: what was begun with is never taken for a snapshot."""
    for each in snapshots:
        with workplace(each.folder.parent) as bin_:
            os.rename(each.folder, bin_ / each.folder.name)
            shutil.rmtree(bin_ / each.folder.name)
    return [each.folder for each in snapshots]
