"""Pruning beside running services: a dry run first, killed at any moment and begun again, nothing needed gone."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.animatize.running import begun, environment, run, run_json
from tests.journeys.browser import Browser
from tests.processes import Stack, running

OWNER = "guest:of-long-ago"
FILL = {
    "settings": """
        INSERT INTO versions
        SELECT :owner, value, CAST('{"theme": {"grain": 0.' || value || '}}' AS BLOB), '', 'then', NULL, randomblob(32)
        FROM generate_series;
        INSERT INTO profiles (owner, version, created_at, updated_at) VALUES (:owner, 2000, 'then', 'then')""",
    "runs": """
        INSERT INTO images SELECT :owner, 'sha of ' || value, 2000, zeroblob(2000) FROM generate_series;
        INSERT INTO contents (search, payload)
        SELECT '', CAST('{"run_id": "' || hex(zeroblob(1000)) || '"}' AS BLOB) FROM generate_series;
        INSERT INTO changes VALUES (:owner, 2000, 1000000, 0);
        INSERT INTO tombstones SELECT :owner, 'run ' || value, value, value FROM generate_series""",
    "vault": "INSERT INTO key_reads SELECT NULL, '2020', :owner, NULL, 'runway', NULL, 'absent' FROM generate_series",
    "gateway": """
        INSERT INTO operations (id, owner, kind, mode, stage, holder, lease_until, started_at, changed_at)
        SELECT 'of ' || value, :owner, 'dry_run', 'merge', 'aborted', '', 0, '2020', '2020' FROM generate_series""",
}
NUMBERS = """
    CREATE TEMP TABLE generate_series AS
    WITH RECURSIVE numbers(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < 2000)
    SELECT value FROM numbers"""
KEPT = ("--keep-history", "10")
EXPECTED = 1990 + 3 * 2000 + 2 * 2000


def database(stack: Stack, name: str) -> Path:
    return stack.data / f"animatize_web.{name}.db"


def fill(stack: Stack) -> None:
    """What many years have left, of somebody who is not there any more."""
    for name, statements in FILL.items():
        with closing(sqlite3.connect(database(stack, name), isolation_level=None, timeout=20)) as tx:
            tx.execute(NUMBERS)
            tx.execute("BEGIN IMMEDIATE")
            for statement in statements.split(";"):
                tx.execute(statement, {"owner": OWNER})
            tx.execute("COMMIT")


async def test_it_is_killed_again_and_again_and_ends_as_if_it_never_had_been(stack: Stack, browser: Browser) -> None:
    await browser.put("/api/settings", {"settings": {"theme": {"grain": 0.5}}})
    await browser.put("/api/runs/R1", {"run_id": "R1"})
    before = await browser.profile()
    fill(stack)
    beside = environment(stack)
    code, told = run_json("prune", *KEPT, environment=beside)
    assert (code, told["done"], told["rows"]) == (0, False, EXPECTED)
    assert rows(stack) == run_rows(stack)  # a dry run has changed nothing
    left = [EXPECTED]
    slowest = 0.0
    for delay in (0.8, 1.0, 1.2):
        pruning = begun("prune", "--yes", *KEPT, environment=beside)
        deadline = time.monotonic() + delay
        while time.monotonic() < deadline:
            started = time.monotonic()
            await browser.put("/api/runs/R1", {"run_id": "R1"})
            await browser.put("/api/settings", {"settings": {"theme": {"grain": 0.5}}})
            slowest = max(slowest, time.monotonic() - started)
            await asyncio.sleep(0.01)
        pruning.kill()
        pruning.communicate()
        left.append(run_json("prune", *KEPT, environment=beside)[1]["rows"])
        check_told(stack)
    code, done = run_json("prune", "--yes", *KEPT, environment=beside)
    assert (code, done["done"], done["rows"]) == (0, True, left[-1])
    assert left == sorted(left, reverse=True)
    assert run_json("prune", *KEPT, environment=beside)[1]["rows"] == 0
    assert done["given_back_bytes"] > 0
    assert done["files"]["runs_service"]["free"] == 0
    check_told(stack, 1990)
    assert await browser.profile() == before
    assert slowest < 1.0


def rows(stack: Stack) -> dict[str, int]:
    found = {}
    for name, table in (("settings", "versions"), ("runs", "contents"), ("gateway", "operations")):
        with closing(sqlite3.connect(database(stack, name))) as tx:
            found[table] = tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


def run_rows(stack: Stack) -> dict[str, int]:
    run("prune", "--dry-run", *KEPT, environment=environment(stack))
    return rows(stack)


def check_told(stack: Stack, number: int | None = None) -> None:
    """The profile tells as many as are gone, whenever it was killed."""
    with closing(sqlite3.connect(database(stack, "settings"))) as tx:
        (pruned,) = tx.execute("SELECT pruned FROM profiles WHERE owner = ?", (OWNER,)).fetchone()
        (there,) = tx.execute("SELECT count(*) FROM versions WHERE owner = ?", (OWNER,)).fetchone()
        assert pruned + there == 2000
        assert number in (None, pruned)


async def test_a_restore_can_be_undone_after_a_prune(stack: Stack, browser: Browser) -> None:
    await browser.put("/api/settings", {"settings": {"theme": {"grain": 0.5}}})
    await browser.put("/api/runs/R1", {"run_id": "R1", "status": "before"})
    before = await browser.profile()
    document = {"settings": {"settings": {"theme": {"grain": 1}}}, "runs": [{"run_id": "R1", "status": "after"}]}
    restored = await browser.restore(document)
    assert run("prune", "--yes", "--keep-history", "1", environment=environment(stack))[0] == 0
    await browser.json("POST", f"/api/settings/restore/{restored['restore_id']}/undo")
    after = await browser.profile()
    assert (after["runs"], after["settings"]["settings"]) == (before["runs"], before["settings"]["settings"])


def test_two_at_a_time_are_one_too_many(stack: Stack) -> None:
    from animatize.prune import alone  # noqa: PLC0415

    with alone(database(stack, "gateway")):
        code, told = run_json("prune", environment=environment(stack))
    assert (code, "Another prune" in told["error"]) == (4, True)


@pytest.mark.parametrize("wrong", [("--keep-history", "0"), ("--keep-audit", "0"), ("--keep-history", "many")])
def test_nothing_is_begun_by_a_number_that_is_none(stack: Stack, wrong: tuple[str, str]) -> None:
    assert run("prune", "--yes", *wrong, environment=environment(stack))[0] == 2


def test_where_one_file_is_missing_nothing_is_done_to_the_others(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        pass
    fill(stack)
    before = rows(stack)
    database(stack, "vault").rename(tmp_path / "away")
    code, told = run_json("prune", "--yes", *KEPT, environment=environment(stack))
    assert (code, "no file of vault_service" in told["error"], rows(stack)) == (3, True, before)
    assert not database(stack, "vault").exists()
    (tmp_path / "away").rename(database(stack, "vault"))
    told_of_old(stack)


def told_of_old(stack: Stack) -> None:
    """A file of a release before, which cannot shrink in pieces, is told to be so, and is rebuilt where one asks."""
    file = database(stack, "gateway")
    with closing(sqlite3.connect(file, isolation_level=None)) as tx:
        tx.execute("PRAGMA auto_vacuum = NONE")
        tx.execute("VACUUM")
    code, told, _ = run("prune", "--yes", environment=environment(stack))
    assert (code, "--yes --rebuild" in told) == (0, True)
    size = file.stat().st_size
    found: dict[str, Any] = run_json("prune", "--yes", "--rebuild", environment=environment(stack))[1]["files"][
        "gateway"
    ]
    assert (found["shrinks"], found["free"], file.stat().st_size < size) == (True, 0, True)
