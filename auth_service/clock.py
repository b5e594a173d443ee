"""The time as this service tells it: taken from one clock, written so that moments compare as text."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """As the file and the wire have it: ISO 8601, UTC, microseconds, +00:00."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)
