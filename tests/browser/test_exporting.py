"""A person takes everything out of one environment as a file, and brings it into another."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from chassis.documents import same
from gateway.manifest import Tally
from tests.browser.backups import PLACE, answered, bring_in, choose, exported, history, images, profile, saved
from tests.browser.conftest import Newcomer
from tests.browser.profiles import HOSTILE, continue_as_guest, run, runs, seed
from tests.processes import Stack, running

KEYS = {"runway": "rk_live_0123456789abcdef", "flux": "flux-secret-of-some-length"}
PASSPHRASE = "zażółć gęślą jaźń"
WRITTEN = """async () => {
  const folder = await navigator.storage.getDirectory()
  const sizes = []
  for await (const file of folder.values()) sizes.push((await file.getFile()).size)
  return sizes
}"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another environment, with another secret."""
    secret = "the root secret of another environment altogether"
    with running(tmp_path_factory.mktemp("elsewhere"), ANIMATIZE_SECRET_KEY=secret) as stack:
        yield stack


async def furnish(page: Page) -> None:
    """With something of every part, favourites and versions among it."""
    await seed(page.context, runs=[*runs(30), run(30, HOSTILE[0])], keys=KEYS)
    for change in ({"theme": {"accent": "teal"}}, {"behavior": {"renderQuality": "high"}, "plugin": {"note": "ż"}}):
        await seed(page.context, settings=change)
    await continue_as_guest(page)


def assert_whole(document: Any) -> None:
    tally = Tally()
    for section in document["manifest"]["counts"]:
        tally.open(section)
        part = document[section]
        for item in part if isinstance(part, list) else [part]:
            tally.add(section, item)
    assert tally.differs_from(document["manifest"]) is None


async def test_an_export_comes_back_whole_in_an_environment_with_another_secret(
    newcomer: Newcomer, elsewhere: Stack
) -> None:
    page, there = await newcomer(), await newcomer(elsewhere.url)
    await furnish(page)
    await continue_as_guest(there)

    async with exported(page, PASSPHRASE) as file:
        content = file.read_bytes()
        assert_whole(json.loads(content))
        assert await page.evaluate(WRITTEN) == [len(content)], "it was not written to disk as it came"
        assert not any(key.encode() in content for key in KEYS.values())
        preview = await choose(there, file)
        await preview.get_by_label("Passphrase of the backup").fill(PASSPHRASE)
        await preview.get_by_role("button", name="Check").click()
        await expect(preview).to_contain_text("Provider keys: 2 new.")
        assert (await profile(there))["runs"] == {}
        await expect(await bring_in(there)).to_contain_text("Runs: 31 new.")

    source = await profile(page)
    assert same(await profile(there), source)
    assert await images(there, source["runs"]) == await images(page, source["runs"])
    brought, there_before = await history(page), await history(there)
    assert all(version in there_before for version in brought)
    assert set((await answered(there.context, "/api/providers"))["available_providers"]) >= KEYS.keys()
    await there.get_by_role("link", name="See the library").click()
    await expect(there.get_by_role("list", name="Runs").get_by_role("article")).to_have_count(31)
    await expect(there.locator("html")).to_have_attribute("data-accent", "teal")


async def test_an_export_without_keys_has_all_the_rest_and_says_so_where_it_arrives(
    page: Page, other_page: Page, tmp_path: Path
) -> None:
    await furnish(page)
    await continue_as_guest(other_page)
    async with exported(page) as file:
        document = json.loads(file.read_bytes())
    assert_whole(document)
    assert "sealed_api_keys" not in document
    assert same(document["runs"], [*runs(30), run(30, HOSTILE[0])])

    await choose(other_page, saved(tmp_path, document))
    outcome = await bring_in(other_page)

    expected = await profile(page)
    assert same(await profile(other_page), expected | {"keys": {}})
    await outcome.get_by_role("link", name="Enter the keys").click()
    await expect(other_page.get_by_role("heading", name="API Configuration")).to_be_focused()


async def test_an_export_that_is_cancelled_offers_nothing(page: Page) -> None:
    await continue_as_guest(page)
    await page.route("**/api/settings/backup", lambda _: None)  # an answer that never comes
    await page.goto(PLACE)
    await page.get_by_role("button", name="Export backup").click()
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("main").get_by_text("Cancelled.", exact=True).wait_for()
    await expect(page.get_by_role("link", name="Save")).to_have_count(0)
    await expect(page.get_by_role("button", name="Export backup")).to_be_enabled()
    await page.unroute_all(behavior="ignoreErrors")
