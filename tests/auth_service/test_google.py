"""Whom a Google credential is believed to be of, and everything that is no such credential."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientResponse
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import RSAKey
from structlog.testing import capture_logs

from tests.auth_service.conftest import Auth, Clock, Start
from tests.contract.shape import problem
from tests.issuer import Issuer, key_of

FOREIGN = 90  # the number of a key that no issuer here ever signs with
PATH = "/internal/google"


def encoded(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_bytes(issuer: Issuer, payload: bytes) -> str:
    """Any bytes as the payload, under a good signature."""
    header = {"alg": "RS256", "kid": issuer.key.kid, "typ": "JWT"}
    return jws.serialize_compact(header, payload, issuer.key, algorithms=["RS256"])


async def ask(auth: Auth, credential: str) -> ClientResponse:
    return await auth.ask(PATH, {"credential": credential})


async def refused(auth: Auth, credential: str, why: str) -> dict[str, Any]:
    answer = await ask(auth, credential)
    assert answer.status == 401, f"{why}: {answer.status} {await answer.text()}"
    return await problem(answer, 401, "credential_not_verified")


async def test_a_good_credential_says_who_somebody_is(google: Auth, issuer: Issuer) -> None:
    admitted = await google.admit(issuer.credential())
    user_id = admitted["owner"].removeprefix("user:")
    assert len(bytes.fromhex(user_id)) == 16
    assert admitted == {
        "owner": f"user:{user_id}",
        "user": {
            "id": user_id,
            "email": "ana@example.org",
            "name": "Ana Lovelace",
            "picture": "https://lh3.googleusercontent.example/a/photo=s96-c",
            "provider": "google",
        },
    }


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "accounts.google.com"},
        {"azp": None},
        {"aud": ["animatize.apps.example"]},
        {"exp": -59},
        {"iat": 60, "nbf": 60},
        {"nbf": None},
        {"exp": 3600.5, "iat": -0.5},
        {"name": "\ud800", "further": "\udc00", "\udfff": 10**400},
        {"jti": None, "hd": "example.org", "nonce": "n", "at_hash": "h", "locale": 7, "further": {"deep": [1]}},
    ],
    ids=ascii,
)
async def test_what_google_may_write_otherwise_is_believed(
    google: Auth, issuer: Issuer, clock: Clock, claims: dict[str, Any]
) -> None:
    credential = signed_bytes(issuer, json.dumps(issuer.claims(**dated(clock, claims))).encode())
    assert (await google.admit(credential))["user"]["email"] == "ana@example.org"


def dated(clock: Clock, claims: dict[str, Any]) -> dict[str, Any]:
    """Small numbers are seconds from now."""
    times = ("exp", "iat", "nbf", "auth_time")
    return {
        name: value + clock.seconds() if name in times and type(value) in (int, float) and abs(value) < 1e6 else value
        for name, value in claims.items()
    }


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"aud": "another.apps.example"},
    {"aud": ["another.apps.example"]},
    {"aud": ["animatize.apps.example", "another.apps.example"]},
    {"aud": []},
    {"aud": ""},
    {"aud": {"animatize.apps.example": 1}},
    {"aud": None},
    {"azp": "another.apps.example"},
    {"azp": ["animatize.apps.example"]},
    {"azp": ""},
    {"iss": "https://accounts.google.com.evil.example"},
    {"iss": "https://accounts.google.com/"},
    {"iss": "http://accounts.google.com"},
    {"iss": ["https://accounts.google.com"]},
    {"iss": 7},
    {"iss": None},
    {"exp": -61},
    {"exp": "9999999999"},
    {"exp": True},
    {"exp": [9999999999]},
    {"exp": -(10**400)},
    {"exp": None},
    {"iat": 61},
    {"iat": 10**400},
    {"iat": True},
    {"iat": "1"},
    {"iat": None},
    {"nbf": 61},
    {"nbf": 1e300},
    {"nbf": "0"},
    {"auth_time": "yesterday"},
    {"sub": None},
    {"sub": ""},
    {"sub": " "},
    {"sub": 1},
    {"sub": ["1"]},
    {"sub": "1" * 256},
    {"sub": "1\x00"},
    {"sub": "\ud800"},
    {"email": None},
    {"email": ""},
    {"email": ["ana@example.org"]},
    {"email": "a" * 321},
    {"email": "ana@example.org\n"},
    {"email": "\udfff@example.org"},
    {"email_verified": False},
    {"email_verified": None},
    {"email_verified": "true"},
    {"email_verified": 1},
    {"email_verified": [True]},
    {"jti": 7},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=lambda claims: ascii(claims)[:60])
async def test_one_wrong_claim_is_enough_to_be_refused(
    google: Auth, issuer: Issuer, clock: Clock, database: Any, claims: dict[str, Any]
) -> None:
    await refused(google, signed_bytes(issuer, json.dumps(issuer.claims(**dated(clock, claims))).encode()), str(claims))
    assert await google.admit(issuer.credential(sub="somebody else"))


@pytest.mark.parametrize(
    ("claims", "named"),
    [({"exp": -61}, "too old"), ({"email_verified": False}, "e-mail address"), ({"aud": "another"}, "again")],
)
async def test_who_is_refused_is_told_what_to_do(
    google: Auth, issuer: Issuer, clock: Clock, claims: dict[str, Any], named: str
) -> None:
    assert named in (await refused(google, issuer.credential(**dated(clock, claims)), named))["detail"]


PAYLOADS = {
    "nothing": b"",
    "no JSON": b"ana",
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "cut": b'{"sub": "1"',
    "no UTF-8": b'{"sub": "\xff"}',
    "nested without end": b"[" * 60_000 + b"]" * 60_000,
    "nested deeply inside": b'{"sub": "1", "deep": ' + b"[" * 900 + b"]" * 900 + b"}",
    "nested too deeply inside": b'{"sub": "1", "deep": ' + b"[" * 40_000 + b"]" * 40_000 + b"}",
    "a number of many digits": b'{"exp": ' + b"9" * 20_000 + b"}",
    "NaN": b'{"exp": NaN, "iat": NaN}',
    "Infinity": b'{"exp": Infinity, "iat": 1e999}',
}


@pytest.mark.parametrize("what", PAYLOADS)
async def test_a_signature_makes_no_claims_of_a_payload_that_has_none(google: Auth, issuer: Issuer, what: str) -> None:
    await refused(google, signed_bytes(issuer, PAYLOADS[what]), what)


@pytest.mark.parametrize("time", ["NaN", "Infinity", "1e999"])
async def test_a_time_that_is_no_number_never_comes(google: Auth, issuer: Issuer, time: str) -> None:
    usual = json.dumps(issuer.claims(exp="HERE"))
    await refused(google, signed_bytes(issuer, usual.replace('"HERE"', time).encode()), time)


def forgeries(issuer: Issuer) -> Iterator[tuple[str, str]]:
    """Tokens whose claims are good, but which the issuer has not signed."""
    claims, kid = issuer.claims(sub="victim"), issuer.key.kid
    good = issuer.signed(claims)
    head, body, signature = good.split(".")
    usual = {"alg": "RS256", "kid": kid, "typ": "JWT"}
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        for end in ("", signature):
            yield f"alg {algorithm!r}", f"{encoded(usual | {'alg': algorithm})}.{body}.{end}"
    yield "no signature", f"{head}.{body}."
    yield "an alg that is a list", f"{encoded(usual | {'alg': ['RS256']})}.{body}.{signature}"
    yield "no alg", f"{encoded({'kid': kid})}.{body}.{signature}"
    public = issuer.key.as_dict(private=False)
    secrets = {
        "PEM": issuer.key.as_pem(private=False),
        "PEM without its last line feed": issuer.key.as_pem(private=False).strip(),
        "DER": issuer.key.as_der(private=False),
        "JWK": json.dumps(public).encode(),
        "JWK, compact": json.dumps(public, separators=(",", ":")).encode(),
        "modulus": str(public["n"]).encode(),
    }
    for name, secret in secrets.items():
        for algorithm in ("HS256", "HS384", "HS512"):
            yield f"{algorithm} with the {name}", shared(algorithm, kid, claims, secret)
    foreign = key_of(FOREIGN)
    yield "another's key", jwt.encode({"alg": "RS256", "kid": kid}, claims, foreign, algorithms=["RS256"])
    offered: dict[str, Any] = {
        "jwk": foreign.as_dict(private=False),
        "jku": "https://evil.example/certs",
        "x5u": "https://evil.example/certs",
    }
    for name, value in offered.items():
        header = {"alg": "RS256", "kid": kid, name: value}
        registry = jws.JWSRegistry(algorithms=["RS256"])
        registry.max_header_length = 4096
        yield (
            f"another's key in {name}",
            jws.serialize_compact(header, json.dumps(claims), foreign, registry=registry),
        )
    for algorithm in ("RS384", "RS512", "PS256"):
        key = RSAKey.import_key({k: v for k, v in issuer.key.as_dict(private=True).items() if k not in ("alg", "use")})
        yield algorithm, jwt.encode({"alg": algorithm, "kid": kid}, claims, key, algorithms=[algorithm])
    yield "other claims", f"{head}.{encoded(claims | {'sub': 'root'})}.{signature}"
    yield "another header", f"{encoded(usual | {'x': 1})}.{body}.{signature}"
    yield "a signature of zeros", f"{head}.{body}.{encoded(bytes(256))}"
    yield "a short signature", f"{head}.{body}.{encoded(b'1')}"
    yield "an unencoded payload", f"{encoded(usual | {'b64': False, 'crit': ['b64']})}.{body}.{signature}"
    yield "an extension that must be understood", by_hand(issuer, usual | {"crit": ["further"], "further": 1}, claims)


def shared(algorithm: str, kid: str | None, claims: dict[str, Any], secret: bytes) -> str:
    """Signed with a shared secret; by hand, since the library refuses to take a public key for one."""
    signed = f"{encoded({'alg': algorithm, 'kid': kid, 'typ': 'JWT'})}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), f'sha{algorithm[2:]}'))}"


def by_hand(issuer: Issuer, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Well signed, under a header that the library would not write."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    assert issuer.key.private_key is not None
    return f"{signed}.{encoded(issuer.key.private_key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


async def test_a_header_may_say_more_than_is_asked(google: Auth, issuer: Issuer) -> None:
    header = {"alg": "RS256", "kid": issuer.key.kid, "typ": "JWT", "further": [1]}
    assert await google.admit(by_hand(issuer, header, issuer.claims()))


async def test_what_the_issuer_has_not_signed_is_refused(google: Auth, issuer: Issuer) -> None:
    assert await google.admit(issuer.credential())
    for why, credential in forgeries(issuer):
        await refused(google, credential, why)


async def test_a_credential_that_was_cut_anywhere_is_refused(google: Auth, issuer: Issuer) -> None:
    whole = issuer.credential()
    for length in (*range(1, len(whole) - 1, 23), len(whole) - 1):
        await refused(google, whole[:length], f"its first {length} characters")


async def test_a_credential_that_was_changed_anywhere_is_refused(google: Auth, issuer: Issuer) -> None:
    whole = issuer.credential()
    for place in range(0, len(whole), 17):
        other = "B" if whole[place] == "A" else "A"
        await refused(google, whole[:place] + other + whole[place + 1 :], f"another character at {place}")


ODD_HEADERS = {
    "a list": b"[1]",
    "a list of names": b'["alg", "kid"]',
    "a list of pairs": b'[["alg", "RS256"], ["kid", "key-0"]]',
    "a text": b'"alg"',
    "a text with b64": b'"alg b64"',
    "a number": b"7",
    "empty": b"{}",
    "nested without end": b"[" * 300,
    "a huge number": b'{"alg": ' + b"9" * 300 + b"}",
    "a kid that is no text": b'{"alg": "RS256", "kid": ["a"]}',
    "a kid that is no character": b'{"alg": "RS256", "kid": "\\ud800"}',
    "a kid that is empty": b'{"alg": "RS256", "kid": ""}',
    "no kid": b'{"alg": "RS256"}',
}
ODD = {f"a header that is {what}": f"{encoded(raw)}.e30.e30" for what, raw in ODD_HEADERS.items()} | {
    "no dots": "nonsense",
    "dots": "..",
    "too many parts": "a.b.c.d",
    "an encrypted one": "a.b.c.d.e",
    "blank": " ",
    "not ASCII": "ż.ó.ł",
    "a huge header": f"{'A' * 20_000}.e30.e30",
    "a huge payload": f"{encoded({'alg': 'RS256', 'kid': 'key-0'})}.{'A' * 1_000_000}.e30",
    "a huge signature": f"{encoded({'alg': 'RS256', 'kid': 'key-0'})}.e30.{'A' * 1_000_000}",
    "a million dots": "." * 1_000_000,
}


@pytest.mark.parametrize("what", ODD)
async def test_nonsense_is_refused(google: Auth, what: str) -> None:
    await refused(google, ODD[what], what)


async def test_more_than_a_body_may_weigh_is_too_large(start: Start, issuer: Issuer) -> None:
    auth = await start(max_body_bytes=100_000, **issuer.environment)
    await problem(await ask(auth, "a" * 100_001), 413, "too_large")


SEGMENTS = st.text(max_size=12) | st.binary(max_size=24).map(encoded) | st.sampled_from(["", "e30", "bnVsbA"])
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c"]),
    st.sampled_from(["RS256", "none", "HS256", "key-0", "", None, True, 7, [], ["b64"], {}, {"kty": "RSA"}, "\ud800"]),
    max_size=4,
)
CLAIM_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
CLAIM_NAMES = ["iss", "aud", "azp", "exp", "iat", "nbf", "sub", "email", "email_verified", "amr", "nonce", "jti"]
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(header=HEADERS.map(encoded) | SEGMENTS, rest=st.lists(SEGMENTS, max_size=3))
async def test_no_text_at_all_is_a_credential_or_a_fault_of_ours(google: Auth, header: str, rest: list[str]) -> None:
    credential = ".".join([header, *rest]) or "."
    try:
        credential.encode()
    except UnicodeEncodeError:
        return
    await refused(google, credential, repr(credential))


@QUICK
@given(name=st.sampled_from(CLAIM_NAMES), value=CLAIM_VALUES)
async def test_no_value_of_a_claim_is_a_fault_of_ours(google: Auth, issuer: Issuer, name: str, value: Any) -> None:
    claims = issuer.claims(sub="1") | {name: value}
    answer = await ask(google, signed_bytes(issuer, json.dumps(claims).encode()))
    assert answer.status in (200, 401), f"{name}: {value!r}: {answer.status}"


@QUICK
@given(claims=st.dictionaries(st.sampled_from(["name", "given_name", "family_name", "picture"]), CLAIM_VALUES))
async def test_what_is_only_shown_keeps_nobody_out(google: Auth, issuer: Issuer, claims: dict[str, Any]) -> None:
    user = (await google.admit(signed_bytes(issuer, json.dumps(issuer.claims() | claims).encode())))["user"]
    assert user["name"].isprintable()
    assert user["name"].strip()
    assert user["picture"] is None or user["picture"].startswith("https://")


@pytest.mark.parametrize("credential", [ODD["no dots"], "good", "unverified", "foreign"])
async def test_no_log_line_and_no_answer_repeats_a_credential(google: Auth, issuer: Issuer, credential: str) -> None:
    made = {
        "good": issuer.credential(),
        "unverified": issuer.credential(email_verified="no-such-word"),
        "foreign": issuer.credential(aud="no-such-word"),
    }.get(credential, credential)
    with capture_logs() as lines:
        answer = await ask(google, made)
    told = repr(lines) + ("" if answer.status == 200 else await answer.text())
    secret = [part for part in made.split(".") if part] + ["ana@example.org", "Lovelace", "no-such-word"]
    assert not [part for part in secret if part in told]
    assert answer.status == 200 or "credential_refused" in told


async def test_without_a_client_id_nobody_can_sign_in(start: Start, issuer: Issuer) -> None:
    auth = await start(GOOGLE_JWKS_URL=issuer.jwks_url)
    answer = await ask(auth, issuer.credential())
    assert "configured" in (await problem(answer, 503, "google_unavailable"))["detail"]
    assert int(answer.headers["Retry-After"]) > 60
    assert issuer.asked == 0


async def test_an_absent_credential_is_a_wrong_request(google: Auth) -> None:
    for body in ({}, {"credential": ""}, {"credential": None}, {"credential": 7}, {"credential": "a", "more": 1}):
        await problem(await google.ask(PATH, body), 400)


@pytest.mark.parametrize(
    ("claims", "name", "picture"),
    [
        ({"name": None}, "Ana Lovelace", "https://pictures.example/a"),
        ({"name": " \u202e\n"}, "Ana Lovelace", "https://pictures.example/a"),
        ({"name": None, "given_name": None}, "Lovelace", "https://pictures.example/a"),
        ({"name": 7, "given_name": 7, "family_name": []}, "ana@example.org", "https://pictures.example/a"),
        ({"name": "A\x00n\u200ba"}, "Ana", "https://pictures.example/a"),
        ({"name": "x" * 300}, "x" * 200, "https://pictures.example/a"),
        ({"name": "Żółw 🎬"}, "Żółw 🎬", "https://pictures.example/a"),
        ({"picture": None}, "Ana Lovelace", None),
        ({"picture": "http://pictures.example/a"}, "Ana Lovelace", None),
        ({"picture": "javascript:alert(1)"}, "Ana Lovelace", None),
        ({"picture": "data:image/svg+xml,<svg/>"}, "Ana Lovelace", None),
        ({"picture": 'https://a"onerror=alert(1)'}, "Ana Lovelace", None),
        ({"picture": "https://"}, "Ana Lovelace", None),
        ({"picture": "https://" + "x" * 2001}, "Ana Lovelace", None),
        ({"picture": ["https://pictures.example/a"]}, "Ana Lovelace", None),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_what_cannot_be_shown_is_replaced_or_left_out(
    google: Auth, issuer: Issuer, claims: dict[str, Any], name: str, picture: str | None
) -> None:
    told = {"picture": "https://pictures.example/a"} | claims
    user = (await google.admit(issuer.credential(**told)))["user"]
    assert (user["name"], user["picture"]) == (name, picture)


async def test_many_credentials_at_once_are_each_told_apart(google: Auth, issuer: Issuer) -> None:
    asked = [issuer.credential(str(n), f"{n}@example.org") for n in range(40)]
    admitted = await asyncio.gather(*map(google.admit, asked))
    assert [each["user"]["email"] for each in admitted] == [f"{n}@example.org" for n in range(40)]
    assert len({each["owner"] for each in admitted}) == 40
    assert issuer.asked == 1
