"""What several devices were told was done, and so what may be there in the end.

Of a write is known when it was first sent and when its success was heard. Two writes of one key that overlap may have
happened in either order; otherwise the later one has won. A key is a path that begins with that of its object:
`settings/colours/text`, `runs/a/mark`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Value = Any  # None: it is not there
SETTINGS: Final = "settings/"
RUNS: Final = "runs/"
SECTIONS: Final = ("colours", "sizes", "words")  # of the settings, that are written to; nobody has them at first


@dataclass(frozen=True, eq=False)
class Write:
    """`values` by key. Of all that begins with one of `wiped`, whatever is not among them is gone afterwards. A write
    that takes back another (`undoes`) has neither."""

    began: float
    ended: float
    values: Mapping[str, Value] = field(default_factory=dict)
    wiped: tuple[str, ...] = ()
    undoes: "Write | None" = None

    def covers(self, key: str) -> bool:
        if self.undoes is not None:
            return self.undoes.covers(key)
        return key in self.values or key.startswith(self.wiped)

    def names(self, thing: str) -> bool:
        """Whether it surely changed an object: a mark is new each time, but a favourite may have been one before, and
        to wipe what is not there changes nothing."""
        return any(key.startswith(thing) and not key.endswith("/favorite") for key in self.values)

    def touches(self, thing: str) -> bool:
        return any(key.startswith(thing) for key in self.values) or any(
            thing.startswith(each) or each.startswith(thing) for each in self.wiped
        )


Wrong = dict[str, tuple[Value, list[Value]]]
BEGINNING: Final = Write(-math.inf, -math.inf, {}, ("",))


class Ledger:
    """All acknowledged writes of one owner, by whichever device."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self._of: dict[str, list[Write]] = {}  # those that cover a key, as far as somebody has asked

    def note(self, write: Write) -> Write:
        self.writes.append(write)
        self._of.clear()
        return write

    def keys(self) -> set[str]:
        return {key for write in self.writes for key in write.values}

    def wrong(self, shown: Mapping[str, Value], of: str = "", at: Write | None = None) -> Wrong:
        """What is there and cannot be: what it is, and what it might have been. `shown` is everything whose key begins
        with `of`, in the end or as it was read `at` some time."""
        keys = {key for key in self.keys() if key.startswith(of)}
        allowed = {key: self.possible(key, at) for key in keys | shown.keys()}
        return {key: (shown.get(key), values) for key, values in allowed.items() if shown.get(key) not in values}

    def possible(self, key: str, until: Write | None = None) -> list[Value]:
        """What may be there in the end, or when `until` came, which may be another write or a read."""
        before = [each for each in self._covering(key) if until is None or _may_precede(each, until)]
        sure = [each for each in before if self._is_sure(each, key) and (until is None or each.ended < until.began)]
        latest = max((each.began for each in sure), default=-math.inf)
        return [value for each in (BEGINNING, *before) if each.ended >= latest for value in self._values(each, key)]

    def _covering(self, key: str) -> list[Write]:
        if key not in self._of:
            self._of[key] = [each for each in self.writes if each.covers(key)]
        return self._of[key]

    def _values(self, write: Write, key: str) -> Iterable[Value]:
        if write.undoes is None:
            return [write.values.get(key)]
        return [] if self._was_written_between(write.undoes, write, key) else self.possible(key, write.undoes)

    def _was_written_between(self, restore: Write, undo: Write, key: str) -> bool:
        """Then the undo leaves the object as it is."""
        thing = thing_of(key)
        return any(each.names(thing) and restore.ended < each.began and each.ended < undo.began for each in self.writes)

    def _is_sure(self, write: Write, key: str) -> bool:
        """Whether it had an effect in any order: an undo only where nobody else was at the object meanwhile."""
        if (restore := write.undoes) is None:
            return True
        others = [each for each in self.writes if each not in (write, restore) and each.touches(thing_of(key))]
        return all(each.ended < restore.began or each.began > write.ended for each in others)


def _may_precede(write: Write, other: Write) -> bool:
    return write is not other and write.began < other.ended


def thing_of(key: str) -> str:
    """What an undo treats as one: a run, or all the settings."""
    return SETTINGS if key.startswith(SETTINGS) else f"{RUNS}{key.split('/')[1]}/"


def of_settings(settings: Mapping[str, Any]) -> dict[str, Value]:
    """`settings/section/name` of everything in SECTIONS."""
    sections = {name: settings.get(name) or {} for name in SECTIONS}
    return {f"{SETTINGS}{name}/{leaf}": value for name, each in sections.items() for leaf, value in each.items()}


def of_runs(runs: Iterable[Mapping[str, Any]]) -> dict[str, Value]:
    """The two things that are written of a run apart: its mark, and whether its variant is a favourite."""
    found: dict[str, Value] = {}
    for run in runs:
        of_run = f"{RUNS}{run['run_id']}/"
        found |= {f"{of_run}mark": run["mark"], f"{of_run}favorite": run["variants"][0]["favorite"]}
    return found
