"""The sample documents, and the variations of them that people hand in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LEGACY

DATA = Path(__file__).parent / "data"
RUNS_KEY, SETTINGS_KEY = "animatize_ui_runs_v2", "animatize_ui_settings_v2"
BIG = ("legacy-stringified", "legacy-parsed", "legacy-runs-only", "legacy-settings-only", "legacy-full-quota")


def export() -> dict[str, Any]:
    """The browser's export with both values parsed."""
    raw = json.loads((DATA / "browser-export.json").read_text(encoding="utf-8"))
    return {key: json.loads(value) for key, value in raw.items()}


def older_backup() -> dict[str, Any]:
    backup: dict[str, Any] = json.loads((DATA / "older-backup.json").read_text(encoding="utf-8"))
    return backup


def legacy(name: str) -> bytes:
    """A full-size document, where they are at hand."""
    file = LEGACY / f"{name}.json"
    if not file.exists():
        pytest.skip(f"the full-size document {file.name} is not on this machine")
    return file.read_bytes()


def parsed(document: bytes) -> dict[str, Any]:
    """What a browser's export holds, whether its values are strings or not."""
    values = json.loads(document)
    return {key: json.loads(value) if isinstance(value, str) else value for key, value in values.items()}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# name: (bytes of the document, whether it carries the runs, whether it carries the settings)
VARIATIONS: dict[str, tuple[Callable[[dict[str, Any]], bytes], bool, bool]] = {
    "both values parsed": (lambda e: _text(e).encode(), True, True),
    "both values strings": (lambda e: _text({k: _text(v) for k, v in e.items()}).encode(), True, True),
    "runs a string, settings parsed": (lambda e: _text(e | {RUNS_KEY: _text(e[RUNS_KEY])}).encode(), True, True),
    "only the runs": (lambda e: _text({RUNS_KEY: e[RUNS_KEY]}).encode(), True, False),
    "only the settings": (lambda e: _text({SETTINGS_KEY: e[SETTINGS_KEY]}).encode(), False, True),
    "runs null": (lambda e: _text(e | {RUNS_KEY: None}).encode(), False, True),
    "settings null": (lambda e: _text(e | {SETTINGS_KEY: None}).encode(), True, False),
    "runs the string null": (lambda e: _text(e | {RUNS_KEY: "null"}).encode(), False, True),
    "runs empty": (lambda e: _text(e | {RUNS_KEY: []}).encode(), False, True),
    "a bare list of runs": (lambda e: _text(e[RUNS_KEY]).encode(), True, False),
    "bare settings": (lambda e: _text(e[SETTINGS_KEY]).encode(), False, True),
    "other applications' keys": (lambda e: _text({"theme": "dark", "n": 3, **e, "x": "{"}).encode(), True, True),
    "a byte order mark": (lambda e: b"\xef\xbb\xbf" + _text(e).encode(), True, True),
    "CRLF and indentation": (
        lambda e: json.dumps(e, ensure_ascii=False, indent=2).replace("\n", "\r\n").encode(),
        True,
        True,
    ),
    "UTF-16 with a mark": (lambda e: _text(e).encode("utf-16"), True, True),
    "UTF-16 without a mark": (lambda e: _text(e).encode("utf-16-be"), True, True),
    "encoded once more as a string": (lambda e: _text(_text(e)).encode(), True, True),
    "encoded twice, values strings": (
        lambda e: _text(_text({k: _text(v) for k, v in e.items()})).encode(),
        True,
        True,
    ),
    "ASCII escapes": (lambda e: json.dumps(e, ensure_ascii=True).encode(), True, True),
}
