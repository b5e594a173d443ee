"""What the single-process console's file holds, part by part, each with the service that takes it over."""

from collections.abc import Callable, Iterator
from functools import partial
from sqlite3 import Connection, Row
from typing import Any

from cryptography.fernet import MultiFernet

import auth_service.monolith as auth
import runs_service.monolith as runs
import settings_service.monolith as settings
import vault_service.monolith as vault
from animatize.monolith import Monolith
from animatize.moving import Part, Things
from chassis.moved import Unfit
from vault_service.ring import KeyRing

Read = Callable[[str], Iterator[Any]]
IsGone = Callable[[str], bool]


def things_of(old: Monolith, is_gone: IsGone, largest_run: int, opens: MultiFernet, ring: KeyRing | None) -> list[Part]:
    """All that owners have. `ring` is None where there is no vault yet that could be looked into."""

    def versions(owner: str) -> Iterator[Any]:
        return settings.judge(owner, old.profile(owner), old.history(owner))

    def generation_runs(owner: str) -> Iterator[Any]:
        return (runs.judge(owner, row, largest_run) for row in old.runs(owner))

    def keys(owner: str) -> Iterator[Any]:
        return (vault.judge(owner, row, opens) for row in old.keys(owner))

    def every(read: Read) -> Callable[[], Things]:
        return partial(_of_each, old, is_gone, read)

    return [
        Part(
            name="settings",
            package="settings_service",
            total=old.count("settings_history"),
            things=every(versions),
            find=settings.find,
            add=settings.add,
            mark=lambda version: f"{version.owner} version {version.number}",
            size=lambda version: len(version.draft.content.text),
        ),
        Part(
            name="runs",
            package="runs_service",
            total=old.count("generation_runs"),
            things=every(generation_runs),
            find=runs.find,
            add=runs.add,
            mark=lambda run: f"{run.owner} run {run.record.run_id}",
            size=lambda run: len(run.record.payload) + len(run.record.image or b""),
        ),
        Part(
            name="api_keys",
            package="vault_service",
            total=old.count("api_credentials"),
            things=every(keys),
            find=lambda tx, key: vault.find(tx, _there(ring), key),
            add=lambda tx, key: vault.add(tx, _there(ring), key),
            mark=lambda key: f"{key.owner} key {key.provider}",
        ),
    ]


def people_of(old: Monolith, is_gone: IsGone, now: str) -> list[Part]:
    """Who the owners are, and the sessions by which they come back: moved last, so that nobody comes back too early."""

    def users(owner: str) -> Iterator[Any]:
        return map(auth.judge_user, old.users(owner))

    def sessions(owner: str) -> Iterator[Any]:
        if any(isinstance(user, Unfit) for user in users(owner)):  # else they would let in a user who is not there
            return (Unfit("a session", "its user is left out") for _ in old.sessions(owner))
        return _sessions(owner, old.sessions(owner), now)

    def part(name: str, read: Read, find: Any, add: Any, mark: Callable[[Any], str]) -> Part:
        things = partial(_of_each, old, is_gone, read)
        return Part(name, "auth_service", old.count(name), things, find, add, mark)

    return [
        part("users", users, auth.find_user, auth.add_user, lambda user: user.owner),
        part("sessions", sessions, auth.find_session, auth.add_session, auth.mark_of_session),
    ]


def _of_each(old: Monolith, is_gone: IsGone, read: Read) -> Things:
    return ((owner, thing) for owner in old.owners() if not is_gone(owner) for thing in read(owner))


def _sessions(owner: str, rows: Iterator[Row], now: str) -> Iterator[Any]:
    judged = [auth.judge_session(owner, row) for row in rows]
    yield from judged
    if owner.startswith("guest:") and all(isinstance(each, Unfit) for each in judged):
        yield auth.ended_session(owner, now)


def _there(ring: KeyRing | None) -> KeyRing:
    if ring is None:
        raise RuntimeError("the vault is not open")
    return ring


def is_gone(tx: Connection | None, owner: str) -> bool:
    """Whether an owner who was moved has been erased since: nothing of them comes back."""
    return tx is not None and auth.is_gone(tx, owner)
