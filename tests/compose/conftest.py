"""One image, and one console in containers for all tests here; a test that harms it puts it right again.

Without a Docker engine the tests are skipped, or, where ANIMATIZE_TEST_ENGINE is `required`, fail.
"""

import gc
import os
import shutil
import subprocess
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import docker
import pytest
from docker import DockerClient
from docker.errors import DockerException

from tests.compose.console import Console, Failed, composed
from tests.journeys.browser import Browser
from tests.processes import ROOT

REQUIRED: Final = os.environ.get("ANIMATIZE_TEST_ENGINE") == "required"
SECRET: Final = "a root secret for containers, of more than 32 characters"
PROVIDER_KEY: Final = "rk_live_of_the_operator"
IMAGE: Final = f"animatize-director-console:test-{os.getpid()}"


class Start(NamedTuple):
    """What happened until the console was up, oldest first: to which service's container, and what."""

    console: Console
    events: list[tuple[str, str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what needs an engine where there is none."""
    needing = [item for item in items if "engine" in getattr(item, "fixturenames", ())]
    if needing and not REQUIRED and (missing := _no_engine() or _no_compose()):
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    if missing := _no_engine() or _no_compose():
        pytest.fail(missing)
    engine = docker.from_env(timeout=60)
    yield engine
    engine.close()


def _no_engine() -> str | None:
    """Why none is there. The client leaves a socket open that found nobody: no warning of that is to come later on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reason = None
        try:
            docker.from_env().close()
        except DockerException as error:
            reason = f"no Docker engine answers: {error}"
        gc.collect()
    return reason


def _no_compose() -> str | None:
    command = shutil.which("docker") or "false"
    found = subprocess.run([command, "compose", "version"], capture_output=True, text=True, check=False)
    return f"`docker compose` is not there: {found.stderr.strip()}" if found.returncode else None


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
        print(composition.states(), composition.complaints(), sep="\n")


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
