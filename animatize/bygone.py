"""What the old files still tell when a snapshot takes their place, and what is made of it in the new ones.

The old ones are read while nobody uses them. Where one cannot be read, that is done which is right without knowing.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import auth_service.putting_back as auth
import gateway.putting_back as journal
import runs_service.putting_back as runs
import settings_service.putting_back as settings
from animatize.copying import stand_alone
from animatize.snapshots import Manifest
from chassis.schema import Unusable, connect, refuse_unready

SMALLEST_GAP = 1000  # versions
T = TypeVar("T")


class Bygone(NamedTuple):
    """None: it could not be read."""

    sessions: dict[str, str] | None
    versions: dict[str, int] | None
    deletions: list[dict[str, Any]] | None

    @property
    def unread(self) -> list[str]:
        """What is done less well for that, as sentences."""
        told = {
            "sessions that were ended since the snapshot may be open again": self.sessions,
            "all settings have jumped to a version that no device can know": self.versions,
            "accounts that were deleted since the snapshot are there again": self.deletions,
        }
        return [f"the old file could not be read: {what}" for what, found in told.items() if found is None]


class Adjusted(NamedTuple):
    """How much of the new files was changed."""

    sessions_ended: int
    settings_raised: int
    deletions_repeated: int


def read_bygone(files: Mapping[str, Path]) -> Bygone:
    return Bygone(
        _read(files, "auth_service", auth.open_sessions),
        _read(files, "settings_service", settings.known_versions),
        _read(files, "gateway", journal.deletions),
    )


def adjust(new: Mapping[str, Path], bygone: Bygone, manifest: Manifest) -> Adjusted:
    """Make the new files fit to follow the old ones: devices have seen those."""
    note = f"recover:{manifest.taken_at:%Y-%m-%dT%H:%M:%SZ}"
    with _writing(new["runs_service"]) as tx:
        runs.renew_tokens(tx)
    with _writing(new["auth_service"]) as tx:
        ended = auth.end_all_but(tx, bygone.sessions) if bygone.sessions is not None else 0
        alive = set(auth.open_sessions(tx).values())
    with _writing(new["settings_service"]) as tx:
        if bygone.versions is not None:
            raised = settings.rise_above(tx, bygone.versions, alive, note)
        else:
            raised = settings.rise_by(tx, _gap(manifest.taken_at), note)
    with _writing(new["gateway"]) as tx:
        again = journal.delete_again(tx, bygone.deletions or [])
    for path in new.values():
        stand_alone(path)
    return Adjusted(ended, raised, again)


def _gap(taken_at: datetime) -> int:
    """More versions than anybody can have made since: one each second."""
    return max(SMALLEST_GAP, int((datetime.now(UTC) - taken_at).total_seconds()))


def _read(files: Mapping[str, Path], package: str, read: Callable[[sqlite3.Connection], T]) -> T | None:
    try:
        refuse_unready(files[package], package)
        with closing(connect(files[package])) as tx:
            return read(tx)
    except (Unusable, sqlite3.Error, OSError):
        return None


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path)) as tx:
        tx.execute("BEGIN IMMEDIATE")
        yield tx
        tx.execute("COMMIT")
