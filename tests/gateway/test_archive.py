"""Every form of document that people have is understood, whatever it is wrapped in."""

import json
from typing import Any

import pytest

from chassis.uploads import encode_item
from gateway.archive import Found, Reader
from gateway.scanning import Unusable
from tests import documents
from tests.documents import RUNS_KEY, SETTINGS_KEY, VARIATIONS


def read(document: bytes, size: int = 4096) -> tuple[list[Found], list[Any]]:
    reader = Reader()
    found: list[Found] = []
    for start in range(0, len(document), size):
        found += reader.feed(document[start : start + size])
    found += reader.close()
    return found, [{"pointer": each.pointer, "message": each.message} for each in reader.refusals.first]


def values(found: list[Found], kind: str) -> list[Any]:
    return [each.value for each in found if each.kind == kind]


@pytest.mark.parametrize("name", VARIATIONS)
def test_every_variation_of_a_browser_export_gives_the_same_runs_and_switches(name: str) -> None:
    export = documents.export()
    encode, carries_runs, carries_settings = VARIATIONS[name]
    found, warnings = read(encode(export))
    assert warnings == []
    assert values(found, "run") == (export[RUNS_KEY] if carries_runs else [])
    patches = [{"accessibility": {"reducedMotion": True}}, {"preferences": {"autoFavoriteWinner": True}}]
    assert values(found, "settings_patch") == (patches if carries_settings else [])


def test_the_older_consoles_backup_gives_settings_history_and_runs_and_names_the_keys_that_are_missing() -> None:
    backup = documents.older_backup()
    found, warnings = read(json.dumps(backup).encode())
    assert values(found, "settings") == [backup["settings"]["settings"]]
    assert values(found, "history") == backup["history"]
    assert values(found, "run") == backup["runs"]
    assert [warning["pointer"] for warning in warnings] == ["/api_credentials/0"]
    assert "runway" in warnings[0]["message"]


def test_nested_settings_under_the_old_key_are_sections_not_switches() -> None:
    nested = {"theme": {"grain": 0.5}, "plugin": {"a": 1}}
    for document in ({SETTINGS_KEY: nested}, {SETTINGS_KEY: json.dumps(nested)}, {"settings": nested}, nested):
        found, warnings = read(json.dumps(document).encode())
        assert warnings == []
        assert [(each.kind, each.value) for each in found] == [("settings", nested)]


def test_pointers_lead_to_the_place_in_the_document() -> None:
    found, _ = read(b'{"settings": {"settings": {"theme": {}}}, "runs": [{}, {}]}')
    assert [each.pointer for each in found] == ["/settings/settings", "/runs/0", "/runs/1"]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"runs": {"a": 1}}, "/runs"),
        ({"runs": 3}, "/runs"),
        ({RUNS_KEY: "[{"}, f"/{RUNS_KEY}"),
        ({"settings": [1]}, "/settings"),
        ({SETTINGS_KEY: {"reducedMotion": "yes"}}, f"/{SETTINGS_KEY}/reducedMotion"),
        ({SETTINGS_KEY: {"reducedMotion": True, "old": 1}}, f"/{SETTINGS_KEY}/old"),
        ({"sealed_api_keys": {}}, "/sealed_api_keys"),
        ({"api_credentials": [{"provider": "veo", "configured": True}]}, "/api_credentials/0"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(document: Any, pointer: str) -> None:
    _, warnings = read(json.dumps(document).encode())
    assert [warning["pointer"] for warning in warnings] == [pointer]


@pytest.mark.parametrize(
    ("document", "carried"),
    [
        ({"runs": []}, {"runs"}),
        ([], {"runs"}),
        ({RUNS_KEY: "[]"}, {"runs"}),
        ({"history": []}, {"history"}),
        ({"settings": {"settings": {}, "version": 1}}, {"settings"}),
        ({"settings": {}}, set()),
        ({"settings": None, "runs": None}, set()),
        ({"settings": {"theme": {}}, "runs": [{}]}, {"settings", "runs"}),
        ({"sealed_api_keys": {"providers": []}}, set()),
    ],
)
def test_a_part_is_carried_if_only_as_an_empty_list(document: Any, carried: set[str]) -> None:
    reader = Reader()
    for step in (reader.feed(json.dumps(document).encode()), reader.close()):
        list(step)
    assert reader.carried == carried


def test_sealed_keys_are_handed_on_only_where_a_passphrase_is_given() -> None:
    sealed = {"providers": ["veo", "runway"], "ciphertext": "x"}
    rows = [{"provider": name, "configured": True, "source": "profile"} for name in ("veo", "runway", "pika")]
    text = json.dumps({"sealed_api_keys": sealed, "api_credentials": rows}).encode()
    closed, opened = Reader(), Reader(opens_keys=True)
    assert [*closed.feed(text), *closed.close()] == []
    assert [each.pointer for each in closed.refusals.first] == [
        "/api_credentials/2",
        "/sealed_api_keys/providers/0",
        "/sealed_api_keys/providers/1",
    ]
    found = [*opened.feed(text), *opened.close()]
    assert found == [Found("sealed_api_keys", "/sealed_api_keys", sealed)]
    assert [each.pointer for each in opened.refusals.first] == ["/api_credentials/2"]
    assert opened.carried == {"api_keys"}


def test_a_key_of_the_other_servers_environment_is_nobodys_to_enter() -> None:
    rows = [{"provider": "veo", "configured": True, "source": "environment"}]
    assert read(json.dumps({"api_credentials": rows}).encode()) == ([], [])


def test_a_passphrase_for_a_document_without_sealed_keys_is_told_of() -> None:
    reader = Reader(opens_keys=True)
    assert len([*reader.feed(b'{"runs": [{}]}'), *reader.close()]) == 1
    assert "no sealed keys" in reader.refusals.first[0].message


def test_warnings_take_no_more_room_than_is_told() -> None:
    reader = Reader()
    text = b'{"runs": [' + b",".join(b'{"a":1,"a":2}' for _ in range(5000)) + b"]}"
    assert [*reader.feed(text), *reader.close()] == []
    assert (len(reader.refusals.first), reader.refusals.counts["runs"]) == (100, 5000)


@pytest.mark.parametrize("document", [b'"[{"', b'"\\"\\\\\\"'])
def test_a_document_in_a_string_that_is_cut_is_unusable(document: bytes) -> None:
    with pytest.raises(Unusable):
        read(document)


@pytest.mark.parametrize("document", [b"\xff\xfe\x00", b"[\xff]", "[1]".encode("utf-16")[:-1]])
def test_bytes_that_are_no_text_are_unusable(document: bytes) -> None:
    with pytest.raises(Unusable):
        read(document, 1)


@pytest.mark.parametrize("depth", range(240, 260))
def test_a_run_is_either_left_out_for_its_nesting_or_can_be_sent_on(depth: int) -> None:
    found, warnings = read(b'{"runs": [{"a": ' + b"[" * depth + b"]" * depth + b"}]}")
    assert len(found) + len(warnings) == 1
    assert [encode_item(each.pointer, each.kind, each.value) for each in found] or "nested" in warnings[0]["message"]
