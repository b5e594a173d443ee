"""One image, and one console in containers for all tests here; a test that harms it puts it right again.

Without a Docker engine the tests are skipped, or, where ANIMATIZE_TEST_ENGINE is `required`, fail.
"""

import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import docker
import pytest
from docker import DockerClient
from docker.errors import DockerException

from tests.compose.console import Console, Failed, composed
from tests.journeys.browser import Browser
from tests.processes import ROOT

SECRET: Final = "a root secret for containers, of more than 32 characters"
PROVIDER_KEY: Final = "rk_live_of_the_operator"
IMAGE: Final = f"animatize-director-console:test-{os.getpid()}"


class Start(NamedTuple):
    """What happened until the console was up, oldest first: to which service's container, and what."""

    console: Console
    events: list[tuple[str, str]]


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    try:
        engine = docker.from_env(timeout=60)
        engine.ping()
    except DockerException as error:
        _missing(f"no Docker engine answers: {error}")
    found = subprocess.run(["docker", "compose", "version"], capture_output=True, text=True, check=False)
    if found.returncode:
        _missing(f"`docker compose` is not there: {found.stderr.strip()}")
    yield engine
    engine.close()


def _missing(reason: str) -> NoReturn:
    if os.environ.get("ANIMATIZE_TEST_ENGINE") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def image(engine: DockerClient) -> Iterator[str]:
    """The image, under a name that nobody else uses; built by compose, as an operator would."""
    environment = os.environ | {"ANIMATIZE_IMAGE": IMAGE, "ANIMATIZE_SECRET_KEY_FILE": os.devnull}
    command = ["docker", "compose", "--progress", "plain", "build"]
    built = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode:
        raise Failed(f"{built.stdout}{built.stderr}")
    yield IMAGE
    engine.images.remove(IMAGE)


@pytest.fixture(scope="session")
def secret_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that name the secrets' files, each readable for the containers' user."""
    folder = tmp_path_factory.mktemp("secrets")
    files = {"ANIMATIZE_SECRET_KEY_FILE": SECRET, "RUNWAY_API_KEY_FILE": PROVIDER_KEY}
    for name, secret in files.items():
        (folder / name).write_text(f"{secret}\n", encoding="utf-8")
        (folder / name).chmod(0o444)
    return {name: str(folder / name) for name in files}


@pytest.fixture(scope="session")
def start(engine: DockerClient, image: str, secret_files: dict[str, str]) -> Iterator[Start]:
    began = time.time()
    with composed(engine, image, (), **secret_files) as console:
        yield Start(console, console.events(began))


@pytest.fixture(scope="session")
def composition(start: Start) -> Console:
    return start.console


@pytest.fixture
def console(composition: Console, request: pytest.FixtureRequest) -> Iterator[Console]:
    """The console, all of it ready; where a test fails, it shows what every container said."""
    composition.wait_until_ready()
    failures = request.session.testsfailed
    yield composition
    if request.session.testsfailed > failures:
        print(composition.states(), composition.logs(), sep="\n")


@pytest.fixture
async def browser(console: Console) -> AsyncIterator[Browser]:
    async with Browser(console.url) as browser:
        yield browser


@pytest.fixture
async def other_browser(console: Console) -> AsyncIterator[Browser]:
    async with Browser(console.url) as browser:
        yield browser


@pytest.fixture
def secret_key_file(tmp_path: Path) -> Path:
    """A file with a root secret that only its owner, who is not the containers' user, can read."""
    file = tmp_path / "secret_key"
    file.write_text(SECRET, encoding="utf-8")
    file.chmod(0o600)
    return file
