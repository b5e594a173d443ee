"""How the gateway takes what a service answers, or does not."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import REGISTRY

from chassis.peers import Caller, Scope, Signer
from chassis.problems import Problem
from gateway.peer import Peer
from tests.processes import free_ports

WHO = Caller("guest:a", Scope.OWNER)
CUT = ("animatize_upstream_failures_total", {"service": "settings", "reason": "cut"})


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


async def problem_of(status: int, code: str, http: aiohttp.ClientSession, signer: Signer) -> Problem:
    async def answer(_: web.Request) -> web.Response:
        return Problem(status, code, "A sentence.", headers={"Retry-After": "7"}, current={"version": 3}).response()

    app = web.Application()
    app.router.add_get("/api/settings", answer)
    async with TestServer(app) as server:
        with pytest.raises(Problem) as raised:
            await Peer("settings", [str(server.make_url(""))], http, signer).call("GET", "/api/settings", WHO)
    return raised.value


@pytest.mark.parametrize("code", ["unsigned", "wrong_scope"])
async def test_that_a_service_distrusts_the_gateway_is_never_the_callers_401(
    code: str, http: aiohttp.ClientSession, signer: Signer
) -> None:
    assert (await problem_of(401, code, http, signer)).status == 503


async def test_a_services_own_problem_is_handed_on_whole(http: aiohttp.ClientSession, signer: Signer) -> None:
    problem = await problem_of(412, "precondition_failed", http, signer)
    assert (problem.status, problem.code, problem.detail) == (412, "precondition_failed", "A sentence.")
    assert problem.extra == {"current": {"version": 3}}
    assert problem.headers == {"Retry-After": "7"}
    assert (await problem_of(401, "session_ended", http, signer)).status == 401


async def test_a_service_that_is_not_there_is_named_with_when_to_try_again(
    http: aiohttp.ClientSession, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sending.RETRY_SECONDS", 0.1)
    (port,) = free_ports(1)
    with pytest.raises(Problem, match="vault service") as raised:
        await Peer("vault", [f"http://127.0.0.1:{port}"], http, signer).call("GET", "/api/providers", WHO)
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (503, "2")


async def test_an_answer_that_no_service_of_ours_gives_is_a_503_that_names_the_service(
    http: aiohttp.ClientSession, signer: Signer
) -> None:
    for status, text in ((401, "<html>who are you?</html>"), (401, "[]"), (500, "{}"), (500, "oops"), (200, "oops")):
        async with TestServer(answering(web.Response(status=status, text=text))) as server:
            with pytest.raises(Problem, match="settings service") as raised:
                await Peer("settings", [str(server.make_url(""))], http, signer).call("GET", "/api/settings", WHO)
        assert (raised.value.status, raised.value.extra) == (503, {"service": "settings"})


async def test_a_body_that_broke_off_at_its_sender_is_nobodys_fault_here(
    http: aiohttp.ClientSession, signer: Signer
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise Problem(400, "cut_off", "The body broke off.")

    before = REGISTRY.get_sample_value(*CUT)
    async with TestServer(answering(web.Response(text="well"))) as server:
        peer = Peer("settings", [str(server.make_url(""))], http, signer)
        for _ in range(6):
            with pytest.raises(Problem, match="broke off"):
                async with peer.ask("PUT", "/api/settings", WHO, data=broken()):
                    pass
    assert REGISTRY.get_sample_value(*CUT) == before


async def test_an_answer_that_breaks_off_at_the_service_counts_as_cut(
    http: aiohttp.ClientSession, signer: Signer
) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    before = REGISTRY.get_sample_value(*CUT) or 0.0
    app = web.Application()
    app.router.add_get("/api/settings", half)
    async with TestServer(app) as server:
        peer = Peer("settings", [str(server.make_url(""))], http, signer)
        async with peer.ask("GET", "/api/settings", WHO) as answer:
            with pytest.raises(Problem, match="settings service"):
                [piece async for piece in peer.pieces(answer)]
    assert REGISTRY.get_sample_value(*CUT) == before + 1


def answering(answer: web.Response) -> web.Application:
    async def give(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=answer.status, text=answer.text)

    app = web.Application()
    app.router.add_route("*", "/api/settings", give)
    return app
