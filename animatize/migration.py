"""The story of a migration from the single-process console, and what it has to tell."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

import vault_service.monolith as vault
from animatize import monolith, moving, troubles
from animatize.migration_parts import is_gone, people_of, things_of
from animatize.moving import Part, Tally
from animatize.places import Place, loaded
from animatize.telling import Exit, Stop
from auth_service import users as auth
from auth_service.linking import now
from chassis.schema import bring_up, connect, is_unmade, refuse_unready, writing
from runs_service.settings import Settings as RunsSettings
from vault_service.ring import KeyRing

Files = dict[str, sqlite3.Connection]  # those that are there


@dataclass
class Moved:
    """What was moved, or would be. `nobodys` are owners of something who are neither guests nor users."""

    done: bool
    nobodys: list[str]
    parts: dict[str, Tally] = field(default_factory=dict)

    @property
    def is_wrong(self) -> bool:
        return any(tally.wrong for tally in self.parts.values())

    @property
    def exit(self) -> Exit:
        lacks = self.nobodys or any(each.left_out or each.kept for each in self.parts.values())
        return Exit.FOUND if lacks or self.is_wrong else Exit.DONE

    def as_json(self) -> dict[str, Any]:
        parts = {name: tally.numbers() for name, tally in self.parts.items()}
        named = [{"part": name, **each} for name, tally in self.parts.items() for each in tally.named]
        return {"done": self.done, "parts": parts, "named": named, "owners_left_out": self.nobodys}

    def lines(self) -> list[str]:
        all_named = [each for tally in self.parts.values() for each in tally.named]
        named = [f"  {each['owner']}: {each['what']}: {each['reason']}" for each in all_named]
        named += [f"  {owner}: all that it has: there is no such user" for owner in self.nobodys]
        numbers = [self._line(name, tally) for name, tally in self.parts.items()]
        return [*numbers, *(["Left out, or left as it is here:", *named] if named else []), self._end()]

    def _line(self, name: str, tally: Tally) -> str:
        added = "moved" if self.done else "to move"
        counted = {added: tally.added, "there before": tally.present + tally.before, "left out": tally.left_out}
        counted |= {"kept as they are here": tally.kept}
        if self.done:
            counted |= {
                "compared equal": tally.equal,
                "changed since they were moved": tally.changed_since,
                "wrong": tally.wrong,
            }
        told = ", ".join(f"{number} {what}" for what, number in counted.items() if number or what == added)
        return f"{name.replace('_', ' ')}: {tally.source} in the old file: {told}"

    def _end(self) -> str:
        if self.is_wrong:
            return "Something is not as it was, so nobody was let in yet. Begin again; what is right stays."
        if self.done:
            return "Done. Whoever was signed in still is; `animatize link` lists who has to meet a Google account."
        return "Nothing was changed. With --yes it is moved."


def migrate(path: Path, old_secrets: list[SecretStr], here: Place, *, for_real: bool) -> Moved:
    """1 make the files that are not there   2 move what owners have   3 compare it with the source, and stop where it
    is not the same   4 move who the owners are, and the sessions that let them in   5 compare these
    """
    with (
        troubles.told(troubles.BIT_BY_BIT),
        monolith.opened(path) as old,
        _files(here, for_real=for_real) as files,
    ):
        ring = _ring(files, here, for_real=for_real)
        gone = partial(is_gone, files.get("auth_service"))
        things = things_of(old, gone, loaded(RunsSettings).max_body_bytes, vault.opener(old_secrets), ring)
        people = people_of(old, gone, now())
        moved = Moved(for_real, list(old.nobodys()))
        if not for_real:
            moved.parts = {part.name: moving.plan(part, files.get(part.package)) for part in things + people}
        elif _move(things, files, moved) and _move(people, files, moved):
            moving.note_all(files["auth_service"], _those_here(files["auth_service"], old.owners()))
        return moved


def _those_here(tx: sqlite3.Connection, owners: Iterator[str]) -> Iterator[str]:
    """Of whom it can be told from now on that they were here: who was left out may still come."""
    return (owner for owner in owners if not auth.is_user(owner) or auth.is_known(tx, owner))


def _move(parts: list[Part], files: Files, moved: Moved) -> bool:
    """Whether all of it is in place."""
    for part in parts:
        moved.parts[part.name] = moving.move(part, files[part.package])
    for part in parts:
        moving.compare(part, files[part.package], moved.parts[part.name])
    return not moved.is_wrong


@contextmanager
def _files(here: Place, *, for_real: bool) -> Iterator[Files]:
    """The files that there are, open; for real, all. None is made unless each that is there can be used."""
    _refuse_without_rights(here)
    for package, file in here.files.items():
        if not is_unmade(file):
            refuse_unready(file, package)
    _refuse_locked(here)
    with ExitStack() as stack:
        files: Files = {}
        for package, file in here.files.items():
            if for_real:
                bring_up(file, package)
            if not is_unmade(file):
                files[package] = stack.enter_context(closing(connect(file)))
        yield files


def _refuse_without_rights(here: Place) -> None:
    folder = next(each for each in here.files["vault_service"].absolute().parents if each.exists())
    if not os.access(folder, os.W_OK | os.X_OK) or (os.geteuid() == 0 and folder.stat().st_uid != 0):
        whose = "what it makes there would be root's" if os.geteuid() == 0 else "it may not write there"
        raise Stop(Exit.REFUSED, f"Run this as the user of the services, whose folder {folder} is: {whose}.")


def _refuse_locked(here: Place) -> None:
    """What were sealed under another secret than the vault's could not be read by anybody."""
    file = here.files["vault_service"]
    if is_unmade(file):
        return
    with closing(connect(file)) as tx:
        if vault.is_locked(tx, vault.read_ring(tx, here.root, here.secret_key_previous)):
            detail = "The vault was made with another secret than ANIMATIZE_SECRET_KEY. Give that one."
            raise Stop(Exit.REFUSED, f"{detail} Nothing was changed.")


def _ring(files: Files, here: Place, *, for_real: bool) -> KeyRing | None:
    tx = files.get("vault_service")
    if tx is None:
        return None
    if not for_real:
        return vault.read_ring(tx, here.root, here.secret_key_previous)
    with writing(tx):
        return vault.open_ring(tx, here.root, here.secret_key_previous)
