"""What axe-core finds in a page against WCAG 2.0, 2.1 and 2.2, levels A and AA.

The script is that of the pinned package axe-playwright-python. It runs in a world of its own beside the page's, over
the same document: the page's Content-Security-Policy stays as it is, and its scripts see nothing of it.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from playwright.async_api import CDPSession, Page

TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")
OPTIONS: Final = {
    "runOnly": {"type": "tag", "values": TAGS},
    "rules": {"target-size": {"enabled": True}},  # of WCAG 2.2, and off by default
    "resultTypes": ["violations"],
}


class Violation(NamedTuple):
    rule: str
    help: str
    places: list[str]

    def __str__(self) -> str:
        return "\n    ".join([f"{self.rule}: {self.help}", *self.places])


async def violations(page: Page, within: str | None = None) -> list[Violation]:
    """Those of the whole page, or of what a CSS selector names."""
    session = await page.context.new_cdp_session(page)
    try:
        world = await _world(session)
        await _evaluate(session, world, f"{_axe()}; undefined")
        where = json.dumps(within) if within else "document"
        found = await _evaluate(session, world, f"axe.run({where}, {json.dumps(OPTIONS)})")
    finally:
        await session.detach()
    return [Violation(each["id"], each["help"], list(map(_place, each["nodes"]))) for each in found["violations"]]


async def assert_accessible(page: Page, within: str | None = None) -> None:
    found = await violations(page, within)
    assert not found, "\n".join([page.url, *map(str, found)])


async def _world(session: CDPSession) -> int:
    tree = await session.send("Page.getFrameTree")
    frame = tree["frameTree"]["frame"]["id"]
    answer = await session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})
    return int(answer["executionContextId"])


async def _evaluate(session: CDPSession, world: int, expression: str) -> Any:
    how = {"contextId": world, "awaitPromise": True, "returnByValue": True}
    answer = await session.send("Runtime.evaluate", {"expression": expression, **how})
    if failure := answer.get("exceptionDetails"):
        raise RuntimeError(failure["exception"].get("description", failure["text"]))
    return answer["result"].get("value")


def _place(node: dict[str, Any]) -> str:
    return f"{' '.join(map(str, node['target']))}: {node['failureSummary']}".replace("\n", " ")


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
