"""What can be wrong with files, as sentences and exit codes, the same for every command."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from animatize.telling import Exit, Stop
from chassis.schema import Unusable
from vault_service.canary import WrongSecret

ALL_OR_NOTHING: Final = "All is as before"
BIT_BY_BIT: Final = "What is done stays done: begin again"
BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def told(after: str = ALL_OR_NOTHING) -> Iterator[None]:
    """Turns what goes wrong with a file inside the block into a Stop. `after` says what a broken-off command leaves."""
    try:
        yield
    except (Unusable, WrongSecret) as error:
        raise Stop(Exit.REFUSED, f"Not done: {error}.") from error
    except PermissionError as error:
        raise Stop(Exit.REFUSED, f"You may not use {error.filename}: run this as the user of the services.") from error
    except (sqlite3.Error, OSError) as error:
        if is_full(error):
            raise Stop(Exit.BROKEN_OFF, f"There is no room left on the disk ({error}). {after}.") from error
        if isinstance(error, OSError):
            raise Stop(Exit.REFUSED, f"Not done: {error}.") from error
        if is_busy(error):
            raise Stop(Exit.AWAY, f"A file is in use for too long ({error}): try again. {after}.") from error
        raise Stop(Exit.BROKEN_OFF, f"A file cannot be read or written ({error}). {after}.") from error


def is_full(error: Exception) -> bool:
    """Whether the disk is, or somebody's share of it."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the file; the low byte is the code that all kinds of it share."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY


def refuse_read_only(*files: Path) -> None:
    """Raises Stop for a file that this user may not write, before anything is done to the others."""
    for file in files:
        try:
            with file.open("r+b"):
                pass
        except FileNotFoundError:
            continue  # told by whoever opens it
        except OSError as error:
            detail = f"You may not write {file} ({error.strerror}): run this as the user of the services."
            raise Stop(Exit.REFUSED, f"{detail} Nothing was begun.") from error
