from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs_service.paging import SLICE_BYTES, BadCursor, Position, Weighed, decode, encode, slices

POSITIONS = st.builds(
    Position, st.integers(-(2**63) + 1, 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
)


@given(POSITIONS)
def test_a_cursor_leads_back_to_its_place(position: Position) -> None:
    assert decode(encode(position)) == position


@given(POSITIONS)
def test_a_cursor_fits_into_a_query_as_it_is(position: Position) -> None:
    assert set(encode(position)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "bnVsbA", "W10", "WzEsMl0", "WyIxIiwiUjEiXQ", "WzEuNSwiUjEiXQ", "W3RydWUsIlIxIl0", "żółw",
               encode(Position(1, "R1")) + "=", encode(Position(2**63, "R1")), "e30", "ezE6Mn0"]
)  # fmt: skip
def test_what_no_page_gave_is_no_cursor(cursor: str) -> None:
    with pytest.raises(BadCursor):
        decode(cursor)


@given(st.text())
def test_rubbish_is_no_cursor(cursor: str) -> None:
    with pytest.raises(BadCursor):
        decode(cursor)


WEIGHTS = st.lists(st.integers(0, 3 * SLICE_BYTES) | st.integers(0, 5000), max_size=50)


@given(WEIGHTS)
def test_slices_hold_every_run_in_order_and_weigh_no_more_than_they_must(weights: list[int]) -> None:
    weight = {str(number): each for number, each in enumerate(weights)}
    found = slices(Weighed(*item) for item in weight.items())
    assert [run_id for each in found for run_id in each] == list(weight)
    assert all(len(each) == 1 or sum(weight[run_id] for run_id in each) <= SLICE_BYTES for each in found)
    assert all(sum(weight[run_id] for run_id in [*one, other[0]]) > SLICE_BYTES for one, other in pairwise(found))
