"""People with a profile, one for each question, so that none of them disturbs another."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from tests.faults.guest import backup_of
from tests.faults.outages import EARLIER, KEY, RUN, SETTINGS, Question
from tests.journeys.browser import Browser

Answer = tuple[int, dict[str, str], bytes]


class Visitor:
    """Somebody with a profile, who asks one question during an outage, and again after it."""

    def __init__(self, browser: Browser, question: Question) -> None:
        self.browser, self.question = browser, question
        self.status, self.will_be_done = 0, False

    async def settle_in(self) -> None:
        await self.browser.put("/api/settings", SETTINGS)
        await self.browser.put("/api/runs/kept", RUN)
        await self.browser.put("/api/settings/api-keys/runway", KEY)
        await self.browser.restore(EARLIER, {"Idempotency-Key": "earlier"})

    async def ask(self) -> Answer:
        """The answer to the question, which leaves the cookie alone."""
        before = self.cookies()
        body = {"json": self.question.body} if self.question.body is not None else {}
        answer = await self.browser.ask(self.question.method, self.question.path, **body)
        self.status = answer[0]
        assert ("Set-Cookie" in answer[1], self.cookies()) == (False, before)
        assert self.status != 401
        self.will_be_done = self.status == 503 and json.loads(answer[2])["code"] == "restore_completing"
        return answer

    async def check(self, *, may_have_been_done: bool) -> None:
        """What was acknowledged is there and, unless it was only too late, what was refused is not; then it works."""
        backup = await backup_of(self.browser)
        assert [entry["settings"] for entry in backup["history"] if entry["version"] == 2] == [SETTINGS["settings"]]
        if self.question.seen is not None and not (may_have_been_done and self.status == 503):
            assert self.question.seen(backup) == (self.status < 300 or self.will_be_done)
        again = await self.browser.ask(self.question.method, self.question.path, json=self.question.body)
        done_before = 409 if self.question.path.endswith("undo") else 404
        assert again[0] < 300 or again[0] == done_before, again
        if self.question.seen is not None:
            assert self.question.seen(await backup_of(self.browser))

    def cookies(self) -> list[str]:
        return [cookie.value for cookie in self.browser.jar]


@asynccontextmanager
async def visitors(url: str, questions: Sequence[Question]) -> AsyncIterator[list[Visitor]]:
    """One for each question, all settled in."""
    async with AsyncExitStack() as opened:
        browsers = [await opened.enter_async_context(Browser(url)) for _ in questions]
        all_ = [Visitor(browser, question) for browser, question in zip(browsers, questions, strict=True)]
        await asyncio.gather(*(visitor.settle_in() for visitor in all_))
        yield all_
