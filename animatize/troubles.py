"""What can be wrong with files, as sentences and exit codes."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from animatize.telling import Exit, Stop
from chassis.schema import Unusable
from vault_service.canary import WrongSecret


@contextmanager
def told() -> Iterator[None]:
    """Turns what goes wrong with a file inside the block into a Stop."""
    try:
        yield
    except (Unusable, WrongSecret) as error:
        raise Stop(Exit.REFUSED, f"Not done: {error}.") from error
    except (sqlite3.Error, OSError) as error:
        if is_full(error):
            raise Stop(Exit.BROKEN_OFF, f"There is no room left on the disk ({error}): all is as before.") from error
        if isinstance(error, OSError):
            raise Stop(Exit.REFUSED, f"Not done: {error}.") from error
        raise Stop(Exit.AWAY, f"A file is locked, or cannot be read or written ({error}): try again.") from error


def is_full(error: Exception) -> bool:
    """Whether the disk is, or somebody's share of it."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
