"""The contact sheet and a run's detail: finding, filtering, leafing through, deleting, and what it says otherwise."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from playwright.async_api import Page, Route, StorageState, expect

from tests.browser.conftest import Newcomer
from tests.browser.devices import SOON, ask, notices, runs_of, settings, sync, view
from tests.browser.guard import Guard
from tests.browser.profiles import continue_as_guest, run, runs, seed
from tests.processes import Stack

LONGEST: Final = 1000  # milliseconds that a task may keep the page from answering, on a machine that is busy
LEAFING: Final = """async (wanted) => {
  const tasks = [0]
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)))
  observer.observe({type: "longtask"})
  const runs = () => document.querySelectorAll("article a")
  while (runs().length < wanted) {
    scrollTo(0, document.documentElement.scrollHeight)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return {longest: Math.max(...tasks), shown: runs().length, different: new Set([...runs()].map((a) => a.hash)).size}
}"""
FEW: Final = (
    run(0, "A lighthouse at dusk", status="success", params={"provider": "veo"}, variants=[]),
    run(1, "A market in the fog", status="failed", params={"provider": "runway"}, variants=[]),
    run(2, "A ferry in the fog", status="success", params={"provider": "pika"}),
    run(3, "An empty room", status="not_executed", params={"provider": "runway"}),
)


async def library(page: Page, made: Sequence[dict[str, Any]], **settings: Any) -> Page:
    await seed(page.context, runs=made, settings=settings)
    await continue_as_guest(page)
    return page


async def names(page: Page) -> list[str]:
    return [text.strip() for text in await runs_of(page).get_by_role("link").all_inner_texts()]


async def expect_runs(page: Page, *intents: str) -> None:
    await expect(runs_of(page).get_by_role("link")).to_have_text(list(intents))


@pytest.fixture
def few() -> list[dict[str, Any]]:
    starred = {**FEW[2], "variants": [{**FEW[2]["variants"][0], "favorite": True}]}
    plain = {**FEW[3], "variants": [{**FEW[3]["variants"][0], "favorite": False}]}
    return [FEW[0], FEW[1], starred, plain]


async def test_runs_stand_newest_first_with_what_one_looks_for(page: Page, few: list[dict[str, Any]]) -> None:
    await library(page, few)
    await expect_runs(page, "An empty room", "A ferry in the fog", "A market in the fog", "A lighthouse at dusk")
    for part in ("Failed", "runway", "5 Jan 2026, 10:11", "0 takes"):
        await expect(runs_of(page).nth(2)).to_contain_text(part)
    await expect(runs_of(page).nth(1)).to_contain_text("Favourite")
    picture = runs_of(page).first.locator("img")
    await expect(picture).to_have_attribute("loading", "lazy")
    await expect(picture).to_have_js_property("naturalWidth", 32)


async def test_search_and_filters_stand_in_the_address_and_outlive_a_reload(
    page: Page, few: list[dict[str, Any]]
) -> None:
    await library(page, few)
    search = page.get_by_role("searchbox", name="Search runs")
    await search.fill("fog")
    await expect_runs(page, "A ferry in the fog", "A market in the fog")
    await page.get_by_role("combobox", name="Status").select_option(label="Failed")
    await expect_runs(page, "A market in the fog")
    assert page.url.endswith("#/library?q=fog&status=failed")
    await page.reload()
    await expect_runs(page, "A market in the fog")
    await expect(search).to_have_value("fog")
    await page.get_by_role("combobox", name="Status").select_option(index=0)
    await search.fill("")
    await page.get_by_role("combobox", name="Provider").select_option(label="Runway")
    await expect_runs(page, "An empty room", "A market in the fog")
    await page.get_by_role("combobox", name="Provider").select_option(index=0)
    favourites = page.get_by_role("button", name="Favourites")
    await favourites.click()
    await expect(favourites).to_have_attribute("aria-pressed", "true")
    await expect_runs(page, "A ferry in the fog")
    assert page.url.endswith("#/library?favorite=true")
    await favourites.click()
    await expect(runs_of(page)).to_have_count(4)
    assert page.url.endswith("#/library")


async def test_where_nothing_is_found_the_way_back_is_offered(page: Page, few: list[dict[str, Any]]) -> None:
    await library(page, few)
    await view(page, "library?q=nowhere&favorite=true", "Library")
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    await page.get_by_role("button", name="Clear filters").click()
    await expect(runs_of(page)).to_have_count(4)
    await expect(page.get_by_role("searchbox", name="Search runs")).to_have_value("")
    await expect(page.get_by_role("button", name="Clear filters")).to_be_hidden()


async def test_an_empty_library_says_how_runs_come_into_it(page: Page) -> None:
    await continue_as_guest(page)
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    await page.get_by_role("link", name="Import backup").click()
    await expect(page.get_by_role("heading", name="Data Sync, Export & Restore")).to_be_in_viewport()


async def test_a_run_that_matches_no_filter_any_more_leaves_the_sheet(page: Page, few: list[dict[str, Any]]) -> None:
    await library(page, few)
    await view(page, "library?favorite=true", "Library")
    await expect_runs(page, "A ferry in the fog")
    take = few[2]["variants"][0]["id"]
    path = f"/api/runs/{few[2]['run_id']}/variants/{take}/favorite"
    await ask(page.context, "PUT", path, {"favorite": False})
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible(timeout=SOON)


async def test_when_the_runs_cannot_be_read_it_says_so_and_one_can_try_again(
    newcomer: Newcomer, fresh_stack: Stack, guard: Guard
) -> None:
    guard.allow("/api/runs*", status=503)
    page = await newcomer(fresh_stack.url)
    await seed(page.context, runs=runs(2))
    fresh_stack.kill("runs_service")
    await continue_as_guest(page)
    failure = page.get_by_role("alert")
    await expect(failure).to_contain_text("The runs cannot be read")
    await settings(page)
    await view(page, "library", "Library")
    await expect(failure).to_contain_text("The runs cannot be read")
    fresh_stack.start("runs_service")
    again = failure.get_by_role("button", name="Try again")
    await again.click()
    await expect(runs_of(page)).to_have_count(2)
    await expect(failure).to_have_count(0)


async def test_leafing_through_ten_thousand_runs_never_holds_the_page_up(
    newcomer: Newcomer, many_runs: StorageState
) -> None:
    page = await newcomer(storage_state=many_runs, viewport={"width": 800, "height": 600})
    await page.goto("/")
    await expect(runs_of(page)).not_to_have_count(0)
    leafed = await page.evaluate(LEAFING, 600)
    assert leafed["shown"] == leafed["different"]
    assert leafed["longest"] < LONGEST
    await page.get_by_role("searchbox", name="Search runs").fill("· 17")
    await expect(runs_of(page).last.get_by_role("link")).to_contain_text("· 17")


async def test_arrow_keys_lead_from_run_to_run_unless_the_setting_is_off(page: Page) -> None:
    await library(page, FEW)
    await runs_of(page).nth(1).get_by_role("link").click()
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_have_text("A ferry in the fog")
    await page.keyboard.press("ArrowRight")
    await expect(heading).to_have_text("A market in the fog")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    await expect(heading).to_have_text("An empty room")
    await expect(page.get_by_role("button", name="Previous run")).to_be_disabled()
    await page.get_by_role("button", name="Next run").click()
    await expect(heading).to_have_text("A ferry in the fog")
    await page.go_back()
    await expect(page.get_by_role("heading", name="Library")).to_be_visible()

    await ask(page.context, "PATCH", "/api/settings", {"developer": {"enableKeyboardTimeline": False}})
    await expect(sync(page)).to_have_text("Saved v2", timeout=SOON)
    await runs_of(page).first.get_by_role("link").click()
    await expect(heading).to_have_text("An empty room")
    await page.keyboard.press("ArrowRight")
    await page.wait_for_timeout(200)
    await expect(heading).to_have_text("An empty room")


async def test_a_run_shows_its_frame_takes_prompt_and_parameters_and_its_payload_by_setting(page: Page) -> None:
    made = run(5, "Ink in water")
    await library(page, [made])
    await runs_of(page).get_by_role("link").click()
    await expect(page.get_by_role("img", name="Source frame")).to_have_js_property("naturalWidth", 32)
    await expect(page.get_by_role("group", name="Prompt")).to_contain_text("Ink in water")
    await expect(page.get_by_role("group", name="Parameters")).to_contain_text("16:9")
    await expect(page.get_by_role("article")).to_have_count(3)
    await expect(page.get_by_role("article", name="Take 3")).to_contain_text("Motion: slow. Take 3.")
    compare = page.get_by_role("button", name="Compare takes")
    await expect(compare).to_have_attribute("aria-pressed", "true")
    wide = await page.get_by_role("article", name="Take 1").bounding_box()
    await compare.click()
    await expect(compare).to_have_attribute("aria-pressed", "false")
    alone = await page.get_by_role("article", name="Take 1").bounding_box()
    assert wide
    assert alone
    assert alone["width"] > wide["width"]

    raw = page.get_by_text("Raw payload")
    await expect(raw).to_be_hidden()
    await ask(page.context, "PATCH", "/api/settings", {"developer": {"showRawPayload": True}})
    await raw.click()
    await expect(page.locator("pre")).to_contain_text('"aspect_ratio": "16:9"')


async def test_a_run_is_deleted_once_one_has_said_so(page: Page) -> None:
    await library(page, FEW[:2])
    await page.get_by_role("link", name="A market in the fog").click()
    remove = page.get_by_role("button", name="Delete run")
    await remove.click()
    question = page.get_by_role("dialog", name="Delete this run?")
    await expect(question.get_by_role("button", name="Keep")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(question).to_have_count(0)
    await remove.click()
    await question.get_by_role("button", name="Delete").click()
    await expect_runs(page, "A lighthouse at dusk")
    await expect(notices(page)).to_contain_text("The run is deleted.")
    await expect(sync(page)).to_have_text("Saved v1")
    (left,) = (await ask(page.context, "GET", "/api/runs"))["runs"]
    assert left["run_id"] == FEW[0]["run_id"]


async def test_a_run_that_is_read_after_one_has_left_it_does_not_name_the_page(page: Page) -> None:
    await seed(page.context, runs=[run(0, "One")])
    await continue_as_guest(page)
    held: list[Route] = []
    path = f"**/api/runs/{run(0, '')['run_id']}"

    def hold(route: Route) -> None:
        held.append(route)

    await page.route(path, hold)
    async with page.expect_request(path):
        await page.get_by_role("link", name="One").click()
    await expect(page.get_by_role("heading", name="One")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Library")).to_be_visible()
    async with page.expect_response(path):
        await held[0].continue_()
    await page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    assert await page.title() == "Library · ANIMAtiZE Director Console"


async def test_a_run_that_is_not_there_says_so_and_leads_back(page: Page, guard: Guard) -> None:
    guard.allow("/api/runs/R%20gone", status=404)
    await library(page, FEW[:1])
    await view(page, "run/R%20gone", "This run is gone")
    await page.get_by_role("link", name="Back to library").click()
    await expect(runs_of(page)).to_have_count(1)


@pytest.mark.parametrize("asks", [True, False])
async def test_clearing_all_asks_first_by_setting(page: Page, guard: Guard, asks: bool) -> None:
    guard.allow("/api/runs/*/source-image", status=404)  # of a picture that is still on its way
    await library(page, FEW, behavior={"confirmBeforeClear": asks})
    await expect(sync(page)).to_have_text("Saved v1" if asks else "Saved v2")
    await page.get_by_role("button", name="Clear all runs").click()
    if asks:
        await page.get_by_role("dialog", name="Clear all runs?").get_by_role("button", name="Keep").click()
        await expect(runs_of(page)).to_have_count(4)
    else:
        await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    assert len((await ask(page.context, "GET", "/api/runs"))["runs"]) == (4 if asks else 0)
