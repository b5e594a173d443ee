"""The whole console in containers under a project name and ports of its own, which goes away with all that it made.

Compose brings it up, scales it and takes it down; what happens to one container, happens through the engine's own API.
"""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from docker import DockerClient
from docker.models.containers import Container
from docker.models.networks import Network

from tests.processes import ROOT, answers, free_ports

SERVICES: Final = ("auth", "settings", "runs", "vault")
OURS: Final = ("ANIMATIZE_", "COMPOSE_")
READY_SECONDS: Final = 40.0
SHOWN_LINES: Final = 100
PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"


class Failed(Exception):
    """Compose did not do as it was told; with all that it said."""


class Console:
    """`url` is that of the first gateway. Variables of compose stand in `environment`, which a test may change."""

    def __init__(self, engine: DockerClient, files: Sequence[Path] = (), **environment: str) -> None:
        self.engine, self.project = engine, f"animatize-{secrets.token_hex(4)}"
        self._files = (ROOT / "docker-compose.yml", *files)
        self.ports = _ports_in_a_row()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        kept = {name: value for name, value in kept.items() if not name.removesuffix("_FILE").endswith("_API_KEY")}
        self.environment = kept | {"ANIMATIZE_PORT": str(self.ports[0]), "ANIMATIZE_COOKIE_SECURE": "false"}
        self.environment |= environment

    def compose(self, *arguments: str) -> str:
        """What compose says on its standard output. Raises Failed with everything that it said."""
        files = [part for file in self._files for part in ("-f", str(file))]
        command = ["docker", "compose", *files, "-p", self.project, "--progress", "plain", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self, *arguments: str) -> None:
        """Return when every container is healthy; the image must be there."""
        self.compose("up", "--no-build", "--wait", *arguments)

    def containers(self, *services: str) -> list[Container]:
        """Those of the named services, or all, also ended ones; as the engine sees them now."""
        found = self.engine.containers.list(all=True, filters={"label": f"{PROJECT}={self.project}"})
        named = [each for each in found if not services or each.labels[SERVICE] in services]
        return sorted(named, key=lambda each: str(each.name))

    def container(self, service: str) -> Container:
        """The first of a service."""
        return self.containers(service)[0]

    def network(self, name: str) -> Network:
        return self.engine.networks.get(f"{self.project}_{name}")

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Where the gateways are published at this moment; those that are down are not."""
        ports = [port for each in self.containers("gateway") for port in each.ports.get("8000/tcp") or ()]
        return sorted(f"http://127.0.0.1:{port['HostPort']}" for port in ports)

    def wait_until_ready(self) -> None:
        """Every container runs, and every gateway finds everything ready."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise Failed(f"not ready\n{self.states()}\n{self.complaints()}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        if not all(each.status == "running" for each in self.containers()):
            return False
        return bool(urls := self.urls) and all(answers(f"{url}/health/ready") for url in urls)

    def states(self) -> str:
        """Of each container, whether it runs and how it ended."""
        shown = [(each.name, each.status, each.attrs["State"]) for each in self.containers()]
        return "\n".join(
            f"{name}: {status} {state.get('Health', {}).get('Status')}, exit code {state['ExitCode']} {state['Error']}"
            for name, status, state in shown
        )

    def logs(self) -> str:
        """All that the containers have said."""
        return "\n".join(f"--- {each.name}\n{each.logs().decode()}" for each in self.containers())

    def complaints(self) -> str:
        """The end of what they said about anything but their successes."""
        told = [line for line in self.logs().splitlines() if '"status":2' not in line]
        return "\n".join(told[-SHOWN_LINES:])

    def events(self, since: float) -> list[tuple[str, str]]:
        """What has happened to the containers since a time, oldest first: the service of each, and what it was."""
        filters = {"label": f"{PROJECT}={self.project}", "type": "container"}
        found = self.engine.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True)
        return [(event["Actor"]["Attributes"][SERVICE], event["Action"]) for event in found]


def say(container: Container, *command: str) -> str:
    """What a command says that runs in a container as its own user. It must succeed."""
    status, said = container.exec_run(list(command))
    assert isinstance(said, bytes)
    assert status == 0, said
    return said.decode()


def evaluate(container: Container, source: str) -> str:
    """What Python says about a statement inside of a container."""
    return say(container, "python", "-c", source).strip()


@contextmanager
def composed(engine: DockerClient, image: str, files: Sequence[Path] = (), **environment: str) -> Iterator[Console]:
    """A console that is up; down with its volumes in the end. Where it does not come up, its logs are told."""
    console = Console(engine, files, ANIMATIZE_IMAGE=image, **environment)
    try:
        try:
            console.up()
        except Failed as failed:
            raise Failed(f"{failed}\n{console.states()}\n{console.complaints()}") from None
        yield console
    finally:
        console.compose("down", "--volumes", "--remove-orphans")


def _ports_in_a_row() -> tuple[int, int]:
    free = set(free_ports(1000))
    return next((port, port + 1) for port in free if port + 1 in free)
