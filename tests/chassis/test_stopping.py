"""SIGTERM to a process under load: nobody notices."""

import asyncio
import random
import signal
import socket
import time
from http.client import HTTPConnection
from typing import Final

import aiohttp
import pytest

from chassis.stopping import IDLE_SECONDS, Door
from gateway.sending import KEPT_SECONDS, connections
from tests.chassis.conftest import Start
from tests.chassis.toy import Toy
from tests.processes import free_ports

VISITORS: Final = 40
PAUSE_SECONDS: Final = 0.04
REQUEST: Final = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def visit(port: int) -> bytes:
    """The status line, over a connection of its own; refused ones were never sent and are tried again."""
    until = time.monotonic() + 5
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
            continue
        writer.write(REQUEST)
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n")[0]


async def visit_again_and_again(port: int, over: asyncio.Event, seen: list[bytes | str]) -> None:
    while not over.is_set():
        await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
        try:
            seen.append(await visit(port))
        except OSError as error:
            seen.append(repr(error))


async def seen_while_ending(process: Toy, port: int) -> set[bytes | str]:
    """What visitors with a connection each saw before, while and after the process ended."""
    over, seen = asyncio.Event(), list[bytes | str]()
    visitors = [asyncio.create_task(visit_again_and_again(port, over, seen)) for _ in range(VISITORS)]
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.output)
    await asyncio.sleep(0.2)
    over.set()
    await asyncio.gather(*visitors)
    return set(seen)


def test_who_waits_when_the_door_is_closed_is_let_in_and_nobody_after_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address, door = listening.getsockname(), Door([listening])
        listening.close()  # as the event loop does
        with socket.create_connection(address) as waiting:
            waiting.sendall(b"waited")
            (accepted,) = door.close()
            with accepted:
                accepted.settimeout(1)
                assert accepted.recv(100) == b"waited"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
        assert door.close() == []


async def test_no_connection_is_lost_when_one_of_two_processes_at_a_port_ends(start: Start, port: int) -> None:
    first, _ = [start(ANIMATIZE_SHARE_PORT="true") for _ in range(2)]
    assert await seen_while_ending(first, port) == {b"HTTP/1.1 200 OK"}


async def test_while_a_long_request_is_finished_newcomers_are_served(start: Start, port: int) -> None:
    process = start()
    slow = HTTPConnection("127.0.0.1", port, timeout=5)
    slow.request("GET", "/slow")
    await asyncio.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.4)
    assert await visit(port) == b"HTTP/1.1 200 OK"
    assert slow.getresponse().status == 200
    await asyncio.to_thread(process.output)


def test_an_upload_that_goes_on_for_long_after_it_is_taken_whole(start: Start, port: int) -> None:
    process = start()
    slow = HTTPConnection("127.0.0.1", port, timeout=5)
    slow.putrequest("PUT", "/take")
    slow.putheader("Content-Length", "16")
    slow.endheaders(b"x")
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    for _ in range(15):
        time.sleep(0.1)
        slow.send(b"x")
    answer = slow.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"bytes":16}')
    process.output()


async def test_a_connection_whose_last_answer_was_begun_before_is_good_for_one_more(start: Start, port: int) -> None:
    process = start()

    async def read_then_write(http: aiohttp.ClientSession) -> int:
        async with http.get(f"http://127.0.0.1:{port}/trickle") as answer:
            await answer.read()
        async with http.put(f"http://127.0.0.1:{port}/take", data=b"x") as answer:
            return answer.status

    async with connections() as http:
        all_ = [asyncio.create_task(read_then_write(http)) for _ in range(20)]
        await asyncio.sleep(0.4)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.gather(*all_) == [200] * 20
    await asyncio.to_thread(process.output)


def test_the_gateway_uses_no_connection_again_that_a_service_may_close() -> None:
    assert KEPT_SECONDS < IDLE_SECONDS


def test_a_connection_gets_one_more_answer_that_says_it_is_the_last(start: Start, port: int) -> None:
    process = start()
    kept = HTTPConnection("127.0.0.1", port, timeout=5)
    kept.request("GET", "/health/live")
    first = kept.getresponse()
    first.read()
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    kept.request("GET", "/health/live")
    last = kept.getresponse()
    last.read()
    assert (first.headers["Connection"], last.headers["Connection"]) == (None, "close")
    process.output()


def test_who_says_nothing_any_more_holds_up_nothing(start: Start, port: int) -> None:
    process = start()
    idle = HTTPConnection("127.0.0.1", port, timeout=5)
    idle.request("GET", "/health/live")
    idle.getresponse().read()
    silent = HTTPConnection("127.0.0.1", port, timeout=5)
    silent.connect()
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.output()
    assert time.monotonic() - began < 3
    idle.close()
    silent.close()


def test_a_request_without_end_is_cut_once_the_time_is_over_or_somebody_is_in_a_hurry(start: Start) -> None:
    ports = list(free_ports(2))
    processes = [
        start(ANIMATIZE_LISTEN=f"127.0.0.1:{port}", ANIMATIZE_DRAIN_SECONDS=limit)
        for port, limit in zip(ports, ("0.5", "600"), strict=True)
    ]
    stuck = [HTTPConnection("127.0.0.1", port) for port in ports]
    for connection in stuck:
        connection.request("GET", "/stuck")
    time.sleep(0.2)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    processes[1].send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert processes[1].poll() is None, "a second SIGTERM is no hurry"
    processes[1].send_signal(signal.SIGINT)
    for process, connection in zip(processes, stuck, strict=True):
        process.output()
        connection.close()
