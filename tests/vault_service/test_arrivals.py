"""What comes in under a passphrase: the header, what opens, what is refused, and what each costs."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from chassis.problems import Problem
from tests.support import Asker
from tests.vault_service.conftest import FOREIGN_ROOT, Start
from tests.vault_service.restoring import HEADER, PASSPHRASE, keys, restore, sealed, stage, step, table, told
from tests.vault_service.test_routes import keep, problem
from vault_service import arrivals
from vault_service.travelling import open_all

NAME = "Animatize-Backup-Passphrase"


def read(*given: str) -> str:
    request = make_mocked_request("PUT", "/", headers=CIMultiDict([(NAME, value) for value in given]))
    return arrivals.read_passphrase(request).get_secret_value()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_passphrase_comes_through_the_header_whole(passphrase: str) -> None:
    assert read(quote(passphrase, safe="")) == passphrase


def test_what_needs_no_encoding_may_come_as_it_is() -> None:
    assert read("correct horse+battery/staple~!&") == "correct horse+battery/staple~!&"


@pytest.mark.parametrize(
    "wrong",
    [
        "%", "100%", "%4", "%zz12345", "%%41", "%C4", "%ff%fe", "%C0%AF", "%ED%A0%80", "%u0105", "% 41", "stāple",
        "tab\there", "\x7f",
    ],
)  # fmt: skip
def test_a_header_that_is_no_percent_encoded_utf_8_is_refused(wrong: str) -> None:
    with pytest.raises(Problem, match=NAME) as refused:
        read(wrong)
    assert (refused.value.status, refused.value.code) == (400, "bad_passphrase_header")


def test_a_header_that_is_absent_or_there_twice_is_refused() -> None:
    for headers in ((), ("correct-horse", "correct-horse")):
        with pytest.raises(Problem, match="once"):
            read(*headers)


async def test_a_bad_header_or_none_is_a_400_and_stages_nothing(asker: Asker, file: Path) -> None:
    for headers in ({NAME: "100%"}, {}):
        await problem(await stage(asker, sealed(veo="veo-0123456789"), headers=headers), 400, "bad_passphrase_header")
    assert table(file, "staged_keys") == []
    await problem(await step(asker, "commit"), 409, "not_staged")


async def test_where_nothing_is_sealed_no_passphrase_is_needed(asker: Asker) -> None:
    staged = await told(await stage(asker, [], parts=(), headers={}))
    assert staged["plan"] == {"api_keys": {"added": 0, "changed": 0, "unchanged": 0, "refused": 0}}


async def test_a_wrong_passphrase_is_a_400_before_anything_is_touched(asker: Asker, file: Path) -> None:
    await keep(asker, "veo", "my-own-veo-0123456789")
    before = table(file, "api_keys")
    headers = {NAME: "another%20passphrase"}
    answer = await stage(asker, sealed(veo="veo-0123456789"), mode="replace", headers=headers)
    found = await problem(answer, 400, "wrong_passphrase")
    assert "another" not in json.dumps(found)
    assert (table(file, "api_keys"), table(file, "staged_keys")) == (before, [])
    await problem(await step(asker, "commit"), 409, "not_staged")
    assert (await told(await stage(asker, sealed(veo="veo-0123456789"))))["plan"]["api_keys"]["changed"] == 1


@pytest.mark.parametrize("value", [None, True, 7, 2.5, "", "text", [], [[]], {}, {"kdf": {}}])
async def test_what_is_no_sealed_object_is_a_400(asker: Asker, value: Any) -> None:
    items = [("/sealed_api_keys", "sealed_api_keys", value)]
    await problem(await stage(asker, items), 400, "sealed_keys_damaged")


async def test_keys_of_a_server_with_another_secret_are_this_vaults_own_afterwards(
    start: Start, asker: Asker, file: Path
) -> None:
    await restore(asker, veo="veo-0123456789", runway="rk-0123456789")
    expected = {"veo": "veo-0123456789", "runway": "rk-0123456789"}
    assert await keys(asker) == expected
    assert await keys(await start()) == expected
    assert await keys(await start(root=FOREIGN_ROOT)) == {}, "sealed under the secret of this vault and no other"
    assert await keys(asker, "guest:b") == {}


async def test_a_provider_or_key_that_cannot_be_kept_is_named_and_the_rest_goes_in(asker: Asker) -> None:
    items = sealed(kling="kling-0123456789", runway="short", sora="so\x00ra-0123456789", veo=" veo-0123456789\n")
    staged = await told(await stage(asker, items))
    places = [f"/sealed_api_keys/providers/{number}" for number in (0, 1, 2)]
    assert [warning["pointer"] for warning in staged["warnings"]] == places
    assert staged["warning_count"] == 3
    assert staged["plan"]["api_keys"] == {"added": 1, "changed": 0, "unchanged": 0, "refused": 3}
    assert staged["restored"] == {"api_keys": 1}
    assert "runway, pika" in staged["warnings"][0]["message"]
    assert "at least 8 characters" in staged["warnings"][1]["message"]
    assert "control character" in staged["warnings"][2]["message"]
    assert not [word for word in ("short", "kling-0", "ra-0123") if word in json.dumps(staged["warnings"])]
    await told(await step(asker, "commit"))
    assert await keys(asker) == {"veo": "veo-0123456789"}


async def test_an_item_of_another_kind_is_a_warning(asker: Asker) -> None:
    ready = {"provider": "veo", "sealed": {"key_id": "", "wrapped_key": "", "ciphertext": ""}}
    items = [
        ("/a", "run", {}),
        ("/b", "Ready", ready),
        ("/c", "api_keys", {"veo": "veo-0123456789"}),
        ("/d", "note", 7),
    ]
    staged = await told(await stage(asker, items))
    assert [warning["pointer"] for warning in staged["warnings"]] == ["/a", "/b", "/c", "/d"]
    assert staged["plan"]["api_keys"] == {"added": 0, "changed": 0, "unchanged": 0, "refused": 4}


async def test_a_locked_vault_takes_nothing_and_derives_nothing(
    start: Start, asker: Asker, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = await start(root=FOREIGN_ROOT)
    monkeypatch.setattr("vault_service.arrivals.open_all", pytest.fail)
    answer = await stage(foreign, sealed(veo="veo-0123456789"))
    await problem(answer, 503, "vault_locked")
    assert int(answer.headers["Retry-After"]) > 0
    assert table(file, "staged_keys") == []


async def test_seals_are_opened_one_at_a_time_and_off_the_event_loop(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker, lock, threads = await start(), threading.Lock(), set()

    def watched(*args: Any) -> Any:
        assert lock.acquire(blocking=False), "two at once"
        threads.add(threading.current_thread())
        try:
            return open_all(*args)
        finally:
            lock.release()

    monkeypatch.setattr("vault_service.arrivals.open_all", watched)
    item = sealed(veo="veo-0123456789")
    answers = await asyncio.gather(*(stage(asker, item, f"r{n}", owner=f"guest:{n}") for n in range(8)))
    assert [answer.status for answer in answers] == [200] * 8
    assert threading.main_thread() not in threads


def test_the_longest_passphrase_fits_into_a_header() -> None:
    assert len(NAME + ": " + quote("𐍈" * 1024, safe="")) < 16_384
    assert HEADER[NAME] != PASSPHRASE
