"""Whatever is written while a file is locked from outside: it waits, and after a while it is a 503; reads go on."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.faults.files import FILES, at_rest, check_files, locked
from tests.faults.outages import QUESTIONS, WRITES
from tests.faults.visitors import Answer, Visitor, visitors
from tests.journeys.browser import Browser
from tests.processes import Stack, running

pytestmark = pytest.mark.asyncio(loop_scope="package")

SHORT_SECONDS: Final = 1.5
ANSWER_SECONDS: Final = 10.0


@pytest.fixture(name="stack", scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("locked")) as stack:
        yield stack


@contextmanager
def all_locked(data: Path) -> Iterator[None]:
    with ExitStack() as held:
        for file in FILES:
            held.enter_context(locked(data, file))
        yield


def check_busy(answer: Answer) -> None:
    status, headers, body = answer
    problem = json.loads(body)
    assert (status, problem["code"]) == (503, "busy"), problem
    assert int(headers["Retry-After"]) > 0
    assert "Set-Cookie" not in headers


async def test_a_lock_that_is_let_go_in_time_costs_only_time(stack: Stack) -> None:
    async with visitors(stack.url, WRITES) as all_:
        with all_locked(stack.data):
            asking = [asyncio.create_task(visitor.ask()) for visitor in all_]
            await asyncio.sleep(SHORT_SECONDS)
            early = [visitor.question for visitor, task in zip(all_, asking, strict=True) if task.done()]
            assert [question for question in early if question.writes] == []
        answers = await asyncio.gather(*asking)
        assert [answer for answer in answers if answer[0] >= 300] == []
        await at_rest(stack.data)
        await asyncio.gather(*(visitor.check(may_have_been_done=False) for visitor in all_))
    check_files(stack.data)


async def test_writes_to_locked_files_are_503_and_can_be_repeated_and_nobody_is_signed_out(stack: Stack) -> None:
    async with visitors(stack.url, QUESTIONS) as all_:
        with all_locked(stack.data):
            await asyncio.gather(*(_ask(visitor) for visitor in all_), _come_and_go(stack))
        await at_rest(stack.data)
        await asyncio.gather(*(visitor.check(may_have_been_done=False) for visitor in all_))
    check_files(stack.data)


async def test_a_locked_journal_holds_up_restores_and_backups_alone(stack: Stack) -> None:
    async with visitors(stack.url, QUESTIONS) as all_:
        with locked(stack.data, "gateway"):
            answers = await asyncio.gather(*(visitor.ask() for visitor in all_))
        for visitor, answer in zip(all_, answers, strict=True):
            if visitor.question.writes_to("gateway"):
                check_busy(answer)
            else:
                assert 200 <= answer[0] < 300, answer
        await at_rest(stack.data)
        await asyncio.gather(*(visitor.check(may_have_been_done=False) for visitor in all_))


async def _ask(visitor: Visitor) -> None:
    started = time.monotonic()
    answer = await visitor.ask()
    assert time.monotonic() - started < ANSWER_SECONDS
    if visitor.question.writes:
        check_busy(answer)
    elif visitor.question.method == "GET":
        assert answer[0] == 200


async def _come_and_go(stack: Stack) -> None:
    """Nobody is made a guest, and nobody who leaves is given another session."""
    for method, path in (("GET", "/api/session/bootstrap"), ("POST", "/api/auth/logout")):
        async with Browser(stack.url) as stranger:
            check_busy(await stranger.ask(method, path))
