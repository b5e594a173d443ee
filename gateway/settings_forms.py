"""The shapes in which settings were kept over the years, and what each means today. Pure."""

from typing import Any, Final

# The sections of the nested model, and the two switches of the flat one that came before it.
SECTIONS: Final = frozenset({"accessibility", "preferences", "behavior", "theme", "developer"})
FLAT: Final = {"reducedMotion": "accessibility", "autoFavoriteWinner": "preferences"}

Step = tuple[str, ...]
Usable = tuple[str, Step, dict[str, Any]]
Complaint = tuple[Step, str]


def is_settings_object(value: dict[str, Any]) -> bool:
    """Whether an object without a telling name is settings, by the sections or switches in it."""
    return _is_nested(value) or _is_flat(value)


def read_settings(value: Any) -> tuple[list[Usable], list[Complaint]]:
    """What stands under a settings key: ([(kind, place, value)], [(place, complaint)]).

    `settings` are sections that win over those of the profile; `settings_patch` changes single values.
    """
    if value is None or value == {}:
        return [], []
    if not isinstance(value, dict):
        return [], [((), "This is not a settings object.")]
    if isinstance(value.get("settings"), dict) and not _is_nested(value):  # a profile: settings, version, times
        if value["settings"] == {}:  # a profile that was saved as empty
            return [("settings", ("settings",), {})], []
        found, complaints = read_settings(value["settings"])
        return (
            [(kind, ("settings", *place), usable) for kind, place, usable in found],
            [(("settings", *place), message) for place, message in complaints],
        )
    if _is_flat(value):
        return _from_flat(value)
    return [("settings", (), value)], []


def _from_flat(value: dict[str, Any]) -> tuple[list[Usable], list[Complaint]]:
    found: list[Usable] = []
    complaints: list[Complaint] = []
    for name, switched in value.items():
        if name not in FLAT:
            complaints.append(((name,), "This is not a setting of the older console."))
        elif isinstance(switched, bool):
            found.append(("settings_patch", (name,), {FLAT[name]: {name: switched}}))
        else:
            complaints.append(((name,), "This switch is neither true nor false."))
    return found, complaints


def _is_nested(value: dict[str, Any]) -> bool:
    return any(isinstance(value.get(name), dict) for name in SECTIONS)


def _is_flat(value: dict[str, Any]) -> bool:
    return not _is_nested(value) and bool(FLAT.keys() & value.keys())
