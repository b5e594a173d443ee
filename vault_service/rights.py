"""Whether this user may work on the vault's file. SQLite would say so late, and not of which file."""

import os
from pathlib import Path
from typing import Final

from vault_service.rekeying import Refused

READ_AND_WRITE: Final = os.R_OK | os.W_OK
MAKE_FILES: Final = os.W_OK | os.X_OK  # SQLite puts its log beside the file, and takes it away, also to read only


def refuse_without_rights(file: Path) -> None:
    """Raises Refused, which names the file or folder. One that is not there is left for others to tell."""
    beside = [file.with_name(f"{file.name}{ending}") for ending in ("-wal", "-shm")]
    for path, asked in (
        (file.parent, MAKE_FILES),
        (file, READ_AND_WRITE),
        *((each, READ_AND_WRITE) for each in beside),
    ):
        if _is_there(path) and not os.access(path, asked):
            raise not_allowed(path)


def not_allowed(path: object) -> Refused:
    return Refused(
        f"user {os.geteuid()} may not read and write {path}: run this as the user of the vault service."
        " Nothing was begun"
    )


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError as error:  # a folder above it that may not be entered
        raise not_allowed(path) from error
    except OSError:
        return False
    return True
