from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.documents import digest, same
from runs_service import views
from runs_service.limits import TooLarge
from runs_service.records import instant, record, whole
from tests.runs_service.samples import data_url, run

LARGEST = 1 << 20


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00+00:00", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1970-01-02", 86_400_000_000),
        ("2026-11-22T09:53:44.886883+00:00", 1_795_341_224_886_883),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000_000),
        ("9999-12-31T23:59:59.999999-14:00", 253_402_351_199_999_999),
    ],
)
def test_a_time_is_an_instant_in_whole_microseconds(text: str, microseconds: int) -> None:
    assert instant(text) == microseconds


@pytest.mark.parametrize("value", [None, "", "yesterday", "2026-13-01", "2026-11-22T25:00", 1795341224, True, [], {}])
def test_what_is_no_time_has_no_instant(value: object) -> None:
    assert instant(value) is None


@given(st.text() | st.datetimes().map(str) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d)?"))
def test_any_text_is_an_instant_that_fits_or_none(text: str) -> None:
    found = instant(text)
    assert found is None or abs(found) < 2**63


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
IMAGES = st.none() | TEXT | st.binary().map(data_url)


@given(st.dictionaries(st.sampled_from(["created_at", "status", "params", "source_image", "x"]), JSON), IMAGES)
def test_any_run_comes_back_equal_from_its_row(fields: dict[str, Any], image: str | None) -> None:
    given = {"run_id": "R1", **fields, "source_image_data_url": image}
    row = record(given, LARGEST)
    found = whole(row.payload, row.image_prefix, row.image)
    assert same(found, given)
    assert row.digest == digest(given)
    assert same(orjson.loads(views.full(row.payload, row.image_prefix, row.image)), given)


def test_an_image_is_not_in_the_payload() -> None:
    row = record(run(source_image_data_url=data_url()), LARGEST)
    assert b"source_image_data_url" not in row.payload
    assert row.image_prefix == "data:image/png;base64,"


def test_an_odd_image_stays_in_the_payload() -> None:
    row = record(run(source_image_data_url="data:image/svg+xml,%3Csvg/%3E"), LARGEST)
    assert b"data:image/svg+xml,%3Csvg/%3E" in row.payload
    assert (row.image_prefix, row.image_sha256, row.image) == (None, None, None)


def test_a_run_may_take_just_as_many_bytes_as_allowed() -> None:
    for sample in ({"run_id": "R1", "x": "żółw"}, run(source_image_data_url=data_url())):
        row = record(sample, LARGEST)
        size = len(views.full(row.payload, row.image_prefix, row.image))
        record(sample, size)
        with pytest.raises(TooLarge):
            record(sample, size - 1)


def test_what_is_searched_is_folded_and_complete() -> None:
    found = record(run(intent="Straße ŻÓŁW", preset="Coherence"), LARGEST).search
    for text in ("strasse", "żółw", "coherence", "klatka.png", "ujęcie 2", "r00000001"):
        assert text in found
    assert "success" not in found


@pytest.mark.parametrize("odd", [None, 7, [], {}, True])
def test_odd_values_in_the_places_that_are_looked_at_do_no_harm(odd: Any) -> None:
    fields = ("created_at", "status", "intent", "preset", "params", "source_image", "provider")
    row = record({"run_id": "R1", **dict.fromkeys(fields, odd), "variants": [{"prompt_text": odd}]}, LARGEST)
    assert (row.created, row.status, row.provider) == (None, None, None)
    assert row.search == "r1"
