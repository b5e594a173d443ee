"""The places in a combined restore between which it can be cut: each request to a service, and when in its life."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tests.faults.passage import Accident, Moment

RESTORE: Final = r"^/internal/restores/[^/]+"


class Place(NamedTuple):
    """A moment of one request. An abort only comes where the document ends too early."""

    method: str
    path: str
    moment: Moment
    aborts: bool = False

    def meet(self, happen: Callable[[], Awaitable[None]], *, whole: bool = False) -> Accident:
        return Accident(self.method, self.path, self.moment, happen, whole)


STAGE, COMMIT, ABORT = f"{RESTORE}$", f"{RESTORE}/commit$", f"{RESTORE}/abort$"

PLACES: Final = {
    "before staging": Place("PUT", STAGE, Moment.BEFORE),
    "amid staging": Place("PUT", STAGE, Moment.MIDDLE),
    "after staging": Place("PUT", STAGE, Moment.AFTER),
    "before the commit": Place("POST", COMMIT, Moment.BEFORE),
    "after the commit": Place("POST", COMMIT, Moment.AFTER),
    "before the abort": Place("POST", ABORT, Moment.BEFORE, aborts=True),
    "after the abort": Place("POST", ABORT, Moment.AFTER, aborts=True),
}
