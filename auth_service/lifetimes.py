"""How long a session lives: use prolongs it, and one that is signed in has an end that no use puts off."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SIGNED_IN_AT_MOST = timedelta(days=90)
PROLONGED_AFTER = 0.1  # of a life: so that not every request writes


@dataclass(frozen=True)
class Lifetime:
    """`life` is how long a session lives without use."""

    life: timedelta

    def end(self, now: datetime, created_at: datetime, *, signed_in: bool) -> datetime:
        """When a session that is used `now` ends. A guest's may go on for ever: nothing else leads to its work."""
        end = now + self.life
        return min(end, created_at + SIGNED_IN_AT_MOST) if signed_in else end

    def prolonged(self, now: datetime, created_at: datetime, expires_at: datetime, *, signed_in: bool) -> datetime:
        """The end that a live session has from `now` on: `expires_at`, until a tenth of a life has gone. Never less."""
        if expires_at - now > self.life * (1 - PROLONGED_AFTER):
            return expires_at
        return max(expires_at, self.end(now, created_at, signed_in=signed_in))
