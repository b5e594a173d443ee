"""The vault's addresses, through HTTP, over a real file."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from chassis.peers import Scope
from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, Start
from vault_service.travelling import open_all

KEYS = "/api/settings/api-keys"
SUPPORTED = ["runway", "pika", "veo", "sora", "flux"]
RUBBISH = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["api_key", "owner", ""]), inner),
)


async def rows(asker: Asker, **rest: Any) -> dict[str, dict[str, Any]]:
    answer = await asker.get(KEYS, **rest)
    assert answer.status == 200
    return {row["provider"]: row for row in (await answer.json())["api_keys"]}


async def keep(
    asker: Asker, provider: str = "runway", api_key: str = "rk-0123456789-7890", **rest: Any
) -> dict[str, Any]:
    answer = await asker.put(f"{KEYS}/{provider}", json={"api_key": api_key}, **rest)
    assert answer.status == 200, await answer.text()
    kept: dict[str, Any] = await answer.json()
    return kept


async def plaintext(asker: Asker, provider: str = "runway", owner: str = "guest:a") -> ClientResponse:
    return await asker.get(f"/internal/keys/{provider}", owner=owner, scope=Scope.WORKER, session="s-1")


async def problem(answer: ClientResponse, status: int, code: str) -> dict[str, Any]:
    found: dict[str, Any] = await answer.json(content_type="application/problem+json")
    assert (answer.status, found["code"]) == (status, code), found
    return found


async def test_a_new_owner_sees_one_empty_row_a_provider_in_the_catalogues_order(asker: Asker) -> None:
    found = await rows(asker)
    assert list(found) == SUPPORTED
    assert all(
        row == {"provider": name, "configured": False, "masked": None, "updated_at": None, "source": None}
        for name, row in found.items()
    )


async def test_a_stored_key_is_shown_masked_and_nowhere_whole(asker: Asker) -> None:
    kept = await keep(asker)
    assert kept == {
        "provider": "runway",
        "configured": True,
        "masked": "rk-0********7890",
        "updated_at": kept["updated_at"],
    }
    assert (await rows(asker))["runway"] == {**kept, "source": "profile"}
    for path in (KEYS, "/api/providers"):
        assert "rk-0123456789" not in await (await asker.get(path)).text()


async def test_times_are_utc_with_microseconds_and_rise_with_every_save(asker: Asker) -> None:
    first, second = await keep(asker), await keep(asker, api_key="another-key-0123456789")
    assert len(first["updated_at"]) == len("2026-01-01T00:00:00.000000+00:00")
    assert first["updated_at"] < second["updated_at"]
    assert first["updated_at"].endswith("+00:00")


async def test_a_worker_reads_back_what_was_stored_trimmed(asker: Asker) -> None:
    await keep(asker, api_key="  klucz-żółw-🎬-0123456789\n")
    answer = await plaintext(asker)
    assert await answer.json() == {"provider": "runway", "api_key": "klucz-żółw-🎬-0123456789", "source": "profile"}
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_replaced_key_is_the_new_one_and_a_deleted_one_is_gone(asker: Asker) -> None:
    await keep(asker)
    await keep(asker, api_key="another-key-0123456789")
    assert (await (await plaintext(asker)).json())["api_key"] == "another-key-0123456789"
    assert await (await asker.delete(f"{KEYS}/runway")).json() == {"provider": "runway", "deleted": True}
    assert await (await asker.delete(f"{KEYS}/runway")).json() == {"provider": "runway", "deleted": False}
    await problem(await plaintext(asker), 404, "no_key")
    assert not (await rows(asker))["runway"]["configured"]


async def test_two_owners_never_see_each_other(asker: Asker) -> None:
    await keep(asker, owner="user:ada", api_key="adas-key-0123456789")
    await keep(asker, owner="user:bob", api_key="bobs-key-0123456789")
    await asker.delete(f"{KEYS}/runway", owner="user:bob")
    assert not (await rows(asker, owner="user:bob"))["runway"]["configured"]
    assert (await rows(asker, owner="user:ada"))["runway"]["masked"] == "adas********6789"
    await problem(await plaintext(asker, owner="user:bob"), 404, "no_key")
    assert (await (await plaintext(asker, owner="user:ada")).json())["api_key"] == "adas-key-0123456789"


@pytest.mark.parametrize("owner", ["user:' OR 1=1 --", "guest:", "user:\x00", "gość:🎬"])
async def test_an_owner_of_any_spelling_is_only_a_value(asker: Asker, owner: str) -> None:
    await keep(asker, owner="user:ada")
    assert not (await rows(asker, owner=owner))["runway"]["configured"]


@pytest.mark.parametrize("provider", ["kling", "Runway", "nobody", "runway%00", "a" * 3000])
async def test_an_unsupported_provider_is_refused_everywhere(asker: Asker, provider: str) -> None:
    path = f"{KEYS}/{provider}"
    found = await problem(await asker.put(path, json={"api_key": "0123456789"}), 400, "unknown_provider")
    assert all(name in found["detail"] for name in SUPPORTED)
    await problem(await asker.delete(path), 400, "unknown_provider")
    await problem(await plaintext(asker, provider), 400, "unknown_provider")


async def test_a_key_that_cannot_be_one_is_refused_and_leaves_the_old_one(asker: Asker) -> None:
    await keep(asker)
    for wrong in ("1234567", " 1234567 ", "x" * 4097, "sk-\x00-12345678", None, 12345678, {"a": 1}):
        found = await problem(await asker.put(f"{KEYS}/runway", json={"api_key": wrong}), 400, "invalid")
        assert found["errors"][0]["pointer"] == "/api_key"
        assert "12345678" not in json.dumps(found)
    assert (await (await plaintext(asker)).json())["api_key"] == "rk-0123456789-7890"


async def test_a_body_that_is_no_json_is_refused(asker: Asker) -> None:
    typed = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"\xff\xfe", b'{"api_key": "12345678", "api_key": "87654321"}', b'{"api_key": NaN}'):
        await problem(await asker.put(f"{KEYS}/runway", data=body, headers=typed), 400, "malformed")
    await problem(await asker.put(f"{KEYS}/runway", data=b"{}"), 415, "not_json")
    assert not (await rows(asker))["runway"]["configured"]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=RUBBISH)
async def test_rubbish_is_answered_with_a_problem(asker: Asker, body: Any) -> None:
    answer = await asker.put(f"{KEYS}/runway", data=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status in (200, 400)
    if answer.status == 400:
        assert (await answer.json(content_type="application/problem+json"))["detail"]


async def test_hostile_values_get_a_problem_and_change_nothing(asker: Asker) -> None:
    bodies: list[Any] = [
        {"api_key": "x" * 1_000_000},
        {"api_key": ["12345678"] * 1000},
        [[[[]]]],
        {"": ""},
        1e308,
        "…" * 9,
    ]
    for body in bodies:
        await problem(await asker.put(f"{KEYS}/runway", json=body), 400, "invalid")
    assert not (await rows(asker))["runway"]["configured"]


async def test_the_providers_page_tells_what_can_be_used(start: Start) -> None:
    asker = await start(VEO_API_KEY="server-veo-0123456789")
    await keep(asker)
    page = await (await asker.get("/api/providers")).json()
    assert page["available_providers"] == ["runway", "veo"]
    assert page["provider_count"] == 2
    assert page["supported_providers"] == SUPPORTED
    order = ["sora", "veo", "runway", "kling", "luma", "pika", "wan", "flux"]
    assert [(row["id"], row["available"]) for row in page["providers"]] == [
        (name, name in ("veo", "runway")) for name in order
    ]
    assert page["credential_status"] == {
        name: {"configured": False, "masked": None, "source": None} for name in SUPPORTED
    } | {
        "runway": {"configured": True, "masked": "rk-0********7890", "source": "profile"},
        "veo": {"configured": True, "masked": "serv********6789", "source": "environment"},
    }
    assert page["defaults"]["preset_default"] == "cinematic-balanced"
    assert page["providers"][0]["lifecycle"] == {"status": "deprecated", "note": "API EOL 2026-09-24"}


async def test_a_profile_key_goes_before_the_environments_until_it_is_deleted(start: Start) -> None:
    asker = await start(VEO_API_KEY="server-veo-0123456789")
    assert (await rows(asker))["veo"]["source"] == "environment"
    assert (await (await plaintext(asker, "veo")).json())["source"] == "environment"
    await keep(asker, "veo", "my-own-veo-0123456789")
    assert (await rows(asker))["veo"]["source"] == "profile"
    assert (await (await plaintext(asker, "veo")).json())["api_key"] == "my-own-veo-0123456789"
    assert (await (await asker.delete(f"{KEYS}/veo")).json())["deleted"] is True
    assert (await (await asker.delete(f"{KEYS}/veo")).json())["deleted"] is False
    assert (await (await plaintext(asker, "veo")).json())["api_key"] == "server-veo-0123456789"


@pytest.mark.parametrize("scope", [Scope.OWNER, Scope.SYSTEM])
async def test_no_other_scope_than_worker_reads_a_plaintext_key(asker: Asker, scope: Scope) -> None:
    await keep(asker)
    await problem(await asker.get("/internal/keys/runway", scope=scope), 401, "wrong_scope")


@pytest.mark.parametrize("scope", [Scope.WORKER, Scope.SYSTEM])
async def test_a_worker_reads_keys_and_does_nothing_else(asker: Asker, scope: Scope) -> None:
    await problem(await asker.get(KEYS, scope=scope), 401, "wrong_scope")
    await problem(await asker.put(f"{KEYS}/veo", json={"api_key": "0123456789"}, scope=scope), 401, "wrong_scope")
    await problem(await asker.delete(f"{KEYS}/veo", scope=scope), 401, "wrong_scope")
    await problem(await asker.get("/internal/backup", scope=Scope.WORKER), 401, "wrong_scope")


async def test_the_backup_is_the_rows_one_a_line_and_no_key(asker: Asker) -> None:
    await keep(asker)
    answer = await asker.get("/internal/backup", scope=Scope.SYSTEM)
    assert answer.content_type == "application/x-ndjson"
    text = await answer.text()
    assert [json.loads(line) for line in text.splitlines()] == list((await rows(asker)).values())
    assert "rk-0123456789" not in text


BACKUP = "/internal/backup"
PASSPHRASE = {"passphrase": "correct horse stāple"}


async def backup(asker: Asker, **rest: Any) -> list[dict[str, Any]]:
    answer = await asker.post(BACKUP, scope=Scope.SYSTEM, json=PASSPHRASE, **rest)
    assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
    text = await answer.text()
    assert "0123456789" not in text
    return [json.loads(line) for line in text.splitlines()]


def travelling(line: dict[str, Any]) -> dict[str, str]:
    return {name: key.get_secret_value() for name, key in open_all(line, SecretStr(PASSPHRASE["passphrase"])).items()}


async def test_a_backup_with_a_passphrase_begins_with_the_sealed_keys_of_the_profile(start: Start) -> None:
    asker = await start(FLUX_API_KEY="server-flux-0123456789")
    await keep(asker)
    await keep(asker, "veo", "veo-key-0123456789")
    await keep(asker, "sora", "of-another-0123456789", owner="guest:b")
    sealed, *shown = await backup(asker)
    assert travelling(sealed) == {"runway": "rk-0123456789-7890", "veo": "veo-key-0123456789"}
    assert shown == list((await rows(asker)).values())


async def test_a_backup_of_a_profile_without_keys_carries_none(asker: Asker) -> None:
    sealed, *shown = await backup(asker)
    assert travelling(sealed) == {}
    assert len(shown) == len(SUPPORTED)


async def test_a_passphrase_of_a_backup_opens_it_however_its_characters_are_composed(asker: Asker) -> None:
    await keep(asker)
    composed = {"passphrase": "correct horse sta\u0304ple"}
    answer = await asker.post(BACKUP, scope=Scope.SYSTEM, json=composed)
    assert travelling(json.loads((await answer.text()).splitlines()[0])) == {"runway": "rk-0123456789-7890"}


async def test_a_bad_passphrase_is_refused_and_never_repeated(asker: Asker) -> None:
    await keep(asker)
    for wrong in ("horse12", "horse" * 300, None, ["horse battery"], {"horse": 1}):
        answer = await asker.post(BACKUP, scope=Scope.SYSTEM, json={"passphrase": wrong})
        assert "horse" not in json.dumps((await problem(answer, 400, "invalid"))["errors"])
    for scope in (Scope.OWNER, Scope.WORKER):
        await problem(await asker.post(BACKUP, scope=scope, json=PASSPHRASE), 401, "wrong_scope")


async def test_a_locked_vault_does_not_pass_off_a_backup_without_keys_as_whole(start: Start) -> None:
    await keep(await start())
    foreign = await start(root=FOREIGN_ROOT)
    await problem(await foreign.post(BACKUP, scope=Scope.SYSTEM, json=PASSPHRASE), 503, "vault_locked")
    assert (await foreign.get(BACKUP, scope=Scope.SYSTEM)).status == 200, "without the keys there is one"


async def test_saving_the_key_that_is_there_already_is_no_write(asker: Asker) -> None:
    first = await keep(asker)
    assert await keep(asker, api_key=" rk-0123456789-7890\n") == first
    assert (await rows(asker))["runway"]["updated_at"] == first["updated_at"]
    assert (await keep(asker, owner="guest:b"))["updated_at"] > first["updated_at"]
    assert (await keep(asker, api_key="rk-0123456789-7891"))["updated_at"] > first["updated_at"]


async def test_many_concurrent_writes_over_two_processes_leave_one_whole_key(start: Start) -> None:
    one, other = await start(), await start()
    written = [f"key-number-{number:04}" for number in range(60)]
    await asyncio.gather(*(keep((one, other)[n % 2], "sora", key) for n, key in enumerate(written)))
    found = [await (await plaintext(each, "sora")).json() for each in (one, other)]
    assert found[0] == found[1]
    assert found[0]["api_key"] in written


async def test_what_one_process_stores_another_one_reads(start: Start) -> None:
    one, other = await start(), await start()
    await keep(one, "flux", "flux-key-0123456789")
    assert (await (await plaintext(other, "flux")).json())["api_key"] == "flux-key-0123456789"
    await other.delete(f"{KEYS}/flux")
    await problem(await plaintext(one, "flux"), 404, "no_key")


async def test_the_openapi_part_describes_every_public_route(asker: Asker) -> None:
    part = await (await asker.get("/internal/openapi", scope=Scope.SYSTEM)).json()
    assert {(path, method) for path, methods in part["paths"].items() for method in methods} == {
        (KEYS, "get"), (KEYS + "/{provider}", "put"), (KEYS + "/{provider}", "delete"), ("/api/providers", "get"),
    }  # fmt: skip
    field = part["components"]["schemas"]["NewKey"]["properties"]["api_key"]
    assert (field["format"], field["writeOnly"]) == ("password", True)
