"""What an operator is told of the journal, and where a service says something else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chassis.schema import bring_up, connect
from gateway.in_flight import Journalled, decided, differences, journalled, left

NOW, BEFORE, LONG_AGO = (f"2026-03-0{day}T10:00:00.000000+00:00" for day in (3, 2, 1))


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    bring_up(tmp_path / "new.db", "gateway")
    with closing(connect(tmp_path / "new.db")) as tx:
        for number, (kind, stage, holder) in enumerate(
            (
                ("restore", "done", "a"),
                ("restore", "staging", "a"),
                ("adoption", "committing", "postponed"),
                ("undo", "committing", "a"),
                ("something newer", "aborting", "a"),
            )
        ):
            tx.execute(
                "INSERT INTO operations (id, owner, kind, mode, stage, holder, lease_until, started_at, changed_at)"
                " VALUES (?, ?, ?, 'merge', ?, ?, 0, ?, ?)",
                (f"r_{number}", f"user:{number}", kind, stage, holder, NOW, NOW),
            )
        yield tx


def test_what_is_not_at_its_end_is_in_flight_but_for_what_is_only_to_be_repeated(tx: sqlite3.Connection) -> None:
    assert [(each.id, each.kind, each.stage) for each in left(tx)] == [
        ("r_1", "restore", "staging"),
        ("r_3", "undo", "committing"),
        ("r_4", "something newer", "aborting"),
    ]
    assert all(each.age > 0 for each in left(tx))


def test_what_is_being_put_in_place_is_what_is_decided_and_not_at_its_end(tx: sqlite3.Connection) -> None:
    found = decided(tx)
    assert found is not None
    assert found.id == "r_3"
    tx.execute("UPDATE operations SET stage = 'done' WHERE id = 'r_3'")
    assert decided(tx) is None


def test_the_journal_is_read_with_who_takes_part(tx: sqlite3.Connection) -> None:
    assert journalled(tx)["r_0"] == Journalled("restore", "done", ("settings", "runs"), NOW)


def test_what_an_erased_owner_once_did_is_no_difference(tx: sqlite3.Connection) -> None:
    insert = (
        "INSERT INTO operations (id, owner, kind, mode, stage, holder, lease_until, started_at, changed_at, target)"
        " VALUES (?, ?, ?, 'merge', 'done', 'a', 0, ?, ?, ?)"
    )
    tx.execute(insert, ("r_8", "user:0", "adoption", NOW, NOW, "user:8"))
    tx.execute(insert, ("r_7", "user:7", "restore", NOW, NOW, None))
    assert {id_ for id_, each in journalled(tx).items() if each.erased} == set()
    tx.execute(insert, ("r_9", "user:8", "deletion", NOW, NOW, None))
    assert {id_ for id_, each in journalled(tx).items() if each.erased} == {"r_0", "r_8", "r_9"}
    found = differences(journalled(tx), "settings", {"r_1": ("staged", LONG_AGO)}, BEFORE)
    assert found == ["settings has r_7 as nothing, and the journal says done"]


def of(stage: str, kind: str = "restore", at: str = NOW) -> dict[str, Journalled]:
    return {"r_1": Journalled(kind, stage, ("settings",), at)}


def told(journal: dict[str, Journalled], states: dict[str, tuple[str, str]], service: str = "settings") -> list[str]:
    return differences(journal, service, states, BEFORE)


@pytest.mark.parametrize(
    ("stage", "state"),
    [
        ("done", "committed"),
        ("aborted", "aborted"),
        ("failed", "committed"),
        ("failed", "staged"),
        ("staging", "staging"),
        ("staging", "staged"),
        ("committing", "staged"),
        ("committing", "committed"),
        ("aborting", "staged"),
        ("aborting", "aborted"),
        ("a newer one", "staged"),
    ],
)
def test_what_agrees_or_is_under_way_is_no_difference(stage: str, state: str) -> None:
    assert told(of(stage), {"r_1": (state, BEFORE)}) == []


@pytest.mark.parametrize(
    ("stage", "state"),
    [("done", "staged"), ("done", "staging"), ("done", "aborted"), ("aborted", "committed"), ("aborted", "staged")],
)
def test_what_ended_differently_is_named(stage: str, state: str) -> None:
    assert told(of(stage), {"r_1": (state, BEFORE)}) == [f"settings has r_1 as {state}, and the journal says {stage}"]


def test_what_a_service_lost_is_named_unless_it_may_have_forgotten_it() -> None:
    assert told(of("done"), {}) == ["settings has r_1 as nothing, and the journal says done"]
    assert told(of("done"), {}, "runs") == [], "it took no part"
    assert told(of("done", kind="adoption"), {}) == [], "that stages nothing"
    assert told(of("aborted"), {}) == [], "nothing ever came to it"
    assert told(of("done", at=LONG_AGO), {}) == []


def test_what_the_journal_does_not_know_is_named_unless_it_may_have_forgotten_it() -> None:
    unknown = "settings has r_9 as {}, and the journal does not know it"
    assert told({}, {"r_9": ("committed", NOW)}) == [unknown.format("committed")]
    assert told({}, {"r_9": ("committed", LONG_AGO)}) == []
    assert told({}, {"r_9": ("staged", LONG_AGO)}) == [unknown.format("staged")], "nobody ends it"
    assert told({}, {"r_9": ("aborted", NOW)}) == [], "that does no harm"
