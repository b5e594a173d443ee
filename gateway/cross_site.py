"""Refuses what another site's page makes a browser send, before identity is looked at.

Fetch metadata first, `Origin` where a browser sends none, as the OWASP cheat sheet on cross-site request forgery
prevention orders them. A request with neither header comes from no browser.
"""

import re

from aiohttp import web
from yarl import URL

from chassis.problems import Problem
from chassis.serving import Handler
from gateway.addresses import host_of
from gateway.sending import SAFE_METHODS

# Scheme, host and port, and no more (RFC 6454, 7).
ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\\]+)(:[0-9]*)?", re.IGNORECASE)
PUBLIC_URL: web.AppKey[str] = web.AppKey("public_url", str)


@web.middleware
async def cross_site_refused(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.method not in SAFE_METHODS and is_cross_site(request, request.app[PUBLIC_URL]):
        raise Problem(403, "cross_site", "This came from another site's page. Nothing was changed.")
    return await handler(request)


def is_cross_site(request: web.Request, public_url: str) -> bool:
    if (fetch_site := request.headers.get("Sec-Fetch-Site")) is not None:
        return fetch_site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and not _is_own(origin, host_of(request), public_url)


def _is_own(origin: str, host: str, public_url: str) -> bool:
    page = _place(origin)
    ours = (_place(f"{origin.partition(':')[0]}://{host}"), _place(public_url))
    return page is not None and page in ours


def _place(origin: str) -> tuple[str | None, int | None] | None:
    """Host and port, however they are written; where there is no port, the usual one of the scheme. None: no origin."""
    if not ORIGIN.fullmatch(origin):
        return None
    try:
        url = URL(origin)
    except ValueError:  # a port beyond all ports, say
        return None
    return url.host, url.port
