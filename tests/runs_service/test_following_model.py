"""Devices that follow one owner's runs now and then, through writes, restores, their undo, sign-ins and forgetting."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.documents import same
from chassis.peers import Scope
from tests.runs_service.conftest import all_runs, put, told, undo
from tests.runs_service.test_belongings import adopt
from tests.runs_service.test_following import Device
from tests.runs_service.test_tombstones import age, forget
from tests.runs_service.test_undo_model import RUNS, STEPS, Model, take
from tests.support import Asker

DEVICES = 3
MORE = st.one_of(
    STEPS,
    STEPS,
    st.tuples(st.just("page"), st.integers(0, DEVICES - 1)),
    st.tuples(st.just("page"), st.integers(0, DEVICES - 1)),
    st.tuples(st.just("follow"), st.integers(0, DEVICES - 1)),
    st.tuples(st.just("adopt"), RUNS),
    st.tuples(st.sampled_from(["forget", "erase"]), st.none()),
)


async def step_on(asker: Asker, file: Path, owner: str, devices: list[Device], step: str, what: Any) -> bool:
    """One step that no model of the undo knows; whether it is one."""
    match step:
        case "page":
            await devices[what].step(asker)
        case "follow":
            await devices[what].follow(asker)
        case "forget":
            age(file, 91)
            forget(file)
        case "erase":
            await told(await asker.post("/internal/erasure", owner=owner, scope=Scope.SYSTEM))
        case "adopt":
            guest = f"guest:{uuid4().hex}"
            await put(asker, what, owner=guest)
            await adopt(asker, uuid4().hex, guest=guest, user=owner)
        case _:
            return False
    return True


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(MORE, max_size=25))
async def test_in_any_order_all_devices_end_with_the_same_runs(
    asker: Asker, file: Path, steps: list[tuple[str, Any]]
) -> None:
    owner = f"user:{uuid4().hex}"
    devices, model = [Device(owner, limit=limit) for limit in (1, 2, 100)], Model()
    for step, what in steps:
        if not await step_on(asker, file, owner, devices, step, what):
            await taken(asker, owner, model, step, what)
        if step == "erase":
            model.latest = None
    live = {each["run_id"]: each for each in await all_runs(asker, owner=owner)}
    for device in devices:
        await device.follow(asker)
        assert same(device.runs, live)
        assert [page["runs"] + page["deleted"] for page in await device.follow(asker)] == [[]], "told once"


async def taken(asker: Asker, owner: str, model: Model, step: str, what: Any) -> None:
    """A step of the undo's model, of which only the latest restore is of interest here."""
    if step != "undo":
        await take(asker, owner, model, step, what)
    elif model.latest is not None:
        await undo(asker, model.latest, uuid4().hex, owner=owner)
        model.latest = None
