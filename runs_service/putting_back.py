"""What a copy of the runs file needs when it is put in the place of the file that devices have followed since."""

import sqlite3
from typing import Final

RENEW: Final = "UPDATE file_key SET key = randomblob(32)"


def renew_tokens(tx: sqlite3.Connection) -> None:
    """From now on every token that was ever given out is of another file: devices read all runs anew."""
    tx.execute(RENEW)
