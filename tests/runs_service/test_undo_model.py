"""Writes, restores in both modes and their undo, in any order, against a plain model of one owner's runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.documents import same
from tests.runs_service.conftest import abort, all_runs, check_favorites, counted, put, restore, stage, undo
from tests.runs_service.samples import data_url
from tests.runs_service.test_quota import used
from tests.support import Asker

IMAGES = [None, *(data_url(letter * 500) for letter in (b"a", b"b"))]


def made(number: int, size: int, picture: int, favorite: bool) -> dict[str, Any]:
    variants = [{"favorite": favorite}]
    return {"run_id": str(number), "x": "x" * size, "variants": variants, "source_image_data_url": IMAGES[picture]}


RUNS = st.builds(made, st.integers(0, 4), st.integers(0, 1), st.integers(0, 2), st.booleans())
DOCUMENTS = st.lists(RUNS, max_size=4, unique_by=lambda each: each["run_id"])
STEPS = st.one_of(
    st.tuples(st.just("put"), RUNS),
    st.tuples(st.just("delete"), st.integers(0, 4).map(str)),
    st.tuples(st.just("delete all"), st.none()),
    st.tuples(st.sampled_from(["merge", "replace", "abort"]), DOCUMENTS),
    st.tuples(st.just("undo"), st.none()),
)


@dataclass
class Model:
    """What is live, and what the last restore found before it, without the runs that were written since."""

    live: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    touched: int = 0
    latest: str | None = None

    def write(self, run_id: str, run: dict[str, Any] | None) -> None:
        if self.live.get(run_id) != run:
            self.kept.pop(run_id, None)
            self._set(run_id, run)

    def restore(self, restore_id: str, document: list[dict[str, Any]], *, replacing: bool) -> None:
        named = {run["run_id"]: run for run in document}
        after = named if replacing else self.live | named
        changed = [id_ for id_ in self.live | after if self.live.get(id_) != after.get(id_)]
        self.kept = {id_: self.live.get(id_) for id_ in changed}
        self.live, self.touched, self.latest = dict(after), len(changed), restore_id

    def undo(self) -> tuple[int, int]:
        for run_id, run in self.kept.items():
            self._set(run_id, run)
        undone, self.kept, self.latest = len(self.kept), {}, None
        return undone, self.touched - undone

    def _set(self, run_id: str, run: dict[str, Any] | None) -> None:
        if run is None:
            self.live.pop(run_id, None)
        else:
            self.live[run_id] = run


async def take(asker: Asker, owner: str, model: Model, step: str, given: Any) -> None:
    """One step, in the service and in the model."""
    id_ = uuid4().hex
    match step:
        case "put":
            await put(asker, given, owner=owner)
            model.write(given["run_id"], given)
        case "delete":
            await asker.delete(f"/api/runs/{given}", owner=owner)
            model.write(given, None)
        case "delete all":
            await asker.delete("/api/runs", owner=owner)
            for run_id in list(model.live):
                model.write(run_id, None)
        case "abort":
            await stage(asker, given, id_, owner=owner, mode="replace")
            await abort(asker, id_, owner=owner)
        case "undo":
            if model.latest is None:
                return
            assert await undo(asker, model.latest, id_, owner=owner) == model.undo()
        case mode:
            await restore(asker, given, id_, owner=owner, mode=mode)
            model.restore(id_, given, replacing=mode == "replace")


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=25))
async def test_any_sequence_ends_as_the_model_says(asker: Asker, file: Path, steps: list[tuple[str, Any]]) -> None:
    owner, model = f"guest:{uuid4().hex}", Model()
    for step, given_ in steps:
        await take(asker, owner, model, step, given_)
        found = await all_runs(asker, owner=owner)
        assert same({each["run_id"]: each for each in found}, model.live)
        assert counted(file, "undo_runs") == len(model.kept)
        used(file, owner)
        check_favorites(file)
    await restore(asker, [], uuid4().hex, owner=owner, mode="replace")
    await restore(asker, [], uuid4().hex, owner=owner, mode="replace")
    used(file, owner)
    assert [counted(file, table) for table in ("runs", "contents", "images", "undo_runs")] == [0] * 4
    check_favorites(file)
