"""Keys that are stored or deleted twice, since an answer was lost: each is done once, and nothing of them is kept."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from chassis.once import KEYS_HEADER, NAME_HEADER
from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, Start
from tests.vault_service.restoring import keys
from tests.vault_service.test_routes import KEYS, keep, problem, rows
from tests.vault_service.test_store import API_KEY, assert_nowhere

PATH = f"{KEYS}/runway"
NAMED = {NAME_HEADER: "one", KEYS_HEADER: "ab" * 32}


async def put(asker: Asker, api_key: str = API_KEY) -> dict[str, Any]:
    return await keep(asker, api_key=api_key, headers=NAMED)


async def delete(asker: Asker) -> bool:
    answer = await asker.delete(PATH, headers=NAMED)
    assert answer.status == 200, await answer.text()
    deleted: bool = (await answer.json())["deleted"]
    return deleted


async def test_a_key_that_is_stored_again_under_one_name_gets_the_same_answer_whatever_was_stored_since(
    start: Start,
) -> None:
    first, second = await start(), await start()
    kept = await put(first)
    assert kept["masked"] == "sk-l********9+ąę"
    await keep(second, api_key="another-key-0123456789")
    assert await put(second) == kept
    assert await keys(first) == {"runway": "another-key-0123456789"}


async def test_a_key_that_is_deleted_again_under_one_name_gets_the_same_answer_and_the_next_key_stays(
    start: Start,
) -> None:
    first, second = await start(), await start()
    await keep(first)
    assert await delete(first)
    await keep(first, api_key=API_KEY)
    assert await delete(second)
    assert await keys(first) == {"runway": API_KEY}


async def test_stored_many_times_at_once_a_key_is_stored_once(start: Start, file: Path) -> None:
    first, second = await start(), await start()
    answers = await asyncio.gather(*(put((first, second)[n % 2]) for n in range(20)))
    assert all(answer == answers[0] for answer in answers)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT version FROM changes").fetchall() == [(1,)]


async def test_the_same_name_for_another_key_is_a_422_that_repeats_neither(asker: Asker) -> None:
    await put(asker)
    other = "sk-other-key-0123456789"
    answer = await asker.put(PATH, json={"api_key": other}, headers=NAMED)
    assert other not in await answer.text()
    await problem(answer, 422, "idempotency_key_reused")
    assert await keys(asker) == {"runway": API_KEY}


async def test_of_a_key_not_even_its_mask_is_kept_with_the_answer(
    asker: Asker, file: Path, tmp_path: Path, capfd: Any
) -> None:
    """What is kept of a request is an HMAC under a key that comes with it; with that key alone a guess can be tried."""
    kept = await put(asker)
    assert await put(asker) == kept
    assert_nowhere(API_KEY, tmp_path, capfd.readouterr().out)
    for piece in (kept["masked"], API_KEY[:4], API_KEY[-4:], NAMED[KEYS_HEADER]):
        assert_nowhere_short(piece, tmp_path)
    with closing(sqlite3.connect(file)) as database:
        (body,) = database.execute("SELECT body FROM requests").fetchone()
    assert json.loads(body) == kept | {"masked": None}


async def test_the_answer_is_given_again_also_by_a_vault_that_is_locked(start: Start) -> None:
    kept = await put(await start())
    locked = await start(FOREIGN_ROOT)
    assert await put(locked) == kept
    answer = await locked.put(PATH, json={"api_key": API_KEY}, headers={**NAMED, NAME_HEADER: "two"})
    await problem(answer, 503, "vault_locked")
    assert (await rows(locked))["runway"]["masked"] == "corrupted"


async def test_what_a_locked_vault_refused_may_be_asked_for_again_under_its_name(start: Start) -> None:
    await keep(await start(), api_key="another-key-0123456789")
    locked = await start(FOREIGN_ROOT)
    await problem(await locked.put(PATH, json={"api_key": API_KEY}, headers=NAMED), 503, "vault_locked")
    await problem(await locked.delete(PATH, headers=NAMED), 503, "vault_locked")
    opened = await start()
    assert await delete(opened)
    await put(opened)
    assert await keys(opened) == {"runway": API_KEY}


def assert_nowhere_short(piece: str, folder: Path) -> None:
    """As `assert_nowhere`, for what is so short that its base64 could stand there by chance."""
    for file in folder.rglob("*"):
        assert not file.is_file() or piece.encode() not in file.read_bytes(), file
