"""The real vault over a real file, asked as the gateway would ask it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from chassis.peers import Signer
from tests.support import Asker
from vault_service import sealing
from vault_service.app import create_app
from vault_service.settings import Settings

ROOT = "the root secret of these tests and long enough"
FOREIGN_ROOT = "the root secret of another server and long enough"
NEW_ROOT = "the root secret after a rotation and long enough"


Start = Callable[..., Awaitable[Asker]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "animatize_web.vault.db"


@pytest.fixture
async def start(tmp_path: Path, gateway_url: str, signer: Signer) -> AsyncIterator[Start]:
    """Starts a vault over the test's one file: `await start(NEW_ROOT, previous=[ROOT], VEO_API_KEY="…")`."""
    async with AsyncExitStack() as stack:

        async def started(root: str = ROOT, *, previous: Sequence[str] = (), **environment: Any) -> Asker:
            secrets = {name: SecretStr(key) for name, key in environment.items()}
            settings = Settings(
                secret_key=SecretStr(root),
                secret_key_previous=tuple(map(SecretStr, previous)),
                gateway_url=(gateway_url,),
                web_db_path=tmp_path / "data" / "animatize_web.db",
                **secrets,  # type: ignore[arg-type]
            )
            client = await stack.enter_async_context(TestClient(TestServer(create_app(settings))))
            return Asker(client, signer, "vault")

        yield started


@pytest.fixture
async def asker(start: Start) -> Asker:
    return await start()


@pytest.fixture(scope="session")
def key() -> sealing.KeyEncryptionKey:
    return sealing.derive_key(SecretStr(ROOT), b"s" * sealing.SALT_BYTES)


@pytest.fixture(autouse=True)
def no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in ("RUNWAY", "PIKA", "VEO", "SORA", "OPENAI", "FLUX"):
        monkeypatch.delenv(f"{provider}_API_KEY", raising=False)
        monkeypatch.delenv(f"{provider}_API_KEY_FILE", raising=False)
