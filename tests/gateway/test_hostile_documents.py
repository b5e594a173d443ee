"""What a stranger can put into a small document costs no more than its size: no time, no memory, no silence."""

import json
import time
from typing import Any

import pytest

from chassis.documents import Malformed, parse
from gateway.archive import Damaged, Found, Reader
from gateway.scanning import MOST_NAMES, Unusable

SECONDS = 3.0  # each of these takes a fraction of it; it took minutes where the work grew with the square


def read(text: bytes, size: int = 1 << 14) -> tuple[list[Found], Reader]:
    reader = Reader()
    found = [each for start in range(0, len(text), size) for each in reader.feed(text[start : start + size])]
    return [*found, *reader.close()], reader


def profile(settings: Any) -> bytes:
    return json.dumps({"settings": {"settings": settings, "version": 3, "created_at": "a", "updated_at": "b"}}).encode()


def test_a_name_that_stands_twice_among_many_is_found_at_once() -> None:
    started = time.perf_counter()
    with pytest.raises(Malformed, match="twice"):
        parse("{" + ",".join(f'"{number}":1' for number in range(50_000)) + ',"49999":2}')
    assert time.perf_counter() - started < SECONDS


def test_many_small_values_after_a_large_one_are_read_as_fast_as_without_it() -> None:
    text = b'["' + b"x" * (4 << 20) + b'",' + b",".join([b"1e999"] * 100_000) + b"]"
    started = time.perf_counter()
    _, reader = read(text)
    assert time.perf_counter() - started < SECONDS
    assert reader.refusals.counts["runs"] == 100_000


def test_more_fields_than_any_document_has_are_refused() -> None:
    text = b"{" + b",".join(b'"%d":1' % number for number in range(MOST_NAMES + 1)) + b"}"
    with pytest.raises(Unusable, match="fields"):
        read(text)


def test_one_value_beyond_the_limit_is_refused_in_whatever_pieces_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.scanning.LARGEST_VALUE", 10_000)
    for size in (100, 999, 3_000, 7_777):
        assert len(read(b'["' + b"x" * 9_000 + b'"]', size)[0]) == 1
        with pytest.raises(Unusable, match="longer"):
            read(b'["' + b"x" * 30_000 + b'"]', size)


def test_a_value_of_very_many_members_is_refused_before_they_take_their_room() -> None:
    with pytest.raises(Unusable, match="members"):
        read(b'[{"run_id": "a", "x": [' + b"{}," * 1_000_000 + b"{}]}]")
    assert len(read(b"[" + b"{}," * 600_000 + b"{}]", 1 << 22)[0]) == 600_001, "many items are no such value"


def test_what_a_warning_repeats_of_a_document_is_bounded() -> None:
    _, reader = read(json.dumps({"settings": {"reducedMotion": True, "k" * 100_000: 1}}).encode())
    (told,) = reader.refusals.first
    assert len(told.pointer) + len(told.message) < 1_000


@pytest.mark.parametrize(
    "settings",
    [
        {"settings": {"x": 1}},
        {"settings": {"theme": {"grain": 0.5}}, "p": 1},
        {"settings": {}, "y": {"z": 1}},
        {"reducedMotion": True, "plugin": {"a": 1}},
        {"reducedMotion": True},
        {"version": 7, "theme": {}},
        {},
    ],
)
def test_settings_come_back_as_they_were_saved_whatever_they_look_like(settings: Any) -> None:
    found, reader = read(profile(settings))
    assert [(each.kind, each.value) for each in found] == [("settings", settings)]
    assert reader.refusals.first == []


@pytest.mark.parametrize(
    "text",
    [
        b'{"theme": {"grain": 1e999}, "behavior": {"x": 2}}',
        b'{"theme": {"a": 1, "a": 2}, "behavior": {"x": 2}}',
        b'{"theme": 12345678901234567890, "plugin": {}}',
        b'{"behavior": {"x": 2}, "big": "' + b"x" * 1_100_000 + b'", "theme": {}}',
    ],
)
def test_a_section_of_bare_settings_that_cannot_be_used_is_named(text: bytes) -> None:
    _, reader = read(text)
    assert reader.refusals.counts["settings"] >= 1


def test_fields_of_a_backup_are_no_sections_of_its_settings() -> None:
    text = b'{"schema_version": "x", "exported_at": "y", "runs": [{"run_id": "a"}], "theme": {"grain": 0.5}}'
    assert [each.kind for each in read(text)[0]] == ["run"]


@pytest.mark.parametrize("manifest", [b"[]", b'"x"', b"7", b'{"counts": 99999999999999999999}', b'{"a": 1, "a": 1}'])
def test_a_manifest_that_cannot_be_read_is_damage(manifest: bytes) -> None:
    with pytest.raises(Damaged):
        read(b'{"runs": [{"run_id": "a"}], "manifest": ' + manifest + b"}")


def test_a_field_of_that_name_in_what_is_no_backup_is_somebody_elses() -> None:
    assert len(read(b'{"animatize_ui_runs_v2": "[{}]", "manifest": "of another application"}')[0]) == 1
    assert len(read(b'{"runs": [{"run_id": "a"}], "manifest": null}')[0]) == 1


@pytest.mark.parametrize("providers", ["7", "true", '"veo"', '{"veo": 1}', "null", "[7, null, {}]"])
@pytest.mark.parametrize("opens_keys", [False, True])
def test_whatever_stands_in_place_of_sealed_keys_brings_nothing_down(providers: str, *, opens_keys: bool) -> None:
    for sealed in ('{"providers": ' + providers + "}", providers):
        reader = Reader(opens_keys=opens_keys)
        text = '{"runs": [{"run_id": "a"}], "sealed_api_keys": ' + sealed + "}"
        found = [*reader.feed(text.encode()), *reader.close()]
        assert len(found) == 1 + opens_keys
        assert opens_keys or reader.refusals.first


def test_many_statuses_beside_many_sealed_keys_are_compared_at_once() -> None:
    names = [f"p{number}" for number in range(40_000)]
    rows = [{"provider": name, "configured": True} for name in names]
    text = json.dumps({"api_credentials": rows, "sealed_api_keys": {"providers": names}}).encode()
    started = time.perf_counter()
    read(text, 1 << 20)
    assert time.perf_counter() - started < SECONDS
