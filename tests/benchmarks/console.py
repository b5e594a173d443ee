"""The console in a browser: how much of it there is, how soon it can be used, and how much of it jumps meanwhile."""

import statistics
from typing import Any, Final

import aiohttp
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
    await weigh(stack.url)
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


async def weigh(url: str) -> None:
    """What a browser is sent of scripts and styles, compressed and not, and the files as they stand."""
    files = [file for suffix in ("js", "css") for file in FILES.rglob(f"*.{suffix}")]
    sizes: dict[str, int] = {}
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for coding in ("identity", "gzip"):
            for file in files:
                path = f"{url}/console/{file.relative_to(FILES)}"
                async with http.get(path, headers={"Accept-Encoding": coding}) as answer:
                    sizes[coding] = sizes.get(coding, 0) + len(await answer.read())
    written = sum(file.stat().st_size for file in files) / 1000
    plain, small = sizes["identity"] / 1000, sizes["gzip"] / 1000
    limit = f"(limit {MOST_BYTES / 1000:.0f} kB)"
    say(f"console {plain:.1f} kB of scripts and styles {limit}, {small:.1f} under gzip; {written:.1f} as written")


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
