"""Refuses what another site's page makes a browser send, before identity is looked at.

Fetch metadata first, `Origin` where a browser sends none, as the OWASP cheat sheet on cross-site request forgery
prevention orders them. A request with neither header comes from no browser.
"""

from aiohttp import web
from yarl import URL

from chassis.problems import Problem
from chassis.serving import Handler
from gateway.addresses import host_of
from gateway.sending import SAFE_METHODS

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
    """Whether the origin (RFC 6454: scheme, host and port, no more) is one of ours."""
    try:
        page = URL(origin)
        ours = (URL.build(scheme=page.scheme, authority=host), URL(public_url))
        return page.origin() == page and page.scheme in ("http", "https") and _place(page) in map(_place, ours)
    except ValueError:  # `null`, or nothing that could be a host
        return False


def _place(url: URL) -> tuple[str | None, int | None]:
    """Host and port, however they are written; where there is no port, the usual one of the scheme."""
    return url.host, url.port
