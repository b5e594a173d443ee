"""What every route answers, and what it makes of rubbish."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.peers import Scope
from tests.auth_service.conftest import Auth, Start

INTERNAL = (
    "/internal/sessions",
    "/internal/sessions/resolve",
    "/internal/sessions/wrote",
    "/internal/sessions/logout",
    "/internal/sessions/sign-in",
    "/internal/google",
    "/internal/guests/claim",
    "/internal/erasure",
)


async def test_bootstrap_tells_the_public_side_of_a_session(auth: Auth) -> None:
    _, session = await auth.open_guest()
    assert await auth.as_session(session, "GET", "/api/session/bootstrap") == (
        200,
        {
            "session_id": session["session_id"],
            "authenticated": False,
            "user": None,
            "expires_at": session["expires_at"],
        },
    )


async def test_a_guest_is_not_signed_in(auth: Auth) -> None:
    _, session = await auth.open_guest()
    assert await auth.as_session(session, "GET", "/api/auth/me") == (200, {"authenticated": False, "user": None})


async def test_a_caller_without_a_session_has_ended(auth: Auth) -> None:
    for path in ("/api/session/bootstrap", "/api/auth/me", "/api/auth/sessions"):
        answer = await auth.get(path)
        assert (answer.status, (await answer.json())["code"]) == (401, "session_ended")


async def test_config_needs_no_session(start: Start) -> None:
    off = await (await start()).get("/api/auth/config", owner="nobody")
    assert await off.json() == {"google_enabled": False, "google_client_id": None}
    on = await (await start(GOOGLE_CLIENT_ID="an-id.apps.example")).get("/api/auth/config", owner="nobody")
    assert await on.json() == {"google_enabled": True, "google_client_id": "an-id.apps.example"}


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"),
        ("a\r\nSet-Cookie: b\x00\x1b[31m\u202e\x7f", "aSet-Cookie: b[31m"),
        ("x" * 301, "x" * 300),
        ("Żółw 🎬", "Żółw 🎬"),
        ("\n\t", None),
        ("", None),
        (None, None),
    ],
)
async def test_a_user_agent_is_kept_short_and_without_control_characters(
    auth: Auth, given_name: str | None, kept: str | None
) -> None:
    _, session = await auth.open_guest(given_name)
    _, listed = await auth.as_session(session, "GET", "/api/auth/sessions")
    assert [each["user_agent"] for each in listed["sessions"]] == [kept]


async def test_markup_in_a_user_agent_stays_text(auth: Auth) -> None:
    _, session = await auth.open_guest("<script>alert(1)</script>")
    answer = await auth.get("/api/auth/sessions", owner=session["owner"], session=session["session_id"])
    assert answer.content_type == "application/json"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NEARLY = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("token", "user_agent", "credential", "limit", "wrote"), JSON)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(INTERNAL), body=JSON | NEARLY)
async def test_rubbish_gets_a_problem_and_breaks_nothing(auth: Auth, path: str, body: Any) -> None:
    answer = await auth(
        "POST",
        path,
        owner="system",
        scope=Scope.SYSTEM,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status < 500 or (path, answer.status) == ("/internal/google", 503)
    if answer.status >= 400:
        assert {"type", "title", "status", "detail", "code", "request_id"} <= set(await answer.json())


async def test_an_unknown_field_of_a_body_is_named(auth: Auth) -> None:
    answer = await auth.ask("/internal/sessions", {"owner": "user:root"})
    assert answer.status == 400
    assert [error["pointer"] for error in (await answer.json())["errors"]] == ["/owner"]


async def test_the_openapi_part_names_every_public_route_and_no_other(auth: Auth) -> None:
    answer = await auth.get("/internal/openapi", owner="system", scope=Scope.SYSTEM)
    document = await answer.json()
    assert set(document["paths"]) == {
        "/api/session/bootstrap",
        "/api/auth/config",
        "/api/auth/me",
        "/api/auth/sessions",
        "/api/auth/sessions/{session_id}",
    }
    assert set(document["paths"]["/api/auth/sessions"]) == {"get", "delete"}
