"""One profile against a plain Python model of it: whatever is done, in whatever order, the two never differ."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.documents import canonical, same
from settings_service.entries import instant
from settings_service.merging import merge_patch
from settings_service.models import DEFAULTS
from tests.settings_service.support import backup, check_file, entry, restore, save, stage, step, told, undo
from tests.support import Asker

Settings = dict[str, Any]


@dataclass(frozen=True)
class Version:
    settings: Settings
    note: str
    created_at: str | None  # None: the service's own clock, not known yet

    @property
    def identity(self) -> tuple[Any, ...]:
        return canonical(self.settings), self.note, self.created_at


@dataclass(frozen=True)
class Kept:
    """What the latest restore replaced; `before` is None where it left the settings as they were."""

    restore_id: str
    before: Settings | None
    left: int
    removed: dict[int, Version]


@dataclass
class Model:
    versions: dict[int, Version] = field(default_factory=lambda: {1: Version(DEFAULTS, "initial_profile", None)})
    kept: Kept | None = None

    @property
    def current(self) -> int:
        return max(self.versions)

    @property
    def settings(self) -> Settings:
        return self.versions[self.current].settings

    def add(self, settings: Settings, note: str, created_at: str | None = None) -> None:
        self.versions[self.current + 1] = Version(settings, note, created_at)

    def save(self, settings: Settings) -> None:
        if not same(self.settings, settings):
            self.add(settings, "settings_change")

    def repeat(self, number: int) -> None:
        if number in self.versions:
            self.add(self.versions[number].settings, f"restore:{number}")

    def restore(self, restore_id: str, mode: str, parts: Iterable[str], items: list[tuple[str, str, Any]]) -> int:
        """How many entries go."""
        before, versions = self.settings, dict(self.versions)
        target = self._target([(kind, value) for _, kind, value in items], mode == "replace" and "settings" in parts)
        entries = in_order([value for _, kind, value in items if kind == "history"])
        known = {version.identity for version in self.versions.values()}
        for each in entries:
            if each.identity not in known:
                known.add(each.identity)
                self.add(each.settings, each.note, each.created_at)
        if not same(self.settings, target):
            self.add(target, "backup_restore")
        if mode == "replace" and "history" in parts:
            named = {each.identity for each in entries}
            self.versions = {n: v for n, v in self.versions.items() if n == self.current or v.identity in named}
        removed = {number: version for number, version in versions.items() if number not in self.versions}
        self.kept = Kept(restore_id, None if same(before, target) else before, self.current, removed)
        return len(removed)

    def _target(self, items: list[tuple[str, Any]], replaces: bool) -> Settings:
        sections = [value for kind, value in items if kind == "settings"]
        target = dict(self.settings)
        if replaces and sections:
            target = {name: value for name, value in target.items() if any(name in each for each in sections)}
        for kind, value in items:
            if kind == "settings":
                target |= value
            elif kind == "settings_patch":
                target = merge_patch(target, value)
        return target

    def undo(self) -> dict[str, dict[str, int]]:
        assert self.kept is not None
        changed, stands = self.kept.before is not None, self.kept.left == self.current
        note, back = f"undo:{self.kept.restore_id.upper()}", len(self.kept.removed)
        self.versions |= self.kept.removed
        if self.kept.before is not None and stands:
            self.add(self.kept.before, note)
        self.kept = None
        return {
            "undone": {"settings": int(changed and stands), "history": back},
            "stayed": {"settings": int(changed and not stands), "history": 0},
        }

    def compare(self, found: list[Any]) -> None:
        """Raises AssertionError where a backup of the service shows something else; learns the times from it."""
        profile, *entries = found
        assert [each["version"] for each in entries] == sorted(self.versions, reverse=True)
        assert profile["version"] == self.current
        assert same(profile["settings"], self.settings)
        for each in entries:
            mine = self.versions[each["version"]]
            assert same(each["settings"], mine.settings)
            assert each["change_note"] == mine.note
            assert each["created_at"] == (mine.created_at or each["created_at"])
            self.versions[each["version"]] = replace(mine, created_at=each["created_at"])


def in_order(entries: list[Any]) -> list[Version]:
    """Each once; numbered ones in that order, the others after them by their time."""
    found: dict[Any, tuple[int | None, Version]] = {}
    for each in entries:
        version = Version(each["settings"], each["change_note"], instant(each["created_at"]))
        found.setdefault(version.identity, (each.get("version"), version))
    by_place = sorted(found.values(), key=lambda pair: (pair[0] is None, pair[0] or 0, pair[1].created_at or ""))
    return [version for _, version in by_place]


class Driver:
    """Does the same to the service and to the model, for one owner."""

    def __init__(self, asker: Asker, file: Path, owner: str) -> None:
        self.asker, self.file, self.owner = asker, file, owner
        self.model = Model()
        self.documents: list[list[tuple[str, str, Any]]] = []
        self.ids = (f"{owner[6:]}-{number}" for number in count())

    async def do(self, operation: tuple[Any, ...]) -> None:
        name, *arguments = operation
        highest = self.model.current
        await getattr(self, name)(*arguments)
        self.model.compare(await backup(self.asker, self.owner))
        check_file(self.file, self.owner)
        assert self.model.current >= highest

    async def save(self, sent: Settings) -> None:
        saved = await save(self.asker, sent, owner=self.owner)
        self.model.save(sent)
        assert saved["version"] == self.model.current

    async def repeat(self, choice: int) -> None:
        number = 1 + choice % self.model.current
        path = f"/api/settings/history/{number}/restore"
        status = 200 if number in self.model.versions else 404
        await told(await self.asker.post(path, owner=self.owner), status)
        self.model.repeat(number)

    async def back_up(self) -> None:
        """Keep a backup, to be restored some time."""
        profile, *entries = await backup(self.asker, self.owner)
        self.documents.append([("", "settings", profile["settings"]), *(("", "history", each) for each in entries)])

    async def restore(self, mode: str, parts: set[str], items: list[tuple[str, str, Any]]) -> None:
        id_ = next(self.ids)
        done = await restore(self.asker, items, id_, self.owner, mode=mode, parts=parts)
        assert done["removed"]["history"] == self.model.restore(id_, mode, parts, items)

    async def restore_backup(self, mode: str, parts: set[str], choice: int) -> None:
        if self.documents:
            items = self.documents[choice % len(self.documents)]
            await self.restore(mode, parts, [each for each in items if each[1] in parts])

    async def dry_run(self, mode: str, parts: set[str], items: list[tuple[str, str, Any]]) -> None:
        id_ = next(self.ids)
        await stage(self.asker, items, id_, self.owner, mode=mode, parts=parts)
        await step(self.asker, id_, "abort", self.owner)

    async def undo(self) -> None:
        id_ = next(self.ids)
        if self.model.kept is None:
            await stage(self.asker, [], id_, self.owner, 409, mode="undo", undoes="none")
        else:
            done = await undo(self.asker, self.model.kept.restore_id, id_, self.owner)
            assert done == self.model.undo()


VALUES = st.sampled_from([1, 1.0, 2.5, True, None, "龜", {}, {"b": 1}])
SETTINGS = st.dictionaries(
    st.sampled_from(["theme", "x", "y"]), st.dictionaries(st.sampled_from("ab"), VALUES), max_size=3
)
ENTRIES = st.builds(
    entry, st.none() | st.integers(1, 3), SETTINGS, minute=st.integers(0, 2), note=st.sampled_from(["a", ""])
)
ITEMS = st.lists(
    st.tuples(st.just(""), st.just("history"), ENTRIES)
    | st.tuples(st.just(""), st.sampled_from(["settings", "settings_patch"]), SETTINGS),
    max_size=5,
)
HOW = (st.sampled_from(["merge", "replace", "replace"]), st.sets(st.sampled_from(["settings", "history"])))
OPERATIONS = st.one_of(
    st.tuples(st.just("save"), SETTINGS),
    st.tuples(st.just("repeat"), st.integers(0, 50)),
    st.tuples(st.just("back_up")),
    st.tuples(st.just("restore"), *HOW, ITEMS),
    st.tuples(st.just("restore_backup"), *HOW, st.integers(0, 5)),
    st.tuples(st.just("dry_run"), *HOW, ITEMS),
    st.tuples(st.just("undo")),
)
OWNERS = count()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, min_size=3, max_size=15))
async def test_a_profile_is_what_the_model_says_after_any_operations(
    asker: Asker, file: Path, operations: list[tuple[Any, ...]]
) -> None:
    driver = Driver(asker, file, f"guest:{next(OWNERS)}")
    for operation in operations:
        await driver.do(operation)
