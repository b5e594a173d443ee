"""A small process with slow, stuck and clumsy answers, started for real."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

TOY = """
import asyncio
from aiohttp import web
from pydantic import Field
from pydantic_settings import BaseSettings
from chassis import messages, running, serving
from chassis.settings import CONFIG, Environment, Listen, Port, local_address

class Settings(BaseSettings):
    model_config = CONFIG
    env: Environment = "development"
    port: Port = 8000
    listen: Listen = Field(default_factory=local_address(0))

async def slow(request):
    await asyncio.sleep(1)
    print("written whole", flush=True)
    return messages.json_response({"done": True})

async def stuck(request):
    await asyncio.sleep(600)

async def take(request):
    return messages.json_response({"bytes": len(await request.read())})

async def trickle(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(14):
        await response.write(b"x")
        await asyncio.sleep(0.1)
    return response

async def ready(app): ...

def create_app(settings):
    app = web.Application(middlewares=[serving.logged(every=True), serving.problems_answered])
    serving.add_health(app, ready)
    app.router.add_get("/slow", slow)
    app.router.add_get("/stuck", stuck)
    app.router.add_put("/take", take)
    app.router.add_get("/trickle", trickle)
    async def lifespan(app):
        yield
        print("closed", flush=True)
    app.cleanup_ctx.append(lifespan)
    return app

running.start(Settings, create_app, process="toy")
"""


class Toy(subprocess.Popen[bytes]):
    """Writes its lines to a file of its own."""

    def __init__(self, folder: Path, port: int, env: str = "production", **environment: str) -> None:
        (folder / "toy.py").write_text(TOY)
        self.log = folder / f"log-{time.monotonic_ns()}.txt"
        own = {"ANIMATIZE_LISTEN": f"127.0.0.1:{port}", "ANIMATIZE_ENV": env, "PYTHONPATH": os.getcwd()}
        with self.log.open("wb") as log:
            super().__init__(
                [sys.executable, "toy.py"], cwd=folder, env=os.environ | own | environment, stdout=log, stderr=log
            )

    def listens(self) -> bool:
        sockets = psutil.Process(self.pid).net_connections("tcp")
        return any(each.status == psutil.CONN_LISTEN for each in sockets)

    def wait_until_it_listens(self) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until and self.poll() is None:
            if self.listens():
                return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def output(self) -> str:
        """What it wrote, once it has ended of itself."""
        assert self.wait(15) == 0, self.log.read_text()
        return self.log.read_text()
