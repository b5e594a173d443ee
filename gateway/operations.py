"""What an operation over several services is, how far it can have come, and when its undo is open. Pure."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from chassis.parts import UNDO_DAYS


class Stage(StrEnum):
    """How far an operation has come. It leaves `staging` once: for `committing`, from where it only goes forward."""

    STAGING = "staging"
    COMMITTING = "committing"
    DONE = "done"
    ABORTING = "aborting"
    ABORTED = "aborted"
    FAILED = "failed"  # decided, and a service has lost what it staged: its file was replaced meanwhile


ENDED: Final = frozenset({Stage.DONE, Stage.ABORTED, Stage.FAILED})
NOT_IN_PLACE: Final = frozenset({Stage.ABORTING, Stage.ABORTED, Stage.FAILED})  # may be asked for again, by its name


class Kind(StrEnum):
    """What an operation is for."""

    RESTORE = "restore"
    DRY_RUN = "dry_run"
    UNDO = "undo"
    ADOPTION = "adoption"  # a guest signed in: what it made becomes the user's
    DELETION = "deletion"  # of all that an owner has, as the owner asked
    SWEEP = "sweep"  # the same, of a guest that has not come back


OF_OWNERS: Final = frozenset({Kind.ADOPTION, Kind.DELETION, Kind.SWEEP})  # decided as soon as they begin


@dataclass(frozen=True)
class Operation:
    """One row of the journal. `id` is what the services know, `name` what its owner does.

    `participants` are the services that were asked to stage something. `outcome` is what was found in the document
    while committing, what came of it once done, and why not once aborted. `target` is who takes over what the owner
    has; `repeats` the operation that this one does once more, for what was still under way.
    """

    id: str
    owner: str
    kind: Kind
    mode: str
    stage: Stage
    name: str
    participants: tuple[str, ...] = ()
    undoes: str | None = None
    target: str | None = None
    repeats: str | None = None
    fingerprint: str | None = None
    outcome: dict[str, Any] | None = None
    started_at: str = ""
    changed_at: str = ""

    def at(self, stage: Stage) -> Self:
        return replace(self, stage=stage)


@dataclass(frozen=True)
class Entry:
    """An operation as its owner may look at it. `undo` is the operation that takes it back, where there is one."""

    operation: Operation
    is_latest: bool
    undo: Operation | None

    def listed(self) -> dict[str, Any]:
        """As one of many: without the warnings of the document."""
        shown = self.shown()
        outcome = {name: value for name, value in (shown["outcome"] or {}).items() if name != "warnings"}
        return shown | {"outcome": outcome or None}

    def shown(self) -> dict[str, Any]:
        it = self.operation
        ended = it.stage not in (Stage.STAGING, Stage.COMMITTING)
        return {
            "restore_id": it.name,
            "kind": it.kind,
            "mode": it.mode,
            "stage": it.stage,
            "started_at": it.started_at,
            "changed_at": it.changed_at,
            "outcome": it.outcome if ended else None,
            "undo": self._undo_shown(),
        }

    def is_being_undone(self, name: str | None) -> bool:
        """Whether an undo is under way, or has just ended that was asked for under this name."""
        return self.undo is not None and (self.undo.stage is not Stage.DONE or self.undo.name == name)

    def why_not_undone(self) -> str | None:
        """The reason for which this cannot be undone, as a sentence; None where it can."""
        it = self.operation
        if it.kind is not Kind.RESTORE or it.stage is not Stage.DONE:
            return "Only a restore that is in place can be undone."
        if self.undo is not None:
            return "This restore has been undone already."
        if not self.is_latest:
            return "A later restore is in place; only the latest can be undone."
        if datetime.now(UTC) > _undo_ends(it):
            return f"This restore is more than {UNDO_DAYS} days old; it cannot be undone any more."
        return None

    def _undo_shown(self) -> dict[str, Any]:
        it, undone = self.operation, self.undo
        in_place = it.kind is Kind.RESTORE and it.stage is Stage.DONE
        return {
            "open": self.why_not_undone() is None,
            "until": _undo_ends(it).isoformat() if in_place else None,
            "undone_at": undone.changed_at if undone is not None and undone.stage is Stage.DONE else None,
            "outcome": undone.outcome if undone is not None and undone.stage is Stage.DONE else None,
        }


def _undo_ends(operation: Operation) -> datetime:
    return datetime.fromisoformat(operation.changed_at) + timedelta(days=UNDO_DAYS)
