"""A journal over a file of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.database import Database, opened
from gateway.journal import Journal


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path / "gateway.db", "gateway") as database:
        yield database


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database)
