"""The real settings service over a real file, asked as the gateway would ask it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from chassis.peers import Signer
from settings_service.app import create_app
from settings_service.settings import Settings
from tests.support import Asker

Start = Callable[..., Awaitable[Asker]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "animatize_web.settings.db"


@pytest.fixture
async def start(tmp_path: Path, gateway_url: str, signer: Signer) -> AsyncIterator[Start]:
    """Starts one more instance over the test's one file: `await start()`, `await start(owner_quota_bytes=1000)`."""
    async with AsyncExitStack() as stack:

        async def started(**limits: int) -> Asker:
            settings = Settings(gateway_url=(gateway_url,), web_db_path=tmp_path / "animatize_web.db", **limits)  # type: ignore[arg-type]
            client = await stack.enter_async_context(TestClient(TestServer(create_app(settings))))
            return Asker(client, signer, "settings")

        yield started


@pytest.fixture
async def asker(start: Start) -> Asker:
    return await start()
