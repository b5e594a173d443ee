"""The accessibility check finds what is wrong, under the console's own policy, and leaves no trace in the page."""

from playwright.async_api import Page

from tests.browser.accessibility import assert_accessible, violations

UNNAMED_AND_PALE = """() => {
  const image = document.createElement("img")
  image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
  const text = document.createElement("p")
  text.textContent = "pale"
  text.style.setProperty("color", "#888")
  text.style.setProperty("background", "#777")
  const near = ["a", "b"].map((name) => {
    const button = document.createElement("button")
    button.textContent = name
    for (const property of ["width", "height"]) button.style.setProperty(property, "10px")
    for (const property of ["padding", "margin", "border"]) button.style.setProperty(property, "0")
    return button
  })
  document.body.append(image, text, ...near)
}"""


async def test_the_first_page_is_accessible(page: Page) -> None:
    await page.goto("/")
    await assert_accessible(page)


async def test_it_finds_an_image_without_a_name_pale_text_and_targets_too_small(page: Page) -> None:
    await page.goto("/")
    await page.evaluate(UNNAMED_AND_PALE)
    assert {each.rule for each in await violations(page)} >= {"image-alt", "color-contrast", "target-size"}


async def test_it_looks_only_where_it_is_told_to(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("heading", level=1).wait_for()
    await page.evaluate(UNNAMED_AND_PALE)
    assert await violations(page, "h1") == []


async def test_the_page_sees_nothing_of_it(page: Page) -> None:
    await page.goto("/")
    await violations(page)
    assert await page.evaluate("typeof window.axe") == "undefined"
