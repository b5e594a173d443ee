"""How a process starts, serves and ends."""

import gc
import sqlite3
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import uvloop
from aiohttp import web
from pydantic_settings import BaseSettings

from chassis import logs
from chassis.schema import Unusable
from chassis.settings import Address, load

STOP_SECONDS = 4.0  # the stack kills a service after 5
# What is parsed here are trees, and those have no cycles: looking for some took a tenth of the time of a restore.
GC_THRESHOLDS = (50_000, 20, 20)
LONGEST_LINE = 16_384  # bytes of a request line or header: room for a key or a passphrase in a header


class Listening(Protocol):
    """What `start` asks of a process's settings."""

    @property
    def env(self) -> str: ...
    @property
    def listen(self) -> Address: ...


S = TypeVar("S", bound=BaseSettings)


def start(settings_model: type[S], create_app: Callable[[S], web.Application], *, process: str) -> None:
    """Read the environment, then serve until SIGINT or SIGTERM: stop accepting, finish what is under way, close.

    A client that leaves does not cut a write in half: handlers are not cancelled. Exits with one message where the
    configuration is wrong or the database cannot be used.
    """
    settings = load(settings_model)
    place = cast("Listening", settings)
    logs.configure(process, place.env)
    try:
        _serve(create_app(settings), place.listen)
    except (Unusable, OSError, sqlite3.Error) as error:  # a port that is taken, a folder that is none, a locked file
        raise SystemExit(f"{process} cannot start: {error}") from None


def _serve(app: web.Application, listen: Address) -> None:
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    web.run_app(
        app,
        host=listen.host,
        port=listen.port,
        loop=uvloop.new_event_loop(),
        print=None,
        access_log=None,
        shutdown_timeout=STOP_SECONDS,
        handler_cancellation=False,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
    )
