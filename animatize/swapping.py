"""Puts five new files in the place of five old ones, all or none, whatever ends the process in between.

1 lay the new ones beside the old   2 mark each place, the journal's last   3 in each, keep the old one under another
name and rename the new one over it   4 take the marks away, the journal's first: that decides.

While the journal's mark lies there everything is taken back; once it does not, everything stays. No process of this
release starts on a file that is marked. A name is never without a file: one of an older release, which knows no marks,
never makes an empty one.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from animatize.workplaces import sync_folder, write_whole
from chassis.schema import replacing_mark

DECIDES: Final = "gateway"
LOG: Final = "-wal"
SHARED_MEMORY: Final = "-shm"  # made anew by whoever opens the file


class Mark(BaseModel):
    """Under which name the old file is kept; None where there was none."""

    kept: str | None


class Settled(StrEnum):
    """What became of an exchange that was broken off."""

    TAKEN_BACK = "taken_back"
    KEPT = "kept"


def swap(files: Mapping[str, Path], new: Mapping[str, Path], ending: str) -> list[Path]:
    """Where the old files are kept: under their own name with `ending`. Raises what went wrong, all being as before.

    Nobody may have one of the files open, or open one meanwhile.
    """
    marks = {package: Mark(kept=f"{path.name}{ending}" if path.exists() else None) for package, path in files.items()}
    try:
        for package, path in files.items():
            shutil.move(new[package], beside(path))  # also from another file system
            sync_folder(path.parent)
        for package in _journal_last(files):
            write_whole(replacing_mark(files[package]), marks[package].model_dump_json().encode())
        for package, path in files.items():
            _exchange(path, marks[package])
    except BaseException:
        settle(files)
        raise
    _unmark(files)
    return [path.with_name(kept) for package, path in files.items() if (kept := marks[package].kept)]


def settle(files: Mapping[str, Path]) -> Settled | None:
    """Bring an exchange that was broken off to one of its two ends; None where there was none. Repeating it is safe."""
    marked = {package: path for package, path in files.items() if replacing_mark(path).exists()}
    is_undone = DECIDES in marked or any(beside(path).exists() for path in marked.values())
    if DECIDES in marked:
        for path in marked.values():
            _take_back(path, Mark.model_validate_json(replacing_mark(path).read_bytes()))
    _unmark(files)
    for path in files.values():
        _remove(beside(path))
        _remove(replacing_mark(path).with_name(f"{replacing_mark(path).name}.new"))
    if not marked:
        return None
    return Settled.TAKEN_BACK if is_undone else Settled.KEPT


def beside(path: Path) -> Path:
    """Where the new file lies until it gets its name."""
    return path.with_name(f"{path.name}.replacement")


def _exchange(path: Path, mark: Mark) -> None:
    log = path.with_name(path.name + LOG)
    if mark.kept is not None:
        os.link(path, path.with_name(mark.kept))
        if log.exists():  # it belongs to the old file, and would be read into the new one
            os.replace(log, path.with_name(mark.kept + LOG))
    else:
        _remove(log)
    _remove(path.with_name(path.name + SHARED_MEMORY))
    os.replace(beside(path), path)
    sync_folder(path.parent)


def _take_back(path: Path, mark: Mark) -> None:
    if mark.kept is None:
        _remove(path)
    else:
        kept, log = path.with_name(mark.kept), path.with_name(mark.kept + LOG)
        if kept.exists():
            os.replace(kept, path)
            _remove(kept)  # where both are one file still, renaming it does nothing
        if log.exists():
            os.replace(log, path.with_name(path.name + LOG))
    sync_folder(path.parent)


def _unmark(files: Mapping[str, Path]) -> None:
    for package in reversed(_journal_last(files)):
        _remove(replacing_mark(files[package]))
        sync_folder(files[package].parent)


def _journal_last(files: Mapping[str, Path]) -> list[str]:
    return sorted(files, key=lambda package: package == DECIDES)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
