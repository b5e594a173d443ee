"""Runs of the single-process console, as this service keeps them: field for field, in their order, each image once.

Nothing is asked of the quota: what its owner had is not lost for want of room, as with a guest that signs in.
"""

import sqlite3
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from chassis import documents
from chassis.documents import Malformed
from chassis.moved import Unfit, Verdict
from chassis.problems import field_errors
from runs_service import listing, records, store
from runs_service.limits import TooLarge
from runs_service.models import Run
from runs_service.records import Record

LONGEST_NAME: Final = 80


class Moving(NamedTuple):
    """A run, and when it came to be there, in microseconds since 1970."""

    owner: str
    record: Record
    arrived: int


def judge(owner: str, row: sqlite3.Row, largest: int) -> Moving | Unfit:
    """`row` is one of the old `generation_runs`; no run may be larger than `largest` bytes."""
    name = f"run {str(row['run_id'])[:LONGEST_NAME]}"
    try:
        run = _run(row)
        return Moving(owner, records.record(run, largest), records.instant(row["created_at"]) or records.now())
    except ValidationError as error:
        wrong = field_errors(error)[0]
        return Unfit(name, f"it is no run: {wrong['pointer']} {wrong['message']}")
    except Malformed as error:
        return Unfit(name, f"it cannot be read: {error}")
    except TooLarge as error:
        return Unfit(name, str(error.detail))


def find(tx: sqlite3.Connection, run: Moving) -> Verdict:
    """Compares with the whole run as it would be read, not with what is noted of it."""
    row = tx.execute(listing.WHOLE + store.ONE, (run.owner, run.record.run_id)).fetchone()
    if row is None:
        return Verdict.ABSENT
    stored = documents.digest(documents.parse(listing.full(row)))
    return Verdict.SAME if stored == run.record.digest else Verdict.OTHER


def add(tx: sqlite3.Connection, run: Moving) -> None:
    store.write(tx, run.owner, run.record, run.arrived)


def _run(row: sqlite3.Row) -> dict[str, Any]:
    """Under the id that its row has, where it says none itself. Raises Malformed, ValidationError."""
    payload = row["payload"]
    if not isinstance(payload, str | bytes):
        raise Malformed("there is nothing in it")
    run: dict[str, Any] = documents.parse(payload)
    if Run.model_validate(run).run_id is None:
        run = run | {"run_id": row["run_id"]}
        Run.model_validate(run)
    if run["run_id"] != row["run_id"]:
        raise Malformed("it calls itself otherwise")
    return run
