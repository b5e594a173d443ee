"""What was written and deleted of an owner's runs since a place, in order, for a device that follows them.

Each run and each tombstone has the place of its last write. A page is what comes after a place; whatever is written
while it is sent comes again after the place that it leads to.
"""

import sqlite3
from typing import Final, NamedTuple

from chassis.problems import Problem
from runs_service import listing
from runs_service.models import View
from runs_service.paging import Weighed, slices
from runs_service.tokens import Progress

# The branches are merged as their indexes give them: nothing is sorted, however much there is.
AFTER: Final = """
    SELECT place, run_id, runs.size + {image} AS weight, 0 AS deleted
    FROM runs LEFT JOIN images ON images.owner = runs.owner AND images.sha256 = image_sha256
    WHERE runs.owner = :owner AND place > :place
    UNION ALL
    SELECT place, run_id, 0, 1 FROM tombstones WHERE owner = :owner AND place > :known_from
    ORDER BY place LIMIT :limit + 1"""
STANDING: Final = """
    SELECT coalesce(version, erased), coalesce(forgotten, erased + 1)
    FROM change_clock LEFT JOIN changes ON owner = :owner"""


class Standing(NamedTuple):
    """The place of the owner's latest write, and the place below which nobody is told of every deletion any more. Who
    has never written anything stands where the first write will find its place."""

    newest: int
    forgotten: int

    @property
    def known(self) -> int:
        """How much whoever begins now need not be told of."""
        return max(self)


class Delta(NamedTuple):
    """A page of which the first slice is read: its runs as JSON, the ids of the later slices, what was deleted, how far
    it leads, and whether there is more behind it now."""

    first: list[bytes]
    later: list[list[str]]
    deleted: list[str]
    reached: Progress
    has_more: bool


def delta(owner: str, progress: Progress | None, limit: int, view: View, tx: sqlite3.Connection) -> Delta:
    """What comes after `progress`, or everything. Raises Problem 410 where that is not known (any more)."""
    standing = Standing(*tx.execute(STANDING, {"owner": owner}).fetchone())
    if progress is None:
        progress = Progress(0, standing.known)
    elif not standing.forgotten <= progress.known_from <= standing.known:
        raise resync_required()
    values = {**progress._asdict(), "owner": owner, "limit": limit}
    found = tx.execute(statement(view), values).fetchall()
    shown, has_more = found[:limit], len(found) > limit
    first, *later = slices(Weighed(row["run_id"], row["weight"]) for row in shown if not row["deleted"]) or [[]]
    place = shown[-1]["place"] if has_more else standing.newest
    reached = Progress(place, max(place, progress.known_from))
    deleted = [row["run_id"] for row in shown if row["deleted"]]
    return Delta(listing.runs(owner, first, view, tx), later, deleted, reached, has_more)


def statement(view: View) -> str:
    return AFTER.format(image="coalesce(images.size, 0) * 4 / 3" if view is View.FULL else "0")


def resync_required() -> Problem:
    detail = (
        "This token is of another server or profile, or too old to tell of every deletion: begin with an empty since."
    )
    return Problem(410, "resync_required", detail)
