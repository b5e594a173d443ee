"""Several devices of one owner, online, offline and back, over many processes: in the end all have the same, and
nothing that was acknowledged is lost."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.faults.devices import Device
from tests.faults.edits import check_patch
from tests.faults.files import at_rest, check_files
from tests.faults.ledger import RUNS, Ledger, Write, of_runs, of_settings
from tests.faults.line import Line
from tests.faults.mirror import Mirror
from tests.faults.plan import SEED, spread
from tests.issuer import Issuer
from tests.processes import Stack, replicas_of

pytestmark = pytest.mark.asyncio(loop_scope="package")

TURNS: Final = 2  # the second with kill -9
DAYS: Final = 3
ACTS: Final = 20
IN_STEP_SECONDS: Final = 5.0  # an event takes one at most, and then there is something to fetch
GATEWAYS: Final = 2
BY_HAND: Final = (
    *(Device.write_run, Device.write_run, Device.favour_run, Device.delete_run),
    *(Device.change_settings, Device.change_settings, Device.change_settings),
    *(Device.back_up, Device.restore, Device.undo, Device.clear_runs),
)
OFFLINE: Final = (
    *(Device.write_run, Device.write_run, Device.favour_run, Device.delete_run),
    *(Device.change_settings, Device.change_settings, Device.restore, Device.clear_runs),
)
AT_WORK: Final = (Device.make_run, Device.make_run, Device.write_run, Device.favour_run)
AMISS: Final = ("database is locked", "Traceback", "unexpected_error")


class Household:
    """`desk` and `sofa` are browsers that listen while they are online, `phone` is mostly not, `worker` writes runs."""

    def __init__(self, lines: list[Line], dice: random.Random) -> None:
        self.ledger, self.away = Ledger(), 0
        names = ("desk", "sofa", "phone", "worker")
        self.devices = [Device(name, line, self.ledger, dice) for name, line in zip(names, lines, strict=True)]
        self.desk, self.sofa, self.phone, self.worker = self.devices
        self.lines, self._dice = lines, dice
        self.listening: dict[Device, asyncio.Task[None]] = {}

    @property
    def troubles(self) -> list[str]:
        return [trouble for line in self.lines for trouble in line.troubles]

    async def live(self) -> None:
        """A day: everybody at once, each in an order of its own. The phone is offline, and perhaps one more."""
        away = [self.phone, *self._dice.choice(([], [self.desk], [self.sofa]))]
        at_home = [device.act(BY_HAND, ACTS) for device in (self.desk, self.sofa) if device not in away]
        await asyncio.gather(*at_home, self.worker.act(AT_WORK, ACTS), *map(self._travel, away))

    async def _travel(self, device: Device) -> None:
        listens = device in self.listening
        device.online = False
        if listens:
            await self.hang_up(device)
        await device.act(OFFLINE, ACTS // 2)
        await device.come_back()
        self.away += 1
        if listens:
            self.listen(device)

    def listen(self, device: Device) -> None:
        self.listening[device] = asyncio.create_task(device.mirror.stay_in_step())

    async def hang_up(self, device: Device) -> None:
        task = self.listening.pop(device)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def household(stack: Stack, issuer: Issuer, dice: random.Random) -> AsyncIterator[Household]:
    """Four devices that have signed in as the same person, two of which listen."""
    urls = [stack.url_of(name) for name in replicas_of("gateway", GATEWAYS)]
    async with AsyncExitStack() as opened:
        lines = [await opened.enter_async_context(Line(urls, dice)) for _ in range(4)]
        home = Household(lines, dice)
        somebody = secrets.token_hex(8)
        await asyncio.gather(*(device.sign_in(issuer, somebody) for device in home.devices))
        for device in home.devices:
            await device.mirror.sync()
        for device in (home.desk, home.sofa):
            home.listen(device)
        try:
            yield home
        finally:
            for task in home.listening.values():
                task.cancel()
            await asyncio.gather(*home.listening.values(), return_exceptions=True)


@pytest_asyncio.fixture(
    name="stack", scope="module", loop_scope="package", params=spread((2, 3), 1), ids="replicas={}".format
)
async def many_processes(
    request: pytest.FixtureRequest, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Two gateways and as many processes of each service."""
    folder = tmp_path_factory.mktemp("devices")
    stack = Stack(folder, GATEWAYS, request.param, ANIMATIZE_LEASE_SECONDS="1", **issuer.environment)
    try:
        await asyncio.to_thread(stack.start)
        yield stack
    finally:
        await asyncio.to_thread(stack.stop)


@pytest.mark.parametrize("turn", range(TURNS))
async def test_all_devices_end_the_same_and_nothing_acknowledged_is_lost(
    stack: Stack, issuer: Issuer, turn: int
) -> None:
    dice = random.Random(f"{SEED} {turn}")
    async with household(stack, issuer, dice) as home:
        for _ in range(DAYS):
            await asyncio.gather(home.live(), kill_one(stack, dice if turn % 2 else None))
            await at_rest(stack.data)
            await check_all_agree(home, home.lines[0])
        assert turn % 2 or home.troubles == []
        check_what_was_seen(home)
        await check_patches(home, home.lines[0])
        check_something_happened(home)
    check_files(stack.data)
    complaints = [
        line for line in stack.log.read_text(errors="replace").splitlines() if any(it in line for it in AMISS)
    ]
    assert complaints == []


async def kill_one(stack: Stack, dice: random.Random | None) -> None:
    if dice is not None:
        await asyncio.sleep(dice.uniform(0.05, 0.3))
        victim = dice.choice(sorted(stack.ports))
        stack.kill(victim)
        await asyncio.to_thread(stack.start, victim)


async def check_all_agree(home: Household, line: Line) -> None:
    """Those who listen have not been told to look; then what is there is what the ledger allows."""
    runs = {run["run_id"]: run for run in await line.all_runs()}
    profile = await line.read("/api/settings")
    assert home.ledger.wrong(of_runs(runs.values()) | of_settings(profile["settings"])) == {}
    assert home.listening.keys() == {home.desk, home.sofa}
    for device, listening in home.listening.items():
        await until_in_step(device.mirror, listening, runs, profile)
    for device in home.devices:
        await device.mirror.sync()
        assert (device.mirror.runs, device.mirror.version) == (runs, profile["version"])
    await check_followers(home, line, runs)


def check_what_was_seen(home: Household) -> None:
    """Whoever looked has seen, at any time, what the ledger allows for then."""
    for device in home.devices:
        for look in device.mirror.seen:
            shown = of_runs(look.shown.values()) if look.of == RUNS else of_settings(look.shown)
            assert home.ledger.wrong(shown, look.of, Write(look.began, look.ended)) == {}, look


async def until_in_step(
    mirror: Mirror, listening: asyncio.Task[None], runs: dict[str, Any], profile: dict[str, Any]
) -> None:
    deadline = time.monotonic() + IN_STEP_SECONDS
    while (mirror.runs, mirror.version, mirror.settings) != (runs, profile["version"], profile["settings"]):
        if listening.done():
            listening.result()
        assert time.monotonic() < deadline, (mirror.runs, mirror.version, mirror.settings, runs, profile)
        await asyncio.sleep(0.02)


async def check_followers(home: Household, line: Line, runs: dict[str, Any]) -> None:
    """Somebody new who begins at the beginning ends where all others are, and there is nothing after that."""
    fresh = Mirror(line, random.Random(0))
    await fresh.follow()
    assert fresh.runs == runs
    for token in {fresh.token, *(device.mirror.token for device in home.devices)}:
        after = await line.read(f"/api/runs?since={token}&limit=1")
        assert (after["runs"], after["deleted"], after["has_more"]) == ([], [], False)


async def check_patches(home: Household, line: Line) -> None:
    """Each that the history still tells of."""
    history: dict[int, Any] = {}
    before: str | None = ""
    while before is not None:
        page = await line.read(f"/api/settings/history?limit=100{before}")
        history |= {entry["version"]: entry for entry in page["history"]}
        before = f"&before={page['next_before']}" if page["next_before"] else None
    patches = [done for device in home.devices for done in device.patches]
    checked = sum(check_patch(done, history) for done in patches)
    print(f"{checked} of {len(patches)} patches are still in the history")
    assert checked


def check_something_happened(home: Household) -> None:
    """The dice may not have left out what this is about."""
    assert all(device.mirror.began_anew == 1 for device in home.devices), "a guest's token is of no use to a user"
    counts = {
        "writes": len(home.ledger.writes),
        "looks": sum(len(device.mirror.seen) for device in home.devices),
        "undone": sum(write.undoes is not None for write in home.ledger.writes),
        "conflicts": sum(device.conflicts for device in home.devices),
        "repeated": sum(device.repeated for device in home.devices),
        "troubles": len(home.troubles),
        "away": home.away,
    }
    print(counts)
    assert counts["conflicts"] * counts["repeated"] > 0
