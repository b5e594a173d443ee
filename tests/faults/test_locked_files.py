"""Each file locked from outside, by a tool of the operator say, for longer than a service waits for it."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.files import FILES, locked
from tests.faults.guest import Guest
from tests.faults.places import PLACES
from tests.faults.plan import spread
from tests.faults.plant import Plant

pytestmark = pytest.mark.asyncio(loop_scope="package")

HELD_SECONDS = 6.0  # a service gives up after 4


@pytest.mark.parametrize("name", spread(FILES, 2))
async def test_a_restore_while_a_file_is_locked_waits_or_is_to_be_repeated(
    plant: Plant, guest: Guest, name: str
) -> None:
    with locked(plant.data, name):
        restoring = asyncio.create_task(guest.restore())
        done, _ = await asyncio.wait([restoring], timeout=HELD_SECONDS)
        assert done or name != "auth"
    status = await restoring
    assert status in (200, 503)
    assert status == 503 or name == "auth"
    await guest.check(status)
    plant.check_nobody_died()


@pytest.mark.parametrize("name", spread(("gateway", "settings", "runs", "vault"), 1))
async def test_a_decided_restore_that_meets_a_locked_file_is_completed_once_the_file_is_free(
    plant: Plant, guest: Guest, name: str
) -> None:
    service = "runs" if name == "gateway" else name
    free = asyncio.Event()
    held = asyncio.create_task(asyncio.sleep(0))

    async def lock() -> None:
        nonlocal held
        taken = asyncio.Event()
        held = asyncio.create_task(_hold_lock(plant.data, name, taken, free))
        await taken.wait()

    accident = plant.passages[service].expect(PLACES["before the commit"].meet(lock))
    status = await guest.restore()
    assert accident.happened.is_set()
    free.set()
    await held
    assert status in (200, 503)
    assert await guest.outcome() == "new"
    await guest.check(status)
    plant.check_nobody_died()


async def _hold_lock(data: Path, name: str, taken: asyncio.Event, free: asyncio.Event) -> None:
    with locked(data, name):
        taken.set()
        await free.wait()
