"""The file's keeper: group commit, reading, migrations, and what it refuses."""

import asyncio
import multiprocessing
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from chassis import database as keeper
from chassis.database import Database, Failure, Work, commit_group, opened, take_chunk
from chassis.schema import Unusable

STEPS = [
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;",
    "ALTER TABLE notes ADD COLUMN author TEXT; CREATE TABLE authors (name TEXT PRIMARY KEY) STRICT;",
    "UPDATE notes SET author = 'nobody' WHERE author IS NULL;",
]


class Package:
    """An importable package of this test, with as many migrations as asked for."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self._migrations = name, folder / name / "migrations"
        self._migrations.mkdir(parents=True)
        (folder / name / "__init__.py").touch()

    def release(self, *scripts: str) -> str:
        for number, script in enumerate(scripts, start=1):
            (self._migrations / f"{number:03}_step.sql").write_text(script)
        return self.name

    def withdraw(self, number: int) -> None:
        (self._migrations / f"{number:03}_step.sql").unlink()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"toy_service_{abs(hash(tmp_path)):x}"
    yield Package(tmp_path, name)
    sys.modules.pop(name, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "toy.db"


@pytest.fixture
async def database(file: Path, package: Package) -> AsyncIterator[Database]:
    async with opened(file, package.release(*STEPS)) as database:
        yield database


def note(text: str) -> Work[int]:
    return lambda tx: int(tx.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid or 0)


def texts(tx: sqlite3.Connection) -> list[str]:
    return [row[0] for row in tx.execute("SELECT text FROM notes ORDER BY id")]


def look_and_note(text: str) -> Work[int]:
    """A transaction that reads before it writes: begun deferred, it would lose its snapshot."""

    def write(tx: sqlite3.Connection) -> int:
        texts(tx)
        return note(text)(tx)

    return write


def on_disk(file: Path) -> list[str]:
    """What another connection sees, which is what was committed."""
    with closing(sqlite3.connect(file)) as other:
        return texts(other)


async def test_a_write_gives_back_what_its_function_gave(database: Database, file: Path) -> None:
    assert await database.write(note("one")) == 1
    assert on_disk(file) == ["one"]
    assert await database.read(texts) == ["one"]


async def test_one_failing_write_of_a_group_takes_only_itself_back(database: Database, file: Path) -> None:
    def half(tx: sqlite3.Connection) -> None:
        note("half")(tx)
        note("first")(tx)  # not unique

    def fail(_: sqlite3.Connection) -> None:
        raise KeyError

    works: list[Work[Any]] = [note("first"), half, note("second"), fail, note("third")]
    outcomes = await asyncio.gather(*map(database.write, works), return_exceptions=True)
    assert outcomes[0::2] == [1, 2, 3]
    assert isinstance(outcomes[1], sqlite3.IntegrityError)
    assert isinstance(outcomes[3], KeyError)
    assert on_disk(file) == ["first", "second", "third"]


@pytest.mark.parametrize("error", [StopIteration("no row"), StopAsyncIteration(), ZeroDivisionError(), OSError("disk")])
async def test_whatever_a_function_raises_reaches_its_caller_and_no_one_else(
    database: Database, error: Exception
) -> None:
    def fail(_: sqlite3.Connection) -> None:
        raise error

    async with asyncio.timeout(5):
        for call in (database.write, database.read):
            for _ in range(3):
                with pytest.raises((type(error), RuntimeError)):
                    await call(fail)
        await database.write(note("still working"))
        assert await database.read(texts) == ["still working"]


async def test_nobody_is_answered_before_the_commit(database: Database, file: Path) -> None:
    async def write_and_look(number: int) -> bool:
        await database.write(note(str(number)))
        return str(number) in on_disk(file)

    assert all(await asyncio.gather(*map(write_and_look, range(100))))


async def test_inside_the_group_nothing_is_visible_outside(database: Database, file: Path) -> None:
    seen: list[list[str]] = []
    await asyncio.gather(
        database.write(note("a")), database.write(note("b")), database.write(lambda _: seen.append(on_disk(file)))
    )
    assert seen == [[]]
    assert on_disk(file) == ["a", "b"]


async def test_writes_that_wait_together_share_one_transaction_in_order(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def commit_and_count(works: Sequence[Work[Any]], tx: sqlite3.Connection) -> list[Any]:
        sizes.append(len(works))
        return commit_group(works, tx)

    monkeypatch.setattr(keeper, "commit_group", commit_and_count)
    names = [f"{number:04}" for number in range(600)]
    await asyncio.gather(*(database.write(note(name)) for name in names))
    assert on_disk(file) == names
    assert sum(sizes) == 600
    assert max(sizes) == keeper.LARGEST_GROUP
    assert len(sizes) <= 4


async def test_a_group_that_cannot_be_committed_is_lost_as_a_whole_and_everyone_hears_of_it(
    database: Database, file: Path
) -> None:
    def spoil(tx: sqlite3.Connection) -> None:
        """A deferred constraint is only checked at COMMIT."""
        tx.execute("CREATE TABLE child (of INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)")
        tx.execute("INSERT INTO child VALUES (4711)")

    outcomes = await asyncio.gather(*map(database.write, [note("a"), spoil, note("b")]), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError] * 3
    assert on_disk(file) == []
    assert await database.write(note("c")) == 1


async def test_a_function_that_ends_the_transaction_itself_does_not_pass_for_committed(
    database: Database, file: Path
) -> None:
    outcomes = await asyncio.gather(
        database.write(note("a")), database.write(lambda tx: tx.execute("ROLLBACK")), return_exceptions=True
    )
    assert all(isinstance(outcome, sqlite3.Error) for outcome in outcomes)
    assert on_disk(file) == []
    assert await database.write(note("b")) == 1


async def test_a_caller_who_left_does_not_disturb_the_others(database: Database, file: Path) -> None:
    leaving = asyncio.create_task(database.write(note("left")))
    staying = asyncio.create_task(database.write(note("stayed")))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying
    assert "stayed" in on_disk(file)
    assert await database.write(note("later"))


async def test_two_keepers_of_one_file_never_find_it_locked(file: Path, package: Package) -> None:
    name = package.release(*STEPS)
    async with opened(file, name) as one, opened(file, name) as other:
        writes = [(one, other)[number % 2].write(look_and_note(str(number))) for number in range(500)]
        reads = [(one, other)[number % 2].read(texts) for number in range(50)]
        await asyncio.gather(*writes, *reads)
    assert sorted(map(int, on_disk(file))) == list(range(500))


async def test_a_read_sees_one_state_whatever_is_written_meanwhile(database: Database, file: Path) -> None:
    await database.write(note("before"))

    def read_twice(tx: sqlite3.Connection) -> tuple[list[str], list[str]]:
        first = texts(tx)
        with closing(sqlite3.connect(file)) as other, other:
            note(f"meanwhile {len(first)}")(other)
        return first, texts(tx)

    first, second = await database.read(read_twice)
    assert first == second == ["before"]
    assert await database.read(texts) == ["before", "meanwhile 1"]


async def test_a_read_leaves_its_reader_usable_when_it_fails(database: Database) -> None:
    for _ in range(2 * keeper.READERS):
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await database.read(lambda tx: tx.execute("SELECT * FROM nowhere"))
    assert await database.read(texts) == []


async def test_a_snapshot_stays_what_it_was_and_comes_in_chunks_of_bounded_weight(database: Database) -> None:
    big = "x" * 100_000
    for number in range(50):
        await database.write(note(f"{number:02}{big}"))
    async with database.snapshot() as snapshot:
        assert await snapshot.read(lambda tx: len(texts(tx))) == 50
        await database.write(lambda tx: tx.execute("DELETE FROM notes"))
        chunks = [rows async for rows in snapshot.chunks("SELECT text FROM notes WHERE id > ? ORDER BY id", (0,))]
    assert sum(map(len, chunks)) == 50
    assert [row["text"][:2] for rows in chunks for row in rows] == [f"{number:02}" for number in range(50)]
    assert max(sum(len(row["text"]) for row in rows) for rows in chunks) < keeper.CHUNK_BYTES + 200_000
    assert await database.read(texts) == []


def test_a_chunk_of_small_rows_is_bounded_by_their_number() -> None:
    with closing(sqlite3.connect(":memory:")) as tx:
        cursor = tx.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1200) SELECT i FROM n"
        )
        assert [len(take_chunk(cursor)) for _ in range(4)] == [500, 500, 200, 0]


async def test_every_connection_is_durable_and_checks_references(database: Database) -> None:
    def settings(tx: sqlite3.Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [tx.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await database.write(settings) == await database.read(settings) == ["wal", 2, 1]


@pytest.fixture
def busy_neighbour(file: Path, database: Database) -> Iterator[None]:
    """Another process that writes without a pause: the file is free for a few thousandths of a second at a time."""
    ended = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as tx:
            while not ended.is_set():
                tx.execute("BEGIN IMMEDIATE")
                time.sleep(0.2)
                tx.execute("COMMIT")
                time.sleep(0.005)

    neighbour = threading.Thread(target=write)
    neighbour.start()
    yield
    ended.set()
    neighbour.join()


@pytest.mark.usefixtures("busy_neighbour")
async def test_a_process_that_writes_without_a_pause_leaves_the_others_their_turns(database: Database) -> None:
    for number in range(6):
        await asyncio.sleep(0.05)  # so that the neighbour is at it
        async with asyncio.timeout(1.5):
            await database.write(note(str(number)))


async def test_what_was_waiting_at_the_end_is_still_written(file: Path, package: Package) -> None:
    async with opened(file, package.release(*STEPS)) as database:
        tasks = [asyncio.create_task(database.write(note(str(number)))) for number in range(50)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*tasks)) == 50
    assert len(on_disk(file)) == 50
    assert not file.with_name("toy.db-wal").exists()


async def test_a_write_after_the_end_is_refused_and_does_not_wait_for_ever(file: Path, package: Package) -> None:
    async with opened(file, package.release(*STEPS)) as database:
        pass
    async with asyncio.timeout(5):
        with pytest.raises(sqlite3.Error):
            await database.write(note("too late"))


def test_a_work_that_fails_alone_is_told_from_one_that_returns() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as tx:
        assert commit_group([lambda _: 1, lambda _: 1 // 0, lambda _: None], tx)[::2] == [1, None]
        assert isinstance(commit_group([lambda _: 1 // 0], tx)[0], Failure)
        assert not tx.in_transaction


# --- migrations


def content(file: Path) -> bytes:
    return file.read_bytes()


def overwrite(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


def version(file: Path) -> int:
    with closing(sqlite3.connect(file)) as tx:
        return int(tx.execute("PRAGMA user_version").fetchone()[0])


async def test_a_fresh_file_gets_every_migration_and_no_copy(file: Path, package: Package) -> None:
    async with opened(file, package.release(*STEPS)):
        assert version(file) == 3
    assert not list(file.parent.glob("*.before-*"))


@pytest.mark.parametrize("past", [1, 2])
async def test_a_file_of_every_past_version_is_brought_up_after_a_copy(file: Path, package: Package, past: int) -> None:
    async with opened(file, package.release(*STEPS[:past])) as database:
        await database.write(note("kept"))
    async with opened(file, package.release(*STEPS)) as database:
        assert version(file) == 3
        assert await database.read(lambda tx: tuple(tx.execute("SELECT text, author FROM notes").fetchone())) == (
            "kept",
            "nobody",
        )
    (copy,) = file.parent.glob("*.before-*")
    assert version(copy) == past
    assert on_disk(copy) == ["kept"]


async def test_opening_a_current_file_changes_nothing(file: Path, package: Package) -> None:
    name = package.release(*STEPS)
    async with opened(file, name):
        pass
    before = content(file)
    async with opened(file, name):
        pass
    assert content(file) == before


async def test_a_file_of_a_newer_release_is_refused_and_left_as_it_was(file: Path, package: Package) -> None:
    async with opened(file, package.release(*STEPS)):
        pass
    before = content(file)
    package.withdraw(3)
    with pytest.raises(Unusable, match="has schema 3, this release knows 2"):
        async with opened(file, package.name):
            pass
    assert content(file) == before


@pytest.mark.parametrize("raw", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(
    file: Path, package: Package, raw: bytes
) -> None:
    overwrite(file, raw)
    with pytest.raises(Unusable, match="not a readable database"):
        async with opened(file, package.release(*STEPS)):
            pass
    assert content(file) == raw


async def test_a_damaged_file_is_not_migrated(file: Path, package: Package) -> None:
    async with opened(file, package.release(*STEPS[:1])) as database:
        await database.write(note("written"))
    overwrite(file, content(file).replace(b"written", b"changed", 1))  # in the table or its index, not in both
    with pytest.raises(Unusable, match="is damaged"):
        async with opened(file, package.release(*STEPS)):
            pass
    assert version(file) == 1


@pytest.mark.parametrize("script", ["CREATE TABLE extra (a); NONSENSE;", "INSERT INTO nowhere VALUES (1);"])
async def test_a_failing_migration_leaves_the_file_as_it_was(file: Path, package: Package, script: str) -> None:
    async with opened(file, package.release(*STEPS[:1])) as database:
        await database.write(note("kept"))
    with pytest.raises(sqlite3.OperationalError):
        async with opened(file, package.release(STEPS[0], STEPS[1], script)):
            pass
    with closing(sqlite3.connect(file)) as tx:
        tables = {row[0] for row in tx.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == {"notes"}
    assert version(file) == 1
    async with opened(file, package.release(*STEPS)) as database:  # the repaired release
        assert await database.read(texts) == ["kept"]


@pytest.mark.parametrize("names", [["002_b.sql"], ["001_a.sql", "003_c.sql"], ["001_a.sql", "001_b.sql"]])
async def test_migrations_that_are_not_numbered_in_a_row_are_refused(
    file: Path, package: Package, tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        (tmp_path / package.name / "migrations" / name).write_text("SELECT 1;")
    with pytest.raises(Unusable, match="not numbered"):
        async with opened(file, package.name):
            pass


def _open_once(place: tuple[str, str, str]) -> int:
    """Runs in a process of its own."""
    folder, package, file = place
    sys.path.insert(0, folder)

    async def write() -> int:
        async with opened(Path(file), package) as database:
            return await database.write(note(str(multiprocessing.current_process().pid)))

    return asyncio.run(write())


@pytest.mark.parametrize("past", [0, 1])
def test_eight_processes_that_open_one_file_at_once_all_work(
    file: Path, package: Package, tmp_path: Path, past: int
) -> None:
    if past:
        (tmp_path / "data").mkdir()
        with closing(sqlite3.connect(file)) as tx:
            tx.executescript(STEPS[0] + "PRAGMA user_version = 1;")
    name = package.release(*STEPS)
    with multiprocessing.get_context("spawn").Pool(8, maxtasksperchild=1) as pool:
        ids = pool.map(_open_once, [(str(tmp_path), name, str(file))] * 8, chunksize=1)
    assert sorted(ids) == list(range(1, 9))
    assert version(file) == 3


async def test_many_files_can_be_open_together(tmp_path: Path, package: Package) -> None:
    name = package.release(*STEPS)
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(opened(tmp_path / f"{n}.db", name)) for n in range(3)]
        await asyncio.gather(*(each.write(note(str(n))) for n, each in enumerate(found)))
        assert [await each.read(texts) for each in found] == [["0"], ["1"], ["2"]]
