"""Why the journal does not take an operation, or has no such one."""

from typing import Final

from chassis.problems import Problem, unavailable

UNDER_WAY: Final = "restore_under_way"


def under_way() -> Problem:
    detail = "Another restore, sign-in or deletion of this profile is under way; wait until it has ended."
    return Problem(409, UNDER_WAY, detail, headers={"Retry-After": "2"})


def lapsed() -> Problem:
    detail = "This took too long without a sign of life and was given up. Nothing was changed; try again."
    return unavailable("restore_lapsed", detail)


def unknown_restore() -> Problem:
    return Problem(404, "unknown_restore", "There is no such restore of this profile.")
