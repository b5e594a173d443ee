"""Every way in which the vault cannot give, keep or take a key counts under its own reason."""

import sqlite3
from contextlib import closing
from pathlib import Path

from prometheus_client import REGISTRY

from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, Start
from tests.vault_service.restoring import restore, sealed, stage
from tests.vault_service.test_routes import KEYS, keep, plaintext, rows
from vault_service.arrivals import HEADER
from vault_service.metrics import Reason


def failures() -> dict[Reason, float]:
    found = {each: REGISTRY.get_sample_value("animatize_vault_failures_total", {"reason": each}) for each in Reason}
    return {reason: number for reason, number in found.items() if number is not None}


class Since:
    """What was counted since it was made: `since()` gives the reasons with their numbers, without those at 0."""

    def __init__(self) -> None:
        self._before = failures()

    def __call__(self) -> dict[Reason, float]:
        now = failures()
        return {reason: now[reason] - self._before[reason] for reason in Reason if now[reason] != self._before[reason]}


def test_every_reason_is_told_from_the_start() -> None:
    assert failures().keys() == set(Reason)


async def test_what_goes_well_counts_nothing(asker: Asker) -> None:
    since = Since()
    await keep(asker)
    await rows(asker)
    assert (await plaintext(asker)).status == 200
    assert (await plaintext(asker, "veo")).status == 404
    await restore(asker, veo="veo-0123456789")
    assert since() == {}


async def test_a_damaged_row_counts_at_each_attempt_to_read_it(asker: Asker, file: Path) -> None:
    await keep(asker)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE api_keys SET ciphertext = randomblob(80)")
    since = Since()
    await rows(asker)
    assert (await plaintext(asker)).status == 409
    assert since() == {Reason.UNREADABLE_KEY: 2}


async def test_a_vault_under_another_secret_says_so_and_counts_whom_it_refuses(start: Start) -> None:
    await keep(await start())
    assert REGISTRY.get_sample_value("animatize_vault_locked") == 0
    since = Since()
    foreign = await start(root=FOREIGN_ROOT)
    assert REGISTRY.get_sample_value("animatize_vault_locked") == 1
    await rows(foreign)
    assert since() == {Reason.FOREIGN_KEY: 1}
    assert (await foreign.put(f"{KEYS}/pika", json={"api_key": "another-key-0123456789"})).status == 503
    assert since() == {Reason.FOREIGN_KEY: 1, Reason.LOCKED: 1}
    await start()
    assert REGISTRY.get_sample_value("animatize_vault_locked") == 0


async def test_a_backup_that_does_not_open_counts_by_what_is_wrong_with_it(asker: Asker) -> None:
    since = Since()
    headers = {HEADER: "another%20passphrase"}
    assert (await stage(asker, sealed(veo="veo-0123456789"), headers=headers)).status == 400
    assert since() == {Reason.WRONG_PASSPHRASE: 1}
    assert (await stage(asker, [("/sealed_api_keys", "sealed_api_keys", {"ciphertext": "x"})])).status == 400
    assert since() == {Reason.WRONG_PASSPHRASE: 1, Reason.DAMAGED_SEAL: 1}
