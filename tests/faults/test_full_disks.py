"""A disk without room, before and after the decision: a small file system of its own where root may mount one, and a
limit on the size of files anywhere."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import psutil
import pytest
import pytest_asyncio

from tests.faults.disks import fill, make_room, small_disk
from tests.faults.guest import guest
from tests.faults.places import PLACES
from tests.faults.plant import Plant, plant

pytestmark = pytest.mark.asyncio(loop_scope="package")

DISK: Final = "24m"
DOCUMENT_BYTES: Final = 3_000_000


@pytest_asyncio.fixture(loop_scope="package")
async def small_plant(tmp_path: Path) -> AsyncIterator[Plant]:
    """A plant whose data are on a small disk of their own."""
    with small_disk(tmp_path / "data", DISK):
        async with plant(tmp_path) as small:
            yield small


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def limited_plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    """A plant whose files may be limited in size; its log is none of them."""
    async with plant(tmp_path_factory.mktemp("limited"), log=Path(os.devnull)) as limited:
        yield limited


@pytest.mark.parametrize("left", [0, 1_000_000])
async def test_a_restore_that_finds_the_disk_full_is_refused_and_succeeds_once_there_is_room(
    small_plant: Plant, left: int
) -> None:
    async with guest(small_plant, size=DOCUMENT_BYTES) as person:
        fill(small_plant.data, left)
        status = await person.restore()
        assert status in (503, 507)
        small_plant.check_nobody_died()
        assert await person.shown() == person.old
        make_room(small_plant.data)
        assert await person.outcome() == "old"
        await person.check(status)


async def test_a_decided_restore_that_finds_the_disk_full_goes_forward_once_there_is_room(small_plant: Plant) -> None:
    async def happen() -> None:
        fill(small_plant.data, 0)

    await _meets_a_full_disk_at_the_commit(small_plant, happen, lambda: make_room(small_plant.data))


@pytest.mark.parametrize("service", ["runs_service", "settings_service", "gateway"])
async def test_a_restore_that_finds_no_room_for_its_files_is_refused_and_succeeds_once_there_is(
    limited_plant: Plant, service: str
) -> None:
    async with guest(limited_plant, size=DOCUMENT_BYTES) as person:
        limited_plant.stack.limit_file_size(service, 4096)
        status = await person.restore()
        assert status in (503, 507)
        limited_plant.check_nobody_died()
        limited_plant.stack.limit_file_size(service, psutil.RLIM_INFINITY)
        assert await person.outcome() == "old"
        await person.check(status)


@pytest.mark.parametrize("service", ["runs_service", "settings_service", "gateway"])
async def test_a_decided_restore_that_finds_no_room_for_its_files_goes_forward_once_there_is(
    limited_plant: Plant, service: str
) -> None:
    async def happen() -> None:
        limited_plant.stack.limit_file_size(service, 4096)

    await _meets_a_full_disk_at_the_commit(
        limited_plant, happen, lambda: limited_plant.stack.limit_file_size(service, psutil.RLIM_INFINITY)
    )


async def _meets_a_full_disk_at_the_commit(
    plant: Plant, fill_up: Callable[[], Awaitable[None]], free: Callable[[], None]
) -> None:
    async with guest(plant, size=DOCUMENT_BYTES) as person:
        accident = plant.passages["settings"].expect(PLACES["before the commit"].meet(fill_up))
        status = await person.restore()
        assert accident.happened.is_set()
        assert status in (503, 507)
        await asyncio.sleep(1.5)  # recovery tries meanwhile, in vain
        plant.check_nobody_died()
        free()
        assert await person.outcome() == "new"
        await person.check(status)
