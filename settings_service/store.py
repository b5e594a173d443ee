"""The settings of all owners: one transaction for each thing that can be asked of them.

Whatever writes at once, from however many processes, no version number of an owner is given twice or left out: it is
taken in the transaction that uses it, and such transactions never overlap.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, TypeVar

import orjson

from chassis.database import Database, Work
from chassis.documents import LARGEST_INTEGER
from chassis.problems import Problem
from settings_service import versions
from settings_service.limits import check_room, check_size
from settings_service.merging import diff
from settings_service.patching import Patch, attempt
from settings_service.versions import Document, Draft, Profile

T = TypeVar("T")

# Whether the version that is current, as an entity tag, is another than the one that the caller expects.
Outdated = Callable[[str], bool]

LARGEST_PAGE: Final = 8 << 20  # bytes of settings after which a page of the history ends before its limit


class Store:
    """Every method concerns one owner and no other, and makes that owner's profile where there is none yet.

    What writes is answered as the work of one transaction, for `chassis.once.write_once`.
    """

    def __init__(self, database: Database, quota: int) -> None:
        self._database, self._quota = database, quota

    async def profile(self, owner: str) -> Profile:
        found = await self._database.read(lambda tx: versions.read_profile(tx, owner))
        if found is None:
            found = await self._database.write(lambda tx: versions.open_profile(tx, owner))
        return found

    def to_save(self, owner: str, settings: dict[str, Any], note: str, outdated: Outdated) -> Work[Profile]:
        """Make `settings` current; no new version where they are already. Raises Problem 413; its work 412, 413."""
        content = versions.document(settings)
        check_size(content.size)

        def work(tx: sqlite3.Connection) -> Profile:
            return self._save(tx, owner, _expected(tx, owner, outdated), content, note)

        return work

    async def to_patch(self, owner: str, patch: Patch, note: str, outdated: Outdated) -> Work[Profile]:
        """Make current what the patch makes of the settings. The work raises Problem 409, 412, 413.

        It is worked out ahead, so that nobody waits for that to write; and once more where the settings are others by
        then. What comes of it ahead is told by the work alone: there may be an answer from before.
        """
        ahead = await self._database.read(lambda tx: attempt(tx, owner, patch))

        def work(tx: sqlite3.Connection) -> Profile:
            profile = _expected(tx, owner, outdated)
            made = ahead if ahead.version == profile.version else attempt(tx, owner, patch)
            return self._save(tx, owner, profile, made.document(), note)

        return work

    def to_restore(self, owner: str, version: int, outdated: Outdated) -> Work[Profile]:
        """Make a new version that repeats `version`, as it was. The work raises Problem 404, 412, 413."""

        def work(tx: sqlite3.Connection) -> Profile:
            profile = _expected(tx, owner, outdated)
            content = _found(tx, owner, version, versions.read_content)
            return self._append(tx, owner, profile, Draft(content, f"restore:{version}", version))

        return work

    async def history(self, owner: str, limit: int, before: int | None) -> dict[str, Any]:
        """A page of versions older than `before`, newest first; where the next begins, and how many were pruned."""
        await self.profile(owner)
        (rows, more), pruned = await self._database.read(
            lambda tx: (_page(tx, owner, limit, before or LARGEST_INTEGER), versions.read_pruned(tx, owner))
        )
        return {
            "history": [versions.shown(row) for row in rows],
            "next_before": rows[-1]["version"] if more else None,
            "pruned": pruned.number,
        }

    async def version(self, owner: str, version: int) -> dict[str, Any]:
        """One entry of the history. Raises Problem 404."""
        await self.profile(owner)
        row = await self._database.read(lambda tx: _found(tx, owner, version, versions.read_version))
        return versions.shown(row)

    async def diff(self, owner: str, version: int) -> list[dict[str, Any]]:
        """What has changed from `version` to the current settings. Raises Problem 404."""
        await self.profile(owner)
        before, after = await self._database.read(
            lambda tx: (
                _found(tx, owner, version, versions.read_content),
                versions.read_profile(tx, owner) or versions.unopened_profile(),
            )
        )
        return diff(orjson.loads(before.text), orjson.loads(after.settings))

    async def backup(self, owner: str) -> AsyncGenerator[bytes, None]:
        """NDJSON of one moment: the profile, then every version, newest first."""
        opened = await self.profile(owner)
        async with self._database.snapshot() as snapshot:
            profile = await snapshot.read(lambda tx: versions.read_profile(tx, owner)) or opened
            yield _line(profile.shown())
            async for rows in snapshot.chunks(versions.NEWEST_FIRST, (owner,)):
                yield b"".join(_line(versions.shown(row)) for row in rows)

    def _save(self, tx: sqlite3.Connection, owner: str, profile: Profile, content: Document, note: str) -> Profile:
        if profile.digest == content.digest:
            return profile
        return self._append(tx, owner, profile, Draft(content, note))

    def _append(self, tx: sqlite3.Connection, owner: str, profile: Profile, draft: Draft) -> Profile:
        made = versions.append(tx, owner, profile, draft)
        check_room(versions.used_bytes(tx, owner), self._quota)
        return made


def _expected(tx: sqlite3.Connection, owner: str, outdated: Outdated) -> Profile:
    profile = versions.open_profile(tx, owner)
    if outdated(str(profile.version)):
        raise Problem(
            412,
            "precondition_failed",
            f"The settings are at version {profile.version} now: look at `current`, then send yours with its ETag.",
            headers={"ETag": f'"{profile.version}"'},
            current=profile.shown(),
        )
    return profile


def _page(tx: sqlite3.Connection, owner: str, limit: int, before: int) -> tuple[list[sqlite3.Row], bool]:
    """The rows of a page, and whether there are older ones."""
    rows: list[sqlite3.Row] = []
    weight = 0
    for row in versions.older_versions(tx, owner, before):
        if len(rows) == limit or weight >= LARGEST_PAGE:
            return rows, True
        rows.append(row)
        weight += len(row["settings"])
    return rows, False


def _found(
    tx: sqlite3.Connection, owner: str, version: int, read: Callable[[sqlite3.Connection, str, int], T | None]
) -> T:
    """What `read` finds of a version. Raises Problem 404, which tells whether it may have been pruned."""
    if (it := read(tx, owner, version)) is not None:
        return it
    number, through = versions.read_pruned(tx, owner)
    pruned = f" {number} of the oldest up to {through} were removed by the operator." if version <= through else ""
    raise Problem(404, "unknown_version", f"There is no version {version} of these settings.{pruned}")


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
