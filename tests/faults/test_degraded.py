"""Each service away, alone: stopped, killed or hanging. What needs it is a 503 that says so, and all else works."""

import asyncio
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

import pytest
from yarl import URL

from chassis.peers import JWKS_PATH
from gateway.identity import COOKIE, FRESH_SECONDS
from gateway.routes import ROUTES
from tests.faults.files import at_rest, check_files
from tests.faults.outages import ALL, QUESTIONS
from tests.faults.plan import spread
from tests.faults.visitors import Answer, Visitor, visitors
from tests.journeys.browser import Browser
from tests.processes import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

UNKNOWN: Final = "an-unknown-cookie-of-forty-three-characters"
HEALTH_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 14.0  # also where a service hangs: 10 for its answer, and the rest for two busy cores
RESTORE_SECONDS: Final = 20.0  # one that cannot begin is taken back, for which the same service is asked again


def _stop(stack: Stack, name: str) -> None:
    stack.stop(name, with_signal=signal.SIGTERM)


# How a service goes away, and how it comes back.
OUTAGES: Final[dict[str, tuple[Callable[[Stack, str], None], Callable[[Stack, str], None]]]] = {
    "stopped": (_stop, Stack.start),
    "killed": (Stack.kill, Stack.start),
    "hanging": (Stack.suspend, Stack.resume),
}


def check_refused(answer: Answer, away: str) -> None:
    """A 503 that tells a person, and a program, who does not answer and when to try again."""
    status, headers, body = answer
    problem = json.loads(body)
    assert (status, headers["Content-Type"].partition(";")[0]) == (503, "application/problem+json"), problem
    assert int(headers["Retry-After"]) > 0
    assert away in problem["detail"]
    assert problem["service"] == away
    assert problem.keys() >= {"type", "title", "status", "code", "request_id"}


async def ask(visitor: Visitor, away: str) -> None:
    """The visitor's question, answered as it must be, in bounded time."""
    started = time.monotonic()
    answer = await visitor.ask()
    took = time.monotonic() - started
    print(f"without {away}: {visitor.question} {answer[0]} {took:.1f} s")
    assert took < (RESTORE_SECONDS if "restore" in visitor.question.path else ANSWER_SECONDS)
    if visitor.question.blocked_by(away):
        check_refused(answer, away)
    else:
        assert 200 <= answer[0] < 300, answer


@pytest.fixture(name="stacks", scope="module")
def one_stack_for_each_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stack]]:
    """By the name of the service that goes away in it; so several outages can be at once, each alone."""
    made = {name: Stack(tmp_path_factory.mktemp(name)) for name in spread(ALL, 2)}
    with ExitStack() as ending, ThreadPoolExecutor() as together:
        for stack in made.values():
            ending.callback(stack.stop)
        list(together.map(Stack.start, made.values()))
        yield made


@pytest.mark.parametrize("kind", spread(tuple(OUTAGES), 2))
async def test_one_service_away_leaves_the_others_working_and_comes_back_to_everything(
    stacks: dict[str, Stack], kind: str
) -> None:
    async with asyncio.TaskGroup() as group:
        for away, stack in stacks.items():
            group.create_task(_live_through(stack, away, kind))


async def _live_through(stack: Stack, away: str, kind: str) -> None:
    go_away, come_back = OUTAGES[kind]
    async with visitors(stack.url, QUESTIONS) as all_:
        await asyncio.to_thread(go_away, stack, f"{away}_service")
        await asyncio.sleep(FRESH_SECONDS)  # a gateway believes as long what it was told of a session
        try:
            asking = (ask(visitor, away) for visitor in all_)
            others = (check(stack, away) for check in (_check_health, _check_strangers, _check_leaving))
            await asyncio.gather(*asking, *others)
        finally:
            await asyncio.to_thread(come_back, stack, f"{away}_service")
        await asyncio.to_thread(stack.wait_until_ready)
        await at_rest(stack.data)
        await asyncio.gather(*(visitor.check(may_have_been_done=kind == "hanging") for visitor in all_))
    check_files(stack.data)
    async with Browser(stack.url) as browser:
        assert (await browser.get("/health"))["status"] == "ok"


async def _check_health(stack: Stack, away: str) -> None:
    """It says who is away, soon, also while others ask; and that the gateway itself is there."""
    async with Browser(stack.url) as browser:
        for _ in range(2):
            started = time.monotonic()
            told = await browser.get("/health")
            assert time.monotonic() - started < HEALTH_SECONDS
            assert told["status"] == "degraded"
            assert told["services"] == {name: "unavailable" if name == away else "ok" for name in ALL}
            assert (await browser.ask("GET", "/health/live"))[0] == 200
        status, headers, body = await browser.ask("GET", "/health/ready")
        problem = json.loads(body)
        assert (status, "Retry-After" in headers, problem["unavailable"]) == (503, True, [away])
        assert away in problem["detail"]
        assert not list(browser.jar)


async def _check_strangers(stack: Stack, away: str) -> None:
    """Without a cookie, or with one that the gateway does not know: no guest, no 401 and no cookie without auth."""
    bodies: dict[str, dict[str, Any]] = {"GET": {}, "PUT": {"json": {"run_id": "a"}}}
    asked = [(method, rest, cookies) for method, rest in bodies.items() for cookies in ({}, {COOKIE: UNKNOWN})]
    answers = await asyncio.gather(*(_ask_as_stranger(stack, *each) for each in asked))
    for (method, _, cookies), answer in zip(asked, answers, strict=True):
        if away == "auth":
            assert "Set-Cookie" not in answer[1]
            check_refused(answer, away)
        elif method == "PUT" and cookies:
            assert (answer[0], json.loads(answer[2])["code"]) == (401, "session_ended")
        elif away == "runs":
            assert "Set-Cookie" not in answer[1], "a guest that got nothing else is none that anybody keeps"
            check_refused(answer, away)
        else:
            assert (answer[0] in (201, 404), "Set-Cookie" in answer[1]) == (True, True)


async def _ask_as_stranger(stack: Stack, method: str, rest: dict[str, Any], cookies: dict[str, str]) -> Answer:
    async with Browser(stack.url) as stranger:
        stranger.jar.update_cookies(cookies, URL(stack.url))
        return await stranger.ask(method, "/api/runs/a", **rest)


async def _check_leaving(stack: Stack, away: str) -> None:
    """Logging out needs the auth service alone, and without it nobody is logged out."""
    async with Browser(stack.url) as stranger:
        answer = await stranger.ask("POST", "/api/auth/logout")
        assert ("Set-Cookie" in answer[1]) == (away != "auth")
        if away == "auth":
            check_refused(answer, away)


async def test_every_public_route_is_asked_during_an_outage() -> None:
    left = {
        "/api/auth/google",
        "/api/account",
        "/api/auth/sessions/{id}",
        "/api/auth/logout",
        "/health",
        JWKS_PATH,
        "/console/{file:.+}",
        "/api/events",  # a stream, and no answer to wait for: see test_in_step.py, which takes a service away as well
    }
    routes = {(route.method, route.path) for route in ROUTES if route.path not in left}
    asked = {(question.method, question.path.partition("?")[0]) for question in QUESTIONS}
    for method, path in routes:
        pattern = re.sub(r"{[^}]*}", "[^/]+", path.replace("{run_id:[^/]+}", "{}").replace("{variant_id:[^/]+}", "{}"))
        assert any(each == method and re.fullmatch(pattern, address) for each, address in asked), (method, path)
