"""Settings of the single-process console with their history, as this service keeps them.

Version numbers, notes and times stay what they were. What was stored then is a record, and is not held against today's
ranges. The highest version is the profile's state: where the old history does not end with that, it follows once more.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from chassis.documents import LARGEST_INTEGER, Malformed, parse
from chassis.moved import Unfit, Verdict
from settings_service import versions
from settings_service.entries import instant
from settings_service.versions import Document, Draft

STATE_NOTE: Final = "current_profile"


class Moving(NamedTuple):
    """A version with its number. `profile_since` tells the profile that it belongs to from any other of the owner;
    `follows` is the number and the digest of the version before it, where there is one."""

    owner: str
    number: int
    draft: Draft
    created_at: str
    profile_since: str
    follows: tuple[int, bytes] | None


def judge(owner: str, profile: sqlite3.Row | None, history: Iterable[sqlite3.Row]) -> Iterator[Moving | Unfit]:
    """What a profile's row of then and those of its history, in the order of their versions, come to.

    Of a number that stands twice the later one takes the next that is free.
    """
    since = instant(profile["created_at"]) if profile else None
    last: Moving | None = None
    for row in history:
        found = _entry(owner, row, last, since)
        if isinstance(found, Moving):
            last = found
        yield found
    if profile is not None:
        yield from _state(owner, profile, last, since)


def find(tx: sqlite3.Connection, version: Moving) -> Verdict:
    """ABSENT only where it would follow what it followed then: nothing is put upon what was written since, or
    upon a profile that did not come from there."""
    profile = versions.read_profile(tx, version.owner)
    if profile is None:
        return Verdict.OTHER if version.follows else Verdict.ABSENT
    if profile.created_at != version.profile_since:
        return Verdict.OTHER
    if (profile.version, profile.digest) == version.follows:
        return Verdict.ABSENT
    row = versions.read_version(tx, version.owner, version.number)
    if row is None:
        return Verdict.OTHER
    same = (row["change_note"], row["created_at"]) == (version.draft.note, version.created_at)
    stored = versions.document(parse(row["settings"]))
    return Verdict.SAME if same and stored.digest == version.draft.content.digest else Verdict.OTHER


def add(tx: sqlite3.Connection, version: Moving) -> None:
    """Make it the current one, in a profile of then."""
    versions.bring(tx, version.owner, version.number, version.draft, (version.profile_since, version.created_at))


def _entry(owner: str, row: sqlite3.Row, last: Moving | None, since: str | None) -> Moving | Unfit:
    name = f"settings, version {row['version']}"
    content, created_at, note = _content(row["payload"]), instant(row["created_at"]), row["change_note"]
    if isinstance(content, str):
        return Unfit(name, content)
    if created_at is None:
        return Unfit(name, "its time cannot be read")
    if not isinstance(note, str | None):
        return Unfit(name, "its note is no text")
    number = max(_number(row["version"]), last.number + 1 if last else 1)
    begun = since or (last.profile_since if last else created_at)
    return Moving(owner, number, Draft(content, note or ""), created_at, begun, _place(last))


def _place(version: Moving | None) -> tuple[int, bytes] | None:
    return (version.number, version.draft.content.digest) if version else None


def _state(owner: str, profile: sqlite3.Row, last: Moving | None, since: str | None) -> Iterator[Moving | Unfit]:
    """The profile's state, where the history does not end with it."""
    content, updated_at = _content(profile["payload"]), instant(profile["updated_at"])
    number = _number(profile["version"])
    if isinstance(content, str):
        yield Unfit("settings, as they were last", content)
    elif last is None or last.draft.content.digest != content.digest or last.number < number:
        moment = updated_at or since or versions.now()
        begun = since or (last.profile_since if last else moment)
        number = max(number, last.number + 1 if last else 1)
        yield Moving(owner, number, Draft(content, STATE_NOTE), moment, begun, _place(last))


def _content(payload: object) -> Document | str:
    """What is stored of settings; why nothing is."""
    if not isinstance(payload, str | bytes):
        return "there is nothing in it"
    try:
        settings = parse(payload)
        return versions.document(settings) if isinstance(settings, dict) else "it is no object"
    except Malformed as error:
        return f"it cannot be read: {error}"


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 < value <= LARGEST_INTEGER else 1
