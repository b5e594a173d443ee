"""What a service remembers of operations over several services, for whoever looks at its file from outside."""

import sqlite3


def remembered(tx: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """The state of each, and since when, by its id. Expects the table `restores`; see `staging`."""
    found = tx.execute("SELECT restore_id, state, changed_at FROM restores")
    return {row["restore_id"]: (row["state"], row["changed_at"]) for row in found}
