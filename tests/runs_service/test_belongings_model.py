"""Any runs of a guest and a user, however they came to be, handed over again and again: none lost or doubled."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis import documents
from chassis.documents import same
from chassis.peers import Scope
from tests.runs_service.conftest import all_runs, stage, told, undo
from tests.runs_service.test_belongings import adopt, check, check_all
from tests.runs_service.test_undo_model import DOCUMENTS, STEPS, Model, take
from tests.support import Asker

Steps = list[tuple[str, Any]]
HISTORIES = st.lists(STEPS, max_size=5)
OWNERS = st.sets(st.integers(0, 1))


def hand_over(guest: Model, user: Model, renamed: dict[str, str]) -> None:
    """Every run of the guest's is the user's, where an id meant another run under the name that was told."""
    for run_id, run in guest.live.items():
        name = run_id if same(user.live.get(run_id, run), run) else renamed.pop(run_id)
        assert name == run_id or name.startswith(f"{run_id}-{documents.digest(run)[:8]}")
        user.live[name] = run | {"run_id": name}
        user.kept.pop(name, None)
    assert renamed == {}, "no other run has another name"
    guest.live, guest.kept, guest.latest = {}, {}, None


async def compare(asker: Asker, owner: str, model: Model) -> None:
    assert same({each["run_id"]: each for each in await all_runs(asker, owner=owner)}, model.live)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(ours=HISTORIES, theirs=st.tuples(HISTORIES, HISTORIES, st.just([])), waiting=DOCUMENTS, waiters=OWNERS)
async def test_after_an_adoption_the_user_has_all_runs_of_both(
    asker: Asker, file: Path, *, ours: Steps, theirs: tuple[Steps, ...], waiting: list[Any], waiters: set[int]
) -> None:
    """With restores that `waiting` is staged for, of either or both; and what an undo takes back is as ever."""
    guest, user = owners = f"guest:{uuid4().hex}", f"user:{uuid4().hex}"
    mine, others = Model(), Model()
    for step, given_ in ours:
        await take(asker, user, mine, step, given_)
    for steps in theirs:
        for step, given_ in steps:
            await take(asker, guest, others, step, given_)
        for waiter in waiters:
            await stage(asker, waiting, uuid4().hex, owner=owners[waiter])
        moved, renamed = await adopt(asker, uuid4().hex, guest, user)
        assert moved == len(others.live)
        hand_over(others, mine, renamed)
        await compare(asker, guest, others)
        await compare(asker, user, mine)
        check_all(file)
    if mine.latest is not None:
        assert await undo(asker, mine.latest, uuid4().hex, owner=user) == mine.undo()
        await compare(asker, user, mine)
    for owner in owners:
        await told(await asker.post("/internal/erasure", owner=owner, scope=Scope.SYSTEM))
    check(file)
