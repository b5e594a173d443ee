"""Whatever is written while a disk is full: a 507 that leaves all as it was, while reads go on."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest
import pytest_asyncio

from tests.faults.disks import fill, make_room, small_disk
from tests.faults.files import at_rest, check_files
from tests.faults.outages import BACKUP, QUESTIONS, Question
from tests.faults.plan import spread
from tests.faults.visitors import Answer, Visitor, visitors
from tests.journeys.browser import Browser
from tests.processes import SERVICES, Stack, running

pytestmark = pytest.mark.asyncio(loop_scope="package")

LEAST: Final = 4096
Judge = Callable[[Question, Answer], None]


@pytest.fixture(name="stack", scope="module")
def stack_with_limits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose files may be limited in size; its log is none of them."""
    stack = Stack(tmp_path_factory.mktemp("limited"))
    stack.log = Path(os.devnull)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest_asyncio.fixture(name="disk", loop_scope="package")
async def stack_on_a_small_disk(tmp_path: Path) -> AsyncIterator[Stack]:
    with small_disk(tmp_path / "data", "24m"), running(tmp_path) as stack:
        yield stack


@pytest.mark.parametrize("service", spread(("gateway", *SERVICES), 2))
async def test_writes_that_find_no_room_in_one_file_are_507_and_leave_it_as_it_was(stack: Stack, service: str) -> None:
    def judge(question: Question, answer: Answer) -> None:
        if question.writes_to(service.removesuffix("_service")):
            check_full(answer)
        elif question.method == "GET":
            assert answer[0] == 200

    def limit(size: int) -> None:
        stack.limit_file_size(service, size)

    strangers = await live_through(stack, lambda: limit(LEAST), lambda: limit(psutil.RLIM_INFINITY), judge)
    assert strangers == [507 if service == "auth_service" else 200] * 2


async def test_writes_that_find_the_disk_full_are_507_or_go_through_and_reads_go_on(disk: Stack) -> None:
    refused: list[str] = []

    def judge(question: Question, answer: Answer) -> None:
        if answer[0] == 507:
            refused.append(str(question))
        if question.method == "GET" and question.path != BACKUP:
            assert answer[0] == 200

    await live_through(disk, lambda: fill(disk.data, 0), lambda: make_room(disk.data), judge)
    assert refused


def check_full(answer: Answer) -> None:
    status, headers, body = answer
    problem = json.loads(body)
    assert (status, problem["code"]) == (507, "disk_full"), problem
    assert headers["Content-Type"].startswith("application/problem+json")
    assert "disk is full" in problem["detail"]


async def live_through(stack: Stack, fill_up: Callable[[], None], free: Callable[[], None], judge: Judge) -> list[int]:
    """What became of strangers; all others are judged."""
    async with visitors(stack.url, QUESTIONS) as all_:
        fill_up()
        try:
            coming = asyncio.create_task(_come_and_go(stack))
            await asyncio.gather(coming, *(_ask(visitor, judge) for visitor in all_))
            assert all(stack.is_running(name) for name in stack.ports)
        finally:
            free()
        await at_rest(stack.data)
        await asyncio.gather(*(visitor.check(may_have_been_done=False) for visitor in all_))
    check_files(stack.data)
    return coming.result()


async def _ask(visitor: Visitor, judge: Judge) -> None:
    answer = await visitor.ask()
    if not 200 <= answer[0] < 300:
        check_full(answer)
    judge(visitor.question, answer)


async def _come_and_go(stack: Stack) -> list[int]:
    """A stranger is made a guest or told that there is no room, and gets no cookie of a guest that is not there."""
    statuses = []
    for method, path in (("GET", "/api/session/bootstrap"), ("POST", "/api/auth/logout")):
        async with Browser(stack.url) as stranger:
            answer = await stranger.ask(method, path)
            assert (answer[0] == 200) == ("Set-Cookie" in answer[1])
            if answer[0] != 200:
                check_full(answer)
            statuses.append(answer[0])
    return statuses
