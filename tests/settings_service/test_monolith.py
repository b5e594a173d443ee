"""What a profile of the single-process console comes to here, whatever its history looks like."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chassis.moved import Unfit, Verdict
from chassis.schema import bring_up, connect
from settings_service import monolith, versions
from settings_service.monolith import Moving

OWNER, MOMENT = "user:u_ana", "2026-11-22T10:00:0{}.000000+00:00"


def at(second: int) -> str:
    return MOMENT.format(second)


def rows(table: str, *found: dict[str, Any]) -> list[sqlite3.Row]:
    """As they come out of the old file."""
    with closing(sqlite3.connect(":memory:")) as tx:
        tx.row_factory = sqlite3.Row
        names = ", ".join(f":{name} AS {name}" for name in found[0]) if found else ""
        return [tx.execute(f"SELECT {names}", row).fetchone() for row in found]


def entry(version: Any, payload: Any, second: int = 1, note: Any = "note") -> dict[str, Any]:
    text = json.dumps(payload) if isinstance(payload, dict) else payload
    return {"version": version, "payload": text, "change_note": note, "created_at": at(second)}


def profile(version: int, payload: Any) -> sqlite3.Row:
    text = json.dumps(payload) if isinstance(payload, dict) else payload
    row = {"version": version, "payload": text, "created_at": at(0), "updated_at": at(9)}
    return rows("settings_profiles", row)[0]


def judged(state: sqlite3.Row | None, *history: dict[str, Any]) -> list[Moving | Unfit]:
    return list(monolith.judge(OWNER, state, rows("settings_history", *history)))


def told(found: list[Moving | Unfit]) -> list[Any]:
    return [
        each.name if isinstance(each, Unfit) else (each.number, json.loads(each.draft.content.text), each.draft.note)
        for each in found
    ]


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    bring_up(tmp_path / "settings.db", "settings_service")
    with closing(connect(tmp_path / "settings.db")) as tx:
        yield tx


def moved(tx: sqlite3.Connection, found: list[Moving | Unfit]) -> list[Verdict]:
    verdicts = []
    for each in found:
        assert isinstance(each, Moving)
        verdicts.append(monolith.find(tx, each))
        if verdicts[-1] is Verdict.ABSENT:
            monolith.add(tx, each)
    return verdicts


def test_a_history_that_ends_with_the_profile_is_all_there_is() -> None:
    found = judged(profile(2, {"b": 1.0}), entry(1, {"a": 1}, 1), entry(2, {"b": 1}, 2, None))
    assert told(found) == [(1, {"a": 1}, "note"), (2, {"b": 1}, "")]


def test_the_profile_follows_a_history_that_ends_otherwise() -> None:
    history = entry(1, {"a": 1}), entry(4, {"b": 1})
    assert told(judged(profile(4, {"c": 1}), *history))[2:] == [(5, {"c": 1}, "current_profile")]
    assert told(judged(profile(7, {"b": 1}), *history))[2:] == [(7, {"b": 1}, "current_profile")]
    assert told(judged(profile(3, {"b": 1}), *history))[2:] == []


def test_a_profile_without_a_history_and_a_history_without_a_profile_are_kept() -> None:
    assert told(judged(profile(3, {"c": 1}))) == [(3, {"c": 1}, "current_profile")]
    assert told(judged(None, entry(1, {"a": 1}), entry(2, {"b": 1}))) == [(1, {"a": 1}, "note"), (2, {"b": 1}, "note")]
    assert judged(None) == []


def test_a_number_that_stands_twice_is_given_once() -> None:
    found = judged(profile(2, {"c": 1}), entry(1, {"a": 1}), entry(1, {"b": 1}), entry(2, {"c": 1}))
    assert [number for number, *_ in told(found)] == [1, 2, 3]


def test_what_cannot_be_read_is_named_and_the_rest_stays() -> None:
    wrong = entry(2, '{"a": 1, "a": 2}'), entry(3, "[]"), entry(4, None), entry(5, {"e": 1}, 1, 7)
    late = entry(6, {"f": 1}) | {"created_at": "yesterday"}
    found = judged(profile(7, "{"), entry(1, {"a": 1}), *wrong, late, entry(7, {"g": 1}))
    assert [each[0] if isinstance(each, tuple) else each for each in told(found)] == [
        1,
        *(f"settings, version {number}" for number in (2, 3, 4, 5, 6)),
        7,
        "settings, as they were last",
    ]


def test_what_is_beyond_todays_ranges_and_what_nobody_knows_is_stored_as_it_was(tx: sqlite3.Connection) -> None:
    state = {"theme": {"grain": 99, "mine": [None]}, "unknown": {"a": 1.0}}
    assert moved(tx, judged(profile(1, state), entry(1, state))) == [Verdict.ABSENT]
    found = versions.read_profile(tx, OWNER)
    assert found is not None
    assert (json.loads(found.settings), found.version, found.created_at) == (state, 1, at(0))


def test_what_is_there_is_found_again_and_nothing_is_put_upon_what_came_after(tx: sqlite3.Connection) -> None:
    history = [entry(number, {"n": number}, number) for number in (1, 2, 3)]
    assert moved(tx, judged(profile(2, {"n": 2}), *history[:2])) == [Verdict.ABSENT] * 2
    assert moved(tx, judged(profile(3, {"n": 3}), *history)) == [Verdict.SAME, Verdict.SAME, Verdict.ABSENT]
    current = versions.read_profile(tx, OWNER)
    assert current is not None
    versions.append(tx, OWNER, current, versions.Draft(versions.document({"here": 1}), "mine"))
    later = [*history, entry(4, {"n": 4}, 4), entry(5, {"n": 5}, 5)]
    assert moved(tx, judged(profile(5, {"n": 5}), *later)) == [Verdict.SAME] * 3 + [Verdict.OTHER] * 2


def test_a_profile_that_was_made_here_is_never_taken_for_one_of_then(tx: sqlite3.Connection) -> None:
    versions.open_profile(tx, OWNER)
    defaults = json.loads(versions.defaults().text)
    found = judged(profile(2, {"n": 2}), entry(1, defaults), entry(2, {"n": 2}))
    assert moved(tx, found) == [Verdict.OTHER] * 2
