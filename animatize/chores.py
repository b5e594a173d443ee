"""Which chores each service has, and how much is to be kept: the one place that asks them all."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import auth_service.upkeep
import gateway.upkeep
import runs_service.upkeep
import settings_service.upkeep
import vault_service.upkeep
from chassis.schema import connect
from chassis.upkeep import Chore

Chores = dict[str, list[Chore]]


class Keep(NamedTuple):
    """What the operator chooses: versions of each profile, None for all; days of the audits."""

    history: int | None
    audit_days: int


def chores_of(files: dict[str, Path], keep: Keep, now: datetime) -> Chores:
    """By package. What the journal has not ended is asked for first: an operation that begins later is too young."""
    with closing(connect(files["gateway"])) as journal:
        unfinished = gateway.upkeep.unfinished(journal)
    return {
        "gateway": gateway.upkeep.chores(now),
        "auth_service": auth_service.upkeep.chores(now),
        "settings_service": settings_service.upkeep.chores(now, unfinished, keep.history),
        "runs_service": runs_service.upkeep.chores(now, unfinished, keep.audit_days),
        "vault_service": vault_service.upkeep.chores(now, unfinished, keep.audit_days),
    }
