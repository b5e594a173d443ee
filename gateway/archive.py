"""The documents that can be restored: our own backup, the older console's, and what people saved of a browser.

Pure: bytes go in as they arrive, findings come out. The shape decides what a document is, never a version flag.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from chassis.documents import pointer
from chassis.parts import Refusal, Refusals
from gateway.encodings import TextDecoder
from gateway.manifest import SECTIONS, Tally
from gateway.missing_keys import SEALED, STATUSES, MissingKeys
from gateway.scanning import Path, Piece, Scanner, Unusable
from gateway.settings_forms import read_settings
from gateway.unclaimed import Unclaimed

FORMS: Final = (
    "a backup of this or of the older console (an object with settings, history or runs); an export of the browser's"
    " localStorage with animatize_ui_settings_v2 or animatize_ui_runs_v2; a list of runs; an object of settings."
)
KIND_OF_ITEM: Final = {"runs": "run", "animatize_ui_runs_v2": "run", "history": "history"}
PART_OF_KIND: Final = {
    "settings": "settings",
    "settings_patch": "settings",
    "history": "history",
    "run": "runs",
    "sealed_api_keys": "api_keys",
}
LISTS: Final = frozenset(KIND_OF_ITEM)
SETTINGS: Final = frozenset({"settings", "animatize_ui_settings_v2"})
MANIFEST: Final = "manifest"
KNOWN: Final = LISTS | SETTINGS | {SEALED, STATUSES, MANIFEST, "schema_version", "exported_at"}
NO_PART: Final = ""  # of a warning that is no refusal: nothing of the document is unusable for it
COMPRESSED_MARKS: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # how gzip and zstd begin
COMPRESSED: Final = "It is compressed: say so in the header Content-Encoding, gzip or zstd."
DEEPEST_STRING: Final = 4  # JSON inside a string inside a string …


class Found(NamedTuple):
    """One thing to restore: what it is (a kind of PART_OF_KIND), where it stood, its value, its digest if known."""

    kind: str
    pointer: str
    value: Any
    digest: str | None = None


class Damaged(Unusable):
    """A document that is not what its own manifest says."""

    code = "damaged_document"


class Reader:
    """Reads one document. `feed` and `close` raise Unusable.

    `refusals` is what could not be used, and what there is to say beside it; `carried` are the parts that the document
    has, if only as an empty list. Both are whole after `close`.
    """

    def __init__(self, *, opens_keys: bool = False) -> None:
        self.refusals = Refusals()
        self._opens_keys = opens_keys
        self._carried: set[str] = set()
        self._decoder = TextDecoder()
        self._scanner = Scanner(LISTS)
        self._tally = Tally()
        self._manifest: Any = None
        self._missing_keys = MissingKeys(opened=opens_keys)
        self._claimed = False
        self._unclaimed = Unclaimed()

    @property
    def carried(self) -> frozenset[str]:
        return frozenset(self._carried)

    def feed(self, chunk: bytes) -> Iterator[Found]:
        yield from self._sort_all(self._scanner.feed(self._decode(chunk)))

    def close(self) -> Iterator[Found]:
        """The rest. Raises Unusable where the document ends before it is complete, Damaged where it was changed."""
        yield from self._sort_all(self._scanner.feed(self._decode(b"", final=True)))
        yield from self._sort_all(self._scanner.finish())
        if not self._claimed and self._unclaimed.are_settings():
            for name, problem in self._unclaimed.problems.items():
                self._refuse("settings", (name,), problem)
            yield from self._settings((), self._unclaimed.values)
        for path, advice in self._missing_keys.told():
            self._refuse(NO_PART, path, advice)
        self._compare_with_manifest()

    def _compare_with_manifest(self) -> None:
        """Raises Damaged. A field of this name in what is no backup is somebody else's."""
        if not self._tally.manifest()["counts"]:
            return
        if self._manifest is not None and (difference := self._tally.differs_from(self._manifest)):
            advice = "Take an undamaged copy or, if it was changed on purpose, take the manifest out of it."
            raise Damaged(f"The document is not as it was made. {difference} {advice}")

    def _decode(self, chunk: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(chunk, final=final)
        except UnicodeDecodeError as error:
            hint = f" {COMPRESSED}" if error.object[:4].startswith(COMPRESSED_MARKS) else ""
            raise Unusable(f"The document is not whole text in UTF-8 or UTF-16 ({error.reason}).{hint}") from error

    def _sort_all(self, pieces: Iterator[Piece], depth: int = 0) -> Iterator[Found]:
        """What the pieces of the outermost text are."""
        for path, value, problem in pieces:
            match path:
                case ():
                    yield from self._alone(value, problem, depth)
                case (str(name),):
                    yield from self._field(name, value, problem)
                case (str(name), _):
                    canonical = self._tally.add(name, value) if problem is None and name in SECTIONS else None
                    yield from self._item(path, KIND_OF_ITEM[name], value, problem, canonical)
                case _:
                    yield from self._item(path, "run", value, problem)

    def _alone(self, value: Any, problem: str | None, depth: int) -> Iterator[Found]:
        """A document that is one value: perhaps the whole of it, encoded once more as a string."""
        if problem is not None:
            raise Unusable(f"The document cannot be used: it {problem}.")
        if isinstance(value, str):
            yield from self._sort_all(_scan_string(value, Scanner(LISTS), depth), depth + 1)
        elif value == []:
            self._carried.add("runs")

    def _field(self, name: str, value: Any, problem: str | None) -> Iterator[Found]:
        if name not in KNOWN:
            self._unclaimed.add(name, value, problem)
            return
        self._claimed = True
        if problem is not None:
            self._spoiled(name, f"This {problem}.")
            return
        self._count(name, value)
        match name:
            case "sealed_api_keys":
                self._missing_keys.note_sealed(value)
                if self._opens_keys:
                    yield self._found(name, (name,), value)
            case "api_credentials":
                self._missing_keys.note_statuses(value)
            case "manifest":
                self._manifest = value
            case _ if name in LISTS | SETTINGS:
                yield from self._named_section(name, value)

    def _spoiled(self, name: str, message: str) -> None:
        """A known field that cannot be read. A manifest that says nothing is as bad as one that says something else."""
        if name == MANIFEST:
            self._manifest = {}
        elif name in LISTS | SETTINGS | {SEALED}:
            self._refuse(_part_of(name), (name,), message)

    def _named_section(self, name: str, value: Any) -> Iterator[Found]:
        try:
            yield from self._section(name, value)
        except Unusable as error:
            self._refuse(_part_of(name), (name,), f"The text in this string cannot be used. {error}")

    def _count(self, name: str, value: Any) -> None:
        """Into the tally, what the scanner does not tell item by item."""
        if name not in SECTIONS or value is None:
            return
        self._tally.open(name)
        for item in value if isinstance(value, list) else [value]:
            self._tally.add(name, item)

    def _section(self, name: str, value: Any, depth: int = 0) -> Iterator[Found]:
        """The value of a known name that was read whole; localStorage keeps it as JSON in a string."""
        if isinstance(value, str):
            for path, inner, problem in _scan_string(value, Scanner(frozenset(), one_object=True), depth):
                if path and name in LISTS:
                    yield from self._item((name, *path), KIND_OF_ITEM[name], inner, problem)
                elif problem is not None:
                    self._refuse(_part_of(name), (name, *path), f"This {problem}.")
                else:
                    yield from self._section(name, inner, depth + 1)
        elif name in SETTINGS:
            yield from self._settings((name,), value)
        elif value == []:
            self._carried.add(_part_of(name))
        elif value is not None:
            self._refuse(_part_of(name), (name,), "This is not a list.")

    def _item(
        self, path: Path, kind: str, value: Any, problem: str | None, canonical: bytes | None = None
    ) -> Iterator[Found]:
        if problem is not None:
            self._refuse(PART_OF_KIND[kind], path, f"This {problem}.")
        else:
            yield self._found(kind, path, value, canonical)

    def _found(self, kind: str, path: Path, value: Any, canonical: bytes | None = None) -> Found:
        self._carried.add(PART_OF_KIND[kind])
        digest = hashlib.sha256(canonical).hexdigest() if canonical is not None and kind == "run" else None
        return Found(kind, pointer(*path), value, digest)

    def _settings(self, path: Path, value: Any) -> Iterator[Found]:
        found, complaints = read_settings(value)
        for step, message in complaints:
            self._refuse("settings", (*path, *step), message)
        for kind, step, usable in found:
            yield self._found(kind, (*path, *step), usable)

    def _refuse(self, part: str, path: Path, message: str) -> None:
        self.refusals.add([Refusal(part, pointer(*path), message)])


def _part_of(name: str) -> str:
    return PART_OF_KIND[KIND_OF_ITEM.get(name, SEALED if name == SEALED else "settings")]


def _scan_string(text: str, scanner: Scanner, depth: int) -> Iterator[Piece]:
    if depth == DEEPEST_STRING:
        raise Unusable("The document is a string in a string, too many times over.")
    yield from scanner.feed(text)
    yield from scanner.finish()
