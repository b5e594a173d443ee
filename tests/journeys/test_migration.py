"""A person hands in what an older build left behind and finds everything in it again."""

import base64
import json
from typing import Any

import pytest

from chassis.documents import canonical
from tests import documents
from tests.documents import BIG, RUNS_KEY, SETTINGS_KEY, VARIATIONS
from tests.journeys.browser import Browser

SWITCHES = {"accessibility": ("reducedMotion",), "preferences": ("autoFavoriteWinner",)}


def same(found: Any, expected: Any) -> bool:
    return canonical(found) == canonical(expected)


def chronological(runs: list[Any]) -> list[Any]:
    return sorted(runs, key=lambda run: (run["created_at"], run["run_id"]))


async def assert_runs_in_place(browser: Browser, expected: list[Any]) -> None:
    assert same(await browser.all_runs(), chronological(expected))
    for run in expected:
        status, _, image = await browser.ask("GET", f"/api/runs/{run['run_id']}/source-image")
        assert status == 200
        assert image == base64.b64decode(run["source_image_data_url"].partition(",")[2])


def with_switches_on(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: section | dict.fromkeys(SWITCHES.get(name, ()), True) if isinstance(section, dict) else section
        for name, section in settings.items()
    }


@pytest.mark.parametrize("name", VARIATIONS)
async def test_every_variation_of_a_browser_export_comes_back_whole(browser: Browser, name: str) -> None:
    export = documents.export()
    encode, carries_runs, carries_settings = VARIATIONS[name]
    before = await browser.get("/api/settings")

    answer = await browser.restore(encode(export))

    assert answer["warnings"] == []
    assert answer["restored_runs"] == (len(export[RUNS_KEY]) if carries_runs else 0)
    await assert_runs_in_place(browser, export[RUNS_KEY] if carries_runs else [])
    after = await browser.get("/api/settings")
    expected = with_switches_on(before["settings"]) if carries_settings else before["settings"]
    assert same(after["settings"], expected)
    assert same(answer["settings"], after)


@pytest.mark.parametrize("name", BIG)
async def test_every_real_browser_export_comes_back_whole(browser: Browser, name: str) -> None:
    document = documents.legacy(name)
    export = documents.parsed(document)
    before = await browser.get("/api/settings")

    answer = await browser.restore(document)

    runs = export.get(RUNS_KEY, [])
    assert answer["restored_runs"] == len(runs)
    await assert_runs_in_place(browser, runs)
    favorites = [v["id"] for run in runs for v in run["variants"] if v["favorite"]]
    assert [v["id"] for run in await browser.all_runs() for v in run["variants"] if v["favorite"]] == favorites
    after = await browser.get("/api/settings")
    assert same(
        after["settings"], with_switches_on(before["settings"]) if SETTINGS_KEY in export else before["settings"]
    )


@pytest.mark.parametrize("source", ["sample", "upstream-backup"])
async def test_the_older_consoles_backup_comes_back_whole(browser: Browser, source: str) -> None:
    backup = documents.older_backup() if source == "sample" else json.loads(documents.legacy(source))

    answer = await browser.restore(backup)

    assert answer["restored_runs"] == len(backup["runs"])
    assert answer["restored_history"] == len(backup["history"])
    assert [warning["pointer"] for warning in answer["warnings"]] == ["/api_credentials/0"]
    await assert_runs_in_place(browser, backup["runs"])
    profile = await browser.get("/api/settings")
    assert same(profile["settings"], backup["settings"]["settings"])
    history = (await browser.get("/api/settings/history"))["history"]
    assert history[0]["version"] == profile["version"]
    imported = [(entry["created_at"], entry["change_note"], entry["settings"]) for entry in history[:5]]
    named = [(entry["created_at"], entry["change_note"], entry["settings"]) for entry in backup["history"]]
    assert same(imported, named)
    assert (await browser.get("/api/providers"))["available_providers"] == []


async def test_restoring_the_same_again_changes_nothing(browser: Browser) -> None:
    for document in (documents.older_backup(), documents.export()):
        await browser.restore(document)
        profile, runs = await browser.get("/api/settings"), await browser.all_runs()
        history = await browser.get("/api/settings/history")

        again = await browser.restore(document)

        assert again["restored_runs"] == len(document.get("runs") or document[RUNS_KEY])
        assert {part["added"] + part["changed"] for part in again["plan"].values()} == {0}
        assert same(await browser.get("/api/settings"), profile)
        assert same(await browser.get("/api/settings/history"), history)
        assert same(await browser.all_runs(), runs)


async def test_our_own_backup_restores_into_another_profile_equal_in_every_part(
    browser: Browser, other_browser: Browser
) -> None:
    await browser.restore(documents.older_backup())
    await browser.restore(documents.export())
    backup = await browser.get("/api/settings/backup")

    answer = await other_browser.restore(backup)

    assert answer["warnings"] == []
    assert same(await other_browser.all_runs(), await browser.all_runs())
    theirs, ours = await other_browser.get("/api/settings"), await browser.get("/api/settings")
    assert same(theirs["settings"], ours["settings"])
    second = await other_browser.get("/api/settings/backup")
    assert same(second["runs"], backup["runs"])
    kept = {canonical([entry["created_at"], entry["change_note"], entry["settings"]]) for entry in second["history"]}
    named = {canonical([entry["created_at"], entry["change_note"], entry["settings"]]) for entry in backup["history"]}
    assert named <= kept


async def test_what_the_profile_has_and_the_document_does_not_name_stays(browser: Browser) -> None:
    await browser.put("/api/runs/mine", {"run_id": "mine", "created_at": "2020-01-01T00:00:00Z"})
    settings = (await browser.get("/api/settings"))["settings"]
    await browser.put("/api/settings", {"settings": settings | {"plugin": {"kept": True}}})

    await browser.restore(documents.older_backup())

    assert (await browser.get("/api/settings"))["settings"]["plugin"] == {"kept": True}
    assert (await browser.all_runs())[0]["run_id"] == "mine"


async def test_what_cannot_be_used_is_named_and_the_rest_goes_in(browser: Browser) -> None:
    runs = '{"run_id": "good"}, 12, {"run_id": ""}, {"run_id": "x", "n": 1, "n": 2}, {"run_id": "also good"}'
    document = f'{{"settings": {{"theme": {{"grain": 7, "accent": "teal"}}}}, "runs": [{runs}]}}'

    answer = await browser.restore(document.encode())

    assert answer["restored_runs"] == 2
    pointers = {warning["pointer"] for warning in answer["warnings"]}
    assert pointers == {"/settings/theme/grain", "/runs/1", "/runs/2/run_id", "/runs/3"}
    theme = (await browser.get("/api/settings"))["settings"]["theme"]
    assert theme["accent"] == "teal"
    assert theme["grain"] == 0.35
