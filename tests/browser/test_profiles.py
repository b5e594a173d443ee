"""What the helpers put in is what a browser finds."""

import json
from typing import Any

from playwright.async_api import Page, StorageState

from tests.browser.conftest import MANY, Newcomer
from tests.browser.google import LABEL, Google
from tests.browser.pictures import swatch
from tests.browser.profiles import HOSTILE, run, runs, seed
from tests.processes import Stack


async def answered(page: Page, path: str) -> Any:
    answer = await page.context.request.get(path)
    assert answer.ok
    return await answer.json()


async def test_a_seeded_profile_has_its_runs_settings_and_keys(page: Page) -> None:
    made = [*runs(30), run(30, HOSTILE[0], preset="speed-first")]
    await seed(page.context, runs=made, settings={"theme": {"accent": "teal"}}, keys={"runway": "rk_live_0123456789"})
    assert (await answered(page, "/api/runs?limit=100"))["runs"] == made
    assert (await answered(page, "/api/settings"))["settings"]["theme"]["accent"] == "teal"
    assert "runway" in (await answered(page, "/api/providers"))["available_providers"]


async def test_many_runs_are_there_for_whoever_has_their_cookie(newcomer: Newcomer, many_runs: StorageState) -> None:
    page = await newcomer(storage_state=many_runs)
    (last,) = (await answered(page, "/api/runs?limit=1&view=summary"))["runs"]
    assert last["run_id"] == run(MANY - 1, "")["run_id"]


async def test_a_browser_shows_the_pictures(page: Page) -> None:
    await seed(page.context, runs=runs(2))
    await page.goto("/")
    sizes = await page.evaluate(
        """async (id) => { const image = new Image(); image.src = `/api/runs/${id}/source-image`; await image.decode()
                           return [image.naturalWidth, image.naturalHeight] }""",
        run(1, "")["run_id"],
    )
    assert sizes == [32, 18]
    assert len({swatch(number) for number in range(MANY)}) == MANY


async def test_googles_button_signs_in_the_account_that_was_chosen(
    newcomer: Newcomer, google_stack: Stack, google: Google
) -> None:
    page = await newcomer(google_stack.url)
    await google.serve(page.context, sub="7", name="Jo Cutter")
    await page.goto("/")
    configuration = json.dumps({"client_id": (await answered(page, "/api/auth/config"))["google_client_id"]})
    await page.evaluate(f"""() => new Promise((resolve, reject) => {{
      const script = Object.assign(document.createElement("script"), {{src: "https://accounts.google.com/gsi/client"}})
      script.onerror = reject
      script.onload = () => {{
        const callback = ({{credential}}) => fetch("/api/auth/google", {{
          method: "POST", body: JSON.stringify({{credential}}), headers: {{"Content-Type": "application/json"}},
        }})
        google.accounts.id.initialize({{...{configuration}, callback}})
        const place = document.body.appendChild(document.createElement("div"))
        google.accounts.id.renderButton(place, {{type: "standard"}})
        resolve()
      }}
      document.head.append(script)
    }})""")
    async with page.expect_response("**/api/auth/google") as signing_in:
        await page.get_by_role("button", name=LABEL).click()
    assert (await signing_in.value).status == 200
    assert (await answered(page, "/api/auth/me"))["user"]["name"] == "Jo Cutter"
    assert google.asked == 1
