"""A running gateway, asked in the name of one session: what it answers, or why not as a Stop."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import typer
from yarl import URL

from animatize.places import addresses
from animatize.session import session_of
from animatize.telling import Exit, Stop
from chassis import documents
from gateway.identity import COOKIE, TAKEN_FOR

Session = Annotated[
    Path, typer.Option("--session", help="The session: a cookie jar as curl -c writes it, or the value.")
]
At = Annotated[str | None, typer.Option("--url", help="The gateway. By default the first ANIMATIZE_GATEWAY_URL.")]

TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
AGAIN: Final = frozenset({409, 429, 502, 503, 504})
LOST: Final = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class Gateway:
    """Made by `reached`. Every request names the session that it takes for its own, so that none falls to another."""

    def __init__(self, http: aiohttp.ClientSession, url: URL) -> None:
        self._http, self._url, self._headers = http, url, dict[str, str]()

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer of a success. Raises Stop with what the gateway says, or one of LOST."""
        all_headers = self._headers | dict(headers or {})
        url = self._url.join(URL(path))
        async with self._http.request(method, url, headers=all_headers, allow_redirects=False, **rest) as answer:
            if answer.status >= 300:
                raise await _refusal(answer)
            yield answer

    async def read(self, path: str) -> Any:
        async with self.ask("GET", path) as answer:
            return documents.parse(await answer.read())

    async def take_session(self) -> None:
        """Say from now on which session is meant. Raises Stop where the cookie's has ended: the gateway then makes a
        guest to whoever first asks, and the cookie is not that guest's.
        """
        mine = (await self.read("/api/session/bootstrap"))["session_id"]
        self._headers = {TAKEN_FOR: mine}
        await self.read("/api/session/bootstrap")


@asynccontextmanager
async def reached(at: str | None, session: Path) -> AsyncIterator[Gateway]:
    """Raises Stop where nobody answers, or the session has ended."""
    url = _address(at or addresses().gateway_url[0])
    headers = {"Cookie": f"{COOKIE}={session_of(session, url).get_secret_value()}"}
    async with aiohttp.ClientSession(headers=headers, timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as http:
        gateway = Gateway(http, url)
        try:
            await gateway.take_session()
            yield gateway
        except LOST as error:
            raise Stop(Exit.AWAY, f"The gateway at {url} does not answer: {str(error) or 'timeout'}.") from None


def _address(given: str) -> URL:
    try:
        url = URL(given)
    except ValueError:  # a port that is none, half an IPv6 address
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise Stop(Exit.USAGE, f"{given} is no address of a gateway: write http://… or https://…")
    return url


async def _refusal(answer: aiohttp.ClientResponse) -> Stop:
    """What a problem document says. Its code goes along, for programs."""
    if answer.status < 400:
        where = answer.headers.get("Location", "elsewhere")
        return Stop(Exit.REFUSED, f"{answer.url} leads to {where}: give that as --url.")
    code = Exit.AWAY if answer.status in AGAIN else Exit.REFUSED
    try:
        told = documents.parse(await answer.read())
        return Stop(code, str(told["detail"]), problem=told["code"], errors=told.get("errors", []))
    except (documents.Malformed, KeyError, TypeError):
        return Stop(code, f"{answer.url.origin()} answered {answer.status}, and not as a gateway does.")
