"""The toy process, ended when its test is over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chassis.toy import Toy
from tests.processes import free_ports

Start = Callable[..., Toy]


@pytest.fixture
def port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    """Start one more at `port`."""
    running: list[Toy] = []

    def start(env: str = "production", **environment: str) -> Toy:
        running.append(Toy(tmp_path, port, env, **environment))
        running[-1].wait_until_it_listens()
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
