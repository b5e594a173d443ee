"""Where a service is: the addresses behind its URLs, in turn, without those that do not answer."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import count

from yarl import URL

LOOK_UP_SECONDS = 1.0  # how long the addresses of a name are believed: a replica that was added is used after that
FAILURES = 5  # in a row, after which a replica is skipped
REST_SECONDS = 1.0


@dataclass(eq=False)
class Replica:
    """One process of a service: `base` is its URL by number, `name` and `authority` are what the configuration says."""

    base: str
    name: str
    authority: str
    failures: int = 0
    rests_until: float = 0.0

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
            await asyncio.shield(self._looking)
        return self._known

    async def next(self) -> Replica:
        """Whose turn it is; who failed too often has a rest, unless all do. Raises OSError: a name leads nowhere."""
        known, now = await self.all(), self._clock()
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, f"no address is known for {', '.join(map(str, self._urls))}")
        awake = [replica for replica in known if replica.rests_until <= now] or known
        return awake[next(self._turn) % len(awake)]

    def failed(self, replica: Replica) -> bool:
        """Whether it is skipped from now on. One that has had its rest has another at its next failure."""
        replica.failures += 1
        if replica.failures < FAILURES:
            return False
        replica.rests_until = self._clock() + REST_SECONDS
        return True

    def answered(self, replica: Replica) -> None:
        replica.failures = 0

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
        except OSError:
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
