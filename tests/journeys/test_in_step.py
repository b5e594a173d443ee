"""Devices of one owner stay in step: what one writes, through any gateway and process, the others hear of at once."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
import psutil
import pytest
import pytest_asyncio

from gateway.hub import MOST_SEATS, RETRY_AFTER_SECONDS
from tests.faults.plan import spread
from tests.issuer import Issuer
from tests.journeys.browser import Browser
from tests.journeys.listening import Events, Listening, listening
from tests.processes import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON: Final = 1.0  # seconds within which a write is told, and a stream ends that has to
RUN: Final = {"run_id": "a", "variants": [{"id": "v"}], "intent": "of the content"}
KEYS: Final = "/api/settings/api-keys/runway"
WRITES: Final[dict[str, list[tuple[str, str, Any]]]] = {
    "settings": [
        ("PUT", "/api/settings", {"settings": {"mine": "of the content"}}),
        ("POST", "/api/settings/history/1/restore", None),
    ],
    "runs": [
        ("PUT", "/api/runs/a", RUN),
        ("PUT", "/api/runs/a/variants/v/favorite", {"favorite": True}),
        ("DELETE", "/api/runs/a", None),
    ],
    "api-keys": [("PUT", KEYS, {"api_key": "a key of some length"}), ("DELETE", KEYS, None)],
    "restore": [("POST", "/api/settings/restore", {"runs": [{"run_id": "restored"}]})],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as issuer:
        yield issuer


@pytest_asyncio.fixture(
    name="stack", scope="module", loop_scope="module", params=spread((2, 3), 1), ids="replicas={}".format
)
async def many_processes(
    request: pytest.FixtureRequest, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Two gateways, and as many processes of each service."""
    stack = Stack(tmp_path_factory.mktemp("in-step"), 2, request.param, **issuer.environment)
    try:
        await asyncio.to_thread(stack.start)
        yield stack
    finally:
        await asyncio.to_thread(stack.stop)


@pytest_asyncio.fixture(name="browser", loop_scope="module")
async def somebody(stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as browser:
        await browser.get("/api/session/bootstrap")
        yield browser


@pytest_asyncio.fixture(name="stranger", loop_scope="module")
async def somebody_else(stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as browser:
        await browser.get("/api/session/bootstrap")
        yield browser


def both(stack: Stack) -> tuple[str, str]:
    return stack.url, stack.url_of("gateway-2")


def processes_of(stack: Stack, service: str) -> list[str]:
    return [name for name in stack.ports if name.split("-")[0] == service]


async def sign_in(browser: Browser, issuer: Issuer, sub: str) -> None:
    await browser.json("POST", "/api/auth/google", {"credential": issuer.credential(sub=sub)})


async def test_on_connecting_the_current_value_of_every_topic_is_told(stack: Stack, browser: Browser) -> None:
    await browser.put("/api/settings", {"settings": {"mine": 1}})
    await browser.put(KEYS, {"api_key": "a key of some length"})
    for url in both(stack):
        async with listening(browser, url) as events:
            headers = events.response.headers
            assert (headers["Content-Type"], headers["Cache-Control"]) == ("text/event-stream", "no-store")
            assert headers["X-Content-Type-Options"] == "nosniff"
            await events.settled()
            assert events.text.startswith("retry: 2000\n\n")
            assert events.latest("settings") == {"version": (await browser.get("/api/settings"))["version"]}
            assert events.latest("restore") == {"version": 0}
            assert [len(event.data) for event in events.all] == [1] * 5


@pytest.mark.parametrize("gateway", ["gateway", "gateway-2"])
@pytest.mark.parametrize("topic", WRITES)
async def test_every_write_is_told_at_both_gateways_within_a_second_and_to_nobody_else(
    stack: Stack, browser: Browser, stranger: Browser, topic: str, gateway: str
) -> None:
    async with Listening() as devices:
        one, two = [await devices.add(browser, url) for url in both(stack)]
        others = [await devices.add(stranger, url) for url in both(stack)]
        browser.url = stack.url_of(gateway)
        for method, path, body in WRITES[topic]:
            before, started = (len(one.all), len(two.all)), time.monotonic()
            await browser.json(method, path, body)
            heard = [await one.next(topic, before[0]), await two.next(topic, before[1])]
            took = max(event.at for event in heard) - started
            print(f"{method} {path}: told everywhere after {took * 1000:.0f} ms, answer included")
            assert took < SOON
        await asyncio.sleep(0.3)
        assert one.latest(topic) == two.latest(topic)
        assert [len(other.all) for other in others] == [5, 5]
        for secret in ("of the content", "restored", "a key of", "runway"):
            assert secret not in one.text + two.text


async def seconds_to_tell(devices: list[Events], write: Awaitable[Any], *topics: str) -> float:
    """How long after its answer a write was told to each of the devices, as a change of each of the topics."""
    before = [len(events.all) for events in devices]
    await write
    answered = time.monotonic()
    heard = [await events.next(topic, since) for events, since in zip(devices, before, strict=True) for topic in topics]
    return max(event.at for event in heard) - answered


async def test_what_a_sign_in_brings_along_a_restore_and_its_undo_are_told_to_the_other_devices_topic_by_topic(
    stack: Stack, issuer: Issuer, browser: Browser, stranger: Browser
) -> None:
    await sign_in(browser, issuer, sub="of several things")
    document = {"settings": {"settings": {"restored": 1}}, "runs": [{"run_id": "restored"}]}
    undo = "/api/settings/restore/several-things/undo"
    async with Listening() as devices, Browser(stack.url_of("gateway-2")) as other:
        mine = [await devices.add(browser, url) for url in both(stack)]
        others = [await devices.add(stranger, url) for url in both(stack)]
        await other.put("/api/settings", {"settings": {"of": "a guest"}})
        await other.put("/api/runs/a", RUN)
        await other.put(KEYS, {"api_key": "a key of some length"})
        coming = sign_in(other, issuer, sub="of several things")
        assert await seconds_to_tell(mine, coming, "settings", "runs", "api-keys", "sessions") < SOON
        restoring = other.restore(document, headers={"Idempotency-Key": "several-things"})
        assert await seconds_to_tell(mine, restoring, "settings", "runs", "restore") < SOON
        assert await seconds_to_tell(mine, other.json("POST", undo), "settings", "runs", "restore") < SOON
        assert await seconds_to_tell(mine, other.json("DELETE", "/api/runs"), "runs") < SOON
        assert await seconds_to_tell(mine, other.json("POST", "/api/auth/logout"), "sessions") < SOON
        assert [len(events.all) for events in others] == [5, 5]


async def test_however_many_listen_each_gateway_has_one_feed_of_each_service(
    stack: Stack, browser: Browser, stranger: Browser
) -> None:
    """A connection that lasts; those for a single question are closed soon after it."""
    gateways = [psutil.Process(stack.process_id(name)) for name in ("gateway", "gateway-2")]
    services = {port: name.split("-")[0] for name, port in stack.ports.items() if not name.startswith("gateway")}

    def feeds() -> list[Counter[str]]:
        all_ = [gateway.net_connections("tcp4") for gateway in gateways]
        ports = [[each.raddr.port for each in some if each.status == "ESTABLISHED" and each.raddr] for some in all_]
        return [Counter(services[port] for port in each if port in services) for each in ports]

    async with Listening() as devices:
        for person in (browser, stranger):
            for url in both(stack):
                for _ in range(3):
                    await devices.add(person, url)
        expected = [Counter(set(services.values()))] * 2
        async with asyncio.timeout(5):
            while await asyncio.to_thread(feeds) != expected:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.1)


async def test_many_writes_through_all_processes_end_at_the_latest_version_everywhere(
    stack: Stack, browser: Browser
) -> None:
    async with Listening() as devices, Browser(stack.url_of("gateway-2")) as other:
        other.use_cookies_of(browser)
        listeners = [await devices.add(browser, url) for url in both(stack) for _ in range(3)]
        writing = (
            (browser, other)[number % 2].put("/api/settings", {"settings": {"number": number}}) for number in range(60)
        )
        await asyncio.gather(*writing)
        version = (await browser.get("/api/settings"))["version"]
        written = time.monotonic()
        for events in listeners:
            await events.until_told("settings", version)
            versions = [event.data["version"] for event in events.all if event.topic == "settings"]
            assert versions == sorted(set(versions)), "only what is newer is told"
        assert time.monotonic() - written < SOON


async def test_a_process_that_is_killed_or_restarted_loses_no_event(stack: Stack, browser: Browser) -> None:
    """Whichever of them the feed is from: one after the other goes."""
    async with Listening() as devices:
        listeners = [await devices.add(browser, url) for url in both(stack)]
        for number, name in enumerate(processes_of(stack, "settings_service")):
            await asyncio.to_thread(stack.kill, name)
            started = time.monotonic()
            version = (await browser.put("/api/settings", {"settings": {"after": number}}))["version"]
            for events in listeners:
                await events.until_told("settings", version)
            print(f"without {name}: told after {(time.monotonic() - started) * 1000:.0f} ms")
            assert time.monotonic() - started < 2 * SOON, "part of which it takes to find the other process"
            await asyncio.to_thread(stack.start, name)
        await asyncio.to_thread(stack.stop, "settings_service")
        version = (await browser.put("/api/settings", {"settings": {"after": "an end in order"}}))["version"]
        for events in listeners:
            await events.until_told("settings", version, SOON)
        await asyncio.to_thread(stack.start, "settings_service")


async def test_a_service_that_is_away_keeps_only_its_own_topic_and_that_comes_when_it_is_back(
    stack: Stack, browser: Browser, stranger: Browser
) -> None:
    names = processes_of(stack, "vault_service")
    for person in (browser, stranger):
        await person.put(KEYS, {"api_key": "a key of some length"})
    async with Listening() as devices:
        before = await devices.add(browser)
        await asyncio.to_thread(stack.kill, *names)
        during = await devices.enter_async_context(listening(stranger))
        await during.until(lambda: len(during.all) == 4)
        version = (await stranger.put("/api/settings", {"settings": {"during": 1}}))["version"]
        await during.until_told("settings", version, SOON)
        assert during.latest("api-keys") is None
        await asyncio.to_thread(stack.start, *names)
        assert (await during.next("api-keys", 5)).data == before.latest("api-keys")
        for person, events in ((browser, before), (stranger, during)):
            told = len(events.all)
            await person.json("DELETE", KEYS)
            await events.next("api-keys", told, SOON)
    lines = [line for line in stack.log.read_text().splitlines() if "topic=api-keys" in line]
    words = sorted(word for line in lines for word in ("feed_back", "feed_lost") if word in line)
    assert words == ["feed_back"] * 2 + ["feed_lost"] * 2, "a line each in each gateway, not one for each try"


async def test_a_session_has_a_bounded_number_of_streams_in_each_gateway(
    stack: Stack, browser: Browser, stranger: Browser
) -> None:
    async with AsyncExitStack() as opened:
        for _ in range(MOST_SEATS - 1):
            await opened.enter_async_context(listening(browser))
        async with listening(browser) as last:
            await last.settled()
            status, headers, body = await browser.ask("GET", "/api/events")
            assert (status, headers["Retry-After"]) == (429, str(RETRY_AFTER_SECONDS))
            assert b'"too_many_streams"' in body
            async with listening(stranger), listening(browser, stack.url_of("gateway-2")):
                pass
        async with asyncio.timeout(SOON), aiohttp.ClientSession(cookie_jar=browser.jar) as http:
            status = 0
            while status != 200:  # although nothing was written to the one that has left
                async with http.get(f"{browser.url}/api/events") as response:
                    status = response.status


async def _revoke(browser: Browser) -> None:
    (session,) = [each for each in (await browser.get("/api/auth/sessions"))["sessions"] if not each["current"]]
    await browser.json("DELETE", f"/api/auth/sessions/{session['id']}")


async def _revoke_others(browser: Browser) -> None:
    await browser.json("DELETE", "/api/auth/sessions")


async def _delete_account(browser: Browser) -> None:
    await browser.json("DELETE", "/api/account", {"confirm": True})


@pytest.mark.parametrize("end", [_revoke, _revoke_others, _delete_account])
async def test_a_stream_ends_with_its_session_when_another_device_ends_that(
    stack: Stack, issuer: Issuer, browser: Browser, stranger: Browser, end: Callable[[Browser], Awaitable[None]]
) -> None:
    for device in (browser, stranger):
        await sign_in(device, issuer, sub=end.__name__)
    async with Listening() as devices:
        ending = [await devices.add(stranger, url) for url in both(stack)]
        staying = [await devices.add(browser, url) for url in both(stack)]
        await end(browser)
        ended = time.monotonic()
        for events in ending:
            took = await events.ended() - ended
            print(f"{end.__name__}: ended after {took * 1000:.0f} ms")
            assert took < SOON
        if end is _delete_account:
            assert max([await events.ended() for events in staying]) - ended < SOON
        else:
            await browser.put("/api/settings", {"settings": {"still": "here"}})
            for events in staying:
                await events.next("settings", 5, SOON)
        await asyncio.sleep(SOON)
        answer = await stranger.ask("GET", "/api/events")
        assert (answer[0], "Set-Cookie" in answer[1]) == (401, False), "whoever comes again becomes nobody else unasked"
        assert json.loads(answer[2])["code"] == "session_ended"
        status, headers, _ = await stranger.ask("GET", "/api/runs?since=whatever")
        assert (status, "Set-Cookie" in headers) == (401, False), "lest a mirror be taken for somebody else's"


async def _log_out(browser: Browser, _: Issuer) -> None:
    await browser.json("POST", "/api/auth/logout")


async def _sign_in(browser: Browser, issuer: Issuer) -> None:
    await sign_in(browser, issuer, sub="ana")


@pytest.mark.parametrize("end", [_log_out, _sign_in])
async def test_a_guests_streams_end_when_it_becomes_somebody_else(
    stack: Stack, issuer: Issuer, browser: Browser, end: Callable[[Browser, Issuer], Awaitable[None]]
) -> None:
    async with Listening() as devices:
        ending = [await devices.add(browser, url) for url in both(stack)]
        await end(browser, issuer)
        ended = time.monotonic()
        assert max([await events.ended() for events in ending]) - ended < SOON
        anew = await devices.add(browser)
        await browser.put("/api/settings", {"settings": {"as": "another"}})
        await anew.next("settings", 5, SOON)


async def test_a_visitor_without_a_cookie_becomes_a_guest_and_hears_of_what_it_writes(stack: Stack) -> None:
    async with Browser(stack.url) as browser, listening(browser) as events:
        await events.settled()
        assert [cookie.key for cookie in browser.jar] == ["animatize_session"]
        await browser.put("/api/settings", {"settings": {"first": 1}})
        await events.next("settings", 5, SOON)


async def test_a_gateway_that_is_told_to_end_ends_its_streams_at_once_and_nobody_misses_anything(
    stack: Stack, browser: Browser
) -> None:
    name = "gateway-2"
    async with Listening() as devices:
        staying = await devices.add(browser)
        ending = [await devices.add(browser, stack.url_of(name)) for _ in range(4)]
        process, told = psutil.Process(stack.process_id(name)), time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(stack.stop, name))
        assert max([await events.ended() for events in ending]) - told < SOON
        assert not any(events.was_cut for events in ending)
        await stopping
        print(f"{name} ended after {time.monotonic() - told:.1f} s")
        assert not process.is_running()
        assert time.monotonic() - told < 5.0
        version = (await browser.put("/api/settings", {"settings": {"while": "away"}}))["version"]
        await staying.until_told("settings", version, SOON)
        await asyncio.to_thread(stack.start, name)
        again: Events = await devices.add(browser, stack.url_of(name))
        assert again.latest("settings") == {"version": version}
