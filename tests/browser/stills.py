"""Film stills to look at, drawn by numbers: `still(number)` is the same picture each time, 640 by 360.

Each is a sky, ridges before it from back to front, and lights over all: matters of rows, of columns, or of a row's and
a column's part multiplied, so that Python alone draws one in about a second.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from tests.browser.pictures import Colour, mixed, png

WIDTH, HEIGHT = 640, 360
BLACK: Final = (0, 0, 0)
WHITE_HOT: Final = (255, 240, 220)


class Mood(NamedTuple):
    high: Colour
    low: Colour
    far: Colour
    near: Colour
    light: Colour


class Ridge(NamedTuple):
    """Where it begins in each column, from the top; its colour at the top of the picture and at the bottom."""

    tops: list[float]
    high: Colour
    low: Colour


class Light(NamedTuple):
    """Where it is and how wide, in parts of width and height."""

    x: float
    y: float
    wide: float
    high: float
    colour: Colour


Lit = tuple[float, float, float]
Scene = tuple[list[Ridge], list[Light]]

MOODS: Final = (
    Mood((18, 24, 48), (236, 150, 92), (92, 66, 84), (14, 12, 20), (255, 190, 110)),
    Mood((8, 22, 34), (96, 152, 158), (38, 74, 84), (6, 12, 16), (170, 230, 220)),
    Mood((30, 12, 30), (206, 74, 66), (96, 36, 56), (16, 6, 14), (255, 120, 90)),
    Mood((16, 16, 22), (134, 132, 140), (72, 72, 82), (12, 12, 16), (230, 226, 210)),
    Mood((10, 14, 40), (92, 84, 168), (48, 44, 100), (8, 8, 22), (150, 160, 255)),
    Mood((36, 26, 14), (222, 186, 120), (128, 96, 58), (22, 16, 10), (255, 232, 170)),
)


def still(number: int) -> bytes:
    """One of as many as there are scenes and moods; then they begin again."""
    mood, scene = MOODS[number % len(MOODS)], SCENES[number // len(MOODS) % len(SCENES)]
    return png(WIDTH, HEIGHT, _drawn(mood, *scene(mood, random.Random(number))))


def _mountains(mood: Mood, chance: random.Random) -> Scene:
    """Three ranges in the haze, and the sun behind."""
    depths = ((0.45, 0.13, 0.3), (0.6, 0.1, 0.6), (0.78, 0.08, 1.0))
    ridges = [_range(level, rise, mood, depth, chance) for level, rise, depth in depths]
    x = chance.uniform(0.25, 0.75)
    return ridges, [Light(x, 0.42, 0.32, 0.3, mood.light), Light(x, 0.42, 0.045, 0.075, WHITE_HOT)]


def _city(mood: Mood, chance: random.Random) -> Scene:
    """Towers at night; somebody is still awake behind some windows."""
    ridges = [_towers(level, mood, depth, chance) for level, depth in ((0.34, 0.45), (0.56, 0.95))]
    places = [(chance.random(), chance.uniform(0.5, 0.95)) for _ in range(chance.randint(14, 22))]
    windows = [Light(x, y, 0.008, 0.014, (255, 214, 140)) for x, y in places]
    return ridges, [Light(chance.uniform(0.3, 0.7), 0.6, 0.5, 0.35, mixed(BLACK, mood.light, 0.6)), *windows]


def _sea(mood: Mood, chance: random.Random) -> Scene:
    """Still water, a low sun and its path, one boat."""
    x, horizon = chance.uniform(0.3, 0.7), 0.58
    water = Ridge([horizon * HEIGHT] * WIDTH, mood.far, mood.near)
    boat = chance.choice((x - 0.22, x + 0.22))
    vessel = Ridge([_boat(column - boat * WIDTH) for column in range(WIDTH)], mood.near, mood.far)
    shadow = Ridge([(horizon + 0.045) * HEIGHT] * WIDTH, mood.far, mood.near)
    path = [Light(x, 0.62 + step * 0.045, 0.03 + step * 0.014, 0.009, mood.light) for step in range(8)]
    suns = [Light(x, 0.54, 0.3, 0.26, mood.light), Light(x, 0.53, 0.04, 0.07, WHITE_HOT)]
    return [water, vessel, shadow], [*suns, *path]


def _figure(mood: Mood, chance: random.Random) -> Scene:
    """Somebody on a hill, before the light."""
    x = chance.uniform(0.35, 0.65)
    hill = [0.84 * HEIGHT - 46 * math.exp(-(((column / WIDTH - x) * 3) ** 2)) for column in range(WIDTH)]
    person = [top - _person(column - x * WIDTH) for column, top in enumerate(hill)]
    ridges = [_range(0.66, 0.06, mood, 0.4, chance), Ridge(person, mood.near, mood.near)]
    cloud = Light(x + 0.1, 0.26, 0.5, 0.06, mixed(BLACK, mood.light, 0.3))
    return ridges, [Light(x, 0.56, 0.24, 0.34, mixed(BLACK, mood.light, 0.85)), cloud]


SCENES: Final[tuple[Callable[[Mood, random.Random], Scene], ...]] = (_mountains, _city, _sea, _figure)


def _range(level: float, rise: float, mood: Mood, depth: float, chance: random.Random) -> Ridge:
    waves = [(rise / 2**octave, 2.3**octave * 1.4, chance.uniform(0, 6.3)) for octave in range(6)]
    slopes = [sum(a * math.sin(f * x / WIDTH * 6.3 + start) for a, f, start in waves) for x in range(WIDTH)]
    tops = [(level - slope) * HEIGHT for slope in slopes]
    return Ridge(tops, mixed(mood.low, mood.near, depth), mixed(mood.far, mood.near, depth))


def _towers(level: float, mood: Mood, depth: float, chance: random.Random) -> Ridge:
    tops: list[float] = []
    while len(tops) < WIDTH:
        tops += [(level + chance.uniform(-0.14, 0.3)) * HEIGHT] * chance.randint(18, 58)
    return Ridge(tops[:WIDTH], mixed(mood.far, mood.near, depth), mixed(mood.far, mood.near, depth**0.5))


def _boat(across: float) -> float:
    """Where it begins, so many columns from its mast: the sails slope, the hull is below."""
    if abs(across) > 24:
        return HEIGHT
    return 214 - max(0.0, 46 - 2.6 * across if across > 1 else 40 + 3.4 * across)


def _person(across: float) -> float:
    """How far somebody in a cloak stands out of the ground, so many columns from the middle."""
    far = abs(across)
    if far < 4:
        return 56 + math.sqrt(16 - far * far) * 1.6
    return 50 - 0.14 * far * far if far < 14 else 0


def _drawn(mood: Mood, ridges: Sequence[Ridge], lights: Sequence[Light]) -> bytes:
    tops = list(zip(*(ridge.tops for ridge in ridges), strict=True))
    across = [[_bell((x / WIDTH - light.x) / light.wide) for x in range(WIDTH)] for light in lights]
    pixels = bytearray()
    for y in range(HEIGHT):
        down = y / HEIGHT
        sky = mixed(mood.high, mood.low, down**1.2)
        colours = [mixed(ridge.high, ridge.low, down) for ridge in ridges]
        strengths = [_bell((down - light.y) / light.high) for light in lights]
        shining = [(much, light.colour, row) for much, light, row in zip(strengths, lights, across, strict=True)]
        shining = [each for each in shining if each[0] > 0.02]
        for x in range(WIDTH):
            colour, hidden = _before(sky, zip(tops[x], colours, strict=True), y + 1)
            colour = _lit(colour, ((much * row[x], light) for much, light, row in shining), 1 - 0.65 * hidden)
            dark = (1 - (down - 0.5) ** 2) * (1 - (x / WIDTH - 0.5) ** 2 * 1.1)
            pixels += bytes(int(part * dark) for part in colour)
    return bytes(pixels)


def _before(sky: Lit, ridges: Iterable[tuple[float, Colour]], y: int) -> tuple[Lit, float]:
    """What stands before the sky there, and how much of the sky it hides: at an edge, the part that it covers."""
    colour, hidden = sky, 0.0
    for top, ridge in ridges:
        covered = y - top
        if covered >= 1:
            colour, hidden = ridge, 1.0
        elif covered > 0:
            red, green, blue = ((b - a) * covered + a for a, b in zip(colour, ridge, strict=True))
            colour, hidden = (red, green, blue), max(hidden, covered)
    return colour, hidden


def _lit(colour: Lit, lights: Iterable[tuple[float, Colour]], much: float) -> Lit:
    """As two projectors on one screen add up: never more than white."""
    red, green, blue = colour
    for strength, light in lights:
        part = strength * much / 255
        if part > 0.00004:
            red += (255 - red) * light[0] * part
            green += (255 - green) * light[1] * part
            blue += (255 - blue) * light[2] * part
    return red, green, blue


def _bell(distance: float) -> float:
    return math.exp(-2 * distance * distance)
