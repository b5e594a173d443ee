"""Pictures of every view for the README: `python -m tests.browser.screenshots` writes docs/screenshots.

A stack with a profile that is worth looking at, each view at the width of a phone and of a desk. What is shown is the
same each time, but for what the clock says.
"""

import asyncio
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from playwright.async_api import Browser, BrowserContext, Locator, Page

from tests.browser import chromium
from tests.browser.pictures import data_url, png
from tests.browser.profiles import continue_as_guest, run, seed
from tests.browser.stills import still
from tests.processes import ROOT, running

FOLDER: Final = ROOT / "docs" / "screenshots"
SIZES: Final = ({"width": 390, "height": 844}, {"width": 1440, "height": 900})
KEYS: Final = {"runway": "rk_live_only_for_the_pictures", "veo": "veo_only_for_the_pictures"}
CHANGES: Final[tuple[dict[str, Any], ...]] = (
    {"theme": {"grain": 0.5}},
    {"preferences": {"defaultAspectRatio": "16:9", "defaultVariants": 4}},
    {"theme": {"grain": 0}, "behavior": {"renderQuality": "high"}},  # grain is noise, which makes large files
)
INTENTS: Final = (
    "The last ridge before home, sun breaking through at the end of a long march",
    "Morning mist lifts off the teal valley, a slow push-in, nobody in sight",
    "Red planet at dusk: the expedition sees the second range for the first time",
    "Silver halide mountains, a storm has just passed, locked-off frame",
    "Moonrise over the blue passes, twelve seconds, barely any movement",
    "Gold hour in the high country, dust in the light, slow pan left to right",
    "Rooftops at first light, somebody has not slept, hold on the lit windows",
    "夜明けの街、窓の灯りがひとつずつ消えていく",
    "Crimson skyline before the blackout, telephoto, heat shimmer",
    "Black and white city, 1962, the camera drifts past the towers",
    "Blue midnight over the business district, rain about to fall",
    "Amber smog, the city hums; crane up until the horizon is level",
    "A single sail against the sunset, wide, let the water breathe",
    "Zażółć gęślą jaźń: łódź na turkusowej wodzie, cisza przed świtem",
    "The red sea: a boat heads home under a burning sky",
    "Winter sun on a lead-grey sea, 2.39:1, no music",
    "Indigo night, the moon’s path leads straight to the boat 🌙",
    "Honey-coloured dusk on the estuary, the boat drifts out of frame",
    "She waits on the hill until the sun is gone, silhouette, 85 mm",
    "رجل وحيد على التل ينتظر الفجر، إضاءة خلفية ناعمة",
    "The stranger on the ridge: he does not move, the sky does",
    "Overcast memory of a farewell, grain, slow dissolve to white",
    "Under the violet sky she finally looks up 🎬",
    "Harvest moon, the watchman, one long take",
)
# No two neighbours are of one scene or one mood: of each four there are the six moods.
ORDER: Final = [scene * 6 + (mood + scene) % 6 for mood in range(6) for scene in range(4)]
UNUSUAL: Final = {8: "not_configured", 14: "failed", 19: "not_executed"}

SHADES: Final = bytes(min(255, (value + 1) // 3 * 3) for value in range(256))
PIXELS: Final = """async (url) => {
  const image = new Image()
  image.src = url
  await image.decode()
  const { width, height } = image
  const drawing = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d")
  drawing.drawImage(image, 0, 0)
  const { data } = drawing.getImageData(0, 0, width, height)
  let text = ""
  for (let start = 0; start < data.length; start += 32768)
    text += String.fromCharCode(...data.subarray(start, start + 32768))
  return [width, height, btoa(text)]
}"""


class View(NamedTuple):
    """What its files are called, where it is, and what is on the page once all of it is."""

    name: str
    address: str
    shown: Callable[[Page], Locator]


def heading(name: str) -> Callable[[Page], Locator]:
    return lambda page: page.get_by_role("heading", name=name)


RUN: Final = run(20, "")["run_id"]
VIEWS: Final = (
    View("welcome", "#/welcome", heading("Director Console")),
    View("library", "#/library", lambda page: page.get_by_role("list", name="Runs").get_by_role("article").first),
    View("run", f"#/run/{RUN}", lambda page: page.get_by_role("link", name="Back to library")),
    View("settings", "#/settings", heading("API Configuration")),
    View("theme", "#/settings/theme", heading("Visual Theme")),
    View("data", "#/settings/data", heading("Data Sync, Export & Restore")),
    View("history", "#/history", lambda page: page.get_by_role("list", name="Versions").get_by_role("listitem").first),
    View("devices", "#/devices", lambda page: page.get_by_role("list", name="Signed-in devices")),
    View("old-console", "#/old-console", lambda page: page.get_by_role("heading").first),
)


async def furnish(context: BrowserContext) -> None:
    """Runs with stills that are worth looking at, a few versions of the settings, two keys."""
    with ProcessPoolExecutor() as processes:
        stills = list(processes.map(still, range(len(INTENTS))))
    shown = [(INTENTS[which], stills[which]) for which in ORDER]
    exhibited = [
        run(place, intent, image=image, status=UNUSUAL.get(place, "success"))
        for place, (intent, image) in enumerate(shown)
    ]
    await seed(context, runs=exhibited, keys=KEYS)
    for change in CHANGES:
        await seed(context, settings=change)


async def take(browser: Browser, url: str, state: Any, view: View, size: Any) -> Path:
    how: dict[str, Any] = {
        "locale": "en-GB",
        "timezone_id": "UTC",
        "reduced_motion": "reduce",
        "device_scale_factor": 1,
    }
    context = await browser.new_context(base_url=url, storage_state=state, viewport=size, **how)
    page = await context.new_page()
    await page.goto(f"/{view.address}")
    await view.shown(page).wait_for()
    await settle(page)
    file = FOLDER / f"{view.name}-{size['width']}.png"
    file.write_bytes(await smaller(browser, await page.screenshot(animations="disabled", caret="hide")))
    await context.close()
    return file


async def settle(page: Page) -> None:
    """Wait until what is in sight has been loaded and drawn. (A stream of events never lets the network be idle.)"""
    await page.wait_for_function("""() => document.fonts.status === "loaded" && [...document.images].every((image) => {
        const box = image.getBoundingClientRect()
        return image.complete || box.top > innerHeight || box.bottom < 0 || box.width === 0
    })""")
    await page.wait_for_timeout(300)


async def smaller(browser: Browser, picture: bytes) -> bytes:
    """The same to the eye, in about half as many bytes: with fewer shades, and pressed harder than a browser does."""
    page = await browser.new_page()
    width, height, pixels = await page.evaluate(PIXELS, data_url(picture))
    await page.close()
    shaded = b64decode(pixels).translate(SHADES)
    rgb = bytearray(width * height * 3)
    for colour in range(3):
        rgb[colour::3] = shaded[colour::4]
    return png(width, height, bytes(rgb))


async def take_all(names: Sequence[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as stack:
        async with chromium.launched() as browser:
            context = await browser.new_context(base_url=stack.url)
            await furnish(context)
            await continue_as_guest(await context.new_page())
            state = await context.storage_state()
            for view in VIEWS:
                for size in SIZES if not names or view.name in names else ():
                    file = await take(browser, stack.url, state, view, size)
                    print(f"{file.relative_to(ROOT)} {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    asyncio.run(take_all(sys.argv[1:]))
