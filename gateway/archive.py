"""The documents that can be restored: our own backup, the older console's, and what people saved of a browser.

Pure: bytes go in as they arrive, findings come out. The shape decides what a document is, never a version flag.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from chassis import documents
from chassis.documents import pointer
from chassis.problems import FieldError
from gateway.encodings import TextDecoder
from gateway.scanning import Path, Piece, Scanner, Unusable
from gateway.settings_forms import is_settings_object, read_settings

FORMS: Final = (
    "a backup of this or of the older console (an object with settings, history or runs); an export of the browser's"
    " localStorage with animatize_ui_settings_v2 or animatize_ui_runs_v2; a list of runs; an object of settings."
)
KIND_OF_ITEM: Final = {"runs": "run", "animatize_ui_runs_v2": "run", "history": "history"}
LISTS: Final = frozenset(KIND_OF_ITEM)
SETTINGS: Final = frozenset({"settings", "animatize_ui_settings_v2"})
LARGEST_BARE_SETTINGS: Final = 1 << 20  # bytes
DEEPEST_STRING: Final = 4  # JSON inside a string inside a string …


class Found(NamedTuple):
    """One thing to restore: what it is (`settings`, `settings_patch`, `history`, `run`), where it stood, its value."""

    kind: str
    pointer: str
    value: Any


class Reader:
    """Reads one document. `warnings` names what could not be used; `feed` and `close` raise Unusable."""

    def __init__(self) -> None:
        self.warnings: list[FieldError] = []
        self._decoder = TextDecoder()
        self._scanner = Scanner(LISTS)
        self._unclaimed: dict[str, Any] = {}
        self._unclaimed_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[Found]:
        yield from self._sort_all(self._scanner.feed(self._decode(chunk)))

    def close(self) -> Iterator[Found]:
        """The rest. Raises Unusable where the document ends before it is complete."""
        yield from self._sort_all(self._scanner.feed(self._decode(b"", final=True)))
        yield from self._sort_all(self._scanner.finish())
        if is_settings_object(self._unclaimed):
            yield from self._settings((), self._unclaimed)

    def _decode(self, chunk: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(chunk, final=final)
        except UnicodeDecodeError as error:
            raise Unusable(f"The document is not whole text in UTF-8 or UTF-16 ({error.reason}).") from error

    def _sort_all(self, pieces: Iterator[Piece], depth: int = 0) -> Iterator[Found]:
        """What the pieces of the outermost text are."""
        for path, value, problem in pieces:
            match path:
                case ():
                    yield from self._alone(value, problem, depth)
                case (str(name),):
                    yield from self._field(name, value, problem)
                case (str(name), _):
                    yield from self._item(path, KIND_OF_ITEM[name], value, problem)
                case _:
                    yield from self._item(path, "run", value, problem)

    def _alone(self, value: Any, problem: str | None, depth: int) -> Iterator[Found]:
        """A document that is one value: perhaps the whole of it, encoded once more as a string."""
        if problem is not None:
            raise Unusable(f"The document cannot be used: it {problem}.")
        if isinstance(value, str):
            yield from self._sort_all(_scan_string(value, Scanner(LISTS), depth), depth + 1)

    def _field(self, name: str, value: Any, problem: str | None) -> Iterator[Found]:
        if problem is not None:
            if name in LISTS | SETTINGS:
                self._warn((name,), f"This {problem}.")
        elif name in LISTS | SETTINGS:
            try:
                yield from self._section(name, value)
            except Unusable as error:
                self._warn((name,), f"The text in this string cannot be used. {error}")
        elif name == "api_credentials":
            self._tell_missing_keys(value)
        elif name == "sealed_api_keys":
            self._warn((name,), "Sealed provider keys cannot be restored by this release; enter the keys again.")
        else:
            self._remember_unclaimed(name, value)

    def _section(self, name: str, value: Any, depth: int = 0) -> Iterator[Found]:
        """The value of a known name that was read whole; localStorage keeps it as JSON in a string."""
        if isinstance(value, str):
            for path, inner, problem in _scan_string(value, Scanner(frozenset(), one_object=True), depth):
                if path and name in LISTS:
                    yield from self._item((name, *path), KIND_OF_ITEM[name], inner, problem)
                elif problem is not None:
                    self._warn((name, *path), f"This {problem}.")
                else:
                    yield from self._section(name, inner, depth + 1)
        elif name in SETTINGS:
            yield from self._settings((name,), value)
        elif value is not None:
            self._warn((name,), "This is not a list.")

    def _item(self, path: Path, kind: str, value: Any, problem: str | None) -> Iterator[Found]:
        if problem is not None:
            self._warn(path, f"This {problem}.")
        else:
            yield Found(kind, pointer(*path), value)

    def _settings(self, path: Path, value: Any) -> Iterator[Found]:
        found, complaints = read_settings(value)
        for step, message in complaints:
            self._warn((*path, *step), message)
        for kind, step, usable in found:
            yield Found(kind, pointer(*path, *step), usable)

    def _tell_missing_keys(self, rows: Any) -> None:
        """Statuses of provider keys are not keys: say which have to be entered again."""
        for index, row in enumerate(rows if isinstance(rows, list) else []):
            if isinstance(row, dict) and row.get("configured") is True:
                provider = str(row.get("provider"))[:40]
                message = f"The key of {provider} is not in the document: enter it, unless this profile has it already."
                self._warn(("api_credentials", index), message)

    def _remember_unclaimed(self, name: str, value: Any) -> None:
        """Keep what may turn out to be a section of a settings object without its key, within bounds."""
        self._unclaimed_bytes += len(documents.write(value))
        if self._unclaimed_bytes <= LARGEST_BARE_SETTINGS:
            self._unclaimed[name] = value

    def _warn(self, path: Path, message: str) -> None:
        self.warnings.append({"pointer": pointer(*path), "message": message})


def _scan_string(text: str, scanner: Scanner, depth: int) -> Iterator[Piece]:
    if depth == DEEPEST_STRING:
        raise Unusable("The document is a string in a string, too many times over.")
    yield from scanner.feed(text)
    yield from scanner.finish()
