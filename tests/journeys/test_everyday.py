"""Days in the life of a profile, through the gateway and the real processes."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from tests import documents
from tests.journeys.browser import Browser
from tests.journeys.test_migration import same
from tests.processes import SECRET, Stack

KEY = "rk_live_0123456789_secret_of_mine"


async def snapshot(browser: Browser) -> list[Any]:
    paths = ("/api/settings", "/api/settings/history", "/api/settings/api-keys", "/api/providers")
    return [*[await browser.get(path) for path in paths], await browser.all_runs()]


async def test_everything_is_still_there_after_all_processes_were_stopped_and_started(fresh_stack: Stack) -> None:
    async with Browser(fresh_stack.url) as browser:
        await browser.restore(documents.older_backup())
        await browser.put("/api/settings/api-keys/runway", {"api_key": KEY})
        before = await snapshot(browser)
        fresh_stack.stop()
        fresh_stack.start()
        assert same(await snapshot(browser), before)


async def test_everything_is_still_there_after_every_process_was_killed_in_turn(fresh_stack: Stack) -> None:
    async with Browser(fresh_stack.url) as browser:
        await browser.restore(documents.export())
        before = await snapshot(browser)
        for name in fresh_stack.ports:
            fresh_stack.kill(name)
            fresh_stack.start(name)
            assert same(await snapshot(browser), before), name


async def test_a_provider_is_available_as_long_as_its_key_is_stored(browser: Browser) -> None:
    assert (await browser.get("/api/providers"))["available_providers"] == []

    stored = await browser.put("/api/settings/api-keys/runway", {"api_key": KEY})

    assert stored["masked"].startswith(KEY[:4])
    assert KEY not in str(await snapshot(browser))
    assert (await browser.get("/api/providers"))["available_providers"] == ["runway"]
    await browser.json("DELETE", "/api/settings/api-keys/runway")
    assert (await browser.get("/api/providers"))["available_providers"] == []


async def test_two_profiles_never_see_each_other(browser: Browser, other_browser: Browser) -> None:
    await browser.restore(documents.older_backup())
    await browser.put("/api/settings/api-keys/veo", {"api_key": KEY})

    assert await other_browser.all_runs() == []
    assert (await other_browser.get("/api/settings"))["version"] == 1
    assert (await other_browser.get("/api/providers"))["available_providers"] == []
    run_id = documents.older_backup()["runs"][0]["run_id"]
    for path in (f"/api/runs/{run_id}", f"/api/runs/{run_id}/source-image", "/api/settings/history/5"):
        assert (await other_browser.refused("GET", path))["status"] == 404
    await other_browser.json("DELETE", "/api/runs")
    assert len(await browser.all_runs()) == 5


async def test_restores_of_several_people_at_once_do_not_mix(stack: Stack) -> None:
    async def one(number: int) -> None:
        async with Browser(stack.url) as browser:
            document = {"runs": [{"run_id": f"{number}-{i}", "owner": number} for i in range(300)]}
            assert (await browser.restore(document))["restored_runs"] == 300
            assert {run["owner"] for run in await browser.all_runs()} == {number}

    await asyncio.gather(*(one(number) for number in range(6)))


async def test_two_restores_of_one_profile_at_once_are_one_after_the_other_or_refused(browser: Browser) -> None:
    await browser.get("/api/settings")
    answers = await asyncio.gather(
        *(browser.ask("POST", "/api/settings/restore", json=documents.older_backup()) for _ in range(4))
    )

    assert {status for status, _, _ in answers} <= {200, 409}
    assert (await browser.get("/api/settings"))["version"] == 6
    assert len(await browser.all_runs()) == 5


async def test_nothing_secret_stands_in_clear_in_any_file_or_log(fresh_stack: Stack) -> None:
    async with Browser(fresh_stack.url) as browser:
        await browser.put("/api/settings/api-keys/runway", {"api_key": KEY})
        await browser.get("/api/settings/api-keys")
        await browser.refused("PUT", "/api/settings/api-keys/nowhere", json={"api_key": KEY})
        await browser.refused("PUT", "/api/settings/api-keys/pika", data=f'{{"api_key": "{KEY}"'.encode())
        await browser.get("/api/settings/backup")
        cookie = next(cookie.value for cookie in browser.jar)
        await browser.json("DELETE", "/api/settings/api-keys/runway")
        live = b"".join(file.read_bytes() for file in fresh_stack.data.iterdir())
        fresh_stack.stop()
        stopped = b"".join(file.read_bytes() for file in fresh_stack.data.iterdir())
    for secret in (KEY, cookie, SECRET):
        for place in (live, stopped, fresh_stack.log.read_bytes()):
            assert secret.encode() not in place


async def test_a_dead_vault_leaves_settings_and_runs_working(fresh_stack: Stack) -> None:
    async with Browser(fresh_stack.url) as browser:
        await browser.get("/api/settings")
        fresh_stack.kill("vault_service")
        await browser.restore(documents.export())
        assert len(await browser.all_runs()) == 4
        problem = await browser.refused("GET", "/api/settings/api-keys")
        assert problem["status"] == 503
        assert "vault" in problem["detail"]
        assert (await browser.get("/health"))["services"]["vault"] == "unavailable"
        headers = {"Animatize-Backup-Passphrase": "of%20a%20backup%20with%20keys"}
        sealed = {"runs": [{"run_id": "a"}], "sealed_api_keys": {"providers": []}}
        assert (await browser.refused_restore(sealed, headers=headers))["status"] == 503
        assert (await browser.restore({"runs": [{"run_id": "b"}]}))["restored_runs"] == 1, "and keeps nobody waiting"


async def test_a_restore_that_cannot_reach_a_service_changes_nothing_and_can_be_repeated(fresh_stack: Stack) -> None:
    async with Browser(fresh_stack.url) as browser:
        before = await browser.get("/api/settings")
        fresh_stack.kill("runs_service")
        problem = await browser.refused("POST", "/api/settings/restore", json=documents.older_backup())
        assert problem["status"] == 503
        assert await browser.get("/api/settings") == before
        fresh_stack.start("runs_service")
        for _ in range(60):
            status, _, _ = await browser.ask("POST", "/api/settings/restore", json=documents.older_backup())
            if status == 200:
                break
            assert status == 409  # the first one is still being taken back
            await asyncio.sleep(0.5)
        assert len(await browser.all_runs()) == 5


async def test_an_interrupted_gateway_leaves_no_restore_half_done(fresh_stack: Stack) -> None:
    big = {"runs": [{"run_id": f"r{i}", "filler": "x" * 4000} for i in range(3000)]}
    async with Browser(fresh_stack.url) as browser:
        await browser.get("/api/settings")
        restoring = asyncio.create_task(browser.ask("POST", "/api/settings/restore", json=big))
        await asyncio.sleep(0.4)
        fresh_stack.kill("gateway")
        await asyncio.gather(restoring, return_exceptions=True)
        fresh_stack.start("gateway")
        for _ in range(120):
            status, _, _ = await browser.ask("POST", "/api/settings/restore", json=documents.export())
            if status == 200:
                break
            assert status == 409
            await asyncio.sleep(0.25)
        assert len(await browser.all_runs()) in (4, 3004)


async def test_while_the_auth_service_is_away_nobody_is_signed_out(fresh_stack: Stack) -> None:
    async with Browser(fresh_stack.url) as browser:
        await browser.put("/api/runs/mine", {"run_id": "mine"})
        fresh_stack.kill("auth_service")
        assert [run["run_id"] for run in await browser.all_runs()] == ["mine"]
        await asyncio.sleep(1.1)
        assert [run["run_id"] for run in await browser.all_runs()] == ["mine"]
        status, headers, _ = await browser.ask("PUT", "/api/runs/other", json={"run_id": "other"})
        assert (status, headers["Retry-After"], headers.get("Set-Cookie")) == (503, "2", None)
        fresh_stack.start("auth_service")
        await browser.put("/api/runs/other", {"run_id": "other"})
        assert len(await browser.all_runs()) == 2


async def test_a_service_that_starts_again_within_seconds_costs_no_failed_request(fresh_stack: Stack) -> None:
    async with Browser(fresh_stack.url) as browser:
        await browser.get("/api/settings")
        fresh_stack.stop("settings_service")
        asking = asyncio.create_task(browser.get("/api/settings"))
        await asyncio.to_thread(fresh_stack.start, "settings_service")
        assert (await asking)["version"] == 1


async def test_two_gateways_over_one_file_share_sessions_and_restores(fresh_stack: Stack, tmp_path: Path) -> None:
    second = Stack(tmp_path, **fresh_stack.shared_with("gateway"))
    second.start("gateway")
    try:
        async with Browser(fresh_stack.url) as browser:
            await browser.restore(documents.export())
            cookies = {"animatize_session": next(cookie.value for cookie in browser.jar)}
            async with aiohttp.request("GET", f"{second.url}/api/runs", cookies=cookies) as response:
                assert len((await response.json())["runs"]) == 4
    finally:
        second.stop()
