"""Patches against what others have changed meanwhile: place by place, also as laws over all JSON values."""

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chassis.documents import same
from settings_service.conflicts import conflicts
from settings_service.merging import diff, merge_patch
from tests.settings_service.test_merging import JSON, OBJECTS

NAMES = st.sampled_from(["a", "b", "~/"])
FLAT: st.SearchStrategy[Any] = st.none() | st.integers(0, 2) | st.just([{}])
PATCHES = st.dictionaries(
    NAMES, FLAT | st.dictionaries(NAMES, FLAT | st.dictionaries(NAMES, FLAT, max_size=2), max_size=2), max_size=3
)

A = {"a": {"x": 1, "y": 2}}
MET: list[tuple[Any, Any, Any, list[tuple[str, Any, Any, Any]]]] = [  # base, theirs, patch: path, base, theirs, yours
    # leaf by leaf
    ({"a": 1}, {"a": 2}, {"a": 3}, [("/a", 1, 2, 3)]),
    ({"a": 1}, {"a": 2}, {"b": 3}, []),
    ({"a": 1}, {"a": 2}, {"a": 2.0}, []),
    ({"a": 1}, {"a": 1.0}, {"a": 3}, []),
    ({"a": 1}, {"a": 2}, {"a": 1}, [("/a", 1, 2, 1)]),
    (A, {"a": {"x": 9, "y": 2}}, {"a": {"y": 3}}, []),
    (A, {"a": {"x": 9, "y": 8}}, {"a": {"y": 3, "x": 7}}, [("/a/x", 1, 9, 7), ("/a/y", 2, 8, 3)]),
    ({}, {"a": {"x": 1}}, {"a": {"y": 2}}, []),
    ({}, {"a": {"x": 1}}, {"a": {"x": 2, "y": 2}}, [("/a/x", None, 1, 2)]),
    ({}, {"a": {"x": 1}}, {"a": {}}, []),
    # removals
    ({"a": 1}, {"a": 2}, {"a": None}, [("/a", 1, 2, None)]),
    ({"a": 1}, {}, {"a": 2}, [("/a", 1, None, 2)]),
    ({"a": 1}, {}, {"a": None}, []),
    ({}, {"a": 1}, {"a": None}, [("/a", None, 1, None)]),
    (A, {"a": {"x": 1, "y": 9}}, {"a": None}, [("/a", A["a"], {"x": 1, "y": 9}, None)]),
    (A, {"a": {"x": 1, "y": 9}}, {"a": {"x": None}}, []),
    # a key that holds null is there, one that is absent is not
    ({"a": None}, {}, {"a": 1}, [("/a", None, None, 1)]),
    ({}, {"a": None}, {"a": 1}, [("/a", None, None, 1)]),
    ({"a": None}, {"a": None}, {"a": 1}, []),
    # the object around it is gone, or is none any more
    (A, {}, {"a": {"y": 3}}, [("/a", A["a"], None, {"x": 1, "y": 3})]),
    (A, {"a": 5}, {"a": {"y": None}}, [("/a", A["a"], 5, {"x": 1})]),
    (A, {"a": [1]}, {"a": {}}, [("/a", A["a"], [1], A["a"])]),
    ({"a": {"b": A}}, {"a": {}}, {"a": {"b": {"a": {"x": 0}}}}, [("/a/b", A, None, {"a": {"x": 0, "y": 2}})]),
    ({"a": {"b": A}}, {}, {"a": {"b": {"c": 1}}}, [("/a", {"b": A}, None, {"b": {**A, "c": 1}})]),
    # scalars, arrays and objects in each other's place
    (A, {"a": {"x": 1, "y": 9}}, {"a": 7}, [("/a", A["a"], {"x": 1, "y": 9}, 7)]),
    (A, A, {"a": 7}, []),
    (A, {"a": 7}, {"a": 7}, []),
    ({"a": 1}, {"a": 2}, {"a": {"x": 1}}, [("/a", 1, 2, {"x": 1})]),
    ({"a": 1}, {}, {"a": {"x": 1}}, [("/a", 1, None, {"x": 1})]),
    ({"a": 1}, {"a": 1}, {"a": {"x": 1}}, []),
    ({"a": 1}, {"a": {"x": 1}}, {"a": {"y": 2}}, []),
    ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 2}}, [("/a/x", None, 1, 2)]),
    ({"a": [1, 2]}, {"a": [1, 2, 3]}, {"a": [0, 1, 2]}, [("/a", [1, 2], [1, 2, 3], [0, 1, 2])]),
    ({"a": [1, 2]}, {"a": [2, 1]}, {"a": [2, 1]}, []),
    # names that a pointer has to escape, in the order of their names
    ({}, {"~": 1, "/": 1, "": 1}, {"~": 2, "/": 2, "": 2},
     [("/", None, 1, 2), ("/~1", None, 1, 2), ("/~0", None, 1, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("base", "theirs", "patch", "met"), MET)
def test_what_both_have_changed_is_told_place_by_place(base: Any, theirs: Any, patch: Any, met: Any) -> None:
    assert [tuple(each.values()) for each in conflicts(base, theirs, patch)] == met


@pytest.mark.parametrize(
    ("theirs", "patch", "met"),
    [
        ({"a": 1}, {"a": 1.0, "b": None}, []),
        ({"a": 1}, {"a": 2}, [("/a", None, 1, 2)]),
        ({"a": 1}, {"a": None}, [("/a", None, 1, None)]),
        ({}, {"a": 1}, [("/a", None, None, 1)]),
        (A, {"a": {"x": 3, "y": 2}}, [("/a/x", None, 1, 3)]),
        ({"a": 1}, {"a": {"x": 3, "y": None}}, [("/a", None, 1, {"x": 3})]),
    ],
)
def test_without_a_base_all_that_is_not_as_the_patch_asks_is_told(theirs: Any, patch: Any, met: Any) -> None:
    assert [tuple(each.values()) for each in conflicts(None, theirs, patch)] == met


@given(OBJECTS, PATCHES, PATCHES)
def test_a_patch_that_meets_nothing_loses_nothing_of_theirs_nor_of_ours_in_either_order(
    base: Any, ours: Any, others: Any
) -> None:
    before = copy.deepcopy((base, ours, others))
    theirs = merge_patch(base, others)
    assume(not conflicts(base, theirs, ours))
    merged, changed = merge_patch(theirs, ours), change(base, theirs)
    assert same(merge_patch(merged, changed), merged), "something of theirs is lost"
    assert same(merge_patch(merged, ours), merged), "something of ours is lost"
    assert same(merge_patch(merge_patch(base, ours), changed), merged), "the order counts"
    assert before == (base, ours, others)


@given(OBJECTS, PATCHES, PATCHES)
def test_what_only_one_side_touches_is_never_in_conflict(base: Any, ours: Any, others: Any) -> None:
    assume(not ours.keys() & others.keys())
    assert conflicts(base, merge_patch(base, others), ours) == []


@given(OBJECTS, OBJECTS, PATCHES)
def test_what_is_told_is_what_stands_there_and_no_place_lies_within_another(base: Any, theirs: Any, patch: Any) -> None:
    found = conflicts(base, theirs, patch)
    paths = [each["path"] for each in found]
    assert len(set(paths)) == len(paths)
    assert not [(one, two) for one in paths for two in paths if two.startswith(one + "/")]
    changed = [each["path"] for each in diff(base, theirs)]
    for each in found:
        steps = steps_of(each["path"])
        for value, side in ((base, "base"), (theirs, "theirs"), (merge_patch(base, patch), "yours")):
            assert same(at(value, steps), each[side])
        assert any(path.startswith(each["path"]) or each["path"].startswith(path) for path in changed)


@given(OBJECTS, JSON.map(lambda value: {"a": value}) | PATCHES)
def test_where_nobody_has_changed_anything_every_patch_goes_in(base: Any, patch: Any) -> None:
    assert conflicts(base, copy.deepcopy(base), patch) == []


def change(before: Any, after: Any) -> dict[str, Any]:
    """What has changed between two settings, as a merge patch; what did not change is not in it."""
    patch: dict[str, Any] = {}
    for each in diff(before, after):
        *parents, name = steps_of(each["path"])
        place = patch
        for step in parents:
            place = place.setdefault(step, {})
        place[name] = each["after"]
    return patch


def steps_of(path: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def at(value: Any, steps: list[str]) -> Any:
    """What stands at a place; None where nothing does."""
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value
