"""Where Google's keys come from: how seldom the issuer is asked, and what becomes of sign-in when it fails."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from joserfc.jwk import ECKey, OctKey

from auth_service.google_keys import GoogleKeys, life_of, parse
from chassis.documents import write
from chassis.problems import Problem
from tests.auth_service.conftest import Auth, Clock
from tests.auth_service.test_google import ask, refused
from tests.contract.shape import problem
from tests.issuer import Answer, Issuer, key_of


def jwk(**changed: Any) -> dict[str, Any]:
    return {**key_of(0).as_dict(private=False), **changed}


async def unavailable(auth: Auth, credential: str) -> int:
    """For how long, in seconds, sign-in is said to be closed."""
    answer = await ask(auth, credential)
    await problem(answer, 503, "google_unavailable")
    return int(answer.headers["Retry-After"])


def unknown(issuer: Issuer, n: int = 0) -> str:
    """A credential under a key that the issuer has never had."""
    return issuer.signed(issuer.claims(), kid=f"unheard-of-{n}")


async def test_keys_are_fetched_once_for_all_who_wait(google: Auth, issuer: Issuer) -> None:
    await asyncio.gather(*(google.admit(issuer.credential()) for _ in range(30)))
    await google.admit(issuer.credential())
    assert issuer.asked == 1


async def test_many_unknown_key_ids_cost_the_issuer_one_question_a_minute(
    google: Auth, issuer: Issuer, clock: Clock
) -> None:
    await google.admit(issuer.credential())
    for minute in range(1, 4):
        await asyncio.gather(*(refused(google, unknown(issuer, n), "unknown") for n in range(30)))
        clock.advance(seconds=59)
        await asyncio.gather(*(refused(google, unknown(issuer, n), "unknown") for n in range(30)))
        assert issuer.asked == 1 + minute
        await google.admit(issuer.credential())
        clock.advance(seconds=1)


async def test_the_very_first_credentials_may_be_of_unknown_keys(google: Auth, issuer: Issuer) -> None:
    await asyncio.gather(*(refused(google, unknown(issuer, n), "unknown") for n in range(30)))
    assert issuer.asked == 1
    await google.admit(issuer.credential())
    assert issuer.asked == 1


async def test_a_key_that_comes_new_is_fetched_at_its_first_credential(google: Auth, issuer: Issuer) -> None:
    before = issuer.credential("before")
    first = await google.admit(before)
    issuer.rotate(keep=True)
    await asyncio.gather(*(google.admit(issuer.credential(str(n))) for n in range(20)))
    assert issuer.asked == 2
    assert await google.admit(before) == first


async def test_rotation_in_the_middle_of_many_sign_ins_fails_none(google: Auth, issuer: Issuer, clock: Clock) -> None:
    async def person(n: int) -> dict[str, Any]:
        return await google.admit(issuer.credential(str(n)))

    for _ in range(3):
        half = [asyncio.create_task(person(n)) for n in range(15)]
        await asyncio.sleep(0)
        issuer.rotate(keep=True)
        assert len({each["owner"] for each in await asyncio.gather(*half, *(person(n) for n in range(15, 30)))}) == 30
        clock.advance(minutes=1)


async def test_a_revoked_key_is_believed_no_longer_than_its_answer_said(
    google: Auth, issuer: Issuer, clock: Clock
) -> None:
    issuer.cache_control = "public, max-age=600"
    await google.admit(issuer.credential())
    revoked = issuer.credential("thief")
    issuer.rotate(keep=False)
    clock.advance(seconds=599)
    assert await google.admit(revoked)
    clock.advance(seconds=1)
    await refused(google, revoked, "revoked")
    await google.admit(issuer.credential())
    assert issuer.asked == 2


async def test_a_revoked_key_is_gone_as_soon_as_a_new_one_was_met(google: Auth, issuer: Issuer) -> None:
    revoked = issuer.credential("thief")
    await google.admit(revoked)
    issuer.rotate(keep=False)
    await google.admit(issuer.credential())
    await refused(google, revoked, "revoked")


async def test_while_the_issuer_is_down_sign_in_is_closed_and_then_open_again(
    google: Auth, issuer: Issuer, clock: Clock
) -> None:
    await issuer.down()
    assert await unavailable(google, issuer.credential()) == 5
    await issuer.up()
    clock.advance(seconds=4)
    assert await unavailable(google, issuer.credential()) == 1
    clock.advance(seconds=1)
    assert await google.admit(issuer.credential())


async def test_keys_that_are_known_outlast_an_outage_but_not_their_time(
    google: Auth, issuer: Issuer, clock: Clock
) -> None:
    issuer.cache_control = "max-age=600"
    await google.admit(issuer.credential())
    await issuer.down()
    assert 5 < await unavailable(google, unknown(issuer)) <= 60
    assert await google.admit(issuer.credential("2"))
    clock.advance(seconds=600)
    await unavailable(google, issuer.credential())
    await issuer.up()
    clock.advance(seconds=5)
    assert await google.admit(issuer.credential())


async def status_500(_: web.Request) -> web.Response:
    return web.Response(status=500, body=write({"keys": [jwk()]}))


async def too_much(_: web.Request) -> web.Response:
    return web.Response(body=write({"keys": [jwk()], "more": "x" * 70_000}))


async def html(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>Sign in to the network</title>", content_type="text/html")


async def nothing(_: web.Request) -> web.Response:
    return web.Response()


async def no_keys(_: web.Request) -> web.Response:
    return web.json_response({"keys": []})


async def a_list(_: web.Request) -> web.Response:
    return web.json_response([1])


async def keys_that_are_none(_: web.Request) -> web.Response:
    return web.json_response({"keys": [None, 1, "a", [], {}, {"kid": "a", "kty": "RSA", "n": "!", "e": "AQAB"}]})


async def deep(_: web.Request) -> web.Response:
    return web.Response(body=b'{"keys": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", content_type="application/json")


async def no_text(_: web.Request) -> web.Response:
    return web.Response(body=b'{"keys": "\xff"}', content_type="application/json")


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"keys": [')
    assert request.transport is not None
    request.transport.abort()
    return response


async def without_end(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b" " * 65536)
    return response


async def a_bomb(_: web.Request) -> web.Response:
    """Little that would become much, whatever encodings were asked for."""
    bomb = gzip.compress(b'{"keys": [' + b" " * 30_000_000 + b"]}")
    return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})


FAILURES: list[Answer] = [status_500, too_much, html, nothing, no_keys, a_list, keys_that_are_none, deep, no_text, cut]


@pytest.mark.parametrize("failure", [*FAILURES, without_end, a_bomb], ids=lambda each: each.__name__)
async def test_an_answer_that_is_none_closes_sign_in_and_is_not_asked_for_again_at_once(
    google: Auth, issuer: Issuer, clock: Clock, failure: Answer
) -> None:
    issuer.instead = failure
    closed = await asyncio.gather(*(unavailable(google, issuer.credential(str(n))) for n in range(20)))
    assert set(closed) == {5}
    await unavailable(google, issuer.credential())
    assert issuer.asked == 1
    issuer.instead = None
    clock.advance(seconds=5)
    assert await google.admit(issuer.credential())
    assert issuer.asked == 2


async def test_a_redirect_is_not_followed(google: Auth, issuer: Issuer) -> None:
    async with Issuer(first_key=50) as other:

        async def elsewhere(_: web.Request) -> web.Response:
            raise web.HTTPFound(other.jwks_url)

        issuer.instead = elsewhere
        await unavailable(google, other.credential())
        assert (issuer.asked, other.asked) == (1, 0)


async def test_an_issuer_that_hangs_is_given_up_once_for_all_who_wait(
    google: Auth, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth_service.google_keys.TIMEOUT_SECONDS", 0.3)
    let_go = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await let_go.wait()
        return web.Response()

    issuer.instead = hang
    started = time.monotonic()
    await asyncio.gather(*(unavailable(google, issuer.credential(str(n))) for n in range(20)))
    assert time.monotonic() - started < 2
    assert issuer.asked == 1
    let_go.set()


async def test_an_issuer_that_drips_is_given_up(google: Auth, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth_service.google_keys.TIMEOUT_SECONDS", 0.3)

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    issuer.instead = drip
    started = time.monotonic()
    await unavailable(google, issuer.credential())
    assert time.monotonic() - started < 2


async def test_a_slow_issuer_keeps_nobody_waiting_who_does_not_need_it(google: Auth, issuer: Issuer) -> None:
    await google.admit(issuer.credential())
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        arrived.set()
        await let_go.wait()
        return web.Response(body=write(issuer.jwks()), content_type="application/json")

    issuer.instead = slow
    waiting = asyncio.create_task(ask(google, unknown(issuer)))
    await arrived.wait()
    assert await google.admit(issuer.credential("2"))
    assert not waiting.done()
    let_go.set()
    assert (await waiting).status == 401


@pytest.fixture
async def keys(issuer: Issuer, clock: Clock) -> AsyncIterator[GoogleKeys]:
    async with aiohttp.ClientSession() as http:
        yield GoogleKeys(issuer.jwks_url, http, clock.seconds)


async def test_one_who_gives_up_waiting_leaves_the_others_their_turn(keys: GoogleKeys, issuer: Issuer) -> None:
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        arrived.set()
        await let_go.wait()
        return web.Response(body=write(issuer.jwks()), content_type="application/json")

    issuer.instead = slow
    kid = str(issuer.key.kid)
    first, second = [asyncio.create_task(keys.find(kid)) for _ in range(2)]
    await arrived.wait()
    first.cancel()
    let_go.set()
    assert await second is not None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Cache-Control": "public, max-age=22043, must-revalidate, no-transform"}, 22043),
        ({"Cache-Control": "public,MAX-AGE=300"}, 300),
        ({"Cache-Control": 'max-age="300"'}, 300),
        ({"Cache-Control": "max-age=1000", "Age": "400"}, 600),
        ({"Cache-Control": "max-age=1000", "Age": "5000"}, 60),
        ({"Cache-Control": "max-age=1000", "Age": "soon"}, 1000),
        ({"Cache-Control": "max-age=0"}, 60),
        ({"Cache-Control": "max-age=-1"}, 3600),
        ({"Cache-Control": "max-age=1"}, 60),
        ({"Cache-Control": "max-age=31536000"}, 86400),
        ({"Cache-Control": "max-age=" + "9" * 5000}, 86400),
        ({"Cache-Control": "no-store"}, 60),
        ({"Cache-Control": "no-cache, max-age=3600"}, 60),
        ({"Cache-Control": "s-maxage=10"}, 3600),
        ({"Cache-Control": "max-age"}, 3600),
        ({"Cache-Control": "max-age=٣"}, 3600),
        ({}, 3600),
    ],
)
def test_keys_are_kept_as_long_as_is_said_within_sane_bounds(headers: dict[str, str], seconds: float) -> None:
    assert life_of(headers) == seconds


def test_only_keys_that_can_sign_an_id_token_are_taken() -> None:
    weak = "q" * 171  # 1024 bits
    listed = [
        jwk(),
        jwk(kid="for encryption", use="enc"),
        jwk(kid="for another algorithm", alg="PS256"),
        jwk(kid="weak", n=weak),
        jwk(kid="slow", n="q" * 5000),
        jwk(kid="even", e="AAAA"),
        jwk(kid=7),
        jwk(kid=["a"]),
        ECKey.generate_key("P-256", {"kid": "elliptic"}).as_dict(private=False),
        OctKey.generate_key(256, {"kid": "shared"}).as_dict(private=True),
        {name: value for name, value in jwk(kid="says only what it must").items() if name not in ("use", "alg")},
    ]
    assert set(parse(write({"keys": listed}))) == {"key-0", "says only what it must"}


async def test_a_private_key_that_an_issuer_gives_away_by_mistake_is_only_used_to_verify() -> None:
    [key] = parse(write({"keys": [key_of(0).as_dict(private=True)]})).values()
    assert not key.is_private


async def test_an_address_that_leads_nowhere_closes_sign_in(clock: Clock) -> None:
    async with aiohttp.ClientSession() as http:
        for url in ("http://127.0.0.1:9/", "https://127.0.0.1:9/", "http://name.invalid/"):
            with pytest.raises(Problem, match="cannot be reached"):
                await GoogleKeys(url, http, clock.seconds).find("key-0")
