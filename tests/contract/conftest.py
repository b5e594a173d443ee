"""The four services, each by its own `create_app` over a real file, behind one fixture."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from pydantic import SecretStr
from pytest_aiohttp.plugin import AiohttpClient

from chassis.peers import Scope, Signer
from chassis.serving import ROUTES, Route
from tests.support import Asker

SERVICES = ("auth", "settings", "runs", "vault")
PROCESSES = ("gateway", *(f"{name}_service" for name in SERVICES))
LARGEST_BODY = 256 << 10
IN_PATHS = {"provider": "runway"}  # where a path cannot hold just anything
SECRET = SecretStr("a root secret that only the tests know, long enough")
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Service:
    """One running service and the means to speak with it."""

    name: str
    ask: Asker
    routes: list[Route]

    async def call(self, route: Route, **rest: Any) -> ClientResponse:
        """Call a route as one who may."""
        return await self.ask(route.method, address(route), scope=Scope(route.audience), **rest)


Start = Callable[[str], Awaitable[Service]]


def address(route: Route) -> str:
    """A path of the route, with something plausible in the places that are open."""
    return re.sub(r"{(\w+)[^}]*}", lambda found: IN_PATHS.get(found[1], "1"), route.path)


def built(name: str, folder: Path, gateway_url: str) -> web.Application:
    if not (ROOT / f"{name}_service").is_dir():
        pytest.skip(f"there is no {name}_service in this checkout")
    settings = import_module(f"{name}_service.settings").Settings(
        gateway_url=(gateway_url,),
        web_db_path=folder / "animatize_web.db",
        max_body_bytes=LARGEST_BODY,
        secret_key=SECRET,  # only the vault takes it
    )
    app: web.Application = import_module(f"{name}_service.app").create_app(settings)
    return app


@pytest.fixture
def start(aiohttp_client: AiohttpClient, signer: Signer, gateway_url: str, tmp_path: Path) -> Start:
    """Start one more instance of a service over the same file."""

    async def start(name: str) -> Service:
        app = built(name, tmp_path, gateway_url)
        return Service(name, Asker(await aiohttp_client(app), signer, name), list(app[ROUTES].values()))

    return start


@pytest.fixture(params=PROCESSES)
def package(request: pytest.FixtureRequest) -> str:
    """Of a process that has a file."""
    name: str = request.param
    if not (ROOT / name / "migrations").is_dir():
        pytest.skip(f"there is no {name} with a file in this checkout")
    return name


@pytest.fixture(params=SERVICES)
async def service(request: pytest.FixtureRequest, start: Start) -> Service:
    return await start(request.param)
