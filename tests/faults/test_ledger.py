"""The ledger notices whatever may be lost, repeated or made up, and takes every order that may have been for right."""

import pytest

from tests.faults.ledger import Ledger, Value, Write

KEY = "runs/a/mark"


def ledger(*writes: Write) -> Ledger:
    made = Ledger()
    for each in writes:
        made.note(each)
    return made


def put(began: float, ended: float, mark: Value, key: str = KEY) -> Write:
    return Write(began, ended, {key: mark})


def clear(began: float, ended: float) -> Write:
    return Write(began, ended, {}, ("runs/",))


@pytest.mark.parametrize("shown", ["first", None, "made up"])
def test_a_later_write_may_not_be_lost(shown: Value) -> None:
    kept = ledger(put(0, 1, "first"), put(2, 3, "second"))
    assert not kept.wrong({KEY: "second"})
    assert kept.wrong({KEY: shown}) == {KEY: (shown, ["second"])}


def test_of_two_writes_at_once_either_may_have_won() -> None:
    kept = ledger(put(0, 5, "first"), put(2, 3, "second"))
    assert not kept.wrong({KEY: "first"})
    assert not kept.wrong({KEY: "second"})
    assert kept.wrong({})


def test_what_was_cleared_may_not_come_back_and_what_came_after_stays() -> None:
    kept = ledger(put(0, 1, "first"), clear(2, 3), put(4, 5, "other", "runs/b/mark"))
    assert not kept.wrong({"runs/b/mark": "other"})
    assert kept.wrong({KEY: "first", "runs/b/mark": "other"}).keys() == {KEY}
    assert kept.wrong({}).keys() == {"runs/b/mark"}


def test_a_run_that_nobody_wrote_is_wrong() -> None:
    assert ledger(put(0, 1, "first")).wrong({KEY: "first", "runs/twice/mark": "first"}).keys() == {"runs/twice/mark"}


def test_an_undo_gives_back_what_was_there_before_and_leaves_what_was_written_since() -> None:
    restore = put(2, 3, "restored")
    undo = Write(6, 7, undoes=restore)
    undone = ledger(put(0, 1, "first"), restore, undo)
    assert undone.possible(KEY) == ["first"]
    assert ledger(*undone.writes, put(4, 5, "since")).possible(KEY) == ["since"]
    assert ledger(*undone.writes, put(5, 6.5, "meanwhile")).possible(KEY) == ["first", "meanwhile"]
    assert ledger(*undone.writes, put(8, 9, "after")).possible(KEY) == ["after"]
    assert ledger(restore, undo).possible(KEY) == [None]


def test_settings_are_undone_as_a_whole_or_not_at_all() -> None:
    ours, another = "settings/colours/text", "settings/colours/paper"
    restore = Write(2, 3, {ours: "restored"})
    kept = ledger(put(0, 1, "first", ours), restore, put(4, 5, "since", another), Write(6, 7, undoes=restore))
    assert kept.possible(ours) == ["restored"]
