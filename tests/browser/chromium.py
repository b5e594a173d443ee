"""The browser of this machine: Debian's Chromium or another of its family, found by name, driven by Playwright.

ANIMATIZE_TEST_BROWSER is its path, or the word `required`: then it has to be there under one of the usual names.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright

VARIABLE: Final = "ANIMATIZE_TEST_BROWSER"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    "--no-sandbox",  # which root in a container cannot have; it opens nothing but what is tested
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WISH: Final = os.environ.get(VARIABLE, "")


def executable() -> str | None:
    if WISH not in ("", "required"):
        return shutil.which(WISH)
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing() -> str | None:
    """Why none can be started; nothing where one can."""
    if executable():
        return None
    return f"there is no browser at {WISH}" if WISH not in ("", "required") else f"none of {', '.join(NAMES)} is there"


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
