"""One real stack for all that works beside running services."""

from collections.abc import AsyncIterator, Iterator

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
