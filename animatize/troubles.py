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
    except sqlite3.Error as error:
        raise Stop(Exit.AWAY, f"A file is locked, or cannot be read or written ({error}): try again.") from error
    except OSError as error:
        raise Stop(Exit.BROKEN_OFF if error.errno in _FULL else Exit.REFUSED, f"Not done: {error}.") from error


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
