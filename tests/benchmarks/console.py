"""The console in a browser: how much of it there is, how soon it can be used, and how much of it jumps meanwhile."""

import statistics
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, Page

from tests.benchmarks.report import say
from tests.browser import chromium
from tests.browser.profiles import continue_as_guest, runs, seed
from tests.processes import ROOT, Stack

RUNS, ROUNDS = 10_000, 5
MOST_BYTES, MOST_SECONDS, MOST_SHIFT = 100_000, 1.0, 0.02
SCREENS: Final = 12
FILES: Final = ROOT / "gateway" / "console"
# Asked before each frame, from the start of the navigation on, and noted once that frame has been drawn and the page is
# free for the next event.
WATCHING: Final = """
window.shift = 0
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value
}).observe({ type: "layout-shift", buffered: true })
const look = () => {
  const search = document.querySelector("input[type=search]")
  if (document.querySelector("article a[href]") && search && !search.disabled)
    setTimeout(() => { window.interactive = performance.now() })
  else requestAnimationFrame(look)
}
requestAnimationFrame(look)
"""


async def measure(stack: Stack) -> None:
    weigh()
    if reason := chromium.missing():
        say(f"the console in a browser: left out, {reason}")
        return
    async with chromium.launched() as browser:
        context = await browser.new_context(base_url=stack.url)
        await seed(context, runs=runs(RUNS))
        await continue_as_guest(await context.new_page())
        state = await context.storage_state()
        found = [await visit(browser, stack.url, state) for _ in range(ROUNDS)]
    seconds, shifts = zip(*found, strict=True)
    say(f"console of {RUNS:,} runs: interactive after {statistics.median(seconds):.2f} s (limit {MOST_SECONDS:.0f} s)")
    say(
        f"console of {RUNS:,} runs: layout shift {max(shifts):.4f} at most, {SCREENS} screens down (limit {MOST_SHIFT})"
    )


def weigh() -> None:
    sizes = {suffix: sum(file.stat().st_size for file in FILES.rglob(f"*{suffix}")) for suffix in (".js", ".css")}
    parts = ", ".join(f"{suffix[1:]} {size / 1000:.1f}" for suffix, size in sizes.items())
    say(f"console {sum(sizes.values()) / 1000:.1f} kB ({parts}) before compression (limit {MOST_BYTES / 1000:.0f} kB)")


async def visit(browser: Browser, url: str, state: Any) -> tuple[float, float]:
    """Seconds until the first run is there and the search takes input, and how much shifts; nothing is cached."""
    context: BrowserContext = await browser.new_context(base_url=url, storage_state=state)
    page = await context.new_page()
    await page.add_init_script(WATCHING)
    await page.goto("/#/library")
    milliseconds = await (await page.wait_for_function("() => window.interactive")).json_value()
    await scroll(page)
    shift = await page.evaluate("window.shift")
    await page.get_by_role("searchbox", name="Search runs").fill("lighthouse")
    await context.close()
    return milliseconds / 1000, shift


async def scroll(page: Page) -> None:
    """As with a wheel: a key would count as input that lets the layout shift."""
    size = page.viewport_size
    assert size is not None
    await page.mouse.move(size["width"] / 2, size["height"] / 2)
    for _ in range(SCREENS):
        await page.mouse.wheel(0, size["height"])
        await page.wait_for_timeout(200)
