"""Runs the gateway and the four services under supervisor: what `make run` starts.

It brings back whichever dies and ends all of them together. The processes read the environment themselves; only their
ports are known here.
"""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from io import StringIO
from pathlib import Path

from pydantic_settings import BaseSettings
from supervisor.medusa.asyncore_25 import ExitNow  # type: ignore[import-untyped]
from supervisor.options import ServerOptions, decode_wait_status  # type: ignore[import-untyped]
from supervisor.states import SupervisorStates  # type: ignore[import-untyped]
from supervisor.supervisord import Supervisor  # type: ignore[import-untyped]

from chassis.running import Running
from chassis.settings import CONFIG, PROCESSES, Address, Port, check, load

TICK = 0.1  # seconds in which a death, a signal or an interrupted make is noticed
KILLED_PAUSE = 0.5  # seconds before a process that was killed, or ended well, in its first second is started again
MAKES_END = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGHUP - 1)  # what make does not pass on to what it runs
LONGEST_PAUSE = 5  # seconds: one that fails by itself in its first second waits 1, 2, 3 … seconds, and never more

# The gateway (the higher priority) stops first, while the services can still answer what it has under way; the two
# `stopwaitsecs`, after which supervisor kills, keep the whole stop under 15 seconds.
CONFIGURATION = """
[supervisord]
nodaemon = true
silent = true
nocleanup = true
logfile = /dev/null
logfile_maxbytes = 0
[group:gateway]
programs = gateway
priority = 2
[group:services]
programs = auth_service, settings_service, runs_service, vault_service
priority = 1
"""
PROGRAM = """
[program:{name}]
command = "{python}" -m {name}
autorestart = true
startsecs = 1
startretries = {retries}
stopwaitsecs = {patience}
stopasgroup = true
stopsignal = INT
stdout_logfile = NONE
stderr_logfile = NONE
"""


class Place(BaseSettings):
    """Where the gateway listens, and tells its metrics; the services take the next four ports each."""

    model_config = CONFIG
    host: str = "127.0.0.1"
    port: Port = 8000
    metrics_port: Port | None = None


class Options(ServerOptions):  # type: ignore[misc]
    """supervisor's own options, with what its configuration file cannot say."""

    first, test = True, False

    def __init__(self, configuration: str, on_tick: Iterator[None]) -> None:
        super().__init__()
        self.configfile = StringIO(configuration)
        self.under_make = heeded_by_make() != 0
        wait = self.poller.poll

        def poll(_timeout: float) -> object:
            next(on_tick, None)
            return wait(TICK)

        self.poller.poll = poll
        self.realize([])

    def write_pidfile(self) -> None:
        """None: several stacks run from one checkout, and one that was killed should leave nothing behind."""

    def make_pipes(self, stderr: bool = True) -> dict[str, int | None]:
        """No pipes: the processes write to our own output, so that a line of one never breaks into that of another."""
        child = {"child_stdin": os.open(os.devnull, os.O_RDONLY), "child_stdout": os.dup(1), "child_stderr": os.dup(2)}
        return {"stdin": None, "stdout": None, "stderr": None, **child}

    def setsignals(self) -> None:
        """supervisor's own, in which a closed terminal (SIGHUP) ends it too; but nohup is heeded."""
        outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        super().setsignals()
        if outlives_terminal:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def get_signal(self) -> int | None:
        """The next signal; also where make keeps one that only it received to itself, and waits for us."""
        if self.under_make and heeded_by_make() & MAKES_END != MAKES_END:
            return signal.SIGTERM
        received: int | None = super().get_signal()
        return received

    def waitpid(self) -> tuple[int | None, int | None]:
        pid, status = super().waitpid()
        process = self.pidhistory.get(pid)
        if process and self.mood == SupervisorStates.RUNNING:
            code, reason = decode_wait_status(status)
            # supervisor adds 1 to this and, where the process died in its first second, pauses for so many seconds.
            process.backoff = min(process.backoff, LONGEST_PAUSE - 1) if code > 0 else KILLED_PAUSE - 1
            say(f"{process.config.name} ended ({reason}) and is being started again")
        return pid, status


def main() -> None:
    for variable in ("ANIMATIZE_LISTEN", "ANIMATIZE_METRICS_LISTEN"):
        if os.environ.get(variable):
            raise SystemExit(f"{variable} is the address of one process: unset it to run all five together.")
    # What would stop one of them is told once, before any is started.
    check(Place, Running, *(import_module(f"{name}.settings").Settings for name in PROCESSES))
    place = load(Place)
    for offset, name in enumerate(PROCESSES):
        refuse_taken(name, place.host if offset == 0 else "127.0.0.1", place.port + offset)
    if place.metrics_port is not None:
        if abs(place.metrics_port - place.port) < len(PROCESSES):
            raise SystemExit("The five ports from ANIMATIZE_METRICS_PORT on and those from ANIMATIZE_PORT on overlap.")
        for offset, name in enumerate(PROCESSES):
            refuse_taken(f"{name} (its metrics)", "127.0.0.1", place.metrics_port + offset)
    with suppress(ExitNow):
        Supervisor(Options(configuration(), announced(Address(place.host, place.port)))).main()


def configuration() -> str:
    python = sys.executable.replace("%", "%%")
    return CONFIGURATION + "".join(
        PROGRAM.format(name=name, python=python, retries=LONGEST_PAUSE, patience=8 if name == "gateway" else 5)
        for name in PROCESSES
    )


def refuse_taken(name: str, host: str, port: int) -> None:
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        reason = f"{name} cannot listen at {host}:{port}: {error.strerror}"
        advice = "Choose five free ports in a row with ANIMATIZE_PORT or ANIMATIZE_METRICS_PORT."
        raise SystemExit(f"{reason}. {advice}") from None


def announced(gateway: Address) -> Iterator[None]:
    """Look for the gateway's readiness, ever more seldom, and say once when it is there; every step is a short one."""
    started = time.monotonic()
    while not is_ready(gateway):
        looked = time.monotonic()
        while time.monotonic() < looked + (looked - started) / 10:
            yield
        yield
    say(f"ANIMAtiZE Director Console is ready at {gateway.url} (Ctrl-C stops it)")


def is_ready(gateway: Address) -> bool:
    connection = HTTPConnection(gateway.url.removeprefix("http://"), timeout=0.5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def heeded_by_make() -> int:
    """The mask of the signals that the make which started us catches or ignores; 0 where our parent is no make.

    GNU make gives a signal back its default when that is to end it. Only Linux tells, in /proc.
    """
    try:
        status = Path(f"/proc/{os.getppid()}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    ignored, caught = re.findall(r"^Sig(?:Ign|Cgt):\t(\w+)$", status, re.MULTILINE)
    return int(ignored, 16) | int(caught, 16) if re.match(r"Name:\tg?make\n", status) else 0


def say(line: str) -> None:
    with suppress(OSError):  # whoever read our output may be gone; the processes go on
        os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
