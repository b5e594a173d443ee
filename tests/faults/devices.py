"""Devices of one owner, each of which acts on what it sees there, online or from a queue of what it did offline.

Every write has a name of its own and is sent again under it until there is an answer, and sometimes once more after
that. What was acknowledged goes into the ledger that all devices of an owner share.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Final

from tests.faults.edits import Done, Edit, a_name, run_of, value_at
from tests.faults.ledger import RUNS, SECTIONS, SETTINGS, Ledger, Write, of_runs, of_settings
from tests.faults.line import Answer, Line
from tests.faults.mirror import Mirror
from tests.issuer import Issuer

RUN_IDS: Final = tuple("abcdef")
NAMES: Final = ("one", "two", "three")
KEPT_BACKUPS: Final = 2
RESTORE: Final = "/api/settings/restore"


class Device:
    """`patches` are its own that were acknowledged. Signs in with `sign_in` before anything else."""

    def __init__(self, name: str, line: Line, ledger: Ledger, dice: random.Random) -> None:
        self._name, self._line, self._ledger, self._dice = name, line, ledger, dice
        self._numbers = count(1)
        self._queue: list[Edit] = []
        self._backups: list[dict[str, Any]] = []
        self._restored: Done | None = None
        self.mirror = Mirror(line, dice)
        self.online = True
        self.patches: list[Done] = []
        self.repeated = self.conflicts = 0

    async def sign_in(self, issuer: Issuer, sub: str) -> None:
        """With a run that was made as a guest, and a token that is only good for that guest's runs."""
        run = run_of(f"guest-{self._mark()}", "as a guest")
        assert (await self._line.insist("PUT", f"/api/runs/{run['run_id']}", json=run)).succeeded
        await self.mirror.follow()
        began = time.monotonic()
        credential = {"credential": issuer.credential(sub=sub)}
        assert (await self._line.insist("POST", "/api/auth/google", json=credential)).succeeded
        self._ledger.note(Write(began, time.monotonic(), of_runs([run])))
        self.mirror.seen.clear()

    async def act(self, acts: Sequence[Callable[["Device"], Awaitable[None]]], turns: int) -> None:
        """Do this and that in any order."""
        for _ in range(turns):
            await self._dice.choice(acts)(self)
            await asyncio.sleep(self._dice.uniform(0, 0.03))

    async def come_back(self) -> None:
        """Send what was done offline, in its order, perhaps all of it twice, and take what others did meanwhile."""
        self.online = True
        queue, self._queue = self._queue, []
        done = [await self._send(edit) for edit in queue]
        if self._dice.random() < 0.7:
            for each in done:
                await self._repeat(each)
        await self.mirror.sync()

    async def write_run(self) -> None:
        await self._do(self._put(run_of(self._dice.choice(RUN_IDS), self._mark())))

    async def make_run(self) -> None:
        """The service gives the id: done twice it would be two runs."""
        run = run_of("", self._mark())
        del run["run_id"]
        await self._do(Edit("POST", "/api/runs", run))

    async def favour_run(self) -> None:
        run_id, favorite = self._dice.choice(RUN_IDS), self._dice.random() < 0.7
        path = f"/api/runs/{run_id}/variants/v/favorite"
        await self._do(Edit("PUT", path, {"favorite": favorite}, {f"{RUNS}{run_id}/favorite": favorite}))

    async def delete_run(self) -> None:
        run_id = self._dice.choice([*RUN_IDS, *self.mirror.runs])
        gone = {f"{RUNS}{run_id}/mark": None, f"{RUNS}{run_id}/favorite": None}
        await self._do(Edit("DELETE", f"/api/runs/{run_id}", sets=gone))

    async def clear_runs(self) -> None:
        await self._do(Edit("DELETE", "/api/runs", wipes=(RUNS,)))

    async def change_settings(self) -> None:
        """One name is set, and sometimes another taken away, or a whole section."""
        section, other = self._dice.sample(SECTIONS, 2)
        patch: dict[str, Any] = {section: {self._dice.choice(NAMES): self._mark()}}
        sets, wipes = of_settings(patch), list[str]()
        if self._dice.random() < 0.2:
            gone = self._dice.choice(NAMES)
            patch[other], sets[f"{SETTINGS}{other}/{gone}"] = {gone: None}, None
        elif self._dice.random() < 0.1:
            patch[other], wipes = None, [f"{SETTINGS}{other}/"]
        made_on = (self.mirror.version, self.mirror.settings)
        await self._do(Edit("PATCH", "/api/settings", patch, sets, tuple(wipes), made_on))

    async def back_up(self) -> None:
        self._backups = [await self._line.read("/api/settings/backup"), *self._backups][:KEPT_BACKUPS]

    async def restore(self) -> None:
        """A backup of before, or a document of somewhere else."""
        document = self._dice.choice([*self._backups, self._document()])
        mode = self._dice.choice(("merge", "merge", "replace"))
        settings = document["settings"].get("settings", document["settings"])
        replaced = tuple(f"{SETTINGS}{name}/" for name in SECTIONS if name in settings)
        wipes = (RUNS, SETTINGS) if mode == "replace" else replaced
        sets = of_settings(settings) | of_runs(document["runs"])
        self._restored = await self._do(Edit("POST", f"{RESTORE}?mode={mode}", document, sets, wipes))

    async def undo(self) -> None:
        """Take the last restore back, unless that is taken back already or another device has restored since."""
        restored, self._restored = self._restored, None
        if restored is None or restored.write is None:
            return
        name, began = restored.edit.name, time.monotonic()
        path = f"{RESTORE}/{name}/undo"
        answer = await self._line.insist("POST", path, headers={"Idempotency-Key": a_name()})
        assert answer.status in (200, 409), answer
        shown = await self._line.read(f"/api/settings/restores/{name}")
        if shown["undo"]["undone_at"]:  # also where that answer was lost, and a repeat refused
            self._ledger.note(Write(began, time.monotonic(), undoes=restored.write))

    def _mark(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    def _document(self) -> dict[str, Any]:
        sections = self._dice.sample(SECTIONS, 2)
        settings = {section: {self._dice.choice(NAMES): self._mark()} for section in sections}
        return {"settings": settings, "runs": [run_of(each, self._mark()) for each in self._dice.sample(RUN_IDS, 3)]}

    def _put(self, run: dict[str, Any]) -> Edit:
        return Edit("PUT", f"/api/runs/{run['run_id']}", run, of_runs([run]))

    async def _do(self, edit: Edit) -> Done | None:
        """None where it waits until the device is online."""
        if not self.online:
            self._queue.append(edit)
            return None
        done = await self._send(edit)
        if self._dice.random() < 0.1:
            await self._repeat(done)
        return done

    async def _send(self, edit: Edit) -> Done:
        """Send an edit until it is accepted or plainly refused; a patch that met with another goes on top of that."""
        while True:
            began = time.monotonic()
            answer = await self._line.insist(edit.method, edit.path, **edit.request)
            if answer.status != 409:
                return self._note(edit, answer, began)
            edit = self._on_top(edit, answer.value)

    def _note(self, edit: Edit, answer: Answer, began: float) -> Done:
        if not answer.succeeded:
            assert (answer.status, edit.path.startswith("/api/runs/")) == (404, True), answer
            return Done(edit, answer, None)
        sets = edit.sets
        if edit.method == "POST" and edit.path == "/api/runs":
            sets = of_runs([edit.body | {"run_id": answer.value["run_id"]}])
        write = self._ledger.note(Write(began, time.monotonic(), sets, edit.wipes))
        done = Done(edit, answer, write)
        if edit.made_on is not None:
            self.patches.append(done)
        return done

    def _on_top(self, edit: Edit, problem: dict[str, Any]) -> Edit:
        """The same patch, made on what is there now. The conflicts have to tell what that is, path by path."""
        assert edit.made_on is not None
        assert problem["code"] in ("conflict", "unknown_base")
        assert problem["conflicts"] or problem["code"] == "unknown_base"
        for each in problem["conflicts"]:
            assert each["theirs"] == value_at(problem["current"]["settings"], each["path"])
            assert each["theirs"] != each["yours"]
            assert each["path"].split("/")[1] in edit.body
        self.conflicts += 1
        self.mirror.settle_on(problem["current"])
        made_on = (problem["current"]["version"], problem["current"]["settings"])
        return replace(edit, made_on=made_on, name=a_name())

    async def _repeat(self, done: Done) -> None:
        """As if the answer had been lost: what was acknowledged is answered again, and nothing else happens."""
        if done.write is None:
            return
        again = await self._line.insist(done.edit.method, done.edit.path, **done.edit.request)
        assert (again.status, _kept(again, done.edit)) == (done.answer.status, _kept(done.answer, done.edit))
        assert again.head.get("ETag") == done.answer.head.get("ETag")
        self.repeated += 1


def _kept(answer: Answer, edit: Edit) -> Any:
    """What a repeat has again. The settings as a restore left them are read from the history, which another restore
    may have replaced."""
    return {**answer.value, "settings": None} if edit.path.startswith(RESTORE) else answer.body
