"""Merge patches, sections and differences, also as laws over all JSON values."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.documents import same
from settings_service.merging import diff, merge_patch, merge_sections, without

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "~/"]), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c", "~/"]), JSON, max_size=4)

RFC_7396_APPENDIX_A: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396_APPENDIX_A)
def test_merge_patches_do_what_the_rfc_shows(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_applied_twice_is_as_applied_once_and_leaves_its_arguments(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert (target, patch) == before


def test_a_section_wins_whole_and_the_others_stay() -> None:
    current = {"theme": {"accent": "amber", "grain": 0.1}, "mine": 1}
    assert merge_sections(current, {"theme": {"accent": "teal"}}) == {"theme": {"accent": "teal"}, "mine": 1}


def test_a_kept_leaf_stays_as_it_is_in_the_profile() -> None:
    current = {"theme": {"accent": "amber", "grain": 0.1}}
    merged = merge_sections(current, {"theme": {"accent": "teal"}}, [("theme", "grain"), ("theme", "none"), ("other",)])
    assert merged == {"theme": {"accent": "teal", "grain": 0.1}}
    assert current == {"theme": {"accent": "amber", "grain": 0.1}}
    assert merge_sections({"theme": 7}, {"theme": {}}, [("theme", "grain")]) == {"theme": {}}


def test_leaves_are_taken_out_and_a_section_that_they_emptied_goes() -> None:
    settings = {"theme": {"grain": 9, "accent": "teal"}, "behavior": {"autoSave": 1}, "developer": 7, "mine": {}}
    leaves = [("theme", "grain"), ("behavior", "autoSave"), ("developer",)]
    assert without(settings, leaves) == {"theme": {"accent": "teal"}, "mine": {}}
    assert settings["developer"] == 7


def test_a_difference_tells_added_removed_and_changed_apart() -> None:
    before = {"a": {"x": 1, "gone": None}, "list": [1, 2], "same": 1.0}
    after = {"a": {"x": True, "new": None}, "list": [1, 3], "same": 1}
    assert diff(before, after) == [
        {"path": "/a/gone", "before": None, "after": None, "kind": "removed"},
        {"path": "/a/new", "before": None, "after": None, "kind": "added"},
        {"path": "/a/x", "before": 1, "after": True, "kind": "changed"},
        {"path": "/list", "before": [1, 2], "after": [1, 3], "kind": "changed"},
    ]


@given(OBJECTS, OBJECTS)
def test_there_is_no_difference_just_where_values_are_the_same(before: Any, after: Any) -> None:
    assert (diff(before, after) == []) == same(before, after)
    assert diff(before, before) == []


@given(OBJECTS, OBJECTS)
def test_the_differences_lead_from_one_to_the_other(before: Any, after: Any) -> None:
    for change in diff(before, after):
        if change["kind"] == "removed":
            change["after"] = ...
        before = put(
            before, [step.replace("~1", "/").replace("~0", "~") for step in change["path"].split("/")[1:]], change
        )
    assert same(before, after)


def put(value: Any, steps: list[str], change: dict[str, Any]) -> Any:
    """`value` with the change made at the place that the steps lead to."""
    name, *rest = steps
    if rest:
        return {**value, name: put(value[name], rest, change)}
    return {key: one for key, one in {**value, name: change["after"]}.items() if one is not ...}
