"""One profile, through the gateway and with kill -9, against a plain Python model of it: the two never differ.

The model is put together from those that the services' own tests use: one of settings and their history, and one of
things under a name with the undo of their latest restore, once for runs and once for keys.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from itertools import count
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from pydantic import SecretStr

from chassis.documents import same
from tests.faults import files
from tests.faults.guest import backup_of
from tests.faults.places import PLACES
from tests.faults.plan import IN_CI
from tests.faults.plant import PASSAGES, PROCESSES, Plant
from tests.journeys.browser import Browser
from tests.runs_service.test_undo_model import Model as NamedThings
from tests.settings_service.support import entry
from tests.settings_service.test_profile_model import SETTINGS
from tests.settings_service.test_profile_model import Model as Versions
from vault_service.disclosure import mask

pytestmark = pytest.mark.asyncio(loop_scope="package")

T = TypeVar("T")
PASSPHRASE = "a passphrase with a ż in it"
NUMBERS = count()

RUNS = st.builds(lambda name, mark: {"run_id": name, "mark": mark}, st.sampled_from("abcd"), st.integers(0, 2))
ENTRIES = st.builds(
    entry, st.integers(1, 3), SETTINGS, minute=st.integers(0, 2), note=st.sampled_from(["a", "restore:1"])
)
PROVIDERS = st.sampled_from(["veo", "runway"])
DOCUMENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "settings": SETTINGS,
        "history": st.lists(ENTRIES, max_size=3),
        "runs": st.lists(RUNS, max_size=3, unique_by=lambda run: run["run_id"]),
    },
)
MODES = st.sampled_from(["merge", "replace"])
KILLED_AT = st.sampled_from([name for name, place in PLACES.items() if not place.aborts])


class Profile:
    """What the model says. `took_part` are the services that the latest restore asked, and that an undo will ask."""

    def __init__(self) -> None:
        self.versions, self.runs, self.keys = Versions(), NamedThings(), NamedThings()
        self.latest: str | None = None
        self.took_part: set[str] = set()

    def restore(self, name: str, mode: str, document: dict[str, Any], keys: dict[str, str] | None) -> None:
        carried = parts_of(document)
        self.latest, self.took_part = name, set()
        if carried & {"settings", "history"}:
            self.took_part.add("settings")
            self.versions.restore(name, mode, carried, items_of(document))
        if "runs" in carried:
            self.took_part.add("runs")
            self.runs.restore(name, document["runs"], replacing=mode == "replace")
        if keys is not None:
            self.took_part.add("vault")
            named = [{"run_id": provider, "key": key} for provider, key in keys.items()]
            self.keys.restore(name, named, replacing=mode == "replace")

    def undo(self) -> dict[str, dict[str, int]]:
        undone = dict.fromkeys(("settings", "history", "runs", "api_keys"), 0)
        stayed = dict(undone)
        if "settings" in self.took_part:
            of_settings = self.versions.undo()
            undone |= of_settings["undone"]
            stayed |= of_settings["stayed"]
        for keeper, part, things in (("runs", "runs", self.runs), ("vault", "api_keys", self.keys)):
            if keeper in self.took_part:
                undone[part], stayed[part] = things.undo()
        self.latest = None
        return {"undone": undone, "stayed": stayed}

    def compare(self, backup: dict[str, Any]) -> None:
        self.versions.compare([backup["settings"], *backup["history"]])
        assert same({run["run_id"]: run for run in backup["runs"]}, self.runs.live)
        masked = {row["provider"]: row["masked"] for row in backup["api_credentials"] if row["configured"]}
        assert masked == {each["run_id"]: mask(SecretStr(each["key"])) for each in self.keys.live.values()}


def parts_of(document: dict[str, Any]) -> set[str]:
    """An object of settings without a section is no settings, but a profile may have been saved as empty."""
    carried: set[str] = {part for part in ("settings", "history", "runs") if part in document}
    return carried - ({"settings"} if document.get("settings") == {} else set())


def items_of(document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    found = [("", "history", each) for each in document.get("history", [])]
    if "settings" in parts_of(document):
        profile = document["settings"]
        found.append(("", "settings", profile["settings"] if "version" in profile else profile))
    return found


def names_something(document: dict[str, Any], keys: dict[str, str] | None) -> bool:
    sections = [value for _, kind, value in items_of(document) if kind == "settings"]
    return any(sections) or bool(document.get("history") or document.get("runs") or keys)


class ProfileMachine(RuleBasedStateMachine):
    """Each rule does the same to the system and to the model, then compares all that a backup shows."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    plant: ClassVar[Plant]
    backups = Bundle("backups")

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(90)

    @initialize()
    def arrive(self) -> None:
        self.wait(self.plant.put_right())
        self.model = Profile()
        self.browser = Browser(self.plant.stack.url)
        self.wait(self.browser.__aenter__())
        self.compare()

    def teardown(self) -> None:
        if hasattr(self, "browser"):
            self.wait(self.browser.__aexit__(None, None, None))
            self.wait(files.at_rest(self.plant.data))
            files.check_files(self.plant.data)

    def compare(self) -> None:
        self.model.compare(self.wait(backup_of(self.browser)))

    @rule(sent=SETTINGS)
    def save_settings(self, sent: dict[str, Any]) -> None:
        self.wait(self.browser.put("/api/settings", {"settings": sent}))
        self.model.versions.save(sent)
        self.compare()

    @rule(run=RUNS)
    def write_run(self, run: dict[str, Any]) -> None:
        self.wait(self.browser.put(f"/api/runs/{run['run_id']}", run))
        self.model.runs.write(run["run_id"], run)
        self.compare()

    @rule(name=st.sampled_from("abcd"))
    def delete_run(self, name: str) -> None:
        self.wait(self.browser.ask("DELETE", f"/api/runs/{name}"))
        self.model.runs.write(name, None)
        self.compare()

    @rule(provider=PROVIDERS)
    def save_key(self, provider: str) -> None:
        key = f"{next(NUMBERS):04}-a-provider-key"
        self.wait(self.browser.put(f"/api/settings/api-keys/{provider}", {"api_key": key}))
        self.model.keys.write(provider, {"run_id": provider, "key": key})
        self.compare()

    @rule(provider=PROVIDERS)
    def delete_key(self, provider: str) -> None:
        self.wait(self.browser.ask("DELETE", f"/api/settings/api-keys/{provider}"))
        self.model.keys.write(provider, None)
        self.compare()

    @rule(target=backups)
    def back_up(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The document, and the keys that are sealed in it."""
        document = self.wait(self.browser.json("POST", "/api/settings/backup", {"passphrase": PASSPHRASE}))
        return document, {name: each["key"] for name, each in self.model.keys.live.items()}

    @rule(document=DOCUMENTS, mode=MODES)
    def restore_what_somebody_wrote(self, document: dict[str, Any], mode: str) -> None:
        self.restore(document, None, mode)

    @rule(backup=backups, mode=MODES, with_keys=st.booleans())
    def restore_a_backup(self, backup: tuple[dict[str, Any], dict[str, str]], mode: str, with_keys: bool) -> None:
        self.restore(backup[0], backup[1] if with_keys else None, mode)

    @rule(document=DOCUMENTS, mode=MODES)
    def preview(self, document: dict[str, Any], mode: str) -> None:
        status, _, _ = self.wait(self.send(document, None, f"PREVIEW-{next(NUMBERS)}", mode=mode, dry_run="true"))
        assert status in (200, 400)
        self.compare()

    @rule(
        backup=backups, mode=MODES, service=st.sampled_from(PASSAGES), victim=st.sampled_from(PROCESSES), at=KILLED_AT
    )
    def restore_while_a_process_is_killed(
        self, backup: tuple[dict[str, Any], dict[str, str]], mode: str, service: str, victim: str, at: str
    ) -> None:
        name, passage = f"RESTORE-{next(NUMBERS)}", self.plant.passages[service]
        accident = passage.expect(PLACES[at].meet(partial(self.plant.kill, victim)))
        status, _, _ = self.wait(self.send(*backup, name, mode=mode))
        assert accident.happened.is_set()
        self.wait(self.plant.come_back(victim))
        if self.stage_of(name) == "done":
            self.model.restore(name, mode, *backup)
        else:
            assert status in (None, 503)
        self.compare()

    @precondition(lambda self: self.model.latest is not None)
    @rule()
    def undo(self) -> None:
        done = self.wait(self.browser.json("POST", f"/api/settings/restore/{self.model.latest}/undo"))
        assert {"undone": done["undone"], "stayed": done["stayed"]} == self.model.undo()
        self.compare()

    def restore(self, document: dict[str, Any], keys: dict[str, str] | None, mode: str) -> None:
        name = f"RESTORE-{next(NUMBERS)}"
        status, _, told = self.wait(self.send(document, keys, name, mode=mode))
        carries = keys is not None or parts_of(document)
        if not (carries if mode == "replace" else names_something(document, keys)):
            assert status == 400
        else:
            assert status == 200, told
            self.model.restore(name, mode, document, keys)
        self.compare()

    async def send(
        self, document: dict[str, Any], keys: dict[str, str] | None, name: str, **query: str
    ) -> tuple[int | None, Any, bytes]:
        headers = {"Idempotency-Key": name}
        if keys is not None:
            headers["Animatize-Backup-Passphrase"] = quote(PASSPHRASE)
        try:
            return await self.browser.ask("POST", "/api/settings/restore", params=query, json=document, headers=headers)
        except (aiohttp.ClientError, ConnectionError):
            return None, {}, b""

    def stage_of(self, name: str) -> str:
        status, _, _ = self.wait(self.browser.ask("GET", f"/api/settings/restores/{name}"))
        if status == 404:
            return "never begun"
        return str(self.wait(self.browser.get(f"/api/settings/restores/{name}"))["stage"])


@pytest.mark.parametrize("_turn", range(3 if IN_CI else 1))
async def test_a_profile_is_what_the_model_says_whatever_is_done_and_whatever_dies(plant: Plant, _turn: int) -> None:
    await plant.run_gateways(1)
    ProfileMachine.loop, ProfileMachine.plant = asyncio.get_running_loop(), plant
    how = hypothesis_settings(
        max_examples=10,
        stateful_step_count=20,
        deadline=None,
        phases=(
            Phase.explicit,
            Phase.reuse,
            Phase.generate,
        ),  # to make a failure smaller takes longer than anybody waits
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, ProfileMachine, settings=how)
