"""How often one address may ask for what costs the server something to keep: limits' sliding window counter.

That strategy keeps two numbers an address, where a moving window keeps the time of every hit, and lets no second burst
through at the turn of a minute, as a fixed window does. Each process counts for itself. An address of IPv6 stands for
its /64, the least that a network hands to one customer.
"""

import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

from aiohttp import web
from cachetools import TTLCache
from limits import RateLimitItemPerMinute
from limits.storage import SlidingWindowCounterSupport, Storage
from limits.storage.base import TimestampedSlidingWindow
from limits.strategies import SlidingWindowCounterRateLimiter

from chassis.problems import Problem
from gateway.addresses import Address, address_of

MINUTE = 60
REMEMBERED = 50_000  # counters; beyond that those go that were used least recently


class Counters(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """A bounded store for limits. The one that comes with it has no bound, and goes over all that it holds after every
    hit, on a thread: 40 ms at a time where there are 200,000 addresses."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float] = time.time, remembered: int = REMEMBERED) -> None:
        super().__init__()
        self._clock = clock
        self._counts: TTLCache[str, int] = TTLCache(remembered, 2 * MINUTE, clock)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        previous, previous_ttl, current, _ = self.get_sliding_window(key, expiry)
        if int(previous * previous_ttl / expiry + current) + amount > limit:
            return False
        self.incr(self.sliding_window_keys(key, expiry, self._clock())[1], expiry, amount)
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Of the last window and of this one how often, and for how many seconds that still counts."""
        now = self._clock()
        previous, current = self.sliding_window_keys(key, expiry, now)
        left = expiry - now % expiry
        return self.get(previous), left, self.get(current), left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        for each in self.sliding_window_keys(key, expiry, self._clock()):
            self.clear(each)

    def incr(self, key: str, _expiry: int, amount: int = 1) -> int:
        self._counts[key] = count = self.get(key) + amount
        return count

    def get(self, key: str) -> int:
        return self._counts.get(key, 0)

    def get_expiry(self, _key: str) -> float:
        return self._clock() + 2 * MINUTE

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def reset(self) -> int:
        count = len(self._counts)
        self._counts.clear()
        return count

    def check(self) -> bool:
        return True

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()


class Limit:
    """At most so many a minute from one address. `what` is the end of the sentence that tells a person so."""

    def __init__(self, per_minute: int, what: str, counters: Counters | None = None) -> None:
        self._item, self._what = RateLimitItemPerMinute(per_minute), what
        self._counters = counters or Counters()
        self._limiter = SlidingWindowCounterRateLimiter(self._counters)

    def count(self, request: web.Request) -> None:
        """Raises Problem 429 where this one is too many; that one does not count."""
        key = _key(address_of(request))
        if not self._limiter.hit(self._item, key):
            detail = f"Too many {self._what} from your network address within a minute. Nothing was changed."
            raise Problem(429, "too_many_requests", detail, headers={"Retry-After": str(self._seconds_to_wait(key))})

    def _seconds_to_wait(self, key: str) -> int:
        """Whole seconds after which there is room for one, if nobody else takes it."""
        limit, window = self._item.amount, self._item.get_expiry()
        previous, left, current, _ = self._counters.get_sliding_window(self._item.key_for(key), window)
        # What the last window weighs shrinks as this one goes on, until it makes room; where this one alone is full, it
        # has to become the last one first.
        wait = left - (limit - current) * window / previous if current < limit else left
        return int(wait) + 1


NEW_GUESTS: web.AppKey[Limit] = web.AppKey("new_guests", Limit)
SIGN_INS: web.AppKey[Limit] = web.AppKey("sign_ins", Limit)


def _key(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
