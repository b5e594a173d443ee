"""Keyset pages: the opaque cursor, and how the runs of a page are cut into slices of a bounded weight."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import NamedTuple

import orjson

SLICE_BYTES = 1 << 20
LARGEST_INSTANT = 2**63


class BadCursor(ValueError):
    """A cursor that no page ever gave."""


class Position(NamedTuple):
    """A place in the order of runs."""

    instant: int
    run_id: str


class Weighed(NamedTuple):
    """One run of a page, before it is read, and the bytes that its JSON will take, about."""

    run_id: str
    weight: int


def encode(position: Position) -> str:
    return urlsafe_b64encode(orjson.dumps(list(position))).rstrip(b"=").decode()


def decode(cursor: str) -> Position:
    """Raises BadCursor for whatever `encode` did not make."""
    try:
        instant, run_id = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as error:
        raise BadCursor from error
    if type(instant) is not int or type(run_id) is not str or abs(instant) >= LARGEST_INSTANT:
        raise BadCursor
    position = Position(instant, run_id)
    if encode(position) != cursor:
        raise BadCursor
    return position


def slices(page: Iterable[Weighed]) -> list[list[str]]:
    """The run ids in the same order, in lists that weigh at most SLICE_BYTES or hold a single heavier run."""
    found: list[list[str]] = []
    room = 0
    for run in page:
        if not found or run.weight > room:
            found.append([])
            room = SLICE_BYTES
        found[-1].append(run.run_id)
        room -= run.weight
    return found
