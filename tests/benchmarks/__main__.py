"""Prints how the system compares with a bare proxy, within one run. Nothing here passes or fails."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import uvloop

from tests.benchmarks import console, large
from tests.benchmarks.load import requests_a_second
from tests.benchmarks.report import say
from tests.journeys.browser import Browser
from tests.processes import ROOT, Stack, answers, free_ports, running

CONNECTIONS, SECONDS, ROUNDS = 32, 2.0, 5
RUNS = 100
ENVIRONMENT = {"ANIMATIZE_ENV": "production", "ANIMATIZE_COOKIE_SECURE": "false"}


def start_bare(port: int, *target: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.bare", str(port), *target], cwd=ROOT)
    while not answers(f"http://127.0.0.1:{port}/"):
        time.sleep(0.05)
    return process


def request(method: str, path: str, cookie: str = "", body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: animatize_session={cookie}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def prepare(stack: Stack) -> str:
    """A profile with settings and some runs; its cookie."""
    async with Browser(stack.url) as browser:
        await browser.get("/api/settings")
        await browser.restore({"runs": [{"run_id": f"r{i}", "intent": "x" * 200} for i in range(RUNS)]})
        return next(cookie.value for cookie in browser.jar)


async def compare(stack: Stack, proxy: str) -> None:
    cookie = await prepare(stack)
    number = iter(range(10**9))

    def put() -> bytes:
        return request("PUT", "/api/settings", cookie, b'{"settings": {"n": %d}}' % next(number))

    kinds: dict[str, tuple[str, Callable[[], bytes]]] = {
        "bare proxy, bare handler": (proxy, lambda: request("GET", "/api/settings")),
        "GET /api/settings": (stack.url, lambda: request("GET", "/api/settings", cookie)),
        "PUT /api/settings, durable": (stack.url, put),
        "GET /api/runs?limit=20": (stack.url, lambda: request("GET", "/api/runs?limit=20", cookie)),
    }
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (url, make) in kinds.items():
            found[name].append(await requests_a_second(url, make, connections=CONNECTIONS, seconds=SECONDS))
    bare = found["bare proxy, bare handler"]
    for name, rates in found.items():
        ratios = [ours / theirs for ours, theirs in zip(rates, bare, strict=True)]
        say(f"{name:28} {statistics.median(rates):8.0f}/s   ratio to bare {statistics.median(ratios):.2f}")


def memory(stack: Stack) -> None:
    for name in stack.ports:
        resident = psutil.Process(stack.process_id(name)).memory_info().rss / 2**20
        say(f"resident {name:19} {resident:6.0f} MiB")


def measure_requests() -> None:
    handler_port, proxy_port = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), **ENVIRONMENT)
        started = time.perf_counter()
        stack.start()
        say(f"whole stack ready in {time.perf_counter() - started:.2f} s")
        memory(stack)
        bare = [start_bare(handler_port), start_bare(proxy_port, f"http://127.0.0.1:{handler_port}")]
        try:
            uvloop.run(compare(stack, f"http://127.0.0.1:{proxy_port}"))
            memory(stack)
        finally:
            for process in bare:
                process.terminate()
                process.wait()
            stack.stop()


def measure_a_large_profile() -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), **ENVIRONMENT) as stack:
        uvloop.run(large.measure(stack, Path(folder)))


def measure_the_console() -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), **ENVIRONMENT) as stack:
        uvloop.run(console.measure(stack))


if __name__ == "__main__":
    measure_requests()
    measure_a_large_profile()
    measure_the_console()
