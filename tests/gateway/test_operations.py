"""When a restore can be undone, and what its owner is told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.operations import Entry, Kind, Operation, Stage


def moment(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


DONE = Operation("r1", "guest:a", Kind.RESTORE, "merge", Stage.DONE, "mine", changed_at=moment(), outcome={"a": 1})
UNDO = replace(DONE, id="r2", kind=Kind.UNDO, undoes="r1", changed_at="2026-11-23T10:00:00+00:00")


def test_the_latest_restore_can_be_undone_within_seven_days() -> None:
    for days in (0, 6.999):
        shown = Entry(replace(DONE, changed_at=moment(days=days)), is_latest=True, undo=None).shown()
        assert shown["undo"]["open"]
    assert datetime.fromisoformat(shown["undo"]["until"]) > datetime.now(UTC)
    assert Entry(replace(DONE, changed_at=moment(days=7.001)), is_latest=True, undo=None).why_not_undone()


@pytest.mark.parametrize("stage", set(Stage) - {Stage.DONE})
def test_what_is_not_in_place_cannot_be_undone(stage: Stage) -> None:
    shown = Entry(DONE.at(stage), is_latest=True, undo=None).shown()
    assert shown["undo"] == {"open": False, "until": None, "undone_at": None, "outcome": None}


@pytest.mark.parametrize("kind", [Kind.DRY_RUN, Kind.UNDO])
def test_only_a_restore_can_be_undone(kind: Kind) -> None:
    assert Entry(replace(DONE, kind=kind), is_latest=True, undo=None).why_not_undone()


def test_a_restore_that_is_not_the_latest_or_was_undone_cannot_be_undone() -> None:
    assert "later restore" in str(Entry(DONE, is_latest=False, undo=None).why_not_undone())
    undone = Entry(DONE, is_latest=True, undo=UNDO).shown()["undo"]
    assert (undone["open"], undone["undone_at"]) == (False, UNDO.changed_at)
    assert not Entry(DONE, is_latest=True, undo=UNDO.at(Stage.STAGING)).shown()["undo"]["open"]


def test_what_was_found_in_the_document_is_no_outcome_until_it_is_in_place() -> None:
    assert Entry(DONE.at(Stage.COMMITTING), is_latest=True, undo=None).shown()["outcome"] is None
    assert Entry(DONE, is_latest=True, undo=None).shown()["outcome"] == {"a": 1}
    assert Entry(DONE, is_latest=True, undo=None).shown()["restore_id"] == "mine"
