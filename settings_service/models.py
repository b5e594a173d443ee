"""What crosses the wire: the known settings with their ranges and defaults, the bodies, queries and answers.

The models check and describe. What is stored is the value as it was sent, never a model's own rendering of it.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from chassis.documents import LARGEST_INTEGER
from settings_service.presets import PresetId


def _as_whole(value: object) -> object:
    """`6.0` is the number `6` (RFC 8785)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_as_whole)]
ShortName = Annotated[str, Field(min_length=1, max_length=64)]


class Object(BaseModel):
    """A JSON object whose members are taken for what they are: `true` is not `1`, `"1"` is not `1`."""

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _is_object(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise PydanticCustomError("object", "Input should be an object")
        return value


class Open(Object):
    """Members not named here are allowed, and kept. The names are the console's: `grainSize` for `grain_size`."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel)


class Accessibility(Open):
    reduced_motion: bool = False
    high_contrast_focus: bool = True
    announce_status_changes: bool = True


class Preferences(Open):
    auto_favorite_winner: bool = False
    auto_open_compare: bool = True
    default_preset: PresetId = "cinematic-balanced"
    default_aspect_ratio: Literal["16:9", "9:16", "1:1", "4:5"] = "16:9"
    default_duration: Whole = Field(6, ge=2, le=20, description="seconds")
    default_variants: Whole = Field(3, ge=2, le=5)


class Behavior(Open):
    auto_save: bool = True
    auto_save_delay_ms: Whole = Field(700, ge=250, le=5000)
    render_quality: Literal["balanced", "high", "fast"] = "balanced"
    parallel_previews: Whole = Field(2, ge=1, le=4)
    confirm_before_clear: bool = True


class Theme(Open):
    mode: ShortName = "darkroom"
    accent: Literal["amber", "teal", "crimson"] = "amber"
    grain: float = Field(0.35, ge=0, le=1)
    contrast: float = Field(1.0, ge=0.9, le=1.2)
    density: ShortName = "comfortable"


class Developer(Open):
    show_raw_payload: bool = False
    enable_debug_overlay: bool = False
    enable_keyboard_timeline: bool = True
    gesture_navigation: bool = True


class KnownSettings(Open):
    """Every section and every key may be absent; what is there is checked."""

    accessibility: Accessibility = Accessibility()
    preferences: Preferences = Preferences()
    behavior: Behavior = Behavior()
    theme: Theme = Theme()
    developer: Developer = Developer()


DEFAULTS: Final[dict[str, Any]] = KnownSettings().model_dump(by_alias=True)


class SaveSettings(Object):
    """The body of PUT /api/settings."""

    model_config = ConfigDict(extra="forbid")

    settings: KnownSettings
    change_note: str | None = Field(None, max_length=500)


class SettingsPatch(Object):
    """A JSON Merge Patch (RFC 7396) of the settings: null removes a key, objects are merged, all else is put in place.

    What it puts in place is checked as PUT checks settings.
    """

    model_config = ConfigDict(extra="allow")


class PatchQuery(BaseModel):
    """`base` is the version that the patch was made against: it is applied if nobody has changed since what it touches.
    Without, it is applied to the settings as they are.
    """

    model_config = ConfigDict(extra="forbid")

    change_note: str | None = Field(None, max_length=500)
    base: int | None = Field(None, ge=1, le=LARGEST_INTEGER)


class HistoryQuery(BaseModel):
    """A page of the history: at most `limit` entries older than the entry `before`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(25, ge=1, le=100)
    before: int | None = Field(None, ge=1, le=LARGEST_INTEGER)


class SavedSettings(BaseModel):
    settings: KnownSettings
    version: int
    updated_at: str


class Profile(SavedSettings):
    created_at: str


class Version(BaseModel):
    """One entry of the history. `id` and `version` are the same number, unique within its owner."""

    id: int
    version: int
    settings: dict[str, Any]
    change_note: str
    created_at: str
    restored_from: int | None


class History(BaseModel):
    """Newest first; `next_before` leads to older ones, and is null at the end. `pruned`: how many of the oldest the
    operator has removed, since no more are kept here."""

    history: list[Version]
    next_before: int | None
    pruned: int


class Change(BaseModel):
    """One place where two settings differ; the side where `path` (RFC 6901) is absent is null."""

    path: str
    before: Any
    after: Any
    kind: Literal["added", "removed", "changed"]


class Changes(BaseModel):
    changes: list[Change]
