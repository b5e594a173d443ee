"""Who is asking: every way in which a token proves nothing."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from pydantic import SecretStr

from chassis import peers, public_keys
from chassis.peers import (
    ALGORITHM,
    EVERY_OWNER,
    ISSUER,
    JWKS_PATH,
    MOST_WORKER_SECONDS,
    Caller,
    Scope,
    Signer,
    Verifier,
    bearer,
)
from chassis.problems import Problem

ROOT, NEW_ROOT = SecretStr("the root secret of these tests"), SecretStr("the root secret after the rotation")
ADA = Caller("user:ada", Scope.OWNER, "s-1")


class Gateway:
    """Hands out the public keys of `signer`, counts how often, and can be slow or broken. Made by `serving`."""

    def __init__(self, signer: Signer) -> None:
        self.signer, self.asked, self.delay, self.broken = signer, 0, 0.0, False
        self.url = ""

    async def keys(self, _: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.delay)
        if self.broken:
            return web.Response(status=500, text="<html>")
        return web.json_response(self.signer.jwks())


@asynccontextmanager
async def serving(root: SecretStr, *previous: SecretStr) -> AsyncIterator[Gateway]:
    gateway = Gateway(Signer(root, previous))
    app = web.Application()
    app.router.add_get(JWKS_PATH, gateway.keys)
    async with TestServer(app) as server:
        gateway.url = str(server.make_url("")).rstrip("/")
        yield gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with serving(ROOT) as gateway:
        yield gateway


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
def verifier(gateway: Gateway, http: aiohttp.ClientSession) -> Verifier:
    return Verifier("runs", [gateway.url], http)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": "runs", "sub": "user:ada", "scope": "owner", "iat": now, "exp": now + 60}
    return {name: value for name, value in (whole | changed).items() if value is not None}


def signed(signer: Signer, payload: dict[str, Any], **header: Any) -> str:
    key = signer._keys[0]
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid} | header, payload, key, algorithms=[ALGORITHM])


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refused(verifier: Verifier, token: str, status: int = 401) -> Problem:
    with pytest.raises(Problem) as found:
        await verifier.verify(token)
    assert found.value.status == status, found.value.detail
    return found.value


@pytest.mark.parametrize("caller", [ADA, Caller("guest:ż🎬", Scope.SYSTEM), Caller("user:1", Scope.WORKER, "s")])
async def test_what_was_signed_is_what_is_verified(verifier: Verifier, gateway: Gateway, caller: Caller) -> None:
    assert await verifier.verify(gateway.signer.token(caller, "runs")) == caller


def test_a_token_lives_a_minute_at_most_and_is_reused_for_half_of_it() -> None:
    signer = Signer(ROOT)
    token = signer.token(ADA, "runs")
    assert signer.token(ADA, "runs") == token
    body = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert body["exp"] - body["iat"] <= 60
    assert peers.REUSE_SECONDS <= 30
    others = [
        Caller("user:bob", Scope.OWNER, "s-1"),
        Caller("user:ada", Scope.SYSTEM, "s-1"),
        Caller("user:ada", Scope.OWNER),
    ]
    assert token not in {signer.token(each, "runs") for each in others} | {signer.token(ADA, "vault")}


def test_all_gateways_with_one_secret_share_the_key_and_publish_only_its_public_half() -> None:
    one, other = Signer(ROOT).jwks(), Signer(ROOT).jwks()
    assert one == other
    assert [set(key) & {"d", "k", "p", "q"} for key in one["keys"]] == [set()]
    assert Signer(NEW_ROOT).jwks()["keys"][0]["kid"] != one["keys"][0]["kid"]


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "vault"}, {"aud": None}, {"aud": ["vault"]}, {"iss": "somebody"}, {"iss": None},
        {"sub": None}, {"sub": ""},
        {"exp": 0}, {"exp": None}, {"exp": "tomorrow"}, {"exp": int(time.time()) - 6},
        {"iat": None},
        {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200}, {"nbf": int(time.time()) + 3600},
        {"scope": "admin"}, {"scope": None}, {"scope": ["owner"]},
    ],
)  # fmt: skip
async def test_a_token_with_another_claim_proves_nothing(
    verifier: Verifier, gateway: Gateway, changed: dict[str, Any]
) -> None:
    problem = await refused(verifier, signed(gateway.signer, claims(**changed)))
    assert problem.code == "unsigned"
    assert problem.headers["WWW-Authenticate"] == "Bearer"


async def test_a_verified_token_expires_too(
    verifier: Verifier, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = gateway.signer.token(ADA, "runs")
    await verifier.verify(token)
    later = time.time() + peers.LIFE_SECONDS + peers.LEEWAY_SECONDS + 2
    monkeypatch.setattr("chassis.peers.time.time", lambda: later)
    assert "expired" in (await refused(verifier, token)).detail


async def test_an_altered_token_proves_nothing(verifier: Verifier, gateway: Gateway) -> None:
    token = gateway.signer.token(ADA, "runs")
    await verifier.verify(token)
    header, payload, signature = token.split(".")
    other = gateway.signer.token(Caller("user:eve", Scope.OWNER), "runs").split(".")
    for altered in (
        f"{header}.{other[1]}.{signature}",
        f"{header}.{payload}.{other[2]}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{part(claims(sub='user:eve'))}.{signature}",
        token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB"),
        token + ".x",
    ):
        await refused(verifier, altered)


async def test_an_unsigned_token_proves_nothing(verifier: Verifier, gateway: Gateway) -> None:
    kid = gateway.signer.jwks()["keys"][0]["kid"]
    for algorithm in ("none", "None", "NONE", ""):
        await refused(verifier, f"{part({'alg': algorithm, 'kid': kid})}.{part(claims())}.")
    await refused(verifier, f"{part({'kid': kid})}.{part(claims())}.")


async def test_the_public_key_is_no_shared_secret(verifier: Verifier, gateway: Gateway) -> None:
    """The old confusion of HS256 with a public key (RFC 8725, 2.1)."""
    published = gateway.signer.jwks()["keys"][0]
    raw = base64.urlsafe_b64decode(published["x"] + "==")
    for secret in (raw, published["x"].encode(), json.dumps(published).encode()):
        key = OctKey.import_key(secret)
        forged = jwt.encode({"alg": "HS256", "kid": published["kid"]}, claims(), key, algorithms=["HS256"])
        await refused(verifier, forged)


async def test_a_key_of_ones_own_under_the_published_id_proves_nothing(verifier: Verifier, gateway: Gateway) -> None:
    kid = gateway.signer.jwks()["keys"][0]["kid"]
    own = OKPKey.generate_key("Ed25519")
    for header in ({}, {"jwk": own.as_dict(private=False)}, {"jku": "http://127.0.0.1:1/"}):
        forged = jwt.encode({"alg": ALGORITHM, "kid": kid} | header, claims(), own, algorithms=[ALGORITHM])
        await refused(verifier, forged)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.dictionaries(st.sampled_from(["kid", "alg", "b64", "crit"]), inner) | st.lists(inner),
)


@given(st.text(max_size=60) | st.builds(lambda header, body: f"{part(header)}.{part(body)}.AAAA", JSON, JSON))
async def test_rubbish_is_a_401_or_a_503_and_never_a_fault_of_ours(token: str) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(Problem) as found:
            await Verifier("runs", [], http).verify(token)
    assert found.value.status in (401, 503)


@pytest.mark.parametrize("header", ["[" * 6000, "[]", "1", '"kid"', "null", '{"kid": {}}', '{"kid": null}', "\udcff"])
async def test_a_hostile_header_is_a_401(verifier: Verifier, header: str) -> None:
    encoded = base64.urlsafe_b64encode(header.encode("utf-8", "surrogateescape")).rstrip(b"=").decode()
    await refused(verifier, f"{encoded}.{part(claims())}.AAAA")


async def test_both_keys_work_while_a_rotation_is_under_way(
    verifier: Verifier, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = gateway.signer
    await verifier.verify(old.token(ADA, "runs"))
    gateway.signer = Signer(NEW_ROOT, previous=[ROOT])
    monkeypatch.setattr(public_keys, "REFETCH_SECONDS", 0.0)
    assert await verifier.verify(gateway.signer.token(ADA, "runs")) == ADA
    assert await verifier.verify(old.token(Caller("user:bob", Scope.OWNER), "runs"))
    assert gateway.asked == 2


async def test_a_retired_key_proves_nothing_any_more(
    verifier: Verifier, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = gateway.signer
    await verifier.verify(old.token(ADA, "runs"))
    gateway.signer = Signer(NEW_ROOT)
    monkeypatch.setattr(public_keys, "REFETCH_SECONDS", 0.0)
    await verifier.verify(gateway.signer.token(ADA, "runs"))
    await refused(verifier, old.token(Caller("user:bob", Scope.OWNER), "runs"))


async def test_many_callers_at_once_ask_the_gateway_once(verifier: Verifier, gateway: Gateway) -> None:
    gateway.delay = 0.05
    tokens = [gateway.signer.token(Caller(f"user:{number}", Scope.OWNER), "runs") for number in range(50)]
    assert len(await asyncio.gather(*map(verifier.verify, tokens))) == 50
    assert gateway.asked == 1


async def test_unknown_key_ids_do_not_make_the_gateway_busy(verifier: Verifier, gateway: Gateway) -> None:
    stranger = Signer(NEW_ROOT)
    for number in range(20):
        await refused(verifier, signed(stranger, claims(), kid=f"key-{number}"))
    assert gateway.asked == 1


async def test_without_a_gateway_it_is_our_fault_and_nobodys_401(gateway: Gateway, http: aiohttp.ClientSession) -> None:
    token = gateway.signer.token(ADA, "runs")
    unreachable = Verifier("runs", ["http://127.0.0.1:1"], http)
    problem = await refused(unreachable, token, 503)
    assert problem.code == "keys_unreachable"
    assert "Retry-After" in problem.headers
    gateway.broken = True
    await refused(Verifier("runs", [gateway.url], http), token, 503)


async def test_the_next_gateway_is_asked_where_one_is_gone(gateway: Gateway, http: aiohttp.ClientSession) -> None:
    verifier = Verifier("runs", ["http://127.0.0.1:1", gateway.url], http)
    assert await verifier.verify(gateway.signer.token(ADA, "runs")) == ADA


async def test_callers_that_wait_for_a_gateway_that_is_gone_share_one_attempt(
    verifier: Verifier, gateway: Gateway
) -> None:
    gateway.broken, gateway.delay = True, 0.1
    tokens = [gateway.signer.token(Caller(f"user:{number}", Scope.OWNER), "runs") for number in range(20)]
    await asyncio.gather(*(refused(verifier, token, 503) for token in tokens))
    assert gateway.asked == 1


async def test_a_gateway_that_comes_back_is_found_again(
    verifier: Verifier, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.broken = True
    token = gateway.signer.token(ADA, "runs")
    await refused(verifier, token, 503)
    gateway.broken = False
    monkeypatch.setattr(public_keys, "REFETCH_SECONDS", 0.0)
    assert await verifier.verify(token) == ADA


async def test_known_keys_need_no_gateway(verifier: Verifier, gateway: Gateway) -> None:
    await verifier.verify(gateway.signer.token(ADA, "runs"))
    gateway.broken = True
    assert await verifier.verify(gateway.signer.token(Caller("user:bob", Scope.OWNER), "runs"))


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "token"])
def test_a_header_without_a_token_is_a_401(header: str | None) -> None:
    request = make_mocked_request("GET", "/", headers={} if header is None else {"Authorization": header})
    with pytest.raises(Problem) as found:
        bearer(request)
    assert found.value.status == 401


async def test_a_worker_is_believed_for_as_long_as_its_token_says(gateway: Gateway, verifier: Verifier) -> None:
    token = gateway.signer.worker_token("user:1", "runs", "worker-1", MOST_WORKER_SECONDS)
    assert await verifier.verify(token) == Caller("user:1", Scope.WORKER, "worker-1")


@pytest.mark.parametrize("seconds", [0, -1, MOST_WORKER_SECONDS + 1])
def test_no_worker_is_given_a_token_for_longer(gateway: Gateway, seconds: int) -> None:
    with pytest.raises(ValueError, match="at most"):
        gateway.signer.worker_token("user:1", "runs", "worker-1", seconds)


@pytest.mark.parametrize(
    ("scope", "life"), [("owner", 61), ("system", 61), ("worker", MOST_WORKER_SECONDS + 1), ("owner", 24 * 3600)]
)
async def test_a_life_that_nobody_is_given_is_not_believed(
    gateway: Gateway, verifier: Verifier, scope: str, life: int
) -> None:
    await refused(verifier, signed(gateway.signer, claims(scope=scope, exp=int(time.time()) + life + 1)))


@pytest.mark.parametrize("scope", ["owner", "system"])
async def test_only_a_worker_is_for_all_owners(gateway: Gateway, verifier: Verifier, scope: str) -> None:
    await refused(verifier, signed(gateway.signer, claims(scope=scope, sub=EVERY_OWNER)))
    token = signed(gateway.signer, claims(scope="worker", sub=EVERY_OWNER))
    assert (await verifier.verify(token)).owner == EVERY_OWNER


async def test_a_workers_token_ends_with_the_secret_that_made_it(http: aiohttp.ClientSession) -> None:
    token = Signer(ROOT).worker_token(EVERY_OWNER, "runs", "worker-1", 3600)
    async with serving(NEW_ROOT, ROOT) as announced, serving(NEW_ROOT) as dropped:
        assert (await Verifier("runs", [announced.url], http).verify(token)).scope is Scope.WORKER
        await refused(Verifier("runs", [dropped.url], http), token)
