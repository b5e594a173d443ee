"""One plant for all accidents after which it can be put right again, and somebody new for each of them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults import plan
from tests.faults.guest import Guest, guest
from tests.faults.plant import Plant, plant
from tests.issuer import Issuer


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as issuer:
        yield issuer


@pytest_asyncio.fixture(name="plant", scope="package", loop_scope="package")
async def shared_plant(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> AsyncIterator[Plant]:
    async with plant(tmp_path_factory.mktemp("plant"), issuer.environment) as shared:
        yield shared


@pytest_asyncio.fixture(name="guest", loop_scope="package")
async def somebody(plant: Plant) -> AsyncIterator[Guest]:
    async with guest(plant) as somebody:
        yield somebody


@pytest.fixture(autouse=True)
def dice() -> None:
    """Shown where a test fails: the same again with ANIMATIZE_TEST_SEED."""
    print(f"ANIMATIZE_TEST_SEED={plan.SEED} ANIMATIZE_TEST_KILLS={plan.KILLS}" + " CI=true" * plan.IN_CI)
