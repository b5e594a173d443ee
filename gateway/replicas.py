"""Where a service is: the addresses behind its URLs, in turn, without those that do not answer."""

import asyncio
import math
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import count

from yarl import URL

LOOK_UP_SECONDS = 1.0  # how long the addresses of a name are believed: a replica that was added is used after that
FAILURES = 5  # in a row, after which a replica is skipped
REST_SECONDS = 1.0
FIRST_LOOK_SECONDS = 2.0  # then the name counts as leading nowhere, for the time being
LOOK_AGAIN_SECONDS = 0.2  # after a failure: the address may be nobody's any more
HEARD_SECONDS = 0.25  # a process that ends says so for longer than this
LEAVING_SECONDS = 5.0


@dataclass(eq=False)
class Replica:
    """One process of a service: `base` is its URL by number, `name` and `authority` are what the configuration says."""

    base: str
    name: str
    authority: str
    failures: int = 0
    rests_until: float = -math.inf
    answered_at: float = -math.inf
    leaves_until: float = -math.inf

    @property
    def certified_name(self) -> str | None:
        """The name that its certificate has to carry."""
        return self.name if self.base.startswith("https:") else None


class Replicas:
    """All processes of one service."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._urls, self._clock = [URL(url) for url in urls], clock
        self._known: list[Replica] = []
        self._looked_up = -LOOK_UP_SECONDS
        self._looking: asyncio.Task[None] | None = None
        self._turn = count()

    async def all(self) -> list[Replica]:
        """As found at most a second ago or, where it takes long to look, as known before."""
        if self._looking is None and self._clock() - self._looked_up >= LOOK_UP_SECONDS:
            self._looking = asyncio.create_task(self._look_up())
        if self._looking is not None and not self._known:
            await asyncio.wait([self._looking], timeout=FIRST_LOOK_SECONDS)
        return self._known

    async def next(self, tried: Collection[Replica] = ()) -> Replica:
        """Whose turn it is, of those who were not `tried` and have no rest after failing too often, unless all were or
        have. Raises OSError: a name leads nowhere."""
        known, now = await self.all(), self._clock()
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, f"no address is known for {', '.join(map(str, self._urls))}")
        fresh = [replica for replica in known if replica not in tried] or known
        awake = [replica for replica in fresh if replica.rests_until <= now] or fresh
        chosen = awake[next(self._turn) % len(awake)]
        if chosen.failures >= FAILURES:  # it is on trial with this one request: the others go elsewhere meanwhile
            chosen.rests_until = now + REST_SECONDS
        return chosen

    def failed(self, replica: Replica) -> bool:
        """Whether it begins to be skipped. One that has had its rest has another at its next failure."""
        self._looked_up = min(self._looked_up, self._clock() - LOOK_UP_SECONDS + LOOK_AGAIN_SECONDS)
        replica.failures += 1
        if replica.failures >= FAILURES:
            replica.rests_until = self._clock() + REST_SECONDS
        return replica.failures == FAILURES and len(self._known) > 1

    def answered(self, replica: Replica, *, leaving: bool = False) -> None:
        """`leaving`: the answer said that it was the connection's last."""
        replica.failures, replica.answered_at, replica.rests_until = 0, self._clock(), -math.inf
        if leaving:
            replica.leaves_until = replica.answered_at + LEAVING_SECONDS

    def may_be_leaving(self, replica: Replica) -> bool:
        """Whether its process may be about to end: it has said so, or has not been heard of just now."""
        now = self._clock()
        return now < replica.leaves_until or now - replica.answered_at > HEARD_SECONDS

    async def _look_up(self) -> None:
        try:
            before = {replica.base: replica for replica in self._known}
            found = [replica for url in self._urls for replica in await self._behind(url)]
            self._known = [before.get(replica.base, replica) for replica in found]
        finally:
            self._looked_up, self._looking = self._clock(), None

    async def _behind(self, url: URL) -> list[Replica]:
        """What a name that cannot be looked up led to before is still worth a try."""
        name = url.host or ""
        try:
            addresses = [name] if _is_number(name) else await _addresses_of(name, url.port)
        except (OSError, UnicodeError):  # also a name that cannot be one
            return [replica for replica in self._known if replica.name == name]
        return [Replica(str(url.with_host(address)).rstrip("/"), name, url.authority) for address in addresses]


async def _addresses_of(name: str, port: int | None) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
