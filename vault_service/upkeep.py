"""What the operator's prune removes from the vault: old lines of the audit, and what an undo no longer needs."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from chassis.leftovers import old_answers, old_operations, old_undo_data
from chassis.upkeep import Chore, chosen, counted

OLD_READS: Final = "FROM key_reads WHERE read_at < :before"


def chores(now: datetime, unfinished: Sequence[str], audit_days: int) -> list[Chore]:
    before = (now - timedelta(days=audit_days)).isoformat(timespec="microseconds")
    audit = Chore(
        "audit",
        counted(f"SELECT count(*), 0 {OLD_READS}", {"before": before}),
        chosen(
            f"SELECT id {OLD_READS}",
            "DELETE FROM key_reads WHERE id IN (SELECT value FROM json_each(:chosen))",
            {"before": before},
        ),
    )
    undo = old_undo_data(now, unfinished, _drop)
    return [old_answers(now), undo, audit, old_operations(now, unfinished)]


def _drop(tx: sqlite3.Connection, restore_id: str, _owner: str) -> bool:
    """At most one row a provider."""
    tx.execute("DELETE FROM undo_keys WHERE restore_id = ?", (restore_id,))
    return False
