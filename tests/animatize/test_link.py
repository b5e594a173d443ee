"""The operator says which account a user of the single-process console is."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import animatize.link
from auth_service.clock import utc_now
from auth_service.google import Person
from auth_service.lifetimes import Lifetime
from auth_service.linking import now
from auth_service.store import Store
from auth_service.users import Users
from chassis.database import opened
from chassis.schema import connect
from settings_service.versions import open_profile
from tests import old_console
from tests.animatize.commanding import Command
from tests.old_console import ANA, BO

SUB = "108204268033311374519"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Over the files that the small old console was moved into; nobody's patience is tried."""
    monkeypatch.setattr(animatize.link, "SETTLED_SECONDS", 0)
    command = Command(tmp_path / "data", monkeypatch)
    old = old_console.small(tmp_path / "monolith.db")
    command("migrate-monolith", old.path, "--yes")
    return command


def users(command: Command) -> dict[str, str]:
    with closing(sqlite3.connect(command.file("auth"))) as tx:
        return dict(tx.execute("SELECT user_id, google_sub FROM users"))


async def sign_in(command: Command, sub: str, email: str) -> str:
    """Whoever has the account comes in; the owner that they are."""
    async with opened(command.file("auth"), "auth_service") as database:
        admitted = await Users(database, utc_now).admit(Person(sub, email, "Bo", None, at_google=False))
        await Store(database, Lifetime(timedelta(days=1)), utc_now).sign_in(admitted.owner, None, None)
        return admitted.owner


@pytest.mark.parametrize("who", ["u_bo", BO, "bo@example.org", "BO@example.org"])
async def test_a_user_is_the_account_that_the_operator_names(command: Command, who: str) -> None:
    assert command.json("link", who, SUB) == (0, {"linked": "u_bo", "was_before": False, "removed": None})
    assert command.json("link", who, SUB) == (0, {"linked": "u_bo", "was_before": True, "removed": None})
    assert await sign_in(command, SUB, "elsewhere@example.org") == BO


def test_who_still_has_to_meet_an_account_is_listed(command: Command) -> None:
    command("link", "u_ana", SUB)
    unlinked = [{"id": "u_bo", "email": "bo@example.org", "accounts": []}]
    assert command.json("link") == (0, {"unlinked": unlinked})
    assert command("link") == (0, "u_bo  bo@example.org\n")
    command("link", "u_bo", "7")
    assert command("link") == (0, "Every user has met an account.\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("u_bo",), 2),
        (("u_bo", "ana@gmail.com"), 2),
        (("u_bo", "unlinked:u_ana"), 2),
        (("u_bo", ""), 2),
        (("u_bo", "1" * 256), 2),
        (("u_nobody", SUB), 3),
        (("nobody@example.org", SUB), 3),
    ],
)
def test_what_cannot_be_meant_changes_nothing(command: Command, arguments: tuple[str, ...], code: int) -> None:
    before = users(command)
    assert command.json("link", *arguments)[0] == code
    assert users(command) == before


def test_a_user_who_has_met_an_account_meets_no_other(command: Command) -> None:
    command("link", "u_bo", SUB)
    assert command.json("link", "u_bo", "7")[0] == 3
    assert users(command)["u_bo"] == SUB


async def test_whoever_signed_in_too_early_and_has_nothing_yet_makes_room(command: Command) -> None:
    early = await sign_in(command, SUB, "bo@example.org")
    with closing(connect(command.file("settings"))) as tx:
        open_profile(tx, early)  # the console looked at it
    assert command.json("link")[1]["unlinked"][1]["accounts"] == [SUB]
    told = {"linked": "u_bo", "was_before": False, "removed": early.removeprefix("user:")}
    assert command.json("link", "bo@example.org", SUB) == (0, told)
    assert users(command) == {"u_ana": "unlinked:u_ana", "u_bo": SUB}
    assert await sign_in(command, SUB, "bo@example.org") == BO
    for name, table in (("settings", "profiles"), ("settings", "versions")):
        with closing(sqlite3.connect(command.file(name))) as tx:
            assert tx.execute(f"SELECT count(*) FROM {table} WHERE owner = ?", (early,)).fetchone() == (0,)
    with closing(sqlite3.connect(command.file("auth"))) as tx:
        live = "SELECT count(*) FROM sessions WHERE owner = ? AND over_at > ?"
        assert tx.execute(live, (early, now())).fetchone() == (0,)


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("settings", "UPDATE versions SET change_note = 'mine' WHERE owner = ?"),
        ("runs", "INSERT INTO runs (owner, run_id, arrived, digest, size, content_id) VALUES (?, 'R', 1, '', 0, 1)"),
        ("vault", "INSERT INTO api_keys VALUES (?, 'runway', 'k', x'00', x'00', '', '')"),
    ],
)
async def test_whoever_signed_in_too_early_and_has_something_loses_nothing(
    command: Command, name: str, statement: str
) -> None:
    early = await sign_in(command, SUB, "bo@example.org")
    with closing(connect(command.file("settings"))) as tx:
        open_profile(tx, early)
    with closing(connect(command.file(name))) as tx:
        tx.execute(statement, (early,))
    before = users(command)
    code, told = command.json("link", "u_bo", SUB)
    assert (code, early in told["error"]) == (3, True)
    assert users(command) == before
    with closing(sqlite3.connect(command.file("auth"))) as tx:
        assert tx.execute("SELECT ended_at FROM sessions WHERE owner = ?", (early,)).fetchone() == (None,)


async def test_whoever_comes_back_while_room_is_made_stays(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    early = await sign_in(command, SUB, "bo@example.org")
    make_room: Callable[..., Any] = animatize.link._make_room

    def interrupted(files: Any, other: str) -> None:
        make_room(files, other)
        files["auth_service"].execute(
            "UPDATE sessions SET ended_at = NULL, expires_at = '9' WHERE owner = ?", (f"user:{other}",)
        )

    monkeypatch.setattr(animatize.link, "_make_room", interrupted)
    assert command.json("link", "u_bo", SUB)[0] == 4
    assert users(command)[early.removeprefix("user:")] == SUB


def test_without_files_it_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = Command(tmp_path / "nothing", monkeypatch)
    assert command.json("link", "u_bo", SUB)[0] == command.json("link")[0] == 3
    assert not (tmp_path / "nothing").exists()


def test_another_user_is_not_given_the_account_of_one_who_has_things(command: Command) -> None:
    command("link", "u_bo", SUB)
    code, told = command.json("link", ANA, SUB)
    assert (code, users(command)["u_bo"]) == (3, SUB)
    assert "u_bo" in told["error"]
