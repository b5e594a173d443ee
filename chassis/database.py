"""One SQLite file of one service: reading, and writing in groups that share one fsync.

A write is a plain function over the DB-API connection. Writes that wait together run in one transaction, each in a
savepoint of its own; nobody is answered before the commit. Other processes write to the same file: each waits its turn.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from chassis import metrics
from chassis.background import next_of
from chassis.schema import bring_up, connect, take_turn

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

LARGEST_GROUP = 256
READERS = 2
CHUNK_BYTES = 1 << 20
CHUNK_ROWS = 500


@dataclass(frozen=True)
class Failure:
    """What one write of a group raised, while the others went through."""

    error: Exception


class Worker(aiosqlite.Connection):
    """A connection that runs whole functions on its own thread."""

    async def __aenter__(self) -> "Worker":
        await self
        return self

    async def run(self, work: Work[T]) -> T:
        result: T = await self._execute(partial(_contained, work), self._conn)  # type: ignore[no-untyped-call]
        return result


class Snapshot:
    """One read transaction on a connection of its own, for streams that may take as long as their reader."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def read(self, work: Work[T]) -> T:
        return await self._worker.run(work)

    async def chunks(self, sql: str, values: Sequence[Any] = ()) -> AsyncIterator[list[sqlite3.Row]]:
        """The rows in lists of about CHUNK_BYTES, so that the memory held does not depend on their number."""
        cursor = await self._worker.run(lambda tx: tx.execute(sql, values))
        while rows := await self._worker.run(lambda _: take_chunk(cursor)):
            yield rows


class Database:
    """The open file. Made by `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = _worker(path)
        self._readers = [_worker(path) for _ in range(READERS)]
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._arrived = asyncio.Event()
        self._committed = asyncio.Event()
        self._closing = False

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction opened with BEGIN IMMEDIATE; return when its commit is on the disk.

        Raises what `work` raised, having undone it alone, or sqlite3.Error where the whole group was not committed.
        """
        if self._closing:
            raise sqlite3.ProgrammingError("the database is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        self._arrived.set()
        return await done

    async def read(self, work: Work[T]) -> T:
        """Run `work` in one read transaction: all its statements see one state."""
        worker = await self._idle.get()
        try:
            return await worker.run(partial(_in_one_view, work))
        finally:
            self._idle.put_nowait(worker)

    def connection(self) -> Worker:
        """One more connection, in autocommit, for whoever looks at the file again and again. An async context."""
        return _worker(self.path)

    async def committed(self, seconds: float) -> None:
        """Return once this process has committed something more, and after so many seconds at the latest. For a single
        caller."""
        await next_of(self._committed, seconds)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with _worker(self.path) as worker:
            await worker.run(_pin_view)
            yield Snapshot(worker)

    async def _commit_groups(self) -> None:
        while not self._closing:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                await self._commit(group)

    async def _commit(self, group: list[tuple[Work[Any], asyncio.Future[Any]]]) -> None:
        metrics.GROUP_WORKS.observe(len(group))
        try:
            with metrics.GROUP_SECONDS.time():
                outcomes = await self._writer.run(partial(commit_group, [work for work, _ in group]))
        except Exception as error:  # every waiting caller has to hear of it, whatever it was
            metrics.GROUPS_FAILED.inc()
            outcomes = [Failure(error)] * len(group)
        self._committed.set()
        for (_, done), outcome in zip(group, outcomes, strict=True):
            if done.done():  # the caller has left; its write stands all the same
                continue
            if isinstance(outcome, Failure):
                done.set_exception(outcome.error)
            else:
                done.set_result(outcome)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        async with self._writer:
            for reader in self._readers:
                await reader
                self._idle.put_nowait(reader)
            committing = asyncio.create_task(self._commit_groups())
            try:
                yield
            finally:
                self._closing = True
                self._arrived.set()
                await committing
                for reader in self._readers:
                    await reader.close()
                await self._writer.run(lambda tx: tx.execute("PRAGMA wal_checkpoint(PASSIVE)"))


@asynccontextmanager
async def opened(path: Path, package: str) -> AsyncIterator[Database]:
    """Open the file of `package`, made or migrated with its `migrations/NNN_what.sql` first.

    Raises Unusable for a file that is no database, is damaged, or was written by a newer release.
    """
    await asyncio.to_thread(bring_up, path, package)
    database = Database(path)
    async with database._running():
        yield database


def commit_group(works: Sequence[Work[Any]], tx: sqlite3.Connection) -> list[Any]:
    """Run the works in one transaction: a list of their results, a Failure where one failed alone."""
    take_turn(tx, lambda: tx.execute("BEGIN IMMEDIATE"))
    try:
        outcomes = [_attempt(work, tx) for work in works]
        tx.execute("COMMIT")
    except BaseException:
        if tx.in_transaction:
            tx.execute("ROLLBACK")
        raise
    return outcomes


def take_chunk(cursor: sqlite3.Cursor) -> list[sqlite3.Row]:
    """The next rows of a cursor, until they weigh CHUNK_BYTES or number CHUNK_ROWS; an empty list at the end."""
    rows: list[sqlite3.Row] = []
    weight = 0
    while weight < CHUNK_BYTES and len(rows) < CHUNK_ROWS and (row := cursor.fetchone()):
        rows.append(row)
        weight += sum(len(value) for value in row if isinstance(value, bytes | str))
    return rows


def _attempt(work: Work[Any], tx: sqlite3.Connection) -> Any:
    tx.execute("SAVEPOINT work")
    try:
        result = _contained(work, tx)
    except Exception as error:
        if not tx.in_transaction:  # SQLite itself took the whole group back: disk full, I/O error
            raise
        tx.execute("ROLLBACK TO work")
        result = Failure(error)
    tx.execute("RELEASE work")
    return result


def _contained(work: Work[T], tx: sqlite3.Connection) -> T:
    """A future takes no StopIteration (a bare `next` without a row): its caller would wait for ever."""
    try:
        return work(tx)
    except StopIteration as error:
        raise RuntimeError("StopIteration") from error


def _in_one_view(work: Work[T], tx: sqlite3.Connection) -> T:
    tx.execute("BEGIN")
    try:
        return work(tx)
    finally:
        tx.execute("COMMIT")


def _pin_view(tx: sqlite3.Connection) -> None:
    tx.execute("BEGIN")
    tx.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # a deferred transaction sees what its first read sees


def _worker(path: Path) -> Worker:
    return Worker(partial(connect, path), iter_chunk_size=64)
