"""What can keep a command from a service's file, told as a command tells it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animatize.telling import Exit, Stop
from chassis.schema import Unusable


@contextmanager
def on_files() -> Iterator[None]:
    """Raises Stop where a file is not of this release, may not be read and written, is locked, or is on a full disk."""
    try:
        yield
    except Unusable as error:
        raise Stop(Exit.REFUSED, f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    except PermissionError as error:
        raise Stop(Exit.REFUSED, f"You may not read {error.filename}: run this as the user of the services.") from error
    except sqlite3.Error as error:
        raise Stop(Exit.BROKEN_OFF, f"Broken off ({error}). What is done stays done: begin again.") from error


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
