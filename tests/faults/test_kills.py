"""kill -9 of each process between every two stages of a restore, and of its undo."""

from functools import partial
from itertools import product
from typing import NamedTuple

import pytest

from tests.faults.guest import ALLOWED, guest
from tests.faults.places import PLACES
from tests.faults.plan import IN_CI, some, spread
from tests.faults.plant import FIRST, PROCESSES, Plant

pytestmark = pytest.mark.asyncio(loop_scope="package")

PARTICIPANTS = ("settings", "runs", "vault")


class Kill(NamedTuple):
    gateways: int
    place: str
    service: str
    victim: str

    def __str__(self) -> str:
        return f"{self.victim} {self.place} in {self.service}, {self.gateways} gateways"


# Those where it can make a difference, all of them: the gateway at work dies, or the service that it is asking; and
# some of those in which one dies that only stands by.
EVERY = [Kill(*chosen) for chosen in product((1, 2), PLACES, PARTICIPANTS, PROCESSES)]
KILLS = [kill for kill in EVERY if kill.victim in (FIRST, f"{kill.service}_service")]
BYSTANDERS = [kill for kill in EVERY if kill.gateways == 1 and kill not in KILLS]
KILLS_AT_UNDO = [kill for kill in KILLS if kill.gateways == 2 and not PLACES[kill.place].aborts]


@pytest.mark.parametrize("kill", [*spread(KILLS, 8), *some(BYSTANDERS, 16 if IN_CI else 2)], ids=str)
async def test_a_restore_during_which_a_process_is_killed_happens_entirely_or_not_at_all(
    plant: Plant, kill: Kill
) -> None:
    await plant.run_gateways(kill.gateways)
    place = PLACES[kill.place]
    async with guest(plant) as person:
        accident = plant.passages[kill.service].expect(place.meet(partial(plant.kill, kill.victim)))
        status = await (person.restore_cut_short() if place.aborts else person.restore())
        assert accident.happened.is_set()
        await plant.come_back(kill.victim)
        await person.check(status, {400, 503} if place.aborts else ALLOWED)


@pytest.mark.parametrize("kill", spread(KILLS_AT_UNDO, 8), ids=str)
async def test_an_undo_during_which_a_process_is_killed_happens_entirely_or_not_at_all(
    plant: Plant, kill: Kill
) -> None:
    await plant.run_gateways(kill.gateways)
    async with guest(plant) as person:
        assert await person.restore() == 200
        happen = partial(plant.kill, kill.victim)
        accident = plant.passages[kill.service].expect(PLACES[kill.place].meet(happen))
        status = await person.undo()
        assert accident.happened.is_set()
        await plant.come_back(kill.victim)
        await person.check_undo(status)
