"""The audit is kept for a year, and what an undo needs for as long as it is open; keys stay whatever their age."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chassis.schema import connect
from chassis.upkeep import clean, look
from tests.support import Asker
from tests.vault_service.restoring import restore
from tests.vault_service.test_routes import keep, plaintext
from vault_service.upkeep import chores


def prune(file: Path, *, days: int, unfinished: list[str] | None = None) -> dict[str, int]:
    there = chores(datetime.now(UTC) + timedelta(days=days), unfinished or [], 365)
    with closing(connect(file)) as tx:
        found = {name: amount.rows for name, amount in look(tx, there).items()}
        assert clean(tx, there, lambda _: None) == found
        return {name: rows for name, rows in found.items() if rows}


async def test_the_audit_goes_after_a_year_and_the_key_stays(asker: Asker, file: Path) -> None:
    await keep(asker)
    for _ in range(3):
        await plaintext(asker)
    assert [prune(file, days=364), prune(file, days=366)] == [{}, {"audit": 3}]
    assert (await plaintext(asker)).status == 200


async def test_what_a_restore_replaced_goes_when_it_can_no_longer_be_undone(asker: Asker, file: Path) -> None:
    await keep(asker)
    await restore(asker, runway="another-key-0123456789")
    assert [prune(file, days=7), prune(file, days=9, unfinished=["r1"])] == [{}, {}]
    assert prune(file, days=9) == {"undo_data": 1}
    with closing(connect(file)) as tx:
        assert tx.execute("SELECT count(*) FROM undo_keys").fetchone()[0] == 0
    assert [prune(file, days=31, unfinished=["r1"]), prune(file, days=31)] == [{}, {"operations": 1}]
    assert (await (await plaintext(asker)).json())["api_key"] == "another-key-0123456789"
