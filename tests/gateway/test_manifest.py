"""The manifest finds any damage to the items of a document, and nothing that is only another way of writing them."""

import hashlib
import json
from copy import deepcopy
from typing import Any

import orjson
import pytest

from gateway.archive import Damaged, Found, Reader
from gateway.manifest import Tally
from gateway.scanning import Unusable

PROFILE: dict[str, Any] = {"settings": {"theme": {"grain": 0.5}}, "version": 2, "created_at": "a", "updated_at": "b"}
HISTORY: list[dict[str, Any]] = [{"id": 2, "settings": {}}, {"id": 1, "settings": {"ż": 1}}]
RUNS: list[dict[str, Any]] = [{"run_id": "a", "z": 1.0, "b": "龜"}, {"run_id": "b"}]
KEYS: list[dict[str, Any]] = [{"provider": "veo", "configured": False}]


def document() -> dict[str, Any]:
    sections: dict[str, list[Any]] = {"settings": [PROFILE], "history": HISTORY, "runs": RUNS, "api_credentials": KEYS}
    tally = Tally()
    for section, items in sections.items():
        for item in items:
            tally.add(section, item)
    whole = {"schema_version": "x", "settings": PROFILE, "history": HISTORY, "runs": RUNS, "api_credentials": KEYS}
    return deepcopy({**whole, "manifest": tally.manifest()})


def read(whole: Any, **style: Any) -> list[Found]:
    return read_bytes(json.dumps(whole, **style).encode())


def read_bytes(text: bytes) -> list[Found]:
    reader = Reader()
    found = [each for start in range(0, len(text), 50) for each in reader.feed(text[start : start + 50])]
    return [*found, *reader.close()]


def test_a_section_is_hashed_as_the_canonical_forms_of_its_items_one_a_line() -> None:
    tally = Tally()
    tally.add("runs", {"b": 1.0, "a": "ż"})
    tally.add("runs", {})
    expected = hashlib.sha256('{"a":"ż","b":1}\n{}\n'.encode()).hexdigest()
    assert tally.manifest() == {"counts": {"runs": 2}, "sha256": {"runs": expected}}


def test_a_document_as_it_was_made_is_taken_however_it_is_written() -> None:
    for style in ({}, {"indent": 4}, {"sort_keys": True}, {"ensure_ascii": False}, {"separators": (",", ":")}):
        assert len(read(document(), **style)) == 5
    reordered = document()
    reordered["runs"] = [dict(reversed(run.items())) for run in RUNS]
    assert len(read({"manifest": reordered.pop("manifest"), **reordered})) == 5
    assert len(read(json.dumps(document()))) == 5, "encoded once more, as a string"


CHANGES: dict[str, Any] = {
    "a run less": lambda it: it["runs"].pop(),
    "a run more": lambda it: it["runs"].append({"run_id": "c"}),
    "a run twice": lambda it: it["runs"].append(it["runs"][0]),
    "runs in another order": lambda it: it["runs"].reverse(),
    "another intent": lambda it: it["runs"][0].update(b="龍"),
    "true for one": lambda it: it["runs"][0].update(z=True),
    "a history entry less": lambda it: it["history"].pop(0),
    "no runs at all": lambda it: it.pop("runs"),
    "no settings": lambda it: it.pop("settings"),
    "another version": lambda it: it["settings"].update(version=3),
    "another key status": lambda it: it["api_credentials"][0].update(configured=True),
    "keys from nowhere": lambda it: it.update(sealed_api_keys={"ciphertext": ""}),
    "a count that lies": lambda it: it["manifest"]["counts"].update(runs=3),
    "a count that is no number": lambda it: it["manifest"]["counts"].update(runs=[2]),
    "another hash": lambda it: it["manifest"]["sha256"].update(runs="0" * 64),
    "a hash that is none": lambda it: it["manifest"]["sha256"].update(runs=7),
    "a hash less": lambda it: it["manifest"]["sha256"].pop("runs"),
    "a section that is not there": lambda it: it["manifest"]["counts"].update(films=1),
    "no counts": lambda it: it["manifest"].pop("counts"),
    "an empty manifest": lambda it: it["manifest"].clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_document_that_was_changed_is_refused(change: str) -> None:
    whole = document()
    CHANGES[change](whole)
    with pytest.raises(Damaged, match="not as it was made"):
        read(whole)


def test_every_changed_byte_of_an_item_is_found() -> None:
    text = orjson.dumps(document())
    for place in range(text.index(b'"runs":') + 7, text.index(b',"api_credentials"')):
        for other in {text[place] ^ 1, ord("0"), ord(" ")} - {text[place]}:
            damaged = text[:place] + bytes([other]) + text[place + 1 :]
            with pytest.raises(Unusable):
                read_bytes(damaged)


def test_a_document_without_a_manifest_is_taken() -> None:
    whole = document()
    del whole["manifest"]
    whole["runs"].pop()
    assert len(read(whole)) == 4
