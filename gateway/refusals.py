"""Why the journal does not take an operation, or has no such one."""

from typing import Final

from chassis.problems import Problem, unavailable
from gateway.operations import Entry

UNDER_WAY: Final = "restore_under_way"


def under_way() -> Problem:
    detail = "Another restore, sign-in or deletion of this profile is under way; wait until it has ended."
    return Problem(409, UNDER_WAY, detail, headers={"Retry-After": "2"})


def lapsed() -> Problem:
    detail = "This took too long without a sign of life and was given up. Nothing was changed; try again."
    return unavailable("restore_lapsed", detail)


def unknown_restore() -> Problem:
    return Problem(404, "unknown_restore", "There is no such restore of this profile.")


def undoable(entry: Entry | None, name: str | None) -> Entry:
    """The restore that an undo of this name is for. Raises Problem 404, 409 where it is under way or cannot be."""
    if entry is None:
        raise unknown_restore()
    if entry.is_being_undone(name):
        raise under_way()
    if (reason := entry.why_not_undone()) is not None:
        raise Problem(409, "undo_closed", reason)
    return entry
