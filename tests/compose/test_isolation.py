"""What a container may do, who reaches it, and what can be read about it from outside."""

import json
from typing import Any, Final

import pytest

from tests.compose.conftest import PROVIDER_KEY, SECRET, Start
from tests.compose.console import SERVICE, SERVICES, Console, evaluate, say
from tests.journeys.browser import Browser

PROCESSES: Final = ("gateway", *SERVICES)
PORTS: Final = {"gateway": 8000, "auth": 8001, "settings": 8002, "runs": 8003, "vault": 8004}
NOWHERE_ELSE: Final = (
    "/",
    "/app",
    "/app/gateway",
    "/etc",
    "/run",
    "/run/secrets",
    "/var/tmp",
    "/dev/shm",
    "/usr/local",
)
WRITABLE: Final = """
import os
seen = [f for top in os.scandir("/") if top.is_dir() and top.name not in ("proc", "sys") for f, _, _ in os.walk(top)]
print(sorted(folder for folder in seen if os.access(folder, os.W_OK)))
"""
TRY_TO_WRITE: Final = """
import sys
try:
    open(sys.argv[1] + "/written", "w").write("x")
except OSError as error:
    print(error.strerror)
"""
TRY_TO_CONNECT: Final = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def reach(place):
    host, port = place.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 1).close()
        print(f"reached {place}\\n", end="")
    except OSError:
        pass
with ThreadPoolExecutor(20) as threads:
    threads.map(reach, sys.argv[1:])
"""


def status(console: Console, process: str) -> dict[str, str]:
    """What the kernel says about the process of a container."""
    lines = say(console.container(process), "cat", "/proc/1/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_is_not_root_and_can_become_no_more_than_it_is(console: Console, process: str) -> None:
    found = status(console, process)
    assert found["Uid"].split() == found["Gid"].split() == ["10001"] * 4
    assert {found[f"Cap{kind}"].strip("0") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
    assert found["NoNewPrivs"] == "1"


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_writes_to_its_data_and_to_tmp_and_nowhere_else(console: Console, process: str) -> None:
    container = console.container(process)
    assert evaluate(container, WRITABLE) == "['/data', '/dev/mqueue', '/tmp']", "and queues of its own, no files"
    for folder in NOWHERE_ELSE:
        assert say(container, "python", "-c", TRY_TO_WRITE, folder) != "", folder
    for folder in ("/data", "/tmp"):
        assert say(container, "python", "-c", TRY_TO_WRITE, folder) == "", folder
        say(container, "rm", f"{folder}/written")


def test_only_the_gateway_is_published_and_only_on_this_host(console: Console) -> None:
    published = {each.labels[SERVICE]: each.ports for each in console.containers()}
    doors = {name: {port: where for port, where in ports.items() if where} for name, ports in published.items()}
    here = {"HostIp": "127.0.0.1", "HostPort": console.environment["ANIMATIZE_PORT"]}
    assert doors == {"gateway": {"8000/tcp": [here]}} | {name: {} for name in SERVICES}
    wished = {each.labels[SERVICE]: each.attrs["HostConfig"]["PortBindings"] for each in console.containers()}
    assert [name for name, ports in wished.items() if ports] == ["gateway"], (
        "also where an inner network lets nobody in"
    )


def test_a_stranger_on_the_outer_network_reaches_the_gateway_and_no_service(console: Console, image: str) -> None:
    inner = [f"{_address(console, name, 'services')}:{port}" for name, port in PORTS.items()]
    named = [f"{name}:{port}" for name, port in PORTS.items()]
    command = ["python", "-c", TRY_TO_CONNECT, *named, *inner]
    outer = console.network("outside").name
    assert isinstance(outer, str)
    reached = console.engine.containers.run(image, command, remove=True, network=outer)
    assert reached.decode().split() == ["reached", "gateway:8000"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_the_inner_network_and_no_other_but_auth_the_way_to_google(
    console: Console, service: str
) -> None:
    container = console.container(service)
    networks = ["google", "services"] if service == "auth" else ["services"]
    assert sorted(container.attrs["NetworkSettings"]["Networks"]) == [f"{console.project}_{name}" for name in networks]
    inner, outer = (f"{_address(console, 'gateway', network)}:8000" for network in ("services", "outside"))
    assert say(container, "python", "-c", TRY_TO_CONNECT, outer, inner).split() == ["reached", inner]


def test_the_gateway_starts_when_every_service_is_healthy(start: Start) -> None:
    before = start.events[: start.events.index(("gateway", "start"))]
    assert {name for name, what in before if what == "health_status: healthy"} == set(SERVICES)
    assert ("gateway", "health_status: healthy") in start.events


async def test_no_secret_can_be_read_off_a_container_its_log_or_the_configuration(
    console: Console, browser: Browser
) -> None:
    assert "runway" in (await browser.get("/api/providers"))["available_providers"], "its key is there, out of a file"
    told: list[Any] = [each.attrs for each in console.containers()]
    for place in (json.dumps(told), console.logs(), console.compose("config")):
        assert SECRET not in place
        assert PROVIDER_KEY not in place


@pytest.mark.parametrize("process", PROCESSES)
def test_only_who_needs_a_secret_has_it(console: Console, process: str) -> None:
    found = say(console.container(process), "ls", "/run").split()
    assert ("secrets" in found) == (process in ("gateway", "vault"))
    roots = {"secret_key", "secret_key_previous"}
    if process in ("gateway", "vault"):
        given = set(say(console.container(process), "ls", "/run/secrets").split())
        assert given & roots == roots
        assert (given == roots) == (process == "gateway"), "the vault has the operator's provider keys as well"


def _address(console: Console, service: str, network: str) -> str:
    networks = console.container(service).attrs["NetworkSettings"]["Networks"]
    return str(networks[f"{console.project}_{network}"]["IPAddress"])
