"""The one document that holds everything of a profile: whole, sealed where keys travel, small on the wire."""

import asyncio
import gzip
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from gateway.manifest import Tally
from tests import documents
from tests.journeys.browser import Browser
from tests.processes import Stack, peak_memory, running

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PASSPHRASE = "zażółć gęślą jaźń 龜"
KEYS = {"veo": "veo_key_that_travels_sealed", "runway": "rk_live_that_travels_sealed"}


def given(passphrase: str) -> dict[str, str]:
    return {"Animatize-Backup-Passphrase": quote(passphrase)}


@pytest.fixture
async def owner(browser: Browser) -> Browser:
    """With everything that a profile can have."""
    await browser.restore(documents.export())
    await browser.put("/api/settings", {"settings": {"theme": {"grain": 0.3}, "plugin": {"ż": 1.0}}})
    for provider, key in KEYS.items():
        await browser.put(f"/api/settings/api-keys/{provider}", {"api_key": key})
    return browser


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another server, with another secret."""
    secret = "another root secret, of forty characters or more"
    with running(tmp_path_factory.mktemp("elsewhere"), ANIMATIZE_SECRET_KEY=secret) as stack:
        yield stack


@pytest.fixture
async def stranger(elsewhere: Stack) -> AsyncIterator[Browser]:
    async with Browser(elsewhere.url) as browser:
        await browser.get("/api/settings")
        yield browser


async def keys_of(browser: Browser) -> dict[str, str | None]:
    rows = (await browser.get("/api/settings/api-keys"))["api_keys"]
    return {row["provider"]: row["masked"] for row in rows if row["configured"]}


async def sealed_backup(browser: Browser) -> Any:
    return await browser.json("POST", "/api/settings/backup", {"passphrase": PASSPHRASE})


async def test_a_backup_has_a_file_name_and_a_manifest_of_what_is_in_it(owner: Browser) -> None:
    status, headers, body = await owner.ask("GET", "/api/settings/backup")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert headers["Content-Disposition"].startswith('attachment; filename="animatize-backup-20')
    backup = json.loads(body)
    assert list(backup)[-1] == "manifest"
    tally = Tally()
    tally.add("settings", backup["settings"])
    for section in ("history", "runs", "api_credentials"):
        for item in backup[section]:
            tally.add(section, item)
    assert backup["manifest"] == tally.manifest()
    assert backup["manifest"]["counts"]["runs"] == len(documents.export()[documents.RUNS_KEY])


async def test_a_backup_that_was_damaged_is_refused_and_changes_nothing(owner: Browser) -> None:
    backup = await owner.get("/api/settings/backup")
    before = await owner.profile()
    for damage in ("runs", "history", "api_credentials"):
        damaged = deepcopy(backup)
        damaged[damage].pop()
        problem = await owner.refused_restore(damaged)
        assert (problem["status"], problem["code"]) == (400, "damaged_document")
        assert "manifest" in problem["detail"]
    text = json.dumps(backup).encode()
    for length in (len(text) - 2, len(text) // 2, 40):
        assert (await owner.refused_restore(text[:length]))["status"] == 400
    assert await owner.profile() == before
    del damaged["manifest"]
    assert (await owner.restore(damaged))["restored_runs"] == len(damaged["runs"])


async def test_keys_travel_under_a_passphrase_to_a_server_with_another_secret(
    owner: Browser, stranger: Browser
) -> None:
    backup = await sealed_backup(owner)
    assert set(backup["sealed_api_keys"]["providers"]) == set(KEYS)
    assert not any(key in json.dumps(backup) for key in KEYS.values())
    done = await stranger.restore(backup, headers=given(PASSPHRASE))
    assert (done["restored_keys"], done["plan"]["api_keys"]["added"], done["warnings"]) == (2, 2, [])
    assert await keys_of(stranger) == await keys_of(owner)
    again = await stranger.restore(backup, headers=given(PASSPHRASE))
    assert again["plan"]["api_keys"] == {"added": 0, "changed": 0, "unchanged": 2, "refused": 0}
    await stranger.json("POST", f"/api/settings/restore/{again['restore_id']}/undo")
    assert await keys_of(stranger) == await keys_of(owner)


async def test_a_wrong_passphrase_touches_nothing(owner: Browser, stranger: Browser) -> None:
    backup = await sealed_backup(owner)
    before = await stranger.profile()
    for wrong in ("not the passphrase", PASSPHRASE + " ", "x"):
        problem = await stranger.refused_restore(backup, headers=given(wrong))
        assert (problem["status"], problem["code"]) == (400, "wrong_passphrase")
    tampered = deepcopy(backup)
    tampered["sealed_api_keys"]["providers"][0] = "pika"
    del tampered["manifest"]
    assert (await stranger.refused_restore(tampered, headers=given(PASSPHRASE)))["status"] == 400
    for badly in ("%ff%fe", "100% secret", "%zz"):
        header = {"Animatize-Backup-Passphrase": badly}
        assert (await stranger.refused_restore(backup, headers=header))["code"] == "bad_passphrase_header"
    assert await stranger.profile() == before


async def test_without_the_passphrase_the_rest_is_restored_and_the_keys_are_named(
    owner: Browser, stranger: Browser
) -> None:
    backup = await sealed_backup(owner)
    for mode in ("merge", "replace"):
        done = await stranger.restore(backup, mode=mode)
        assert (done["restored_runs"], done["restored_keys"]) == (len(backup["runs"]), 0)
        assert {each["message"].split()[3] for each in done["warnings"]} == set(KEYS)
    assert await keys_of(stranger) == {}


async def test_replacing_and_undoing_reach_the_keys_too(owner: Browser, stranger: Browser) -> None:
    backup = await sealed_backup(owner)
    for provider in ("pika", "veo"):
        await stranger.put(f"/api/settings/api-keys/{provider}", {"api_key": "a_key_of_the_stranger"})
    before = await keys_of(stranger)
    done = await stranger.restore(backup, headers=given(PASSPHRASE), mode="replace")
    assert (done["removed"]["api_keys"], set(await keys_of(stranger))) == (1, set(KEYS))
    undone = await stranger.json("POST", f"/api/settings/restore/{done['restore_id']}/undo")
    assert undone["undone"]["api_keys"] == 3
    assert await keys_of(stranger) == before


@pytest.mark.parametrize("passphrase", ["short", "x" * 1025, 7, None])
async def test_a_passphrase_that_protects_nothing_is_refused(owner: Browser, passphrase: Any) -> None:
    problem = await owner.refused("POST", "/api/settings/backup", json={"passphrase": passphrase})
    assert problem["status"] == 400
    assert str(passphrase) not in json.dumps(problem["errors"])


async def test_a_request_for_keys_says_nothing_else(owner: Browser) -> None:
    for body in ({}, {"passphrase": "long enough", "a": 1}):
        problem = await owner.refused("POST", "/api/settings/backup", json=body)
        assert problem["status"] == 400
        assert "long enough" not in json.dumps(problem)


async def test_no_key_and_no_passphrase_is_in_a_log_a_file_or_a_temporary_file(owner: Browser, stack: Stack) -> None:
    backup = await sealed_backup(owner)
    await owner.restore(backup, headers=given(PASSPHRASE), mode="replace")
    await owner.refused_restore(backup, headers=given(PASSPHRASE + "!"))
    secrets = [*KEYS.values(), PASSPHRASE, quote(PASSPHRASE)]
    places = [stack.log, *stack.data.iterdir()]
    assert any(place.name.endswith(".vault.db") for place in places)
    for place in places:
        content = place.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], place.name


@pytest.mark.parametrize(("coding", "undo"), [("gzip", gzip.decompress), ("zstd", zstd.decompress)])
async def test_a_backup_is_small_on_the_wire_where_the_reader_likes_that(
    owner: Browser, coding: str, undo: Any
) -> None:
    plain = (await owner.ask("GET", "/api/settings/backup", headers={"Accept-Encoding": "identity"}))[2]
    async with (
        aiohttp.ClientSession(cookie_jar=owner.jar, auto_decompress=False) as http,
        http.get(f"{owner.url}/api/settings/backup", headers={"Accept-Encoding": coding}) as answer,
    ):
        assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == (coding, "Accept-Encoding")
        coded = await answer.read()
    assert len(coded) < len(plain)
    assert json.loads(undo(coded))["manifest"] == json.loads(plain)["manifest"]


@pytest.mark.parametrize(("coding", "code"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_a_document_may_come_coded_and_must_come_whole(browser: Browser, coding: str, code: Any) -> None:
    header = {"Content-Encoding": coding}
    document = documents.older_backup()
    text = json.dumps(document).encode()
    assert (await browser.refused_restore(code(text)[:-3], headers=header))["code"] == "damaged_coding"
    assert (await browser.refused_restore(text, headers=header))["code"] == "damaged_coding"
    assert await browser.all_runs() == []
    assert (await browser.restore(code(text), headers=header))["restored_runs"] == len(document["runs"])
    run = {"run_id": "z", "intent": "any other body too"}
    coded = code(json.dumps(run).encode())
    headers = header | {"Content-Type": "application/json"}
    await browser.json("PUT", "/api/runs/z", data=coded, headers=headers)
    assert await browser.get("/api/runs/z") == run
    unknown = await browser.refused_restore(text, headers={"Content-Encoding": "br"})
    assert unknown["status"] == 415


async def test_a_bomb_is_refused_with_the_limit_and_costs_no_memory(tmp_path: Path) -> None:
    limit = 64 << 20
    with running(tmp_path, ANIMATIZE_RESTORE_MAX_BYTES=str(limit)) as stack:
        async with Browser(stack.url) as browser:
            await browser.get("/api/settings")
            for coding, code in (("gzip", gzip.compress), ("zstd", zstd.compress)):
                bomb = code(b'{"runs": [' + b" " * (1 << 30))
                assert len(bomb) < limit // 8
                problem = await browser.refused_restore(bomb, headers={"Content-Encoding": coding})
                assert (problem["status"], f"{limit:,}" in problem["detail"]) == (413, True)
        if sys.platform == "linux":
            assert peak_memory(stack.process_id("gateway")) < 150 << 20


async def test_one_backup_of_a_profile_at_a_time(owner: Browser) -> None:
    filler = os.urandom(400_000).hex()
    await owner.restore({"runs": [{"run_id": f"large-{number}", "filler": filler} for number in range(30)]})
    async with aiohttp.ClientSession(cookie_jar=owner.jar) as http:
        async with http.get(f"{owner.url}/api/settings/backup") as slow:
            await slow.content.readany()  # the rest waits, more than any buffer on the way holds
            problem = await owner.refused("GET", "/api/settings/backup")
            assert (problem["status"], problem["code"]) == (409, "backup_under_way")
            slow.close()
        for _ in range(100):
            if (await owner.ask("GET", "/api/settings/backup"))[0] == 200:
                return
            await asyncio.sleep(0.05)
    pytest.fail("the turn of a reader that went away was not given on")
