"""What the gateway counts beside what every process does: how its services answer, and how its journal stands.

Each label has all its values from the start, at 0: a rate sees the first failure only where there was a number before.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import product
from typing import Final

import aiohttp
from prometheus_client import Counter, Gauge, Histogram

from chassis.metrics import LATENCIES
from gateway.entries import Unfinished
from gateway.operations import ENDED, Kind, Stage

SERVICES: Final = ("auth", "settings", "runs", "vault")
UNDER_WAY: Final = tuple(stage for stage in Stage if stage not in ENDED)
OF_A_NEWER_RELEASE: Final[tuple[str, str]] = ("other", "other")  # it may work on the same journal


class Failure(StrEnum):
    """Why a service's answer did not come."""

    REFUSED = "refused"  # no connection: nothing was sent
    TIMEOUT = "timeout"  # connected, and no answer in time
    CUT = "cut"  # the connection ended before the answer was whole
    UNUSABLE = "unusable"  # an answer that is not what a service says
    DISTRUST = "distrust"  # the service does not believe the gateway's token
    OTHER = "other"


UPSTREAM_SECONDS: Final = Histogram(
    "animatize_upstream_seconds",
    "From asking a service to the head of its answer, retries included.",
    ("service",),
    buckets=LATENCIES,
)
UPSTREAM_FAILURES: Final = Counter(
    "animatize_upstream_failures", "Questions to a service that ended without a usable answer.", ("service", "reason")
)
UPSTREAM_RETRIES: Final = Counter(
    "animatize_upstream_retries", "Questions put to a service once more, since no answer came.", ("service",)
)
REPLICAS_SKIPPED: Final = Counter(
    "animatize_replicas_skipped",
    "Times that a replica began to be left out, but for one trial a second, since it had failed five times in a row.",
    ("service",),
)
OPERATIONS: Final = Gauge(
    "animatize_operations_unfinished",
    "Operations in the journal that are not at their end; of all gateways over the same file.",
    ("kind", "stage"),
)
OLDEST_OPERATION: Final = Gauge(
    "animatize_oldest_unfinished_operation_seconds",
    "Age of the oldest operation of the journal that is not at its end; 0 where all are.",
)
OPERATIONS_ENDED: Final = Counter(
    "animatize_operations_ended",
    "Operations that this process brought to their end: done, aborted (nothing changed), failed (a service lost it).",
    ("kind", "stage"),
)
EVENT_STREAMS: Final = Gauge("animatize_event_streams", "Streams of live events that are open in this process.")
FEEDS: Final = Gauge(
    "animatize_feeds_up", "Whether what changes of a topic is heard of: 1, or 0 where its feed is lost.", ("topic",)
)


def _begin_at_zero() -> None:
    for service, counted in product(SERVICES, (UPSTREAM_SECONDS, UPSTREAM_RETRIES, REPLICAS_SKIPPED)):
        counted.labels(service)
    for service, reason in product(SERVICES, Failure):
        UPSTREAM_FAILURES.labels(service, reason)
    for kind, stage in product(Kind, ENDED):
        OPERATIONS_ENDED.labels(kind, stage)
    set_unfinished([])


def set_unfinished(found: Sequence[Unfinished]) -> None:
    numbers: dict[tuple[str, str], int] = {**dict.fromkeys(product(Kind, UNDER_WAY), 0), OF_A_NEWER_RELEASE: 0}
    for each in found:
        known = (each.kind, each.stage) in numbers
        numbers[(each.kind, each.stage) if known else OF_A_NEWER_RELEASE] += each.number
    for (kind, stage), number in numbers.items():
        OPERATIONS.labels(kind, stage).set(number)
    now = datetime.now(UTC)
    began = min((datetime.fromisoformat(each.oldest) for each in found), default=now)
    OLDEST_OPERATION.set(max(0.0, (now - began).total_seconds()))


async def tell_unfinished(read: Callable[[], Awaitable[list[Unfinished]]]) -> None:
    """Set the gauges about the journal to what stands in it now."""
    set_unfinished(await read())


def failure_of(error: BaseException) -> Failure:
    """In which of the few ways a call failed."""
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError | socket.gaierror):
        return Failure.REFUSED
    if isinstance(error, TimeoutError):
        return Failure.TIMEOUT
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | ConnectionError):
        return Failure.CUT
    return Failure.UNUSABLE if isinstance(error, aiohttp.ClientResponseError | ValueError) else Failure.OTHER


_begin_at_zero()
