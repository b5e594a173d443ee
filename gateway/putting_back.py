"""What a copy of the journal needs when it is put in the place of the one that was written to since.

Who had an account deleted since the copy was made must not find it there again: that is decided once more, and the
gateways do it as soon as they run.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from gateway import succession
from gateway.operations import Kind

# Each goes by the id of the first time: a minute later, once it was done again, only the repetition is left of it.
DELETIONS: Final = f"""
    SELECT coalesce(repeats, id) AS id, owner, kind, mode, participants, min(started_at) AS started_at, changed_at
    FROM operations WHERE kind = '{Kind.DELETION}' GROUP BY coalesce(repeats, id)"""  # noqa: S608
GIVE_UP: Final = "UPDATE operations SET stage = 'aborting' WHERE owner = :owner AND stage = 'staging'"
DECIDE: Final = """
    INSERT INTO operations (id, owner, kind, mode, stage, participants, started_at, changed_at, holder, lease_until)
    VALUES (:id, :owner, :kind, :mode, 'committing', :participants, :started_at, :changed_at, 'nobody', 0)
    ON CONFLICT (id) DO NOTHING"""


def deletions(tx: sqlite3.Connection) -> list[dict[str, Any]]:
    """Of accounts, as they stand in the journal."""
    return [dict(row) for row in tx.execute(DELETIONS)]


def delete_again(tx: sqlite3.Connection, decided: Iterable[dict[str, Any]]) -> int:
    """Decide once more what this journal does not know; how many."""
    known = {each["id"] for each in deletions(tx)}
    unknown = [each for each in decided if each["id"] not in known]
    for each in unknown:
        succession.drop_postponed(tx, each["owner"])
        tx.execute(GIVE_UP, each)
        tx.execute(DECIDE, each)
    return len(unknown)
