"""How a process starts, serves and ends."""

import asyncio
import errno
import gc
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, cast

import structlog
import uvloop
from aiohttp import web
from pydantic import PositiveFloat
from pydantic_settings import BaseSettings

from chassis import logs
from chassis.metrics import exposition
from chassis.schema import Unusable
from chassis.serving import LEAVING
from chassis.settings import CONFIG, PROCESSES, Address, Environment, Listen, Port, load_both
from chassis.stopping import Door, Visits, let_go
from chassis.unreadable import Runner

log = structlog.get_logger()

CLOSING_SECONDS = 2.4  # for what is under way when time is up; aiohttp takes it twice, and the stack kills after 5
BACKLOG = 1024  # connections that wait for the event loop
# What is parsed here are trees, and those have no cycles: looking for some took a tenth of the time of a restore.
GC_THRESHOLDS = (50_000, 20, 20)
LONGEST_LINE = 16_384  # bytes of a request line or header: room for a key or a passphrase in a header


class Running(BaseSettings):
    """What every process reads besides its own settings."""

    model_config = CONFIG
    env: Environment = "development"
    share_port: bool = False
    drain_seconds: PositiveFloat = 20.0
    metrics_port: Port | None = None
    metrics_listen: Listen | None = None

    def metrics_address(self, process: str) -> Address | None:
        """Its own where it has one; else of the ports from `metrics_port` on the one that is its."""
        if self.metrics_listen is None and self.metrics_port is not None:
            return Address("127.0.0.1", self.metrics_port + PROCESSES.index(process))
        return self.metrics_listen


class Listening(Protocol):
    """What `start` asks of a process's own settings."""

    @property
    def listen(self) -> Address: ...


S = TypeVar("S", bound=BaseSettings)


def start(settings_model: type[S], create_app: Callable[[S], web.Application], *, process: str) -> None:
    """Read the environment, then serve until SIGINT or SIGTERM.

    SIGTERM costs no request: see `stopping`. SIGINT, also after it, only finishes what is under way. A client that
    leaves does not cut a write in half: handlers are not cancelled. Exits with one message where the configuration is
    wrong or the database cannot be used.
    """
    settings, running = load_both(settings_model, Running)
    logs.configure(process, running.env)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is somebody to be served
    os.umask(0o077)  # what people keep here is for nobody else on this machine
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        app = create_app(settings)
        if (address := running.metrics_address(process)) is not None:
            app.cleanup_ctx.append(_metrics_told(address))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(app, cast("Listening", settings).listen, running))
    except (Unusable, OSError, sqlite3.Error) as error:  # a port that is taken, a folder that is none, a locked file
        raise SystemExit(f"{process} cannot start: {error}") from None


def _metrics_told(address: Address) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(app: web.Application) -> AsyncIterator[None]:
        runner = web.AppRunner(exposition(app), access_log=None, shutdown_timeout=0.5, lingering_time=0)
        await runner.setup()
        await web.TCPSite(runner, address.host, address.port).start()
        yield
        await runner.cleanup()

    return context


async def _serve(app: web.Application, listen: Address, running: Running) -> None:
    leaving, visits = app[LEAVING], Visits()
    app.on_response_prepare.append(_last_answer(leaving))
    app.middlewares.insert(0, visits.noted)
    runner = _runner(app)
    try:
        await runner.setup()
        signals = _signals()
        sockets = _listening(listen, shared=running.share_port)
        door = Door(sockets)
        for each in sockets:
            await web.SockSite(runner, each, backlog=BACKLOG).start()
        log.info("started", at=listen.url)
        received = signal.Signals(await signals.get())
        log.info("ending", signal=received.name)
        if received == signal.SIGTERM:
            leaving.set()
            await _first_of(let_go(runner, door, visits), _interrupted(signals), running.drain_seconds)
        leaving.set()
        for connection in door.close():
            connection.close()
    finally:
        await runner.cleanup()


async def _interrupted(signals: asyncio.Queue[int]) -> None:
    while await signals.get() != signal.SIGINT:
        continue


def _signals() -> asyncio.Queue[int]:
    """What is received from now on; until then a signal ends the process at once, which has served nobody yet."""
    received: asyncio.Queue[int] = asyncio.Queue()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, received.put_nowait, each)
    return received


def _last_answer(leaving: asyncio.Event) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Once the process is leaving, each connection gets one more answer (RFC 9112, 9.6)."""

    async def close_behind(_: web.Request, response: web.StreamResponse) -> None:
        if leaving.is_set():
            response.force_close()
            response.headers["Connection"] = "close"

    return close_behind


def _runner(app: web.Application) -> web.AppRunner:
    return Runner(
        app,
        access_log=None,
        shutdown_timeout=CLOSING_SECONDS,
        handler_cancellation=False,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
    )


def _listening(listen: Address, *, shared: bool) -> list[socket.socket]:
    """A socket for each address of the host that the machine has: `localhost` may have two. Raises OSError where a port
    is taken."""
    found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = dict.fromkeys((family, address[:2]) for family, _, _, _, address in found)
    opened, missing = [], None
    for family, address in places:
        try:
            opened.append(socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=shared))
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
            missing = error
    if not opened and missing:
        raise missing
    return opened


async def _first_of(one: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None], seconds: float) -> None:
    """Raises what the first of them raised."""
    ended, others = await asyncio.wait(
        [asyncio.create_task(one), asyncio.create_task(other)],
        timeout=seconds,
        return_when=asyncio.FIRST_COMPLETED,
    )
    for each in others:
        each.cancel()
    await asyncio.gather(*ended)
    await asyncio.gather(*others, return_exceptions=True)
