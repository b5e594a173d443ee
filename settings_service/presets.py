"""The three ways to weigh steadiness of the picture against speed that the console offers."""

from typing import Final, Literal

from pydantic import BaseModel

PresetId = Literal["cinematic-balanced", "coherence-first", "speed-first"]


class Preset(BaseModel):
    """`temporal_priority`: how much a sequence gives for frames that agree with each other."""

    id: PresetId
    name: str
    description: str
    temporal_priority: Literal["medium", "high", "critical"]


class Presets(BaseModel):
    presets: list[Preset]


PRESETS: Final = Presets(
    presets=[
        Preset(
            id="cinematic-balanced",
            name="Cinematic balanced",
            description="Film-like movement and steady subjects in equal measure; a good start for most shots.",
            temporal_priority="high",
        ),
        Preset(
            id="coherence-first",
            name="Coherence first",
            description="Faces, objects and light stay the same from frame to frame, at the price of bolder movement.",
            temporal_priority="critical",
        ),
        Preset(
            id="speed-first",
            name="Speed first",
            description="Quick drafts to compare ideas; small jumps between frames are accepted.",
            temporal_priority="medium",
        ),
    ]
)
