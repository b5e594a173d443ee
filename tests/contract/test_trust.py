"""Every service answers only who proves, with a fresh token for it and for this kind of call, who is asking."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr

from chassis.peers import ALGORITHM, ISSUER, LEEWAY_SECONDS, LIFE_SECONDS, Scope, Signer
from tests.contract.conftest import LARGEST_BODY, SERVICES, Service, address, built
from tests.contract.shape import problem
from tests.support import Asker

FOREIGN = SecretStr("another root secret, of another installation altogether")


def claims(audience: str, **other: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": ISSUER, "aud": audience, "sub": "guest:a", "scope": "owner", "iat": now, "exp": now + LIFE_SECONDS}
    return {name: value for name, value in (good | other).items() if value is not None}


def signed(by: Signer, content: dict[str, Any], **header: str) -> str:
    key = by._keys[0]  # a forger has no method of ours to sign what we never would
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid, **header}, content, key, algorithms=[ALGORITHM])


def unsigned(content: dict[str, Any], algorithm: str, key_id: str) -> str:
    head = {"alg": algorithm, "kid": key_id}
    return (
        ".".join(urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in (head, content)) + "."
    )


def forgeries(signer: Signer, name: str) -> Iterator[tuple[str, str]]:
    """What proves nothing at the service `name`: why, and the Authorization header."""
    key, good, past = signer._keys[0], claims(name), int(time.time()) - LEEWAY_SECONDS - 2
    own, foreign = signed(signer, good), Signer(FOREIGN)
    parts, key_id = own.split("."), str(key.kid)
    yield "no scheme", own
    yield "another scheme", f"Basic {own}"
    yield "an empty token", "Bearer "
    yield "rubbish", "Bearer rubbish"
    yield "rubbish in three parts", "Bearer a.b.c"
    yield "bytes that are no text", "Bearer \u00ff\u00fe.b.c"
    yield "a token cut short", f"Bearer {own[:-4]}"
    yield "expired", f"Bearer {signed(signer, claims(name, exp=past))}"
    for other in {*SERVICES, "gateway", "", "*"} - {name}:
        yield f"for the audience {other!r}", f"Bearer {signed(signer, claims(other))}"
    for claim in good:
        yield f"without {claim}", f"Bearer {signed(signer, claims(name, **{claim: None}))}"
    yield "of another issuer", f"Bearer {signed(signer, claims(name, iss='somebody'))}"
    yield "of a scope that is none", f"Bearer {signed(signer, claims(name, scope='root'))}"
    yield "of an expiry that is no time", f"Bearer {signed(signer, claims(name, exp='tomorrow'))}"
    yield "from the future", f"Bearer {signed(signer, claims(name, iat=int(time.time()) + 3600))}"
    for algorithm in ("none", "None", ""):
        yield f"unsigned, alg {algorithm!r}", f"Bearer {unsigned(good, algorithm, key_id)}"
    yield "unsigned, under the right algorithm", f"Bearer {unsigned(good, ALGORITHM, key_id)}"
    yield "signed with a foreign key", f"Bearer {signed(foreign, good)}"
    yield "signed with a foreign key under our key's id", f"Bearer {signed(foreign, good, kid=key_id)}"
    yield "signed with the public key as a shared secret", f"Bearer {confused(key, good)}"
    changed = urlsafe_b64encode(json.dumps(good | {"sub": "user:root"}).encode()).rstrip(b"=").decode()
    yield "another owner under a good signature", f"Bearer {parts[0]}.{changed}.{parts[2]}"


def confused(key: Any, content: dict[str, Any]) -> str:
    secret = OctKey.import_key({"kty": "oct", "k": key.as_dict(private=False)["x"]})
    return jwt.encode({"alg": "HS256", "kid": key.kid}, content, secret, algorithms=["HS256"])


async def test_a_good_token_is_taken(service: Service, signer: Signer) -> None:
    """The forgeries below differ from this in one thing each."""
    token = signed(signer, claims(service.name))
    answer = await service.ask.client.get("/nowhere", headers={"Authorization": f"Bearer {token}"})
    await problem(answer, 404, "not_found")


async def test_no_route_answers_without_a_token(service: Service) -> None:
    for route in service.routes:
        answer = await service.ask.client.request(route.method, address(route))
        found = await problem(answer, 401, "unsigned")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert set(found) == {"type", "title", "status", "detail", "code", "request_id"}


async def test_no_route_takes_a_forged_token(service: Service, signer: Signer) -> None:
    for why, header in forgeries(signer, service.name):
        for route in service.routes:
            answer = await service.ask.client.request(
                route.method, address(route), headers={"Authorization": header}, json={}
            )
            assert answer.status == 401, f"{route.method} {route.path} took a token {why}"
        await problem(answer, 401, "unsigned")


async def test_a_token_that_was_good_is_refused_once_it_has_expired(service: Service, signer: Signer) -> None:
    """A verified token is kept; that must not prolong it."""
    almost_over = claims(service.name, exp=int(time.time()) - LEEWAY_SECONDS + 2)
    headers = {"Authorization": f"Bearer {signed(signer, almost_over)}"}
    statuses = [(await service.ask.client.get("/nowhere", headers=headers)).status]
    while statuses[-1] != 401 and time.time() < almost_over["exp"] + LEEWAY_SECONDS + 3:
        statuses.append((await service.ask.client.get("/nowhere", headers=headers)).status)
    assert set(statuses) == {404, 401}


async def test_a_route_answers_only_its_own_scope(service: Service) -> None:
    for route in service.routes:
        for scope in set(Scope) - {route.audience}:
            answer = await service.ask(route.method, address(route), scope=scope, json={})
            await problem(answer, 401, "wrong_scope")


async def test_public_paths_are_for_owners_and_internal_ones_are_not(service: Service) -> None:
    for route in service.routes:
        assert route.path.startswith(("/api/", "/internal/"))
        assert (route.audience is Scope.OWNER) == route.path.startswith("/api/"), route.path


async def test_who_is_unknown_does_not_learn_which_paths_there_are(service: Service) -> None:
    for method, path in (("GET", "/nowhere"), ("OPTIONS", address(service.routes[0])), ("POST", "/internal/../health")):
        await problem(await service.ask.client.request(method, path), 401, "unsigned")


async def test_who_is_unknown_cannot_make_a_service_read_a_body(service: Service) -> None:
    for route in service.routes:
        answer = await service.ask.client.request(route.method, address(route), data=b"x" * (LARGEST_BODY + 1))
        await problem(answer, 401)


@pytest.mark.parametrize("name", SERVICES)
async def test_while_no_gateway_hands_out_its_keys_the_answer_is_503_and_never_401(
    name: str, tmp_path: Path, signer: Signer
) -> None:
    async with TestClient(TestServer(built(name, tmp_path, "http://127.0.0.1:9"))) as client:
        ask = Asker(client, signer, name)
        answer = await ask.get("/internal/openapi", scope=Scope.SYSTEM)
        await problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        await problem(await client.get("/internal/openapi"), 401, "unsigned")
