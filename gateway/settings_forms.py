"""The shapes in which settings were kept over the years, and what each means today. Pure."""

from typing import Any, Final

# The sections of the nested model, and the two switches of the flat one that came before it.
SECTIONS: Final = frozenset({"accessibility", "preferences", "behavior", "theme", "developer"})
OF_A_PROFILE: Final = frozenset({"version", "created_at", "updated_at"})
FLAT: Final = {"reducedMotion": "accessibility", "autoFavoriteWinner": "preferences"}

Step = tuple[str, ...]
Usable = tuple[str, Step, dict[str, Any]]
Complaint = tuple[Step, str]


def is_settings_object(value: dict[str, Any]) -> bool:
    """Whether an object without a telling name is settings, by the sections or switches in it."""
    return _is_nested(value) or _is_flat(value)


def is_name_of_settings(name: str) -> bool:
    """Whether a field that cannot be read would have been settings."""
    return name in SECTIONS or name in FLAT


def read_settings(value: Any) -> tuple[list[Usable], list[Complaint]]:
    """What stands under a settings key: ([(kind, place, value)], [(place, complaint)]).

    `settings` are sections that win over those of the profile; `settings_patch` changes single values.
    """
    if value is None or value == {}:
        return [], []
    if not isinstance(value, dict):
        return [], [((), "This is not a settings object.")]
    if _is_profile(value):  # what was saved is taken as it is, whatever it looks like
        return [("settings", ("settings",), value["settings"])], []
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


def _is_profile(value: dict[str, Any]) -> bool:
    """Settings with their version or times beside them or, where somebody wrote it by hand, alone in another object."""
    inside = value.get("settings")
    return isinstance(inside, dict) and (bool(OF_A_PROFILE & value.keys()) or (len(value) == 1 and _is_nested(inside)))


def _is_nested(value: dict[str, Any]) -> bool:
    return any(isinstance(value.get(name), dict) for name in SECTIONS)


def _is_flat(value: dict[str, Any]) -> bool:
    return not _is_nested(value) and bool(FLAT.keys() & value.keys())
