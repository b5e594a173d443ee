"""A real signer and the address where its public keys are served, as a gateway would."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from chassis.documents import write
from chassis.peers import JWKS_PATH, Signer

LEGACY = Path(__file__).parent.parent.parent / "shared" / "legacy"


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
