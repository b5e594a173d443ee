"""What a prune tells: of each file the rows of each kind, and its bytes before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chassis.upkeep import Amount, Space


@dataclass(frozen=True)
class File:
    """`found` by chore: what there is to remove or, once it is done, what was."""

    package: str
    found: dict[str, Amount]
    before: Space
    after: Space

    @property
    def freed(self) -> int:
        """Bytes that are not in use any more, given back or not; what others wrote meanwhile is counted against it."""
        return (self.before.size - self.before.free) - (self.after.size - self.after.free)

    @property
    def given_back(self) -> int:
        return self.before.size - self.after.size

    def as_json(self) -> dict[str, Any]:
        return {
            "found": {name: {"rows": rows, "bytes": size} for name, (rows, size) in self.found.items()},
            "size_before": self.before.size,
            "size": self.after.size,
            "free": self.after.free,
            "shrinks": self.after.shrinks,
        }


@dataclass(frozen=True)
class Pruned:
    """`done` is false of a dry run."""

    done: bool
    files: list[File]

    def as_json(self) -> dict[str, Any]:
        rows = sum(amount.rows for file in self.files for amount in file.found.values())
        freed = sum(file.freed for file in self.files)
        given_back = sum(file.given_back for file in self.files)
        return {
            "done": self.done,
            "rows": rows,
            "freed_bytes": freed,
            "given_back_bytes": given_back,
            "files": {file.package: file.as_json() for file in self.files},
        }

    def lines(self) -> Iterator[str]:
        for file in self.files:
            yield from self._about(file)
        if not self.done:
            yield "Nothing was removed: this was a dry run. Do it with --yes."

    def _about(self, file: File) -> Iterator[str]:
        verb = "removed" if self.done else "to remove"
        kinds = [_told(name, amount) for name, amount in file.found.items() if amount.rows]
        yield f"{file.package}: {verb} {', '.join(kinds) or 'nothing'}"
        if self.done:
            yield f"  freed {_bytes(file.freed)}, gave {_bytes(file.given_back)} back to the disk"
        if file.after.free and not file.after.shrinks:
            advice = "--yes --rebuild gives them back, at an hour in which nobody needs to write"
            yield f"  {_bytes(file.after.free)} in the file are free, and are used again; {advice}"


def _told(name: str, amount: Amount) -> str:
    size = f" ({_bytes(amount.size)})" if amount.size else ""
    return f"{amount.rows} {name.replace('_', ' ')}{size}"


def _bytes(number: int) -> str:
    return f"{number / (1 << 20):.1f} MiB" if abs(number) >= 1 << 20 else f"{number / 1024:.0f} KiB"
