"""A worker's token: who it is for and for how long; the worker of the documentation, run against real processes."""

import json
import sqlite3
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.animatize.running import environment, run, run_json
from tests.faults.files import owner_of_run
from tests.journeys.browser import Browser
from tests.processes import ROOT, SECRET, Stack

SCRIPT = ROOT / "docs" / "worker.py"
DAY = 24 * 3600
BY_ITSELF = environment(ANIMATIZE_SECRET_KEY=SECRET)


def claims(file: Path) -> Any:
    part = file.read_text(encoding="ascii").split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def made(folder: Path, *arguments: str) -> Path:
    file = folder / "token"
    assert run("worker-token", *arguments, "--out", str(file), environment=BY_ITSELF)[0] == 0
    return file


def test_a_token_is_for_one_service_one_owner_and_a_day(tmp_path: Path) -> None:
    file = tmp_path / "token"
    code, told = run_json("worker-token", "vault", "--owner", "user:1", "--out", str(file), environment=BY_ITSELF)
    found = claims(file)
    assert (code, found["aud"], found["sub"], found["scope"], found["exp"] - found["iat"]) == (
        0, "vault", "user:1", "worker", DAY,
    )  # fmt: skip
    assert (told["owner"], told["service"], told["worker"]) == ("user:1", "vault", found["sid"])


def test_it_is_told_nowhere_but_in_its_file_which_nobody_else_may_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    code, told, beside = run("worker-token", "runs", "--owner", "all", "--out", str(file), environment=BY_ITSELF)
    assert (code, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
    assert file.read_text().strip() not in told + beside
    assert file.read_text().split(".")[2].strip() not in told + beside


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    file = made(tmp_path, "runs", "--owner", "all")
    before = file.read_text()
    code, _, beside = run("worker-token", "runs", "--owner", "all", "--out", str(file), environment=BY_ITSELF)
    assert (code, file.read_text()) == (3, before)
    assert "there already" in beside


@pytest.mark.parametrize(("life", "seconds"), [("30m", 1800), ("8h", 8 * 3600), ("90d", 90 * DAY)])
def test_its_life_is_what_is_asked_for(tmp_path: Path, life: str, seconds: int) -> None:
    found = claims(made(tmp_path, "runs", "--owner", "all", "--life", life))
    assert (found["exp"] - found["iat"], found["sub"]) == (seconds, "*")


@pytest.mark.parametrize(
    "wrong",
    [
        ("runs", "--owner", "all", "--life", "91d"),
        ("runs", "--owner", "all", "--life", "2161h"),
        ("runs", "--owner", "all", "--life", "0h"),
        ("runs", "--owner", "all", "--life", "for ever"),
        ("runs", "--owner", "*"),
        ("runs", "--owner", "somebody"),
        ("runs", "--owner", "user:1,user:2"),
        ("runs", "--owner", "all", "--name", "a worker"),
        ("settings", "--owner", "all"),
        ("runs",),
    ],
)
def test_what_is_no_token_makes_no_file(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    assert run("worker-token", *wrong, "--out", str(tmp_path / "token"), environment=BY_ITSELF)[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_without_a_secret_none_is_made_up(tmp_path: Path) -> None:
    """It would sign what no service believes, and stand where the next `make run` finds it."""
    nowhere = environment(ANIMATIZE_WEB_DB_PATH=str(tmp_path / "data"))
    code, _, beside = run(
        "worker-token", "runs", "--owner", "all", "--out", str(tmp_path / "token"), environment=nowhere
    )
    assert (code, list(tmp_path.iterdir())) == (3, [])
    assert "no root secret" in beside


async def test_the_documented_worker_reads_a_key_and_writes_a_run(
    stack: Stack, browser: Browser, tmp_path: Path
) -> None:
    await browser.put("/api/runs/mine", {"run_id": "mine"})
    await browser.put("/api/settings/api-keys/runway", {"api_key": "rk_live_of_the_worker"})
    owner = owner_of_run(stack.data, "mine")
    tokens = {}
    for service in ("vault", "runs"):
        (tmp_path / service).mkdir()
        tokens[f"WORKER_{service.upper()}_TOKEN_FILE"] = str(made(tmp_path / service, service, "--owner", "all"))
    code, told, beside = worked(stack, tokens, owner, "R7c2f9a10", "a fox in the snow")
    assert (code, told) == (0, f"R7c2f9a10 of {owner} is written\n"), beside
    run = await browser.get("/api/runs/R7c2f9a10")
    assert (run["status"], run["intent"], run["params"]) == ("success", "a fox in the snow", {"provider": "runway"})
    assert audit(stack, "vault", "SELECT owner, session, outcome FROM key_reads", owner) == [
        (owner, claims(Path(tokens["WORKER_VAULT_TOKEN_FILE"]))["sid"], "served")
    ]
    assert audit(stack, "runs", "SELECT owner, worker, run_id, created FROM worker_writes", owner) == [
        (owner, claims(Path(tokens["WORKER_RUNS_TOKEN_FILE"]))["sid"], "R7c2f9a10", 1)
    ]
    swapped = dict(zip(tokens, reversed(tokens.values()), strict=True))
    code, _, beside = worked(stack, swapped, owner, "R2", "with the token of the other service")
    assert (code, beside) == (1, "no key: The service token is not a valid one for this service.\n")


def worked(stack: Stack, tokens: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    urls = {f"ANIMATIZE_{name.upper()}_URL": stack.url_of(f"{name}_service") for name in ("vault", "runs")}
    given = environment() | urls | tokens
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], env=given, capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stdout, done.stderr


def audit(stack: Stack, name: str, query: str, owner: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(stack.data / f"animatize_web.{name}.db")) as file:
        return file.execute(f"{query} WHERE owner = ?", (owner,)).fetchall()


def test_the_documentation_shows_the_worker_as_it_is() -> None:
    assert f"```python\n{SCRIPT.read_text()}```" in (ROOT / "docs" / "command.md").read_text()
