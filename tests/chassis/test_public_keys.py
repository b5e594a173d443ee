"""Which gateway's word counts while their keys change: nobody is refused for it, and nothing is believed for ever."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from chassis import public_keys
from chassis.peers import Caller, Scope, Signer, Verifier
from tests.chassis.test_peers import ADA, NEW_ROOT, ROOT, Gateway, claims, refused, serving, signed

OLD, NEW = Signer(ROOT), Signer(NEW_ROOT)


def token(signer: Signer, name: str = "ada") -> str:
    """One that was not verified before, for another name."""
    return signer.token(Caller(f"user:{name}", Scope.OWNER, "s-1"), "runs")


@pytest.fixture(name="pair")
async def two_gateways() -> AsyncIterator[tuple[Gateway, Gateway]]:
    async with serving(ROOT) as one, serving(ROOT) as other:
        yield one, other


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
def verifier(pair: tuple[Gateway, Gateway], http: aiohttp.ClientSession) -> Verifier:
    return Verifier("runs", [each.url for each in pair], http)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are old after a moment, and gateways are asked as often as one likes."""
    monkeypatch.setattr(public_keys, "REFETCH_SECONDS", 0.0)
    monkeypatch.setattr(public_keys, "FRESH_SECONDS", 0.2)
    monkeypatch.setattr(public_keys, "GIVEN_UP_SECONDS", 1.0)


def test_a_key_that_is_dropped_is_believed_for_five_minutes_at_most_and_ten_beside_a_gateway_that_is_away() -> None:
    assert (public_keys.FRESH_SECONDS, public_keys.GIVEN_UP_SECONDS) == (300, 600)


@pytest.mark.parametrize("rotated", [0, 1])
async def test_whichever_gateway_is_first_with_a_new_key_it_is_asked(
    pair: tuple[Gateway, Gateway], verifier: Verifier, rotated: int
) -> None:
    pair[rotated].signer = Signer(NEW_ROOT, [ROOT])
    assert await verifier.verify(token(NEW)) == ADA
    assert await verifier.verify(token(OLD)) == ADA
    assert pair[rotated].asked == 1


@pytest.mark.usefixtures("hasty")
async def test_what_two_gateways_publish_is_put_together(pair: tuple[Gateway, Gateway], verifier: Verifier) -> None:
    """The short way without a previous secret: nothing in common."""
    pair[1].signer = NEW
    for name in map(str, range(5)):
        assert await verifier.verify(token(OLD, name))
        assert await verifier.verify(token(NEW, name))
        await asyncio.sleep(0.06)


async def test_an_unknown_key_costs_each_gateway_one_question_a_second(
    pair: tuple[Gateway, Gateway], verifier: Verifier
) -> None:
    for number in range(20):
        await refused(verifier, signed(NEW, claims(), kid=f"key-{number}"))
    await asyncio.gather(*(refused(verifier, signed(NEW, claims(), kid=f"more-{number}")) for number in range(20)))
    assert [each.asked for each in pair] == [1, 1]


async def test_a_gateway_that_hangs_keeps_nobody_waiting_whose_key_another_publishes(
    pair: tuple[Gateway, Gateway], verifier: Verifier
) -> None:
    pair[0].delay = 2.0
    began = time.monotonic()
    assert await verifier.verify(token(OLD)) == ADA
    assert time.monotonic() - began < 1.0


async def test_a_new_key_at_a_gateway_that_was_away_is_waited_for_and_not_refused(
    pair: tuple[Gateway, Gateway], verifier: Verifier
) -> None:
    pair[1].broken = True
    assert await verifier.verify(token(OLD))
    await refused(verifier, signed(Signer(NEW_ROOT), claims(), kid="nobody's"))
    pair[1].broken, pair[1].signer = False, NEW
    waiting = [verifier.verify(token(NEW, str(number))) for number in range(10)]
    assert len(await asyncio.gather(*waiting)) == 10
    assert pair[1].asked <= 4, "and together"


@pytest.mark.usefixtures("hasty")
async def test_a_key_that_no_gateway_publishes_any_more_is_not_believed_any_more(
    pair: tuple[Gateway, Gateway], verifier: Verifier
) -> None:
    kept = token(OLD)
    await verifier.verify(kept)
    for each in pair:
        each.signer = NEW
    assert await verifier.verify(kept), "for a while"
    await asyncio.sleep(0.25)
    for stale in (kept, token(OLD, "bob")):
        await refused(verifier, stale)
    assert await verifier.verify(token(NEW))


@pytest.mark.usefixtures("hasty")
async def test_beside_a_gateway_that_is_away_a_dropped_key_is_believed_a_little_longer_and_not_for_ever(
    pair: tuple[Gateway, Gateway], verifier: Verifier
) -> None:
    """The one that is away may be the one that still signs with it."""
    await verifier.verify(token(OLD))
    pair[0].signer, pair[1].broken = NEW, True
    await asyncio.sleep(0.25)
    assert await verifier.verify(token(OLD, "bob"))
    await asyncio.sleep(0.9)
    await refused(verifier, token(OLD, "eve"))


@pytest.mark.usefixtures("hasty")
async def test_while_no_gateway_can_be_asked_what_was_known_is_believed(
    pair: tuple[Gateway, Gateway], verifier: Verifier
) -> None:
    kept = token(OLD)
    await verifier.verify(kept)
    for each in pair:
        each.broken = True
    await asyncio.sleep(1.1)
    assert await verifier.verify(kept) == ADA
    assert await verifier.verify(token(OLD, "bob"))
    await refused(verifier, token(NEW), 503)


async def test_keys_that_are_old_are_asked_for_by_one_request_and_the_others_do_not_wait(
    pair: tuple[Gateway, Gateway], verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verifier.verify(token(OLD))
    before = [each.asked for each in pair]
    monkeypatch.setattr(public_keys, "REFETCH_SECONDS", 0.0)
    monkeypatch.setattr(public_keys, "FRESH_SECONDS", 0.0)
    pair[0].delay = pair[1].delay = 0.5
    asking = asyncio.create_task(verifier.verify(token(OLD, "first")))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    for number in range(20):
        assert await verifier.verify(token(OLD, str(number)))
    assert time.monotonic() - began < 0.4
    assert await asking
    assert [each.asked for each in pair] == [number + 1 for number in before]


async def test_fresh_keys_are_not_asked_for_again(pair: tuple[Gateway, Gateway], verifier: Verifier) -> None:
    await verifier.verify(token(OLD))
    before = [each.asked for each in pair]
    for number in range(20):
        await verifier.verify(token(OLD, str(number)))
    assert [each.asked for each in pair] == before


@pytest.mark.parametrize("answer", [{"keys": [{"kid": "x"}]}, {"keys": None}, {"keys": ["x"]}, [], {"keys": [{}]}, "x"])
async def test_an_answer_that_is_none_is_as_good_as_no_answer(
    pair: tuple[Gateway, Gateway], verifier: Verifier, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(Signer):
        def jwks(self) -> object:  # type: ignore[override]
            return answer

    pair[0].signer = Odd(ROOT)
    assert await verifier.verify(token(OLD)) == ADA
    pair[1].broken = True
    monkeypatch.setattr(public_keys, "REFETCH_SECONDS", 0.0)
    await refused(verifier, token(NEW), 503)
