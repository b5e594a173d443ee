"""What every process counts for Prometheus, and the address of its own where that is read.

Labels are words of ours, and few: routes as their patterns, methods and statuses. Nothing a caller sent is one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from chassis import logs
from chassis.problems import from_exception

log = structlog.get_logger()

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line a number, to say when its process began

Refresh = Callable[[], Awaitable[None]]
ON_SCRAPE: web.AppKey[list[Refresh]] = web.AppKey("on_scrape", list)
REFRESH_SECONDS: Final = 2.0  # a scrape waits no longer for a number about a database
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LATENCIES: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)

REQUESTS: Final = Counter(
    "animatize_http_requests",
    "Requests answered, by route and status; 499: the client left before it had its answer.",
    ("method", "route", "status"),
)
REQUEST_SECONDS: Final = Histogram(
    "animatize_http_request_seconds",
    "From the arrival of a request to its answer, of a stream to the last byte of it.",
    ("method", "route", "status"),
    buckets=LATENCIES,
)
REQUESTS_UNDER_WAY: Final = Gauge("animatize_http_requests_under_way", "Requests not answered yet, streams included.")
GROUP_WORKS: Final = Histogram(
    "animatize_group_commit_works",
    "Writes that shared one transaction and one fsync; more under more load.",
    buckets=[1 << power for power in range(9)],
)
GROUP_SECONDS: Final = Histogram(
    "animatize_group_commit_seconds",
    "From taking up a group of writes until its commit is on the disk; waiting for another process included.",
    buckets=LATENCIES,
)
GROUPS_FAILED: Final = Counter(
    "animatize_group_commit_failures",
    "Groups of writes of which none was committed: disk full, file locked too long, I/O error.",
)
STALE_SCRAPES: Final = Counter(
    "animatize_scrape_failures", "Numbers about the database that could not be read for a scrape; the last ones stand."
)

_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. The labelled children are kept here: to look them up costs more than to count."""
    found = _children.get((method, route, status))
    if found is None:
        labels = (method, route, str(status))
        found = _children[method, route, status] = (REQUESTS.labels(*labels), REQUEST_SECONDS.labels(*labels))
    found[0].inc()
    found[1].observe(seconds)


def known_method(method: str) -> str:
    """The method, if it is one of HTTP's usual ones: a caller may send any word."""
    return method if method in METHODS else "other"


def exposition(app: web.Application) -> web.Application:
    """The application that serves `app`'s process to Prometheus: GET /metrics and nothing else.

    What stands in `app[ON_SCRAPE]` is awaited first; where that fails, all else is told nevertheless.
    """

    async def show(_: web.Request) -> web.Response:
        await asyncio.gather(*(_refreshed(refresh) for refresh in app.get(ON_SCRAPE, ())))
        text = await asyncio.to_thread(generate_latest)  # thousands of lines: requests go on meanwhile
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    exposed = web.Application(middlewares=[_problems_answered])
    exposed.router.add_get("/metrics", show)
    return exposed


async def _refreshed(refresh: Refresh) -> None:
    try:
        async with asyncio.timeout(REFRESH_SECONDS):
            await refresh()
    except Exception as error:  # whatever it is, it must not hide the rest
        STALE_SCRAPES.inc()
        log.warning("scrape_incomplete", reason=type(error).__name__)


@web.middleware
async def _problems_answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    logs.enter_request(request)
    try:
        return await handler(request)
    except Exception as error:
        return from_exception(error).response()
