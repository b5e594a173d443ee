"""The runs' share of a restore over several services, and of its undo. The document wins per run id."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from chassis import documents
from chassis.parts import Mode, Outcome, Refusal, Restore, Undone
from chassis.problems import field_errors
from chassis.uploads import Item
from runs_service import kept, staged
from runs_service.limits import Limits, TooLarge, check_quota, used
from runs_service.models import Run
from runs_service.records import record
from runs_service.staged import Staged

PART = "runs"
KIND = "run"


class RunsPart:
    """Stages items of the kind `run`, within `limits`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def stage(self, tx: sqlite3.Connection, restore: Restore, items: Sequence[Item]) -> list[Refusal]:
        """Take what can be used. Of two items with one id the last wins; the earlier, if it is another, is refused."""
        batch: dict[str, Staged] = {}
        refusals: list[Refusal] = []
        for item in items:
            taken = self._take(tx, restore, item, batch)
            if isinstance(taken, Refusal):
                refusals.append(taken)
                continue
            earlier = batch.pop(taken.record.run_id, None)
            if earlier is not None and earlier.record.digest != taken.record.digest:
                refusals.append(_repeated(earlier.pointer))
            batch[taken.record.run_id] = taken
        digests = {run_id: each.record.digest for run_id, each in batch.items()}
        refusals += map(_repeated, staged.take_back(tx, restore, digests))
        staged.add(tx, restore, list(batch.values()))
        return refusals

    def plan(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """Raises Problem 413 where the runs would not fit into the quota."""
        before = used(tx, restore.owner)
        grows = staged.growth(tx, restore, others_stay=_others_stay(restore))
        check_quota(before, before + grows, self._limits.owner)
        return _outcome(tx, restore)

    def apply(self, tx: sqlite3.Connection, restore: Restore) -> Outcome:
        """Never refuses: the room was checked by the plan, and what is decided goes forward, if a little over quota."""
        outcome = _outcome(tx, restore)
        kept.keep(tx, restore, others_stay=_others_stay(restore))
        if not _others_stay(restore):
            staged.remove_unnamed(tx, restore)
        staged.go_live(tx, restore)
        return outcome

    def discard(self, tx: sqlite3.Connection, restore: Restore) -> None:
        staged.discard(tx, restore)

    def plan_undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        """Raises Problem 413 where the runs from before would not fit into the quota."""
        before = used(tx, undo.owner)
        check_quota(before, before + kept.growth(tx, undo), self._limits.owner)
        return _undone(tx, undo)

    def undo(self, tx: sqlite3.Connection, undo: Restore) -> Undone:
        """Each run that was not written since gets back its state from before. Never refuses, as `apply`."""
        undone = _undone(tx, undo)
        kept.put_back(tx, undo)
        return undone

    def forget(self, tx: sqlite3.Connection, restore_id: str) -> None:
        kept.forget(tx, restore_id)

    def _take(self, tx: sqlite3.Connection, restore: Restore, item: Item, batch: dict[str, Staged]) -> Staged | Refusal:
        if item.kind != KIND or restore.mode is Mode.UNDO:
            return Refusal(PART, item.pointer, f"is a {item.kind}, which is nothing that can be restored here")
        try:
            Run.model_validate(item.value)
            if item.value.get("run_id") is not None:
                made = record(item.value, self._limits.run, item.digest)
            else:
                made = record(_named(tx, restore, item.value, batch), self._limits.run)
            return Staged(item.position, item.pointer, made)
        except ValidationError as error:
            first = field_errors(error)[0]
            return Refusal(PART, item.pointer + first["pointer"], first["message"])
        except (documents.Malformed, TooLarge) as error:
            return Refusal(PART, item.pointer, str(error))


def _named(tx: sqlite3.Connection, restore: Restore, run: dict[str, Any], batch: dict[str, Staged]) -> dict[str, Any]:
    """A run with an id made from its content, longer where another run of the document has it already.

    The same document gives the same ids again, so that restoring it twice doubles nothing.
    """
    documents.refuse_unwritable(run)
    nameless = {key: value for key, value in run.items() if key != "run_id"}
    content = documents.digest(nameless)
    for length in range(8, len(content)):
        named = {"run_id": f"R{content[:length]}", **nameless}
        waiting = batch.get(named["run_id"])
        holder = waiting.record.digest if waiting else staged.digest(tx, restore, named["run_id"])
        if holder is None or holder == documents.digest(named):
            return named
    return {"run_id": f"R{content}", **nameless}


def _others_stay(restore: Restore) -> bool:
    """Whether the runs that the document does not name stay."""
    return restore.mode is not Mode.REPLACE or PART not in restore.parts


def _outcome(tx: sqlite3.Connection, restore: Restore) -> Outcome:
    counts = staged.compare(tx, restore)
    removed = 0 if _others_stay(restore) else staged.unnamed(tx, restore).number
    return Outcome({PART: counts}, {PART: sum(counts.values())}, {PART: removed})


def _undone(tx: sqlite3.Connection, undo: Restore) -> Undone:
    as_before, written_since = kept.count(tx, undo)
    return Undone({PART: as_before}, {PART: written_since})


def _repeated(pointer: str) -> Refusal:
    return Refusal(PART, pointer, "a later run of the document has the same run_id and took its place")
