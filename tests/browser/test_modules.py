"""The console's pure modules, in the browser that runs them, against the same rules and values in the server."""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest_asyncio
from playwright.async_api import Page

from chassis.documents import pointer, same
from settings_service.merging import merge_patch
from settings_service.models import DEFAULTS, KnownSettings
from tests.settings_service.test_merging import RFC_7396_APPENDIX_A

CHANCE: Final = random.Random(7396)
NUMBER: Final = 60
LEAVES: Final[tuple[Any, ...]] = (None, True, False, 0, 1, 0.5, "", "a", "ż", [], [1], [None, {"a": 1}], {})
NAMES: Final = ("a", "b", "c", "~/", "length", "constructor", "__proto__")
PLAIN: Final = NAMES[:-1]
UNSET: Final = object()


@pytest_asyncio.fixture(loop_scope="package")
async def console(page: Page) -> Page:
    await page.goto("/")
    return page


async def called(page: Page, function: str, calls: Sequence[Sequence[Any]], module: str = "merging") -> list[Any]:
    """What a function of a module gives for each list of arguments; nothing is null."""
    text = f"""calls => import("/console/{module}.js").then(
      (all) => calls.map((call) => JSON.stringify(all.{function}(...JSON.parse(call))) ?? "null"))"""
    return [json.loads(each) for each in await page.evaluate(text, [json.dumps(call) for call in calls])]


def value(depth: int = 3) -> Any:
    if depth == 0 or CHANCE.random() < 0.3:
        return CHANCE.choice(LEAVES)
    return {name: value(depth - 1) for name in CHANCE.sample(NAMES, CHANCE.randint(0, 4))}


def like_settings(null: float = 0.0) -> dict[str, dict[str, Any]]:
    """Sections of leaves, as all settings are; in a patch some of both are removed."""
    sections = CHANCE.sample(PLAIN, CHANCE.randint(0, 4))
    return {
        section: {
            name: None if CHANCE.random() < null else CHANCE.choice([leaf for leaf in LEAVES[1:] if leaf != {}])
            for name in CHANCE.sample(PLAIN, CHANCE.randint(0, 3))
        }
        for section in sections
    }


def at(settings: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        settings = settings.get(key, UNSET) if isinstance(settings, Mapping) else UNSET
    return settings


def equal(one: Any, other: Any) -> bool:
    return one is other or (UNSET not in (one, other) and same(one, other))


def touched(patch: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(patch, dict):
        return [path]
    return [place for name, inner in patch.items() for place in touched(inner, (*path, name))]


async def test_merged_does_what_the_rfc_shows(console: Page) -> None:
    examples = [[target, patch] for target, patch, _ in RFC_7396_APPENDIX_A]
    assert await called(console, "merged", examples) == [result for _, _, result in RFC_7396_APPENDIX_A]


async def test_merged_does_what_the_server_does(console: Page) -> None:
    pairs = [[value(), value()] for _ in range(NUMBER)]
    assert await called(console, "merged", pairs) == [merge_patch(*pair) for pair in pairs]


async def test_two_patches_combined_do_what_one_after_the_other_does(console: Page) -> None:
    triples = [[like_settings(), like_settings(0.3), like_settings(0.3)] for _ in range(NUMBER)]
    combined = await called(console, "combined", [[first, second] for _, first, second in triples])
    for (settings, first, second), both in zip(triples, combined, strict=True):
        assert merge_patch(settings, both) == merge_patch(merge_patch(settings, first), second)


async def test_combining_is_associative_and_nothing_is_its_neutral_element(console: Page) -> None:
    triples = [[like_settings(0.3) for _ in range(3)] for _ in range(NUMBER)]
    left = await called(console, "combined", [[one, two] for one, two, _ in triples])
    left = await called(console, "combined", [[both, three[2]] for both, three in zip(left, triples, strict=True)])
    right = await called(console, "combined", [[two, three] for _, two, three in triples])
    right = await called(console, "combined", [[three[0], both] for both, three in zip(right, triples, strict=True)])
    assert left == right
    patches = [each[0] for each in triples]
    assert await called(console, "combined", [[{}, patch] for patch in patches]) == patches
    assert await called(console, "combined", [[patch, {}] for patch in patches]) == patches


async def test_a_patch_touches_two_settings_where_they_differ_in_a_place_that_it_sets(console: Page) -> None:
    triples = [[like_settings(0.3), like_settings(), like_settings()] for _ in range(NUMBER)]
    told = await called(console, "touches", triples)
    expected = [any(not equal(at(a, path), at(b, path)) for path in touched(patch)) for patch, a, b in triples]
    assert told == expected
    assert len(set(expected)) == 2


async def test_values_are_the_same_where_the_server_says_so(console: Page) -> None:
    pairs = [[value(2), value(2)] for _ in range(NUMBER)] + [[one, other] for one in LEAVES for other in LEAVES]
    assert await called(console, "same", pairs) == [same(*pair) for pair in pairs]


async def test_a_pointer_leads_to_its_path(console: Page) -> None:
    paths = [["theme", "grain"], ["a/b", "~", "~1", "~01", ""], ["ż"], []]
    assert await called(console, "pathOf", [[pointer(*path)] for path in paths]) == paths


async def test_every_control_has_the_default_the_range_and_the_choices_of_the_server(console: Page) -> None:
    known = await console.evaluate("""import("/console/words.js").then(({SETTINGS}) => SETTINGS.map(
        ({shown, ...rest}) => rest))""")
    schema = KnownSettings.model_json_schema(by_alias=True)
    for setting in known:
        section, key = setting["path"]
        assert setting["otherwise"] == DEFAULTS[section][key], key
        rule = schema["$defs"][section.capitalize()]["properties"][key]
        rule = schema["$defs"].get(rule.get("$ref", "").rpartition("/")[2], rule)
        if setting["kind"] == "range":
            assert (setting["least"], setting["most"]) == (rule["minimum"], rule["maximum"]), key
        if "enum" in rule:
            assert sorted(setting["options"]) == sorted(rule["enum"]), key
    assert {"theme/mode"} == {f"{section}/{key}" for section in DEFAULTS for key in DEFAULTS[section]} - {
        "/".join(setting["path"]) for setting in known
    }


async def test_an_address_says_which_view_of_what_with_which_filter(console: Page) -> None:
    text = """hashes => import("/console/router.js").then(({placeOf}) => hashes.map((hash) => {
      const {name, rest, query} = placeOf(hash)
      return [name, rest, query.toString()]
    }))"""
    places = {
        "": ["library", "", ""],
        "#/library?q=fog+on&favorite=true": ["library", "", "q=fog+on&favorite=true"],
        "#/run/R%201%2F2?take=2": ["run", "R 1/2", "take=2"],
        "#/run/100%": ["run", "100%", ""],
        "#/settings/theme": ["settings", "theme", ""],
        "#/constructor": ["library", "", ""],
    }
    assert await console.evaluate(text, list(places)) == list(places.values())


async def test_numbers_and_times_are_said_as_people_do(console: Page) -> None:
    assert await called(console, "bytes", [[0], [999], [1000], [123_456], [5e9], [5e13]], "words") == [
        "0 B",
        "999 B",
        "1 kB",
        "123.5 kB",
        "5 GB",
        "50,000 GB",
    ]
    assert await called(console, "counted", [[0, "run"], [1, "run"], [1234, "run"]], "words") == [
        "0 runs",
        "1 run",
        "1,234 runs",
    ]
    before = [timedelta(minutes=5, seconds=2), timedelta(hours=3, minutes=1), timedelta(days=1, minutes=1)]
    moments: list[list[Any]] = [[(datetime.now(UTC) - each).isoformat()] for each in before]
    assert await called(console, "ago", [*moments, [None]], "words") == [
        "5 minutes ago",
        "3 hours ago",
        "yesterday",
        "at an unknown time",
    ]


async def test_text_is_cut_between_characters(console: Page) -> None:
    calls: list[list[Any]] = [["abc", 3], ["abcd", 3], ["ab🎬", 3], [None, 3]]
    assert await called(console, "shortened", calls, "dom") == ["abc", "abc…", "ab…", ""]
