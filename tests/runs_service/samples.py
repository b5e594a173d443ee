"""Runs to write: small made ones, and the real ones of older builds."""

import json
from base64 import b64encode
from typing import Any

import pytest

from tests.conftest import LEGACY

RUNS_KEY = "animatize_ui_runs_v2"
DOCUMENTS = ("legacy-stringified", "legacy-parsed", "legacy-runs-only", "legacy-full-quota", "upstream-backup")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def data_url(content: bytes = PNG, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def run(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A run as the console writes them, the later the higher its number."""
    run_id = f"R{number:08x}"
    return {
        "run_id": run_id,
        "created_at": f"2026-11-22T10:00:00.{number:06}+00:00",
        "status": "success",
        "intent": 'Powolny najazd — żółw 龜 🐢 "<b>" &amp;\r\n',
        "preset": "undefined",
        "params": {"duration": 6, "provider": None, "provider_requested": "null", "motion": 0.5, "whole": 1.0},
        "source_image": {"filename": "klatka.png", "content_type": "image/png", "bytes": len(PNG)},
        "analysis": {"nothing": {}},
        "variants": [
            {"id": f"{run_id}-v{n}", "favorite": False, "prompt_text": f"Ujęcie {n}", "compiled_prompt": {"n": n},
             "execution": None, "error": None}
            for n in (1, 2)
        ],
        "unknown": {"kept": [1, 2.5, None, True]},
        **fields,
    }  # fmt: skip


def favored(number: int = 1, **fields: Any) -> dict[str, Any]:
    """The same with its second variant a favourite."""
    made = run(number, **fields)
    made["variants"][1]["favorite"] = True
    return made


def legacy_runs(name: str) -> list[dict[str, Any]]:
    """The runs of a full-size document, where those are at hand."""
    file = LEGACY / f"{name}.json"
    if not file.exists():
        pytest.skip(f"the full-size document {file.name} is not on this machine")
    document = json.loads(file.read_text(encoding="utf-8"))
    runs = document.get(RUNS_KEY, document.get("runs"))
    found: list[dict[str, Any]] = json.loads(runs) if isinstance(runs, str) else runs
    return found
