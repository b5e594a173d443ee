"""What a service remembers of operations over several services, for whoever looks at its file from outside."""

import sqlite3

from chassis.owners import ADOPT


def remembered(tx: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """The state of each that stages something, and since when, by its id. Expects the table `restores`; see `staging`.

    An adoption stages nothing; it is forgotten in the journal with its guest, and here with its user.
    """
    found = tx.execute("SELECT restore_id, state, changed_at FROM restores WHERE mode <> ?", (ADOPT,))
    return {row["restore_id"]: (row["state"], row["changed_at"]) for row in found}
