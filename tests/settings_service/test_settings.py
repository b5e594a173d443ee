"""The configuration, and the model of what a profile can hold."""

from pathlib import Path
from typing import Any

import pytest

from chassis.settings import load
from settings_service.entries import wrong_leaves
from settings_service.models import DEFAULTS
from settings_service.presets import PRESETS
from settings_service.settings import Settings


def test_the_file_and_the_address_follow_the_common_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_WEB_DB_PATH", "/somewhere/animatize_web.db")
    monkeypatch.setenv("ANIMATIZE_PORT", "9000")
    settings = load(Settings)
    assert settings.database == Path("/somewhere/animatize_web.settings.db")
    assert settings.listen == ("127.0.0.1", 9002)


def test_the_defaults_are_the_ones_that_the_console_knows() -> None:
    assert DEFAULTS == {
        "accessibility": {"reducedMotion": False, "highContrastFocus": True, "announceStatusChanges": True},
        "preferences": {
            "autoFavoriteWinner": False,
            "autoOpenCompare": True,
            "defaultPreset": "cinematic-balanced",
            "defaultAspectRatio": "16:9",
            "defaultDuration": 6,
            "defaultVariants": 3,
        },
        "behavior": {
            "autoSave": True,
            "autoSaveDelayMs": 700,
            "renderQuality": "balanced",
            "parallelPreviews": 2,
            "confirmBeforeClear": True,
        },
        "theme": {"mode": "darkroom", "accent": "amber", "grain": 0.35, "contrast": 1.0, "density": "comfortable"},
        "developer": {
            "showRawPayload": False,
            "enableDebugOverlay": False,
            "enableKeyboardTimeline": True,
            "gestureNavigation": True,
        },
    }


RANGES: dict[str, tuple[list[Any], list[Any]]] = {
    "preferences.defaultDuration": ([2, 6.0, 20], [1, 21, 6.5, "6", True, None]),
    "preferences.defaultVariants": ([2, 5], [1, 6]),
    "preferences.defaultPreset": ([preset.id for preset in PRESETS.presets], ["undefined", "", 1]),
    "preferences.defaultAspectRatio": (["16:9", "9:16", "1:1", "4:5"], ["4:3", None]),
    "behavior.autoSaveDelayMs": ([250, 5000], [249, 5001]),
    "behavior.parallelPreviews": ([1, 4], [0, 5]),
    "behavior.renderQuality": (["balanced", "high", "fast"], ["best"]),
    "theme.accent": (["amber", "teal", "crimson"], ["Amber", "pink"]),
    "theme.grain": ([0, 0.5, 1], [-0.01, 1.01, "0.5", False]),
    "theme.contrast": ([0.9, 1, 1.2], [0.89, 1.21]),
    "theme.mode": (["darkroom", "daylight"], ["", "x" * 65, 7]),
    "theme.density": (["comfortable", "compact"], [None, {}]),
    "developer.showRawPayload": ([True, False], [1, 0, "true", None]),
}


@pytest.mark.parametrize("place", RANGES)
def test_a_known_key_takes_what_is_in_its_range_and_nothing_else(place: str) -> None:
    section, key = place.split(".")
    good, bad = RANGES[place]
    assert [value for value in good if wrong_leaves({section: {key: value}})] == []
    for value in bad:
        assert [wrong.leaf for wrong in wrong_leaves({section: {key: value}})] == [(section, key)], value


@pytest.mark.parametrize("section", DEFAULTS)
@pytest.mark.parametrize("value", [None, True, 1, "text", [], [{}]])
def test_a_known_section_is_an_object(section: str, value: object) -> None:
    assert [wrong.leaf for wrong in wrong_leaves({section: value})] == [(section,)]


def test_unknown_keys_may_hold_anything_also_names_that_python_uses() -> None:
    names = [
        "model_config",
        "__class__",
        "__dict__",
        "__pydantic_extra__",
        "model_fields",
        "self",
        "",
        "reduced_motion",
    ]
    odd = {name: [None, {"x": 1}] for name in names}
    assert wrong_leaves({**odd, **dict.fromkeys(DEFAULTS, odd)}) == []
