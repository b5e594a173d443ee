"""The five real processes on free ports of 127.0.0.1, as an operator would start them; killed and restarted by name."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError

ROOT = Path(__file__).parent.parent
SERVICES = ("auth_service", "settings_service", "runs_service", "vault_service")
SECRET = "a root secret for the journeys, of forty-odd characters"
READY_SECONDS = 30.0


class Stack:
    """Starts with `start()`; `url` is the gateway's address. Logs of all processes go to `log`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.data, self.log = folder / "data", folder / "log.txt"
        self.ports = dict(zip(("gateway", *SERVICES), free_ports(5), strict=True))
        self.url = f"http://127.0.0.1:{self.ports['gateway']}"
        addresses = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANIMATIZE_")},
            "ANIMATIZE_WEB_DB_PATH": str(self.data),
            "ANIMATIZE_SECRET_KEY": SECRET,
            "ANIMATIZE_GATEWAY_URL": self.url,
            **{f"ANIMATIZE_{name.split('_')[0].upper()}_URL": addresses[name] for name in SERVICES},
            **environment,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        """Start the named processes, or all; return when the gateway finds everything ready."""
        for name in names or self.ports:
            listen = {"ANIMATIZE_LISTEN": f"127.0.0.1:{self.ports[name]}"}
            with self.log.open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [sys.executable, "-m", name],
                    cwd=ROOT,
                    env=self._environment | listen,
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
            process.wait(20)

    def kill(self, *names: str) -> None:
        self.stop(*names, with_signal=signal.SIGKILL)

    def shared_with(self, name: str) -> dict[str, str]:
        """The environment of one more process of a name, over the same files and beside the same peers."""
        own = f"ANIMATIZE_{name.split('_', maxsplit=1)[0].upper()}_URL"
        return {key: value for key, value in self._environment.items() if key.startswith("ANIMATIZE_") and key != own}

    def process_id(self, name: str) -> int:
        return self._running[name].pid

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not answers(f"{self.url}/health/ready"):
            dead = [name for name, process in self._running.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"not ready; ended: {dead}\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def free_ports(number: int) -> Iterator[int]:
    """Ports that nobody listens on at this moment; all are held open until all are found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return iter([each.getsockname()[1] for each in sockets])


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Stack]:
    stack = Stack(folder, **environment)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
