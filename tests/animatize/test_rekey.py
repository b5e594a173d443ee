"""`animatize rekey` is the vault's own story, with the exit codes of the command."""

import json
from pathlib import Path

from tests.animatize.running import environment, run, run_json
from tests.journeys.browser import Browser
from tests.processes import SECRET, Stack

NEW = "a root secret for the journeys, the next one of forty-odd characters"
SWAPPED = {"ANIMATIZE_SECRET_KEY": NEW, "ANIMATIZE_SECRET_KEY_PREVIOUS": json.dumps([SECRET])}


async def test_all_keys_come_under_the_new_secret_and_back(stack: Stack, browser: Browser) -> None:
    await browser.put("/api/settings/api-keys/pika", {"api_key": "pk_live_rekeyed_and_back"})
    before, after = environment(stack), environment(stack, **SWAPPED)
    code, looked = run_json("rekey", "--status", environment=after)
    assert (code, looked["done"], looked["rewrapped"]) == (1, False, 0)
    code, done = run_json("rekey", environment=after)
    assert (code, done["done"], done["left"]) == (0, True, {})
    assert done["rewrapped"] >= 1
    back = before | {"ANIMATIZE_SECRET_KEY_PREVIOUS": json.dumps([NEW])}
    code, told, _ = run("rekey", environment=back)
    assert code == 0
    assert "it can go once no process runs with it" in told
    keys = {row["provider"]: row["masked"] for row in (await browser.get("/api/settings/api-keys"))["api_keys"]}
    assert keys["pika"] == "pk_l********back"


def test_a_wrong_secret_is_refused_and_nothing_is_begun(stack: Stack) -> None:
    code, told = run_json("rekey", environment=environment(stack, ANIMATIZE_SECRET_KEY=NEW))
    assert (code, told["exit_code"]) == (3, 3)
    assert "the vault is locked" in told["error"]
    assert SECRET not in str(told)
    assert NEW not in str(told)


def test_where_there_is_no_vault_none_is_made(tmp_path: Path) -> None:
    nowhere = environment(ANIMATIZE_WEB_DB_PATH=str(tmp_path / "data"), ANIMATIZE_SECRET_KEY=NEW)
    assert run("rekey", environment=nowhere)[0] == 3
    assert list(tmp_path.iterdir()) == []
