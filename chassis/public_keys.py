"""The gateways' public keys as a service knows them: asked for when one is unknown, and again before they are old.

While a root secret is being changed gateways may publish different keys, so each is asked, and what they say is put
together. A key that is published no longer is believed for FRESH_SECONDS at most, for GIVEN_UP_SECONDS where some
gateway cannot be asked, and for longer only while none can.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from chassis import tracing
from chassis.problems import unavailable

PATH: Final = "/.well-known/jwks.json"
REFETCH_SECONDS = 1.0
FRESH_SECONDS = 300.0
GIVEN_UP_SECONDS = 600.0
PATIENCE: Final = aiohttp.ClientTimeout(3)

Published = dict[str, OKPKey]


class Known(NamedTuple):
    """A key, and when a gateway published it last."""

    key: OKPKey
    seen_at: float

    def seen_within(self, seconds: float) -> bool:
        return time.monotonic() - self.seen_at < seconds


class PublicKeys:
    """Asks the gateways at most once in REFETCH_SECONDS: all who wait share the outcome, also of a failure."""

    def __init__(self, gateways: Sequence[str], http: aiohttp.ClientSession) -> None:
        self._gateways, self._http = gateways, http
        self._known: dict[str, Known] = {}
        self._asking = asyncio.Lock()
        self._asked_at = -REFETCH_SECONDS
        self._answers = 0  # of the gateways, when they were asked last

    def is_fresh(self, key_id: str) -> bool:
        """Whether the key is to be believed without asking again."""
        known = self._known.get(key_id)
        return known is not None and known.seen_within(FRESH_SECONDS)

    async def find(self, key_id: str) -> OKPKey | None:
        """The key; None where no gateway publishes it. Raises Problem 503 while none can be asked about it."""
        if not self.is_fresh(key_id) and not (key_id in self._known and self._asking.locked()):
            await self._ask_about(key_id)
        if (known := self._known.get(key_id)) is not None:
            return known.key
        if not self._answers:
            raise unavailable("keys_unreachable", "No gateway can be reached to check who is asking.")
        return None

    async def _ask_about(self, key_id: str) -> None:
        came = time.monotonic()
        async with self._asking:
            if self.is_fresh(key_id) or self._asked_at > came:
                return
            wait = self._asked_at + REFETCH_SECONDS - came
            if wait > 0 and not self._may_be_at_another(key_id):
                return
            await asyncio.sleep(wait)
            self._asked_at = time.monotonic()
            await self._ask(key_id)

    def _may_be_at_another(self, key_id: str) -> bool:
        """Whether a gateway that did not answer last time, being restarted perhaps, may publish the unknown key."""
        return key_id not in self._known and 0 < self._answers < len(self._gateways)

    async def _ask(self, key_id: str) -> None:
        """Ask all at once. For an unknown key the first that publishes it is enough, so that one that hangs keeps
        nobody waiting."""
        unknown, answers, published = key_id not in self._known, 0, Published()
        asked = [asyncio.ensure_future(self._published_by(gateway)) for gateway in self._gateways]
        for answer in asyncio.as_completed(asked):
            if (keys := await answer) is not None:
                answers, published = answers + 1, published | keys
            if unknown and key_id in published:
                break
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        self._answers = answers
        self._note(published)

    def _note(self, published: Published) -> None:
        """Forget what no gateway publishes, if all of them answered; else what none has published for long."""
        kept = {key_id: known for key_id, known in self._known.items() if known.seen_within(self._kept_for())}
        now = time.monotonic()
        self._known = kept | {key_id: Known(key, now) for key_id, key in published.items()}

    def _kept_for(self) -> float:
        """Seconds for which a key is believed that was not published just now."""
        if not self._answers:
            return math.inf
        return GIVEN_UP_SECONDS if self._answers < len(self._gateways) else 0.0

    async def _published_by(self, gateway: str) -> Published | None:
        """None where it gives no usable answer."""
        try:
            async with self._http.get(gateway + PATH, headers=tracing.outgoing(), timeout=PATIENCE) as answer:
                keys = (await answer.json())["keys"]
            return {key["kid"]: OKPKey.import_key(key) for key in keys}
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError, JoseError):
            return None
