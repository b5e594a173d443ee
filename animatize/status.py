"""`animatize status`: how everything stands, and what is not as it should be."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from animatize.places import Place, addresses, place
from animatize.processes import Process, ask_all
from animatize.snapshots import Verified, read_verified
from animatize.standing import File, differences, look_at, operations_left
from animatize.telling import Exit, Json, Stop, answering, tell
from chassis.release import RELEASE
from gateway.in_flight import Left
from vault_service import rekeying
from vault_service.standing import Standing

LONG_SECONDS: Final = 600  # for an operation: what takes longer waits for something


class Status(NamedTuple):
    """`differences`, `secret` and `operations` are None where they cannot be told, and `untold` says why."""

    processes: list[Process]
    files: list[File]
    secret: Standing | None
    operations: list[Left] | None
    differences: list[str] | None
    verified: Verified | None
    untold: list[str]

    @property
    def problems(self) -> list[str]:
        """What is not as it should be, as sentences."""
        return [*self._of_processes(), *(each.problem for each in self.files if each.problem), *self._of_contents()]

    def _of_processes(self) -> Iterator[str]:
        for each in self.processes:
            if not each.ready:
                yield f"{each.package} at {each.url} {'is not ready' if each.up else 'does not answer'}"
            elif each.release != RELEASE:
                yield f"{each.package} at {each.url} is of release {each.release or 'unknown'}, this is {RELEASE}"

    def _of_contents(self) -> Iterator[str]:
        yield from self.untold
        for each in self.operations or []:
            if each.age > LONG_SECONDS:
                yield f"{each.kind} {each.id} has been {each.stage} for {each.age:.0f} s"
        yield from self.differences or []
        if self.secret is not None:
            for fingerprint in sorted(self.secret.left.keys() - {*self.secret.previous}):
                yield f"{self.secret.left[fingerprint]} keys are under a secret that was not given ({fingerprint})"

    def as_json(self) -> dict[str, Any]:
        left = self.operations
        return {
            "ok": not self.problems,
            "release": RELEASE,
            "problems": self.problems,
            "processes": [each.as_json() for each in self.processes],
            "files": {each.package: each.as_json() for each in self.files},
            "secret": self.secret and self.secret.as_json(),
            "operations": None if left is None else [each._asdict() for each in left],
            "differences": self.differences,
            "verified": self.verified and self.verified.model_dump(mode="json") | {"age": self.verified.age},
        }

    def lines(self) -> list[str]:
        return [
            f"animatize {RELEASE}",
            *(each.line() for each in self.processes),
            *(each.line() for each in self.files),
            *self._lines_of_contents(),
            *(f"! {each}" for each in self.problems),
            "something is not as it should be" if self.problems else "all is well",
        ]

    def _lines_of_contents(self) -> Iterator[str]:
        if self.secret is not None:
            yield f"the vault was made with the secret of fingerprint {self.secret.vault}"
            yield from self.secret.lines()
        if self.operations is not None:
            yield f"operations in flight: {len(self.operations)}"
            yield from (f"  {each.kind} {each.id}: {each.stage}, {each.age:.0f} s old" for each in self.operations)
        if self.verified is None:
            yield "no snapshot was verified yet"
        else:
            gone = "" if Path(self.verified.snapshot).is_dir() else ", which is not there any more"
            when = f"verified at {self.verified.verified_at:%F %T} UTC: {self.verified.snapshot}{gone}"
            yield f"the last snapshot that was verified is {self.verified.age / 3600:.1f} h old, {when}"


def status(as_json: Json = False) -> None:
    """Tell how every process and every file stands, and exit with 1 where something is not as it should be.

    Changes nothing. The files are those of ANIMATIZE_WEB_DB_PATH, the processes are asked at their own addresses.
    """
    with answering(as_json=as_json):
        found = look_around(place())
        tell(found, as_json=as_json)
        if found.problems:
            raise typer.Exit(int(Exit.FOUND))


def look_around(where: Place) -> Status:
    processes = ask_all(addresses().all)
    files = [look_at(package, path) for package, path in where.files.items()]
    usable = {each.package: each.path for each in files if each.schema is not None and each.schema >= (each.known or 0)}
    untold: list[str] = []
    secret, operations, differing = None, None, None
    if "vault_service" in usable:
        secret = _secret(where, untold)
    if "gateway" in usable:
        try:
            operations, differing = operations_left(usable), differences(usable)
        except sqlite3.Error as error:
            untold.append(f"the journal or what services remember cannot be read: {error}")
    return Status(processes, files, secret, operations, differing, read_verified(where.verified), untold)


def _secret(where: Place, untold: list[str]) -> Standing | None:
    try:
        return rekeying.standing(where.files["vault_service"], where.root, where.secret_key_previous)
    except (Stop, rekeying.Refused, sqlite3.Error) as error:
        untold.append(f"the vault cannot be told of: {error}")
        return None
