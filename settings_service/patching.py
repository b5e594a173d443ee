"""What a merge patch makes of an owner's settings, or why it cannot go in; worked out, nothing written."""

import sqlite3
from typing import Any, NamedTuple

import orjson

from chassis.problems import Problem
from settings_service import versions
from settings_service.conflicts import conflicts
from settings_service.limits import check_size
from settings_service.merging import Settings, merge_patch
from settings_service.versions import Document, Profile


class Patch(NamedTuple):
    """A merge patch (RFC 7396), and the version that it was made against, where its sender says so."""

    value: Settings
    base: int | None


class Attempt(NamedTuple):
    """What a patch makes of the settings as they are at `version`: others, or a problem."""

    version: int
    outcome: Document | Problem

    def document(self) -> Document:
        """Raises the problem where there is one."""
        if isinstance(self.outcome, Problem):
            raise self.outcome
        return self.outcome


def attempt(tx: sqlite3.Connection, owner: str, patch: Patch) -> Attempt:
    """Also for an owner whose profile was not opened yet."""
    profile = versions.read_profile(tx, owner) or versions.unopened_profile()
    try:
        return Attempt(profile.version, _patched(tx, owner, profile, patch))
    except Problem as problem:
        return Attempt(profile.version, problem)


def _patched(tx: sqlite3.Connection, owner: str, profile: Profile, patch: Patch) -> Document:
    """Raises Problem 409 where others have changed since what the patch touches, 413 where too much comes of it."""
    current: Settings = orjson.loads(profile.settings)
    if patch.base is not None and patch.base != profile.version:
        content = versions.read_content(tx, owner, patch.base)
        base = orjson.loads(content.text) if content is not None else None
        if found := conflicts(base, current, patch.value):
            raise _conflict(profile, patch.base, found, known=base is not None)
    content = versions.document(merge_patch(current, patch.value))
    check_size(content.size)
    return content


def _conflict(profile: Profile, base: int, found: list[dict[str, Any]], *, known: bool) -> Problem:
    """A base greater than the current version is not known, and no mistake: a device has seen it, if the operator has
    since put an older copy of the file back."""
    code, why = (
        ("conflict", f"Since version {base}, others have changed what this patch touches")
        if known
        else ("unknown_base", f"Version {base} is not in the history, so that nobody knows what has changed since")
    )
    return Problem(
        409,
        code,
        f"{why}: choose for each of `conflicts`, then send a patch with {profile.version} as its `base`.",
        headers={"ETag": f'"{profile.version}"'},
        current=profile.shown(),
        conflicts=found,
    )
