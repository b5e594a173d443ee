"""The five real processes on free ports of 127.0.0.1, as an operator would start them; killed and restarted by name."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from urllib.error import URLError

import psutil

ROOT = Path(__file__).parent.parent
SERVICES = ("auth_service", "settings_service", "runs_service", "vault_service")
SECRET = "a root secret for the journeys, of forty-odd characters"
READY_SECONDS = 60.0  # of fourteen processes on a machine that is busy with something else
ENDING_SECONDS = 40.0
BELOW_THE_EPHEMERAL = range(12_000, 32_000)


class Stack:
    """Starts with `start()`; `url` is the gateway's address. Logs of all processes go to `log`.

    More `gateways` than one are called gateway, gateway-2 and so on, and more `replicas` of each service runs_service,
    runs_service-2 and so on: over the same file, each on a port of its own. An `environment` value that is empty is
    as good as unset.
    """

    def __init__(self, folder: Path, gateways: int = 1, replicas: int = 1, /, **environment: str) -> None:
        self.data, self.log = folder / "data", folder / "log.txt"
        self._gateways = replicas_of("gateway", gateways)
        services = {name: replicas_of(name, replicas) for name in SERVICES}
        names = [*self._gateways, *chain.from_iterable(services.values())]
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.url = self.url_of("gateway")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANIMATIZE_")},
            "ANIMATIZE_WEB_DB_PATH": str(self.data),
            "ANIMATIZE_SECRET_KEY": SECRET,
            "ANIMATIZE_GATEWAY_URL": ",".join(map(self.url_of, self._gateways)),
            **{_variable(name): ",".join(map(self.url_of, each)) for name, each in services.items()},
            **environment,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str, code: Path = ROOT, **environment: str) -> None:
        """Start the named processes, or all, of the packages in `code`; return when each of all that run is ready.

        `environment` is theirs alone, and goes before what all have in common.
        """
        for name in names or self.ports:
            listen = {"ANIMATIZE_LISTEN": f"127.0.0.1:{self.ports[name]}"}
            with self.log.open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [sys.executable, "-m", name.split("-")[0]],
                    cwd=code,
                    env=self._environment | listen | environment,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                )
        self.wait_until_ready()

    def stop(self, *names: str, with_signal: int = signal.SIGTERM) -> None:
        """End the named processes, or all, and wait for them."""
        ending = [self._running.pop(name) for name in names or tuple(self._running)]
        for process in ending:
            process.send_signal(with_signal)
        for process in ending:
            process.wait(ENDING_SECONDS)

    def kill(self, *names: str) -> None:
        self.stop(*names, with_signal=signal.SIGKILL)

    def shared_with(self, name: str) -> dict[str, str]:
        """The environment of one more process of a name, over the same files and beside the same peers."""
        own = _variable(name)
        return {key: value for key, value in self._environment.items() if key.startswith("ANIMATIZE_") and key != own}

    def url_of(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def is_running(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    def limit_file_size(self, name: str, size: int) -> None:
        """From now on the process can write no file beyond `size` bytes; `psutil.RLIM_INFINITY` takes that back."""
        psutil.Process(self.process_id(name)).rlimit(psutil.RLIMIT_FSIZE, (size, psutil.RLIM_INFINITY))

    def process_id(self, name: str) -> int:
        return self._running[name].pid

    def suspend(self, name: str) -> None:
        """From now on the process hangs: its port is open and nobody answers; `resume` takes that back."""
        os.kill(self.process_id(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        os.kill(self.process_id(name), signal.SIGCONT)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not all(answers(f"{self.url_of(name)}/health/ready") for name in self._running):
            dead = [name for name, process in self._running.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"not ready; ended: {dead}\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)


def replicas_of(name: str, number: int) -> list[str]:
    """What the processes of one name are called: `runs_service`, `runs_service-2`, …"""
    return [name, *(f"{name}-{which}" for which in range(2, number + 1))]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def free_ports(number: int) -> Iterator[int]:
    """Ports that nobody listens on at this moment, and that the system gives to no outgoing connection meanwhile."""
    return islice(filter(is_free, random.SystemRandom().sample(BELOW_THE_EPHEMERAL, 1000)), number)


def peak_memory(process_id: int) -> int:
    """The most bytes that a process has had resident so far. Linux only."""
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def _variable(name: str) -> str:
    """Where others look for the addresses of a process."""
    return f"ANIMATIZE_{name.partition('-')[0].partition('_')[0].upper()}_URL"


def is_free(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def running(folder: Path, gateways: int = 1, replicas: int = 1, /, **environment: str) -> Iterator[Stack]:
    stack = Stack(folder, gateways, replicas, **environment)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
