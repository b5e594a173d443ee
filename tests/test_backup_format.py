"""The page that describes the backup document tells the truth: its example is one, and its digests are right."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chassis.documents import canonical
from gateway.archive import Reader
from gateway.backup import SCHEMA_VERSION
from gateway.manifest import SECTIONS

sealing = pytest.importorskip("vault_service.sealing")
travelling = pytest.importorskip("vault_service.travelling")

PAGE = (Path(__file__).parent.parent / "docs" / "backup-format.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_is_a_whole_document_of_the_current_form() -> None:
    reader = Reader()
    found = [*reader.feed(EXAMPLES[0].encode()), *reader.close()]
    assert [each.kind for each in found] == ["settings", "history", "history", "run"]
    assert json.loads(EXAMPLES[0])["schema_version"] == SCHEMA_VERSION


def test_the_canonical_form_and_its_digest_are_those_of_the_example() -> None:
    (run,) = json.loads(EXAMPLES[0])["runs"]
    assert canonical(run) + b"\n" == EXAMPLES[1].encode()
    digest = hashlib.sha256(EXAMPLES[1].encode()).hexdigest()
    assert json.loads(EXAMPLES[0])["manifest"]["sha256"]["runs"] == digest
    assert f"gives `{digest}`" in PAGE


def test_the_reader_in_python_that_the_page_gives_agrees() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)
    example = json.loads(EXAMPLES[0])
    for section in ("history", "runs", "api_credentials"):
        assert names["digest"](example[section]) == example["manifest"]["sha256"][section]


def test_the_sealed_example_opens_with_its_passphrase() -> None:
    sealed = json.loads(EXAMPLES[2])
    opened = travelling.open_all(sealed, SecretStr("zażółć gęślą jaźń"))
    assert {provider: key.get_secret_value() for provider, key in opened.items()} == {
        "runway": "rk_live_an_example_key"
    }
    assert all(f"`{said}`" in PAGE for said in ("zażółć gęślą jaźń", "rk_live_an_example_key"))


def test_every_section_and_every_sealed_field_is_described() -> None:
    for name in (*SECTIONS, "manifest", *travelling.SealedKeys.model_fields, *travelling.Derivation.model_fields):
        assert f"`{name}`" in PAGE, name
    for number in (travelling.MOST_PASSES, travelling.MOST_MEMORY_KIB, travelling.PADDED_TO, sealing.ARGON2_PASSES):
        assert str(number) in PAGE
