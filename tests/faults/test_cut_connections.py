"""Connections that end in the middle: the person's, and those between the gateway and a service; and late arrivals."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest

from chassis.documents import write
from tests.faults import files
from tests.faults.guest import ALLOWED, Guest, backup_of, guest
from tests.faults.passage import Accident, Cut, Moment
from tests.faults.places import COMMIT, PLACES, STAGE
from tests.faults.plant import FIRST, Plant

pytestmark = pytest.mark.asyncio(loop_scope="package")

PARTICIPANTS = ("settings", "runs", "vault")


async def cut() -> None:
    raise Cut


@pytest.mark.parametrize("service", PARTICIPANTS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_restore_whose_connection_to_a_service_is_cut_happens_entirely_or_not_at_all(
    plant: Plant, guest: Guest, place: str, service: str
) -> None:
    accident = plant.passages[service].expect(PLACES[place].meet(cut))
    aborts = PLACES[place].aborts
    status = await (guest.restore_cut_short() if aborts else guest.restore())
    assert accident.happened.is_set()
    await guest.check(status, {400} if aborts else ALLOWED)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
async def test_an_upload_that_the_person_breaks_off_changes_nothing(plant: Plant, share: float) -> None:
    async with guest(plant, size=3_000_000) as person:
        body = write(person.document)

        async def broken() -> AsyncIterator[bytes]:
            yield body[: int(len(body) * share) + 1]
            await asyncio.sleep(0.3)
            raise ConnectionResetError

        assert await person.upload(broken()) is None
        assert await person.outcome() == "old"
        await person.check(None)


async def test_a_person_who_leaves_before_the_answer_gets_the_whole_restore_all_the_same(
    plant: Plant, guest: Guest
) -> None:
    held = asyncio.Event()
    commit = plant.passages["runs"].expect(PLACES["before the commit"].meet(partial(_hold, held)))
    restoring = asyncio.create_task(guest.restore())
    await commit.happened.wait()
    restoring.cancel()
    await asyncio.gather(restoring, return_exceptions=True)
    held.set()
    assert await guest.outcome() == "new"
    await guest.check(None)


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.MIDDLE])
@pytest.mark.parametrize("service", PARTICIPANTS)
async def test_a_stage_that_arrives_after_its_abort_is_refused_and_leaves_nothing_behind(
    plant: Plant, guest: Guest, service: str, moment: Moment
) -> None:
    held = asyncio.Event()
    late = plant.passages[service].expect(Accident("PUT", STAGE, moment, partial(_hold, held), whole=True))
    restoring = asyncio.create_task(guest.restore())
    await asyncio.wait_for(late.happened.wait(), 10)
    await plant.kill(FIRST)
    await restoring
    await plant.come_back(FIRST)
    assert list(files.stages(plant.data, guest.owner).values()) == ["aborted"]

    held.set()
    await asyncio.wait_for(late.answered.wait(), 10)

    assert late.status == 410
    await guest.check(None)


async def test_a_commit_that_arrives_a_second_time_long_after_the_end_changes_nothing(
    plant: Plant, guest: Guest
) -> None:
    held = asyncio.Event()
    late = plant.passages["runs"].expect(Accident("POST", COMMIT, Moment.BEFORE, partial(_hold, held), whole=True))
    restoring = asyncio.create_task(guest.restore())
    await asyncio.wait_for(late.happened.wait(), 10)
    await plant.kill(FIRST)
    await restoring
    await plant.come_back(FIRST)
    assert await guest.outcome() == "new"
    written_since = f"/api/runs/changed-{guest.mark}"
    await guest.browser.put(written_since, {"run_id": f"changed-{guest.mark}", "mark": "since"})

    held.set()
    await asyncio.wait_for(late.answered.wait(), 10)

    assert late.status == 200
    assert (await guest.browser.get(written_since))["mark"] == "since"


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER, Moment.ANSWERING])
@pytest.mark.parametrize("service", ["settings", "runs", "vault"])
async def test_a_backup_whose_connection_to_a_service_is_cut_is_to_be_repeated_or_never_looks_whole(
    plant: Plant, guest: Guest, service: str, moment: Moment
) -> None:
    accident = plant.passages[service].expect(Accident("GET", "^/internal/backup$", moment, cut))
    try:
        status, head, backup = await guest.browser.ask("GET", "/api/settings/backup")
    except aiohttp.ClientPayloadError:
        status = None
    assert accident.happened.is_set()
    assert status in (200, 503, None)
    assert status != 200 or {run["run_id"]: run for run in json.loads(backup)["runs"]} == guest.old["runs"]
    assert status != 503 or "Retry-After" in head
    assert (await backup_of(guest.browser))["settings"]["settings"] == guest.old["settings"]


async def _hold(held: asyncio.Event) -> None:
    await held.wait()
