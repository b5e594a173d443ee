"""How a user of the single-process console meets an account at Google, and every way in which it must not."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from auth_service import linking, monolith
from auth_service.tokens import fingerprint
from chassis.peers import Scope
from chassis.schema import connect
from tests.auth_service.conftest import Auth, Clock
from tests.contract.shape import problem
from tests.issuer import Issuer

MAYA, COOKIE = "user:u_maya", "0123456789abcdef0123456789abcdef"
OLD, LATER = "2026-11-22T10:00:00.000000+00:00", "2026-12-22T10:00:00.000000+00:00"


@pytest.fixture
async def migrated(google: Auth, database: Path, clock: Clock) -> Auth:
    """The auth service with a user of the old console, who is signed in still."""
    known(database, MAYA, "Maya@gmail.com", COOKIE)
    return google


def known(database: Path, owner: str, email: str, cookie: str | None = None, expires_at: str = LATER) -> None:
    user = monolith.User(owner, owner.removeprefix("user:"), email, "Maya", None, OLD, OLD)
    with closing(connect(database)) as tx:
        monolith.add_user(tx, user)
        if cookie is not None:
            monolith.add_session(tx, monolith.Session(owner, fingerprint(cookie), OLD, OLD, expires_at))


async def holding(auth: Auth, cookie: str, credential: str) -> dict[str, Any]:
    """Whom the credential admits that comes under the session of a cookie."""
    _, session = await auth.resolve(cookie)
    return await under(auth, session["owner"], session["session_id"], credential)


async def under(auth: Auth, owner: str, session: str | None, credential: str) -> dict[str, Any]:
    body = {"credential": credential}
    answer = await auth.post("/internal/google", owner=owner, session=session, scope=Scope.SYSTEM, json=body)
    assert answer.status == 200, await answer.text()
    admitted: dict[str, Any] = await answer.json()
    return admitted


def subs(database: Path) -> dict[str, str]:
    with closing(sqlite3.connect(database)) as tx:
        return dict(tx.execute("SELECT user_id, google_sub FROM users"))


async def test_a_migrated_session_is_its_users_before_any_account_is_known(migrated: Auth) -> None:
    status, session = await migrated.resolve(COOKIE)
    shown = {"id": "u_maya", "email": "Maya@gmail.com", "name": "Maya", "picture": None, "provider": "google"}
    assert (status, session["owner"], session["authenticated"], session["user"]) == (200, MAYA, True, shown)


@pytest.mark.parametrize("email", ["maya@gmail.com", "Maya@gmail.com"])
async def test_google_is_believed_of_its_own_addresses(migrated: Auth, issuer: Issuer, email: str) -> None:
    assert (await migrated.admit(issuer.credential("7", email)))["owner"] == MAYA
    assert (await migrated.admit(issuer.credential("7", "elsewhere@example.org")))["owner"] == MAYA


@pytest.mark.parametrize("domain", ["studio.example", "Studio.Example"])
async def test_google_is_believed_of_the_domain_that_it_hosts(
    google: Auth, issuer: Issuer, database: Path, domain: str
) -> None:
    known(database, MAYA, "maya@studio.example")
    assert (await google.admit(issuer.credential("7", "maya@studio.example", hd=domain)))["owner"] == MAYA


@pytest.mark.parametrize(
    ("email", "claims"),
    [
        ("maya@studio.example", {}),  # a Google account that somebody opened with this address
        ("maya@studio.example", {"hd": "attacker.example"}),  # a Workspace, but another
        ("maya@studio.example", {"hd": "example"}),
        ("maya@studio.example", {"hd": ""}),
        ("maya@studio.example", {"hd": True}),
        ("maya@studio.example", {"hd": ["studio.example"]}),
        ("maya@sub.studio.example", {"hd": "studio.example"}),
        ("m.aya@studio.example", {"hd": "studio.example"}),
        ("maya+1@studio.example", {"hd": "studio.example"}),
        ("maya@studio.example@gmail.com", {}),
        ("maya@ſtudio.example", {"hd": "ſtudio.example"}),
    ],
)
async def test_nobody_gets_in_by_an_address_that_google_cannot_vouch_for(
    google: Auth, issuer: Issuer, database: Path, email: str, claims: dict[str, Any]
) -> None:
    known(database, MAYA, "maya@studio.example")
    assert (await google.admit(issuer.credential("7", email, **claims)))["owner"] != MAYA
    assert subs(database)["u_maya"] == "unlinked:u_maya"


@pytest.mark.parametrize("email", ["m.aya@gmail.com", "maya@googlemail.com", "maya@gmail.com.example", "maya@mail.com"])
async def test_an_address_is_taken_letter_by_letter(migrated: Auth, issuer: Issuer, database: Path, email: str) -> None:
    assert (await migrated.admit(issuer.credential("7", email)))["owner"] != MAYA
    assert subs(database)["u_maya"] == "unlinked:u_maya"


async def test_an_address_that_google_has_not_verified_gets_nobody_in(migrated: Auth, issuer: Issuer) -> None:
    credential = issuer.credential("7", "maya@gmail.com", email_verified=False)
    assert (await problem(await migrated.ask("/internal/google", {"credential": credential}), 401))["code"]


async def test_a_second_account_with_the_same_address_is_somebody_else(
    migrated: Auth, issuer: Issuer, database: Path
) -> None:
    assert (await migrated.admit(issuer.credential("7", "maya@gmail.com")))["owner"] == MAYA
    other = await migrated.admit(issuer.credential("8", "maya@gmail.com"))
    assert other["owner"] != MAYA
    assert (await holding(migrated, COOKIE, issuer.credential("8", "maya@gmail.com")))["owner"] == other["owner"]
    assert subs(database)["u_maya"] == "7"


async def test_an_account_that_is_known_already_stays_its_own_user(
    google: Auth, issuer: Issuer, database: Path
) -> None:
    before = await google.admit(issuer.credential("7", "maya@gmail.com"))
    known(database, MAYA, "maya@gmail.com", COOKIE)
    assert (await google.admit(issuer.credential("7", "maya@gmail.com")))["owner"] == before["owner"]
    assert (await holding(google, COOKIE, issuer.credential("7", "maya@gmail.com")))["owner"] == before["owner"]


async def test_of_two_users_who_had_the_address_neither_is_met(google: Auth, issuer: Issuer, database: Path) -> None:
    known(database, MAYA, "maya@gmail.com")
    known(database, "user:u_other", "MAYA@gmail.com")
    admitted = await google.admit(issuer.credential("7", "maya@gmail.com"))
    assert admitted["owner"] not in (MAYA, "user:u_other")


async def test_whoever_holds_the_users_session_meets_the_account_of_the_same_address(
    google: Auth, issuer: Issuer, database: Path
) -> None:
    known(database, MAYA, "maya@studio.example", COOKIE)
    assert (await holding(google, COOKIE, issuer.credential("7", "Maya@studio.example")))["owner"] == MAYA
    assert (await google.admit(issuer.credential("7", "other@example.org")))["owner"] == MAYA


async def test_the_session_alone_or_the_address_alone_is_not_enough(
    google: Auth, issuer: Issuer, database: Path
) -> None:
    known(database, MAYA, "maya@studio.example", COOKIE)
    _, session = await google.resolve(COOKIE)
    _, guest = await google.open_guest()
    theirs = issuer.credential("7", "maya@studio.example")
    assert (await holding(google, COOKIE, issuer.credential("8", "attacker@studio.example")))["owner"] != MAYA
    for owner, held in (
        (guest["owner"], guest["session_id"]),
        (MAYA, guest["session_id"]),
        (guest["owner"], session["session_id"]),
        (MAYA, None),
    ):
        assert (await under(google, owner, held, theirs))["owner"] != MAYA


@pytest.mark.parametrize("how", ["expired", "ended"])
async def test_a_session_that_is_over_is_of_no_use(
    google: Auth, issuer: Issuer, database: Path, clock: Clock, how: str
) -> None:
    known(database, MAYA, "maya@studio.example", COOKIE)
    _, session = await google.resolve(COOKIE)
    if how == "ended":
        await google.log_out(COOKIE)
    else:
        clock.advance(days=100)
    credential = issuer.credential("7", "maya@studio.example")
    assert (await under(google, MAYA, session["session_id"], credential))["owner"] != MAYA


async def test_no_account_is_called_as_one_that_is_not_known_yet(migrated: Auth, issuer: Issuer) -> None:
    credential = issuer.credential("unlinked:u_maya", "attacker@example.org")
    assert (await migrated.ask("/internal/google", {"credential": credential})).status == 401


async def test_a_migrated_user_can_be_erased_as_every_other(migrated: Auth, database: Path) -> None:
    await migrated.erase(MAYA)
    assert subs(database) == {}
    assert (await migrated.resolve(COOKIE))[0] == 404


async def test_who_still_has_to_meet_an_account_is_listed_with_who_came_in_since(
    migrated: Auth, issuer: Issuer, database: Path
) -> None:
    known(database, "user:u_bo", "bo@studio.example")
    await migrated.admit(issuer.credential("7", "bo@studio.example"))
    with closing(connect(database)) as tx:
        assert linking.unlinked(tx) == [
            {"id": "u_bo", "email": "bo@studio.example", "accounts": ["7"]},
            {"id": "u_maya", "email": "Maya@gmail.com", "accounts": []},
        ]


async def test_nobody_is_looked_for_among_all_users(google: Auth, database: Path) -> None:
    with closing(connect(database)) as tx:
        plan = tx.execute(f"EXPLAIN QUERY PLAN {linking.BY_ADDRESS}", ("a",)).fetchall()
        others = tx.execute(f"EXPLAIN QUERY PLAN SELECT * FROM users WHERE {linking.IS_UNLINKED}").fetchall()
    assert "users_by_address" in plan[0]["detail"]
    assert "google_sub>?" in others[0]["detail"]
