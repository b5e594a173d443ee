"""That nobody has the files open, and nobody opens them meanwhile: found out, and kept so, by locks.

Whoever uses a file in WAL mode holds SQLite's shared lock on it for as long as it has it open; who starts a process
locks a file beside it first. The kernel lets go of both when a process dies, so that none is ever left behind. Both
work on one host only, as do the processes.
"""

import fcntl
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from animatize.telling import Exit, Stop
from chassis.schema import lock_of

PENDING_BYTE: Final = 0x40000000  # where SQLite locks (https://www.sqlite.org/fileformat.html, 1.3.2)
LOCKED_BYTES: Final = 512
PATIENCE: Final = 5.0  # seconds: a process that starts holds its lock for as long as a migration takes
FLOCK: Final = "hhqqi"  # struct flock, where it is known: Linux on 64 bits


@contextmanager
def no_starts(files: Iterable[Path]) -> Iterator[None]:
    """Whoever starts on one of the files waits until the block ends. Raises Stop where somebody is just starting."""
    with ExitStack() as held:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            _lock(held.enter_context(lock_of(path).open("w")), path)
        yield


def _lock(lock: TextIO, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() > deadline:
                raise Stop(Exit.AWAY, f"A process is just starting on {path}: try again.") from error
            time.sleep(0.05)
        else:
            return


@contextmanager
def shut(files: Iterable[Path]) -> Iterator[None]:
    """To SQLite the files are locked for the block, by whatever name. Raises Stop, which names who has one open.

    No connection of this process to one of them may be closed inside: with it the lock would go.
    """
    with ExitStack() as held:
        for path in files:
            if path.exists():
                _shut(held.enter_context(path.open("r+b")), path)
        yield


def refuse_used(files: Iterable[Path]) -> None:
    """Raises Stop, which names who has one of the files open."""
    with shut(files):
        pass


def _shut(file: BinaryIO, path: Path) -> None:
    holder = _holder(file)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCKED_BYTES, PENDING_BYTE)
    except OSError as error:
        who = f"process {holder}" if holder else "a process"
        told = f"{path} is open in {who}: stop all five processes, the gateway first, and whatever else works on it"
        raise Stop(Exit.REFUSED, f"{told}. Nothing was changed.", file=str(path), process=holder) from error


def _holder(file: BinaryIO) -> int | None:
    """The process that locks the file, where the system tells; none of another container."""
    if not sys.platform.startswith("linux"):
        return None
    asked = struct.pack(FLOCK, fcntl.F_WRLCK, 0, PENDING_BYTE, LOCKED_BYTES, 0)
    found: tuple[int, ...] = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return found[4] if found[0] != fcntl.F_UNLCK and found[4] > 0 else None
