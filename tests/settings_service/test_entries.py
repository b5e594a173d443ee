"""Which history entries of a document can be read, and as what."""

import time

import pytest
from hypothesis import given

from settings_service.entries import Entry, Wrong, instant, read_entry
from tests.settings_service.test_merging import JSON

GOOD = {"settings": {"theme": {"grain": 99}}, "created_at": "2026-11-22T10:00:00Z", "change_note": "mine", "version": 3}


def test_an_entry_is_a_record_and_not_held_against_todays_ranges() -> None:
    assert read_entry(GOOD) == Entry(3, {"theme": {"grain": 99}}, "mine", "2026-11-22T10:00:00.000000+00:00")


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"version": None, "id": 7}, 7),
        ({"version": 2.0}, 2),
        ({"version": "3"}, None),
        ({"version": True}, None),
        ({"version": 0}, None),
        ({"version": -1}, None),
        ({"version": 2**53}, None),
        ({"version": 2.5, "id": 1}, 1),
    ],
)
def test_its_number_is_its_version_or_else_its_id(changed: dict[str, object], number: int | None) -> None:
    entry = read_entry(GOOD | changed)
    assert isinstance(entry, Entry)
    assert entry.number == number


def test_an_absent_note_is_an_empty_one() -> None:
    entry = read_entry(GOOD | {"change_note": None})
    assert isinstance(entry, Entry)
    assert entry.change_note == ""


@pytest.mark.parametrize(
    ("value", "leaf"),
    [
        ([], ()),
        ({}, ("settings",)),
        (GOOD | {"settings": "{}"}, ("settings",)),
        (GOOD | {"created_at": 5}, ("created_at",)),
        (GOOD | {"created_at": "yesterday"}, ("created_at",)),
        (GOOD | {"change_note": ["x"]}, ("change_note",)),
    ],
)
def test_an_entry_that_cannot_be_read_says_where(value: object, leaf: tuple[str, ...]) -> None:
    found = read_entry(value)
    assert isinstance(found, Wrong)
    assert found.leaf == leaf
    assert found.message


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T10:00:00.5+00:00",
        "2026-11-22T11:00:00.500000+01:00",
        "2026-11-22T10:00:00.5",
        "2026-11-22 10:00:00.500Z",
    ],
)
def test_equal_instants_become_equal_texts_wherever_the_server_stands(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = instant(text)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == "2026-11-22T10:00:00.500000+00:00"


@pytest.mark.parametrize(
    "value", [None, "", 7, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01", []]
)
def test_what_is_no_instant_is_none(value: object) -> None:
    assert instant(value) is None


@given(JSON, JSON, JSON)
def test_no_value_is_too_odd_to_be_looked_at(settings: object, created_at: object, note: object) -> None:
    read_entry({"settings": settings, "created_at": created_at, "change_note": note, "version": note, "id": created_at})
    read_entry(settings)
