"""A person brings in what they have, sees beforehand what it would change, and can take it back."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.async_api import Locator, Page, expect

from chassis.documents import same, write
from tests import documents
from tests.browser.backups import PLACE, answered, bring_in, choose, history, images, previewed, profile, saved, undo
from tests.browser.guard import Guard
from tests.browser.profiles import HOSTILE, continue_as_guest, run, runs, seed
from tests.conftest import LEGACY
from tests.documents import RUNS_KEY, SETTINGS_KEY, VARIATIONS

BROTHERS = {
    "legacy-stringified": "both values strings",
    "legacy-parsed": "both values parsed",
    "legacy-runs-only": "only the runs",
    "legacy-settings-only": "only the settings",
    "legacy-full-quota": "both values strings",
}
PASSPHRASE = "zażółć gęślą jaźń"


def legacy(name: str) -> bytes:
    """The full-size document, or its smaller brother where that is not at hand."""
    if (LEGACY / f"{name}.json").exists():
        return documents.legacy(name)
    return (
        write(documents.older_backup())
        if name == "upstream-backup"
        else VARIATIONS[BROTHERS[name]][0](documents.export())
    )


class Contents(NamedTuple):
    runs: list[Any]
    settings: dict[str, Any]
    history: list[Any]


def contents_of(document: bytes) -> Contents:
    backup = json.loads(document)
    if "schema_version" in backup:
        return Contents(backup["runs"], backup["settings"]["settings"], backup["history"])
    values = documents.parsed(document)
    switches = values.get(SETTINGS_KEY, {})
    sections = {"accessibility": "reducedMotion", "preferences": "autoFavoriteWinner"}
    settings = {section: {switch: switches[switch]} for section, switch in sections.items() if switch in switches}
    return Contents(values.get(RUNS_KEY, []), settings, [])


def digest_of_image(made: dict[str, Any]) -> str:
    return sha256(b64decode(made["source_image_data_url"].partition(",")[2])).hexdigest()


def has(found: Any, wanted: Any) -> bool:
    """Whether all of `wanted` is there, whatever there is beside it."""
    if isinstance(wanted, dict):
        return all(name in found and has(found[name], value) for name, value in wanted.items())
    return same(found, wanted)


@pytest.mark.parametrize("name", [*BROTHERS, "upstream-backup"])
async def test_every_older_document_comes_in_whole_through_the_same_button(
    page: Page, tmp_path: Path, name: str
) -> None:
    document = legacy(name)
    expected = contents_of(document)
    await continue_as_guest(page)
    before = await profile(page)

    preview = await choose(page, saved(tmp_path, document))
    told = [
        *([f"Runs: {len(expected.runs)} new."] if expected.runs else []),
        *(["Parts of the settings: "] if expected.settings else []),
        *([f"History entries: {len(expected.history)} new"] if expected.history else []),
    ]
    for sentence in told:
        await expect(preview).to_contain_text(sentence)
    assert same(await profile(page), before), "it changed something before it was told to"

    outcome = await bring_in(page)
    for sentence in told:
        await expect(outcome).to_contain_text(sentence)
    after = await profile(page)
    assert same(after["runs"], {each["run_id"]: each for each in expected.runs})
    assert has(after["settings"], expected.settings)
    assert await images(page, after["runs"]) == {each["run_id"]: digest_of_image(each) for each in expected.runs}

    await undo(page)
    assert same(await profile(page), before)


async def drag(page: Page, place: Locator, file: Path) -> None:
    """A file of the person's desktop, let go over the place."""
    box = await place.bounding_box()
    assert box
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    session = await page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        await session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **where})
    await session.detach()


async def test_a_dropped_backup_that_replaces_says_what_it_removes(page: Page, tmp_path: Path) -> None:
    await seed(page.context, runs=runs(3), settings={"plugin": {"kept": True}})
    await continue_as_guest(page)
    before = await profile(page)
    mine = [run(2, "another take on it"), run(3, "new")]
    file = saved(tmp_path, {"runs": mine})

    await page.goto(PLACE)
    area = page.get_by_text("or drop it here")
    await area.scroll_into_view_if_needed()
    await drag(page, page.get_by_role("navigation", name="Main"), file)  # beside it, which opens nothing
    await drag(page, area, file)
    preview = await previewed(page)
    await expect(preview).to_contain_text("Runs: 1 new, 1 replaced.")
    await preview.get_by_role("radio", name="Replace").check()
    await expect(preview).to_contain_text("Runs: 1 new, 1 replaced, 2 removed.")
    assert same(await profile(page), before)

    await expect(await bring_in(page)).to_contain_text("Runs: 1 new, 1 replaced, 2 removed.")
    assert same(await profile(page), before | {"runs": {each["run_id"]: each for each in mine}})
    await expect(page.get_by_role("list", name="Earlier imports")).to_contain_text("2 removed")
    await undo(page)
    assert same(await profile(page), before)


async def test_sealed_keys_open_with_the_right_passphrase_only(
    page: Page, other_page: Page, tmp_path: Path, guard: Guard
) -> None:
    guard.allow("/api/settings/restore", status=400)  # the wrong one
    await seed(page.context, keys={"runway": "rk_live_0123456789abcdef"})
    document = await answered(page.context, "/api/settings/backup", {"passphrase": PASSPHRASE})
    await continue_as_guest(other_page)

    preview = await choose(other_page, saved(tmp_path, document))
    passphrase = preview.get_by_label("Passphrase of the backup")
    await passphrase.fill("not this one")
    await passphrase.press("Enter")
    await expect(preview).to_contain_text("passphrase")
    await expect(preview).not_to_contain_text("Provider keys: 1 new.")
    await passphrase.fill(PASSPHRASE)
    await passphrase.press("Enter")
    await expect(preview).to_contain_text("Provider keys: 1 new.")

    outcome = await bring_in(other_page)
    await expect(outcome).to_contain_text("Provider keys: 1 new.")
    assert "runway" in (await answered(other_page.context, "/api/providers"))["available_providers"]
    await undo(other_page)
    assert "runway" not in (await answered(other_page.context, "/api/providers"))["available_providers"]


def damaged(backup: dict[str, Any]) -> bytes:
    return write(backup | {"runs": backup["runs"][1:]})


REFUSED: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "no JSON": lambda _: b"\x00\x01 this is a picture, say",
    "cut off": lambda backup: write(backup)[:-100],
    "changed": damaged,
    "nothing in it": lambda _: b'{"someone": "else"}',
    "empty": lambda _: b"",
}


async def test_what_cannot_be_restored_is_told_in_the_servers_words_and_changes_nothing(
    page: Page, tmp_path: Path, guard: Guard
) -> None:
    guard.allow("/api/settings/restore", status=400)
    await seed(page.context, runs=runs(3))
    await continue_as_guest(page)
    before, versions = await profile(page), await history(page)
    backup = await answered(page.context, "/api/settings/backup")
    for spoil in REFUSED.values():
        document = spoil(backup)
        answer = await page.context.request.post(
            "/api/settings/restore?dry_run=true", data=document, headers={"Content-Type": "application/json"}
        )
        assert answer.status == 400
        preview = await choose(page, saved(tmp_path, document))
        await expect(preview).to_contain_text((await answer.json())["detail"])
        await expect(preview.get_by_role("button", name="Import", exact=True)).to_be_disabled()
    await preview.get_by_role("button", name="Cancel").click()
    await expect(preview).to_have_count(0)
    assert same(await profile(page), before)
    assert await history(page) == versions


SCRIPTS = tuple(text.replace("alert(1)", "window.ran=1") for text in HOSTILE)
MARK = '<img src=x onerror="window.ran=1">'


PICTURE = "<svg xmlns='http://www.w3.org/2000/svg' onload='window.ran=1'><script>window.ran=1</script></svg>"


def hostile() -> dict[str, Any]:
    """A backup whose every text is somebody else's script, or a million characters."""
    long = MARK + "x" * 1_000_000
    bad = [run(number, text) for number, text in enumerate([*SCRIPTS, long, f"{'<b>' * 300_000}"])]
    for each in bad:
        each["preset"] = each["params"]["aspect_ratio"] = MARK
        each["params"][MARK] = f"<script>window.ran=1</script>{'y' * 1000}"
        for variant in each["variants"]:
            variant |= {"label": MARK, "provider": MARK, "model": MARK, "prompt_text": each["intent"], "error": MARK}
    bad[0]["variants"][0] |= {"error": long, "prompt_text": long}
    bad[0]["source_image_data_url"] = f"data:image/svg+xml,{PICTURE}"
    settings = {MARK: {MARK: long}, "theme": {"accent": "teal", MARK: SCRIPTS}, "developer": {"showRawPayload": True}}
    version = {"created_at": "2026-01-05T09:30:00+00:00", "settings": {MARK: long}}
    notes = [version | {"id": number, "version": number, "change_note": text} for number, text in enumerate(SCRIPTS, 1)]
    return {"settings": {"settings": settings}, "history": notes[::-1], "runs": bad}


async def assert_harmless(page: Page, texts: Iterable[str]) -> None:
    """Each is there to read, none has run, and the page answers."""
    for text in texts:
        await expect(page.locator("main").get_by_text(text).first).to_be_attached()
    assert await page.evaluate("window.ran") is None
    assert await page.locator("main :is(script, iframe, b, svg[onload], [onerror], img[src=x])").count() == 0
    waited = await page.evaluate("""() => { const from = performance.now()
      return new Promise((tell) => requestAnimationFrame(() => setTimeout(() => tell(performance.now() - from)))) }""")
    assert waited < 1000


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [(507, '{"detail": "The disk is full."}', "The disk is full."), (413, "<html>", "The server answered 413.")],
)
async def test_an_import_that_is_refused_before_it_is_begun_says_why(
    page: Page, guard: Guard, tmp_path: Path, status: int, body: str, told: str
) -> None:
    guard.allow("/api/settings/restore", status=status).allow("/api/settings/restores/*", status=404)
    await continue_as_guest(page)
    await choose(page, saved(tmp_path, {"runs": runs(1)}))
    await page.route("**/restore?mode=merge", lambda route: route.fulfill(status=status, body=body))
    await page.get_by_role("button", name="Import", exact=True).click()
    await expect(page.get_by_role("region", name="Not imported")).to_contain_text(told)


async def test_a_hostile_document_is_nothing_but_text(page: Page, tmp_path: Path) -> None:
    document = hostile()
    await continue_as_guest(page)
    await choose(page, saved(tmp_path, document))
    await expect(await bring_in(page)).to_contain_text(f"Runs: {len(document['runs'])} new.")
    await assert_harmless(page, [])

    await page.get_by_role("link", name="See the library").click()
    await expect(page.get_by_role("list", name="Runs").get_by_role("article")).to_have_count(len(document["runs"]))
    await assert_harmless(page, [MARK, "<script>window.ran=1</script>", "<b><b><b>"])
    for number in (0, 1, len(SCRIPTS)):
        await page.goto(f"/#/run/{document['runs'][number]['run_id']}")
        await expect(page.get_by_role("article", name=MARK)).not_to_have_count(0)
        await page.get_by_text("Raw payload", exact=True).click()
        await assert_harmless(page, [document["runs"][number]["intent"][:30], MARK])
    await page.get_by_role("link", name="History").click()
    versions = page.get_by_role("list", name="Versions")
    await versions.get_by_role("button", name="Show changes").nth(1).click()
    await expect(versions.get_by_role("button", name="Show changes").nth(1)).to_have_attribute("aria-expanded", "true")
    await assert_harmless(page, SCRIPTS[:2])
    await page.goto("/#/settings/theme")
    await expect(page.get_by_role("radio", name="Teal")).to_be_checked()
    await assert_harmless(page, [])
    assert json.dumps(await page.evaluate("Object.keys(localStorage)")).count("<") == 0
