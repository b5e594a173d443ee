"""A snapshot: a folder with a copy of each of the five files, and a manifest that says what they must be.

What is known of it later stands beside the manifest, in a file of its own: when it was last found whole.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from animatize.telling import Exit, Stop
from animatize.workplaces import write_whole
from chassis.documents import write
from chassis.schema import steps_of
from chassis.settings import PROCESSES

MANIFEST: Final = "manifest.json"
VERIFIED: Final = "verified.json"
CHECKED: Final = ConfigDict(frozen=True, extra="ignore")


class Copy(BaseModel):
    """What one copy must be. `counts` are rows, by table, of the moment of the snapshot."""

    model_config = CHECKED
    file: str = Field(pattern=r"^[^/\\]+\.db$")  # a name, so that nothing outside of the folder is meant
    size: int
    sha256: str
    version: int = Field(alias="schema")
    counts: dict[str, int]


class Manifest(BaseModel):
    """`taken_at` is the one moment that all copies are of. `vault` is the vault's id, `fingerprint` its secret's."""

    model_config = CHECKED
    format: Literal[1]
    release: str
    taken_at: datetime
    ended_at: datetime
    held_ms: float  # how long writers of the journal, and they alone, were kept waiting
    vault: str | None
    fingerprint: str | None
    files: dict[str, Copy]  # by package

    @property
    def size(self) -> int:
        return sum(copy.size for copy in self.files.values())


class Verified(BaseModel):
    """When a snapshot was last found whole. `snapshot` is where it was then."""

    model_config = CHECKED
    snapshot: str
    taken_at: datetime
    verified_at: datetime

    @property
    def age(self) -> float:
        """In seconds, of what was copied."""
        return (datetime.now(UTC) - self.taken_at).total_seconds()


class Snapshot(NamedTuple):
    folder: Path
    manifest: Manifest
    verified: Verified | None

    def file(self, package: str) -> Path:
        return self.folder / self.manifest.files[package].file

    @property
    def is_whole(self) -> bool:
        """By names and sizes alone, and with nothing in it that is not ours."""
        sizes = {copy.file: copy.size for copy in self.manifest.files.values()}
        there = {each.name: each.stat().st_size for each in self.folder.iterdir() if each.is_file()}
        names = {each.name for each in self.folder.iterdir()}
        return sizes.items() <= there.items() and names <= {*sizes, MANIFEST, VERIFIED, f"{VERIFIED}.new"}


def read_snapshot(folder: Path) -> Snapshot:
    """Raises Stop where the folder is none."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise Stop(
            Exit.REFUSED, f"{folder} is no snapshot: its {MANIFEST} cannot be read ({error.strerror})."
        ) from error
    except ValidationError as error:
        reason = "is damaged, or was written by a newer release"
        raise Stop(Exit.REFUSED, f"{folder} is no snapshot for this release: its {MANIFEST} {reason}.") from error
    if missing := {*PROCESSES} - manifest.files.keys():
        raise Stop(Exit.REFUSED, f"{folder} is no whole snapshot: it lacks {', '.join(sorted(missing))}.")
    return Snapshot(folder, manifest, read_verified(folder / VERIFIED))


def refuse_newer(snapshot: Snapshot) -> None:
    """Raises Stop where a file has a schema that this release does not know."""
    for package, copy in snapshot.manifest.files.items():
        if package in PROCESSES and copy.version > (known := len(steps_of(package))):
            told = f"{copy.file} has schema {copy.version}, and this release knows {known}"
            raise Stop(Exit.REFUSED, f"{told}: take the release that made the snapshot ({snapshot.manifest.release}).")


def read_verified(path: Path) -> Verified | None:
    """None where there is no such record, or none that can be read."""
    try:
        return Verified.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def verified_now(snapshot: Snapshot) -> Verified:
    taken_at, now = snapshot.manifest.taken_at, datetime.now(UTC)
    return Verified(snapshot=str(snapshot.folder.resolve()), taken_at=taken_at, verified_at=now)


def write_model(path: Path, model: BaseModel) -> None:
    told: dict[str, Any] = model.model_dump(mode="json", by_alias=True)
    write_whole(path, write(told) + b"\n")
