"""How much one run and all runs of one owner may take, in bytes. What they do take is kept by triggers of the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from chassis.problems import Problem


class Limits(NamedTuple):
    """`run` bounds the compact JSON of one run, image included; `owner` all payloads and, once each, all images."""

    run: int
    owner: int


class TooLarge(Problem):
    """413: one run is larger than any may be."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(413, "too_large", f"The run takes {size} bytes; one run may take {limit}.", limit=limit)


@contextmanager
def within_quota(tx: sqlite3.Connection, owner: str, quota: int) -> Iterator[None]:
    """Raises Problem 413 where the block left the owner over the quota and with more than before."""
    before = used(tx, owner)
    yield
    check_quota(before, used(tx, owner), quota)


def check_quota(before: int, after: int, quota: int) -> None:
    """Raises Problem 413 for growth beyond the quota; whoever is over it already may still shrink."""
    if after > quota and after > before:
        detail = f"Your runs may take {quota} bytes. They take {before} and would take {after}: delete some first."
        raise Problem(413, "quota", detail, limit=quota, used=before)


def used(tx: sqlite3.Connection, owner: str) -> int:
    row = tx.execute("SELECT bytes FROM usage WHERE owner = ?", (owner,)).fetchone()
    return int(row["bytes"]) if row else 0
