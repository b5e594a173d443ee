"""Who is calling: from the cookie to a session, through the auth service. A fault of ours never touches the cookie."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from aiohttp import web
from cachetools import TTLCache

from chassis.peers import Caller, Scope
from chassis.problems import Problem
from chassis.serving import HEALTH_PATHS, ROUTES, Handler
from gateway.limiting import NEW_GUESTS
from gateway.sending import SAFE_METHODS
from gateway.services import Auth

COOKIE = "animatize_session"
TAKEN_FOR = "Animatize-Session"  # the public id of the session that a caller takes for its own
TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")
FRESH_SECONDS = 1.0  # within this a revoked session is refused everywhere
STALE_SECONDS = 30.0  # a read may use an answer this old while the auth service cannot be reached


class Audience(StrEnum):
    """What a public route asks of its caller."""

    SESSION = "session"  # a read without one makes a guest
    SAME_SESSION = "same session"  # so does one without a cookie; one that has ended is refused, also to read
    FOLLOWER = "follower"  # SAME_SESSION of who comes with a `since`, and so was here before; SESSION of all others
    WELCOME = "welcome"  # a session is used where there is one, and none is made or demanded
    ANYONE = "anyone"


@dataclass(frozen=True)
class Session:
    """A live session, as the auth service told it."""

    id: str
    owner: str
    expires_at: datetime
    wrote: bool = True  # whether its owner may have written anything; what a guest has not is soon forgotten
    renewed: bool = False  # its life was prolonged just now

    @property
    def caller(self) -> Caller:
        return Caller(self.owner, Scope.OWNER, self.id)


SESSION = web.RequestKey("session", Session)
ADMITTED: web.RequestKey[tuple[str, Session]] = web.RequestKey("admitted", tuple)  # a session made for this request
RENEWED: web.RequestKey[tuple[str, Session]] = web.RequestKey("renewed", tuple)  # one whose cookie is to live longer
LEFT: web.RequestKey[bool] = web.RequestKey("left", bool)  # the answer takes the cookie away


class Identity:
    """Resolves cookies, remembering each answer for a second counted from when it was asked for."""

    def __init__(self, auth: Auth, clock: Callable[[], float] = time.monotonic) -> None:
        self._auth, self._clock = auth, clock
        self._known: TTLCache[str, tuple[float, Session]] = TTLCache(10_000, STALE_SECONDS, clock)

    async def of(self, request: web.Request, *, same: bool = False) -> Session:
        """The caller's session. Raises Problem 401 for a write under an ended one, where it has to be the `same` as
        before, and where it is another than the caller says; 503 where nobody can tell."""
        token = presented_token(request)
        read = request.method in SAFE_METHODS
        taken_for = request.headers.get(TAKEN_FOR)
        if token is not None:
            session = await (self.resolve(token, stale=True) if read else self._resolve_to_write(token))
            if session is not None and taken_for in (None, session.id):
                if session.renewed:
                    request[RENEWED] = (token, session)
                return session
            if same or not read:
                raise session_ended()
        if taken_for is not None:
            raise session_ended()
        request.app[NEW_GUESTS].count(request)
        made = await self._auth.make_guest(user_agent(request))
        session = self.admit(request, made)
        if not read and not session.wrote:
            await self._auth.note_write(made["token"])
        return session

    def admit(self, request: web.Request, made: dict[str, Any]) -> Session:
        """Have the answer to `request` carry the cookie of a session just made (`{token, session}`)."""
        token, session = made["token"], _session(made["session"])
        self._known[token] = (self._clock(), session)
        request[ADMITTED] = (token, session)
        return session

    async def resolve(self, token: str, *, stale: bool = False) -> Session | None:
        if not TOKEN.fullmatch(token):
            return None
        asked_at = self._clock()
        kept = self._known.get(token)
        if kept is not None and asked_at - kept[0] < FRESH_SECONDS:
            return kept[1]
        usable = stale and kept is not None and kept[1].expires_at > datetime.now(UTC)
        try:
            found = await self._auth.resolve(token, at_once=usable)
        except Problem:
            if usable and kept is not None:
                return kept[1]
            raise
        return self._remember(token, found, asked_at)

    async def _resolve_to_write(self, token: str) -> Session | None:
        """As `resolve`; a guest's first write is noted before it is passed on, lest the guest be forgotten."""
        session = await self.resolve(token)
        if session is None or session.wrote:
            return session
        asked_at = self._clock()
        return self._remember(token, await self._auth.note_write(token), asked_at)

    def _remember(self, token: str, found: dict[str, Any] | None, asked_at: float) -> Session | None:
        """Kept without word of a renewal: one answer carries the cookie again, and none of those that follow."""
        if found is None:
            self._known.pop(token, None)
            return None
        session = _session(found)
        self._known[token] = (asked_at, replace(session, renewed=False))
        return session

    async def is_live(self, token: str) -> bool:
        """False also where nobody can tell."""
        try:
            return await self.resolve(token) is not None
        except Problem:
            return False

    async def is_user(self, token: str | None) -> bool:
        """Whether the token is of somebody who is signed in."""
        session = await self.resolve(token) if token is not None else None
        return session is not None and session.owner.startswith("user:")

    async def refuse_other(self, request: web.Request) -> None:
        """Raises Problem 401 where the cookie is of another live session than the caller takes for its own."""
        taken_for, token = request.headers.get(TAKEN_FOR), usable_token(request)
        session = await self.resolve(token) if taken_for and token else None
        if session is not None and session.id != taken_for:
            raise session_ended()

    async def refuse_ended(self, request: web.Request) -> None:
        """Raises Problem 401 where the session of a request that writes has ended since it began: a body can take long
        to arrive."""
        token = token_of(request)
        writes = SESSION in request and request.method not in SAFE_METHODS
        if writes and token is not None and await self.resolve(token) is None:
            raise session_ended()

    def forget(self) -> None:
        """Ask anew for everyone: a session was ended through this very process."""
        self._known.clear()

    def forget_one(self, token: str) -> None:
        """Ask anew for the session of this token: it is known to have ended."""
        self._known.pop(token, None)


IDENTITY: web.AppKey[Identity] = web.AppKey("identity", Identity)


@web.middleware
async def identified(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every route says what it asks of its caller; one that says nothing is not served."""
    resource = request.match_info.route.resource
    if resource is None or request.path in HEALTH_PATHS:
        return await handler(request)
    audience = request.app[ROUTES][request.method, resource.canonical].audience
    if audience is Audience.FOLLOWER:
        audience = Audience.SAME_SESSION if request.query.get("since") else Audience.SESSION
    if audience in (Audience.SESSION, Audience.SAME_SESSION):
        request[SESSION] = await request.app[IDENTITY].of(request, same=audience is Audience.SAME_SESSION)
    elif audience not in (Audience.ANYONE, Audience.WELCOME):
        raise Problem(403, "no_audience", "Nobody may call this address.")
    return await handler(request)


def presented_token(request: web.Request) -> str | None:
    return request.cookies.get(COOKIE)


def token_of(request: web.Request) -> str | None:
    """That of the session that a request has: made for it, or presented."""
    return request[ADMITTED][0] if ADMITTED in request else presented_token(request)


def usable_token(request: web.Request) -> str | None:
    """None also where what is presented can be nobody's token: whoever signs in or out takes that for no cookie."""
    token = presented_token(request)
    return token if token is not None and TOKEN.fullmatch(token) else None


def session_ended() -> Problem:
    detail = (
        "This session has ended. Nothing was changed: sign in again, then repeat it. A new guest's profile is empty."
    )
    return Problem(401, "session_ended", detail)


def user_agent(request: web.Request) -> str:
    """What the browser calls itself; bytes that are no UTF-8, which HTTP allows, become question marks."""
    return request.headers.get("User-Agent", "").encode("utf-8", "replace").decode()


def cookie_setter(*, secure: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Sets the cookie of a session made for this request, whatever kind of answer it gets, but not on our faults."""

    async def set_cookie(request: web.Request, response: web.StreamResponse) -> None:
        if response.status >= 500 or (cookie := await _cookie_for(request)) is None:
            return
        token, life = cookie
        # aiohttp writes response.cookies into the headers before this hook runs, so the header is made here
        attributes = f"HttpOnly; Max-Age={life}; Path=/; SameSite=Lax{'; Secure' if secure else ''}"
        response.headers.add("Set-Cookie", f"{COOKIE}={token}; {attributes}")

    return set_cookie


async def _cookie_for(request: web.Request) -> tuple[str, int] | None:
    """Its value and its life in seconds, none where the browser is to forget it; None where it is left as it is.

    A renewal that comes late, when the browser may hold the cookie of a later session already, is not sent.
    """
    if LEFT in request:
        return "", 0
    if ADMITTED in request:
        return _living(*request[ADMITTED])
    if RENEWED in request and await request.app[IDENTITY].is_live(request[RENEWED][0]):
        return _living(*request[RENEWED])
    return None


def _living(token: str, session: Session) -> tuple[str, int]:
    return token, max(0, int((session.expires_at - datetime.now(UTC)).total_seconds()))


def _session(found: dict[str, Any]) -> Session:
    expires_at = datetime.fromisoformat(found["expires_at"])
    return Session(found["session_id"], found["owner"], expires_at, found["wrote"], found["renewed"])
