"""What every process says of itself, unasked for a token."""

from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from chassis.release import RELEASE
from tests.contract.conftest import ROOT, SECRET, SERVICES, Service, built
from tests.contract.shape import problem


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_needs_no_token(service: Service, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer rubbish"}):
        answer = await service.ask.client.get(path, headers=headers)
        assert answer.status == 200
        assert await answer.json() == {"status": "ok"}
        assert answer.headers["Animatize-Release"] == RELEASE


async def test_health_tells_nothing_else(service: Service) -> None:
    for path in (
        "/health",
        "/health/",
        "/health/ready/1",
        "/",
        "/metrics",
        "/health/%2e%2e/internal/openapi",
        "/health%2Flive",
    ):
        assert (await service.ask.client.get(path)).status == 401


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_is_ready_while_no_gateway_is_there(name: str, tmp_path: Path) -> None:
    """They start in any order: a gateway is only needed to check a token, and then its absence is a 503."""
    async with TestClient(TestServer(built(name, tmp_path, "http://127.0.0.1:9"))) as client:
        assert (await client.get("/health/ready")).status == 200


async def test_the_gateway_is_ready_only_when_every_service_is(tmp_path: Path) -> None:
    if not (ROOT / "gateway").is_dir():
        pytest.skip("there is no gateway in this checkout")
    async with AsyncExitStack() as running:
        servers = {name: TestServer(built(name, tmp_path, "http://127.0.0.1:9")) for name in SERVICES}
        for server in servers.values():
            await running.enter_async_context(server)
        urls = {f"{name}_url": (str(server.make_url("")).rstrip("/"),) for name, server in servers.items()}
        settings = import_module("gateway.settings").Settings(
            web_db_path=tmp_path / "animatize_web.db", secret_key=SECRET, **urls
        )
        app = import_module("gateway.app").create_app(settings)
        gateway = await running.enter_async_context(TestClient(TestServer(app)))
        assert (await gateway.get("/health/ready")).status == 200
        await servers["vault"].close()
        assert "vault" in (await problem(await gateway.get("/health/ready"), 503))["detail"]
        assert (await gateway.get("/health/live")).status == 200
