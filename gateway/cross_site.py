"""Refuses what another site's page makes a browser send, before identity is looked at.

Fetch metadata first, `Origin` where a browser sends none, as the OWASP cheat sheet on cross-site request forgery
prevention orders them. A request with neither header comes from no browser.
"""

from urllib.parse import urlsplit

from aiohttp import web

from chassis.problems import Problem
from chassis.serving import Handler
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
    if (origin := request.headers.get("Origin")) is None:
        return False
    host = urlsplit(origin).netloc
    return not host or host not in (request.host, urlsplit(public_url).netloc)
