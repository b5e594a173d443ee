"""The live runs of all owners. Every statement is bound to the owner: no one learns what another has.

Reading pages is in `listing.py`, following what changes in `following.py`; what a restore stages beside the live runs
is in `staged.py`, what it keeps for its undo in `kept.py`.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, NamedTuple, cast

import orjson

from chassis.database import Database
from chassis.problems import Problem
from runs_service import images, listing, records
from runs_service.going_live import REPLACING
from runs_service.limits import Limits, within_quota
from runs_service.listing import IN_ORDER, WHOLE, Page, Selection
from runs_service.models import View
from runs_service.records import IMAGE_FIELD, Record

Forbids = Callable[[str | None], bool]  # told the ETag of what is there (None: nothing), says whether to refuse
Known = Callable[[str], bool]  # told an ETag, says whether the caller has that representation already
Change = Callable[[dict[str, Any]], None]

ONE = " AND runs.run_id = ?"
PUT = f"""
    INSERT INTO runs (owner, run_id, created, arrived, digest, status, provider, image_prefix, image_sha256, size,
        content_id)
    VALUES (:owner, :run_id, :created, :arrived, :digest, :status, :provider, :image_prefix, :image_sha256, :size,
        :content_id) {REPLACING}"""  # noqa: S608 - a constant of this module
KEEP_IMAGE = """
    INSERT INTO images (owner, sha256, size, bytes) VALUES (:owner, :image_sha256, length(:image), :image)
    ON CONFLICT DO NOTHING"""
KEEP_CONTENT = "INSERT INTO contents (search, payload) VALUES (?, ?)"


class Found(NamedTuple):
    """One thing under its ETag; `content` is None where the caller has it already."""

    etag: str
    content: bytes | None


class Content(NamedTuple):
    """What the row of a run says of its content: the number, and the bytes of the payload."""

    content_id: int
    size: int


class Store:
    """Reads the runs of one file. What writes them are the functions below, each for one transaction."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self.limits = limits
        self._database = database

    async def page(self, owner: str, selection: Selection) -> Page:
        return await self._database.read(partial(listing.page, owner, selection))

    async def runs(self, owner: str, run_ids: list[str], view: View) -> list[bytes]:
        """These runs as JSON in this order, without those that were deleted meanwhile."""
        return await self._database.read(partial(listing.runs, owner, run_ids, view))

    async def run(self, owner: str, run_id: str, known: Known) -> Found | None:
        return await self._database.read(partial(_run, owner, run_id, known))

    async def source_image(self, owner: str, run_id: str, known: Known) -> Found | None:
        return await self._database.read(partial(_source_image, owner, run_id, known))

    async def backup(self, owner: str) -> AsyncGenerator[bytes, None]:
        """Every run as a line of JSON, oldest first, all as they stood at one moment. Close it when done."""
        async with self._database.snapshot() as snapshot:
            async for rows in snapshot.chunks(WHOLE + IN_ORDER, (owner,)):
                yield b"".join(listing.full(row) + b"\n" for row in rows)


async def file_key(database: Database) -> bytes:
    """What signs the tokens of this file."""
    row = await database.read(lambda tx: tx.execute("SELECT key FROM file_key").fetchone())
    return bytes(row["key"])


def put(owner: str, record: Record, forbids: Forbids, limits: Limits, tx: sqlite3.Connection) -> bool:
    """Make or replace a run; whether it was made. Raises Problem 412 where `forbids` says so, 413 over quota."""
    etag = _etag(tx, owner, record.run_id)
    _heed(forbids, record.run_id, etag)
    if etag != record.digest:
        _write(tx, owner, record, limits)
    return etag is None


def change(owner: str, run_id: str, alter: Change, forbids: Forbids, limits: Limits, tx: sqlite3.Connection) -> str:
    """Change a run in place, read and written in one transaction; its new ETag. Raises Problem 404, 412, 413."""
    etag = _present(tx, owner, run_id, forbids)
    row = _row(tx, owner, run_id)
    run = records.whole(row["payload"], row["image_prefix"], row["image"])
    alter(run)
    record = records.record(run, limits.run)
    if etag != record.digest:
        _write(tx, owner, record, limits)
    return record.digest


def delete(owner: str, run_id: str, forbids: Forbids, tx: sqlite3.Connection) -> None:
    """Raises Problem 404 where there is no such run, 412 where `forbids` says so."""
    _present(tx, owner, run_id, forbids)
    tx.execute("DELETE FROM runs WHERE owner = ? AND run_id = ?", (owner, run_id))


def delete_all(owner: str, tx: sqlite3.Connection) -> int:
    """How many there were."""
    return tx.execute("DELETE FROM runs WHERE owner = ?", (owner,)).rowcount


def keep(tx: sqlite3.Connection, owner: str, record: Record) -> Content:
    """Keep content and image of a run that is about to be written.

    An image that the owner has already is not written again.
    """
    if record.image is not None:
        tx.execute(KEEP_IMAGE, {"owner": owner, "image_sha256": record.image_sha256, "image": record.image})
    content_id = tx.execute(KEEP_CONTENT, (record.search, record.payload)).lastrowid
    return Content(cast("int", content_id), len(record.payload))


def write(tx: sqlite3.Connection, owner: str, record: Record, arrived: int) -> None:
    """Whatever the quota says, and whatever there was under its id."""
    content = keep(tx, owner, record)
    tx.execute(PUT, {**record._asdict(), **content._asdict(), "owner": owner, "arrived": arrived})


def unknown_run(run_id: str) -> Problem:
    return Problem(404, "unknown_run", f"There is no run {run_id!r}.")


def _run(owner: str, run_id: str, known: Known, tx: sqlite3.Connection) -> Found | None:
    etag = _etag(tx, owner, run_id)
    if etag is None:
        return None
    return Found(etag, None if known(etag) else listing.full(_row(tx, owner, run_id)))


def _source_image(owner: str, run_id: str, known: Known, tx: sqlite3.Connection) -> Found | None:
    kept = tx.execute("SELECT image_sha256 FROM runs WHERE owner = ? AND run_id = ?", (owner, run_id)).fetchone()
    if kept is None:
        return None
    etag: str | None = kept["image_sha256"]
    if etag is not None:
        return Found(etag, None if known(etag) else _row(tx, owner, run_id)["image"])
    content = images.decode(orjson.loads(_row(tx, owner, run_id)["payload"]).get(IMAGE_FIELD))
    if content is None:
        return None
    etag = images.digest(content)
    return Found(etag, None if known(etag) else content)


def _write(tx: sqlite3.Connection, owner: str, record: Record, limits: Limits) -> None:
    with within_quota(tx, owner, limits.owner):
        write(tx, owner, record, records.now())


def _present(tx: sqlite3.Connection, owner: str, run_id: str, forbids: Forbids) -> str:
    """The ETag of a run that has to be there. Raises Problem 404, or 412 where `forbids` says so."""
    etag = _etag(tx, owner, run_id)
    if etag is None:
        raise unknown_run(run_id)
    _heed(forbids, run_id, etag)
    return etag


def _heed(forbids: Forbids, run_id: str, etag: str | None) -> None:
    if forbids(etag):
        state = "is not the one that the request expects" if etag else "does not exist"
        detail = f"The run {run_id!r} {state}. Nothing was changed."
        headers = {"ETag": f'"{etag}"'} if etag else None
        raise Problem(412, "precondition_failed", detail, headers=headers, current={"run_id": run_id, "etag": etag})


def _etag(tx: sqlite3.Connection, owner: str, run_id: str) -> str | None:
    row = tx.execute("SELECT digest FROM runs WHERE owner = ? AND run_id = ?", (owner, run_id)).fetchone()
    return row["digest"] if row else None


def _row(tx: sqlite3.Connection, owner: str, run_id: str) -> sqlite3.Row:
    row: sqlite3.Row = tx.execute(WHOLE + ONE, (owner, run_id)).fetchone()
    return row
