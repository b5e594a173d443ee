"""What the operator's prune removes from the runs: old deletions and audit, and whatever no run needs.

A content or image that nothing refers to should not be there: the file's triggers take it along with the last row that
names it. An adoption alone leaves some for a moment, and makes them again where they are taken from it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from chassis.leftovers import old_answers, old_operations, old_undo_data
from chassis.upkeep import Chore, chosen, counted, repeated
from runs_service import pieces, tombstones

OLD_DELETIONS: Final = "SELECT count(*), 0 FROM tombstones WHERE deleted_at < :before"
OLD_WRITES: Final = "FROM worker_writes WHERE written_at < :before"
UNHELD_IMAGES: Final = """
    FROM images WHERE NOT EXISTS (
        SELECT 1 FROM held WHERE held.owner = images.owner AND held.image_sha256 = images.sha256)"""
# Nothing looks for a content by its number, so that no index does: all numbers are compared at once.
UNHELD_CONTENTS: Final = "SELECT content_id FROM contents EXCEPT SELECT content_id FROM held"
COUNT_CONTENTS: Final = f"""
    SELECT count(*), coalesce(sum(length(payload)), 0) FROM contents
    WHERE content_id IN ({UNHELD_CONTENTS})"""  # noqa: S608 - a constant, as in what follows


def chores(now: datetime, unfinished: Sequence[str], audit_days: int) -> list[Chore]:
    """In this order: what was kept for an undo leaves images behind."""
    return [
        old_answers(now),
        _old_deletions(int(now.timestamp())),
        _old_writes(int((now - timedelta(days=audit_days)).timestamp())),
        old_undo_data(now, unfinished, pieces.remove_kept),
        Chore("images", counted(f"SELECT count(*), coalesce(sum(size), 0) {UNHELD_IMAGES}", {}), _remove_images),
        Chore("contents", counted(COUNT_CONTENTS, {}), _remove_contents),
        old_operations(now, unfinished),
    ]


def _old_deletions(now: int) -> Chore:
    before = {"before": now - tombstones.KEPT_DAYS * 24 * 3600}
    return Chore("tombstones", counted(OLD_DELETIONS, before), repeated(partial(tombstones.forget_old, now)))


def _old_writes(before: int) -> Chore:
    delete = "DELETE FROM worker_writes WHERE id IN (SELECT value FROM json_each(:chosen))"
    values = {"before": before}
    return Chore(
        "audit",
        counted(f"SELECT count(*), 0 {OLD_WRITES}", values),
        chosen(f"SELECT id {OLD_WRITES}", delete, values),
    )


def _remove_images(tx: sqlite3.Connection) -> Iterator[int]:
    owners = tx.execute(f"SELECT DISTINCT owner {UNHELD_IMAGES}").fetchall()
    for (owner,) in owners:
        yield from repeated(partial(_remove_some_images, owner))(tx)


def _remove_some_images(owner: str, tx: sqlite3.Connection) -> bool:
    return pieces.remove_unheld(tx, owner)


def _remove_contents(tx: sqlite3.Connection) -> Iterator[int]:
    """What nothing refers to is never referred to again, and its number is not given anew while it is there: so each
    number is removed once, and one prune at a time is let into a file.
    """
    remove = "DELETE FROM contents WHERE content_id IN (SELECT value FROM json_each(:chosen))"
    yield from chosen(UNHELD_CONTENTS, remove, {})(tx)
