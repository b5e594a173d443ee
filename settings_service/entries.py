"""What of a document can be used: wrong leaves of settings, and history entries as they can be kept. Pure."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from chassis.documents import LARGEST_INTEGER
from settings_service.merging import Leaf
from settings_service.models import KnownSettings


class Wrong(NamedTuple):
    """A place that cannot be used, from the top of the value that was looked at, and why."""

    leaf: Leaf
    message: str


class Entry(NamedTuple):
    """A usable history entry. `number` is its version in its document and serves the order alone."""

    number: int | None
    settings: dict[str, Any]
    change_note: str
    created_at: str


def wrong_leaves(settings: dict[str, Any]) -> list[Wrong]:
    """The known sections and keys of `settings` that hold something else than they may."""
    try:
        KnownSettings.model_validate(settings)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [Wrong(tuple(map(str, each["loc"])), f"{each['msg']}.") for each in found]
    return []


def read_entry(value: Any) -> Entry | Wrong:
    """A history entry of a document. Its settings are a record: they are not held against today's ranges."""
    if not isinstance(value, dict):
        return Wrong((), "A history entry should be an object.")
    if not isinstance(settings := value.get("settings"), dict):
        return Wrong(("settings",), "A history entry needs its settings, an object.")
    if (created_at := instant(value.get("created_at"))) is None:
        return Wrong(("created_at",), "A history entry needs its time, in ISO 8601.")
    note = value.get("change_note")
    if not isinstance(note, str | None):
        return Wrong(("change_note",), "The note of a history entry should be a text.")
    return Entry(_number(value), settings, note or "", created_at)


def instant(text: Any) -> str | None:
    """An ISO 8601 time in the one form that is stored, so that equal instants are equal texts; no zone means UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return (
            (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
        )
    except (TypeError, ValueError, OverflowError):
        return None


def _number(entry: dict[str, Any]) -> int | None:
    for given in (entry.get("version"), entry.get("id")):
        number = int(given) if isinstance(given, float) and given.is_integer() else given
        if type(number) is int and 0 < number <= LARGEST_INTEGER:
            return number
    return None
