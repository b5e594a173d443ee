"""A real signer and the address where its public keys are served, as a gateway would."""

import signal
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from chassis.documents import write
from chassis.peers import JWKS_PATH, Signer

MOST_SECONDS = 180  # of one test, or of making or ending what it needs: what takes longer hangs
LEGACY = Path(__file__).parent.parent.parent / "shared" / "legacy"


@contextmanager
def in_time(item: pytest.Item) -> Iterator[None]:
    """Fail what hangs where it hangs, by name, and go on with the next test. Asked again every few seconds, since an
    event loop swallows what is raised in one of its callbacks."""

    def give_up(_number: int, _frame: object) -> None:
        pytest.fail(f"{item.nodeid} took longer than {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with in_time(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with in_time(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    with in_time(item):
        yield


@pytest.fixture
def signer() -> Signer:
    return Signer(SecretStr("a root secret that only the tests know, long enough"))


@pytest.fixture
async def gateway_url(signer: Signer) -> AsyncIterator[str]:
    """A stand-in for the gateway that hands out the public keys of `signer`, and nothing else."""

    async def keys(_: web.Request) -> web.Response:
        return web.Response(body=write(signer.jwks()), content_type="application/json")

    app = web.Application()
    app.router.add_get(JWKS_PATH, keys)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")
