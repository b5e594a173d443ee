"""What every answer tells a browser not to do with it, the error ones and the passed-on ones too.

After the OWASP Secure Headers Project, and the OWASP cheat sheets on HTTP headers and on REST security. An answer is no
page unless it says so; a policy that it brings along, as a source image does, stays.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.addresses import scheme_of

PAGE = web.ResponseKey("page", bool)  # set on what the console is made of

NOTHING = "default-src 'none'; frame-ancestors 'none'"
TWO_YEARS = 2 * 365 * 24 * 3600
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # also for answers whose own policy says nothing of frames
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
OWN = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# Trusted Types: the console makes elements and never parses markup. Google's script does, so there it cannot be had.
ALONE = OWN | {"require-trusted-types-for": "'script'", "trusted-types": "'none'"}
# What the setup guide of Google Identity Services asks for: these addresses, popups that can answer, and a referrer by
# which it knows the page, a whole one where that is http://localhost.
WITH_GOOGLE = OWN | {
    "script-src": "'self' https://accounts.google.com/gsi/client",
    "style-src": "'self' https://accounts.google.com/gsi/style",
    "frame-src": "https://accounts.google.com/gsi/",
    "connect-src": "'self' https://accounts.google.com/gsi/",
}


def protecting(*, production: bool, google: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A hook for `on_response_prepare`. `google`: whether people can sign in with Google on the page."""
    answers = EVERYWHERE | {
        "Content-Security-Policy": NOTHING,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    pages = EVERYWHERE | {
        "Content-Security-Policy": page_policy(google=google),
        "Referrer-Policy": _referrer(production=production) if google else "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups" if google else "same-origin",
    }

    async def protect(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        for name, value in (pages if PAGE in response else answers).items():
            headers.setdefault(name, value)
        if request.path.startswith("/api/"):
            headers.setdefault("Cache-Control", "no-store")
        if production and scheme_of(request) != "http":  # RFC 6797, 7.2: not where it is known to come over http
            headers["Strict-Transport-Security"] = f"max-age={TWO_YEARS}"
        headers.popall("Server", None)  # aiohttp names itself and Python, with their versions

    return protect


def page_policy(*, google: bool) -> str:
    """The console's: its own files, images that it holds itself, nothing inline, no text that becomes markup."""
    return "; ".join(f"{name} {sources}" for name, sources in (WITH_GOOGLE if google else ALONE).items())


def _referrer(*, production: bool) -> str:
    return "strict-origin-when-cross-origin" if production else "no-referrer-when-downgrade"
