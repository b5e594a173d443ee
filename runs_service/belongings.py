"""What becomes of an owner's runs when a guest becomes a user, and when an owner is erased.

Runs move with their content, their image and their place in the order; only one whose id means another run with the
user is written anew, under an id of its own. Images are copied ahead of that, and the guest's go afterwards.
"""

import sqlite3
import sys
from collections.abc import Iterator
from typing import Any, Final

from chassis.owners import Adopted
from runs_service import audit, listing, pieces, records, tombstones
from runs_service.going_live import TELL_HIGHEST_PLACE, VERSION
from runs_service.models import LONGEST_ID
from runs_service.records import Record
from runs_service.store import KEEP_CONTENT, ONE

PART: Final = "runs"

COUNT = "SELECT count(*) FROM runs WHERE owner = :guest"
OTHERWISE_TAKEN = """
    SELECT mine.run_id, mine.digest FROM runs AS mine
    JOIN runs AS theirs ON theirs.owner = :user AND theirs.run_id = mine.run_id
    WHERE mine.owner = :guest AND theirs.digest <> mine.digest ORDER BY mine.instant, mine.run_id"""
HOLDERS = "SELECT digest FROM runs WHERE owner IN (:guest, :user) AND run_id = :run_id"
WRITE_ANEW = """
    UPDATE runs SET run_id = :run_id, digest = :digest, size = :size, content_id = :content_id
    WHERE owner = :owner AND run_id = :before"""
# What an undo of the user's would put in the place of a run, or take away, while the guest brings one of that id.
CLOSED_UNDO = "owner = :user AND run_id IN (SELECT run_id FROM runs WHERE owner = :guest)"
EQUAL = """
    owner = :guest AND EXISTS (
        SELECT 1 FROM runs AS theirs
        WHERE theirs.owner = :user AND theirs.run_id = runs.run_id AND theirs.digest = runs.digest)"""
# A run that waits for the commit of a restore may name the content of the live one, which is about to go.
STAGED_ON_LIVE = """
    SELECT staged.restore_id, staged.position, staged.content_id,
        :highest + row_number() OVER (ORDER BY staged.restore_id, staged.position) AS copy_id
    FROM restores JOIN staged_runs AS staged USING (restore_id)
        JOIN runs AS live ON live.owner = staged.owner AND live.run_id = staged.run_id
    WHERE restores.owner = :guest AND live.content_id = staged.content_id"""
COPY_CONTENTS = f"""
    INSERT INTO contents (content_id, search, payload)
    SELECT copy_id, search, payload FROM ({STAGED_ON_LIVE}) JOIN contents USING (content_id)"""  # noqa: S608 - a constant of this module, as in what follows
NAME_COPIES = f"""
    UPDATE staged_runs SET content_id = shared.copy_id FROM ({STAGED_ON_LIVE}) AS shared
    WHERE staged_runs.restore_id = shared.restore_id AND staged_runs.position = shared.position"""  # noqa: S608
HIGHEST = "SELECT coalesce(max(content_id), 0) FROM contents"
# What the guest's runs take, and each image of theirs that no run of the user's shows yet.
ADD_USAGE = """
    INSERT INTO usage (owner, bytes)
    SELECT :user, sum(size) + (
        SELECT coalesce(sum(size), 0) FROM images WHERE owner = :user
            AND sha256 IN (SELECT image_sha256 FROM runs WHERE owner = :guest AND image_sha256 IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM runs WHERE owner = :user AND image_sha256 = images.sha256))
    FROM runs WHERE owner = :guest GROUP BY owner
    ON CONFLICT (owner) DO UPDATE SET bytes = usage.bytes + excluded.bytes"""
CLOSE_ALL_UNDO = "UPDATE restores SET kept = 0 WHERE owner = ? AND kept = 1"
# In the guest's order, after all that the user has followed so far.
MOVE_RUNS = f"UPDATE runs SET owner = :user, place = place + 1 + {VERSION} WHERE owner = :guest"  # noqa: S608


class RunsBelongings:
    """The service's `chassis.owners.Belongings`."""

    def adopt_ahead(self, tx: sqlite3.Connection, guest: str, user: str) -> bool:
        """The guest's undo is closed before a piece of what it needs is gone."""
        tx.execute(CLOSE_ALL_UNDO, (guest,))
        return (
            pieces.remove_rows(tx, "undo_runs", guest)
            or tombstones.forget_all(tx, guest)
            or pieces.copy_images(tx, guest, user)
        )

    def adopt(self, tx: sqlite3.Connection, guest: str, user: str) -> Adopted:
        """1 write those anew whose id means another run with the user   2 drop those that the user has already
        3 part with what the guest's staged restores still need   4 hand over runs and their usage, no image
        5 leave the guest nothing to follow
        """
        both = {"guest": guest, "user": user}
        moved = tx.execute(COUNT, both).fetchone()[0]
        taken = tx.execute(OTHERWISE_TAKEN, both).fetchall()
        renamed = [(run_id, _rename(tx, both, run_id, digest)) for run_id, digest in taken]
        pieces.let_go(tx, "undo_runs", CLOSED_UNDO, both)
        pieces.let_go(tx, "runs", EQUAL, both)
        _leave_contents_to_staged(tx, both)
        tx.execute(ADD_USAGE, both)
        tx.execute(MOVE_RUNS, {**both, "owner": user})
        tx.execute(TELL_HIGHEST_PLACE, {"owner": user})
        tx.execute("DELETE FROM usage WHERE owner = :guest", both)
        tombstones.forget_all(tx, guest, tombstones.ALL)
        audit.hand_over(tx, guest, user)
        return Adopted({PART: moved}, renamed=renamed)

    def clear(self, tx: sqlite3.Connection, guest: str, user: str) -> bool:
        """Of the user's too: a run may have gone after its image was copied."""
        return pieces.remove_unheld(tx, guest) or pieces.remove_unheld(tx, user)

    def erase_ahead(self, tx: sqlite3.Connection, owner: str) -> bool:
        """The triggers of the file take contents along; no image is held any more once the rows are gone."""
        return (
            any(pieces.remove_rows(tx, table, owner) for table in pieces.OF_OWNER)
            or pieces.remove_unheld(tx, owner)
            or tombstones.forget_all(tx, owner)
            or audit.forget(tx, owner)
        )

    def erase(self, tx: sqlite3.Connection, owner: str) -> None:
        tx.execute("DELETE FROM usage WHERE owner = ?", (owner,))


def has_runs(tx: sqlite3.Connection, owner: str) -> bool:
    return tx.execute("SELECT 1 FROM runs WHERE owner = ?", (owner,)).fetchone() is not None


def _leave_contents_to_staged(tx: sqlite3.Connection, both: dict[str, str]) -> None:
    """A content belongs to one run id of one owner: the staged runs of the guest get copies of their own."""
    values = {**both, "highest": tx.execute(HIGHEST).fetchone()[0]}
    if tx.execute(COPY_CONTENTS, values).rowcount:
        tx.execute(NAME_COPIES, values)


def _rename(tx: sqlite3.Connection, both: dict[str, str], run_id: str, digest: str) -> str:
    """Give a run of the guest an id that is free with both, or where both have just this run; the id."""
    run = records.whole(*tx.execute(listing.WHOLE + ONE, (both["guest"], run_id)).fetchone()[1:])
    for name in _names(run_id, digest):
        made = records.record(run | {"run_id": name}, sys.maxsize)
        holders = {row["digest"] for row in tx.execute(HOLDERS, {**both, "run_id": name})}
        if not holders:
            _write_anew(tx, both["guest"], run_id, made)
            break
        if holders == {made.digest}:
            pieces.let_go(tx, "runs", "owner = :guest AND run_id = :run_id", {**both, "run_id": run_id})
            break
    return name


def _names(run_id: str, digest: str) -> Iterator[str]:
    """Ids made from the content, so that the same run gets the same id again; longer and longer without an end."""
    for length in range(8, LONGEST_ID):
        suffix = "-" + (digest * 4)[:length]
        yield run_id[: LONGEST_ID - len(suffix)] + suffix


def _write_anew(tx: sqlite3.Connection, owner: str, before: str, made: Record) -> None:
    content_id = tx.execute(KEEP_CONTENT, (made.search, made.payload)).lastrowid
    values: dict[str, Any] = {"content_id": content_id, "size": len(made.payload), "owner": owner, "before": before}
    tx.execute(WRITE_ANEW, {**made._asdict(), **values})
