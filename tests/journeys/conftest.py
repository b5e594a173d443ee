"""One real stack for all journeys; every test is a stranger to the others, since it comes with a browser of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.journeys.browser import Browser
from tests.processes import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
async def browser(stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as browser:
        yield browser


@pytest.fixture
async def other_browser(stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as browser:
        yield browser


@pytest.fixture
def fresh_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that a test may kill, starve or restart."""
    with running(tmp_path) as stack:
        yield stack
