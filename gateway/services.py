"""The gateway's view of its peers: one small class each, methods as verbs. Nothing else in the gateway knows a path."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress
from operator import not_
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from chassis import documents
from chassis.changes import CURRENT_PATH, FEED_PATH
from chassis.peers import Caller, Scope
from chassis.problems import Problem
from chassis.uploads import whole_lines
from gateway.operations import Operation
from gateway.peer import Peer
from gateway.sending import Effort

LONG = Effort(600.0, offered=True)  # a service may be at work on all that an owner has
LONG_ONCE_OR_TWICE = replace(LONG, repeatable=True)
LISTENING = Effort(1.5)  # without a byte; there is a heartbeat every half a second
SOON = Effort(2.0)
UNWRITTEN = {"wrote": False}
PASSPHRASE_HEADER = "Animatize-Backup-Passphrase"  # noqa: S105 - its name


class Holder(Peer):
    """A service that holds something of owners: each knows how to forget one."""

    async def erase(self, owner: str) -> None:
        """Forget the owner and all that it has. Repeating it does no harm."""
        await self.call("POST", "/internal/erasure", _system(owner), effort=LONG_ONCE_OR_TWICE)

    @asynccontextmanager
    async def changes(self, after: int | None) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Where the feed begins, `{seq}`, then each change of anybody's, `{owner, version, seq, value}`, as it is
        written, and all after the place `after` before. Ends when the process does. Raises Problem, or one of FAILED.
        """
        place = f"?after={after}" if after is not None else ""
        async with self.listen(f"{FEED_PATH}{place}", _system("system"), LISTENING) as body:
            yield (documents.parse(line) async for line in whole_lines(body) if line)

    async def current(self, owner: str) -> dict[str, Any]:
        """`{version, value}` of what the owner has there now."""
        found: dict[str, Any] = await self.call("GET", CURRENT_PATH, _system(owner), effort=SOON)
        return found


class Auth(Holder):
    """Sessions. Its answers are about a cookie's token, so they are asked for in the system's own name.

    `wrote` false in what is asked: a guest's first write is announced by `note_write`, so none is to be expected else.
    """

    WHO = Caller("system", Scope.SYSTEM)

    async def make_guest(self, user_agent: str) -> dict[str, Any]:
        """`{token, session}` of a new guest."""
        found: dict[str, Any] = await self.call(
            "POST", "/internal/sessions", self.WHO, {"user_agent": user_agent} | UNWRITTEN
        )
        return found

    async def resolve(self, token: str, *, at_once: bool = False) -> dict[str, Any] | None:
        """The session that the token opens; None where it is unknown, expired or ended. `at_once` does not insist."""
        effort = Effort(1.0, retried=False) if at_once else Effort(repeatable=True)
        return await self._session_of("resolve", {"token": token} | UNWRITTEN, effort)

    async def note_write(self, token: str) -> dict[str, Any] | None:
        """Have it noted that the guest is about to write something; None where the session has ended."""
        return await self._session_of("wrote", {"token": token}, Effort(repeatable=True))

    async def log_out(self, token: str | None) -> dict[str, Any]:
        """End the session of the token, if it opens one; `{token, session}` of a fresh guest."""
        found: dict[str, Any] = await self.call(
            "POST", "/internal/sessions/logout", self.WHO, {"token": token} | UNWRITTEN
        )
        return found

    async def verify_google(self, credential: str, session: dict[str, Any] | None) -> dict[str, Any]:
        """`{owner, user}` of a Google ID token that came under this session. Raises Problem 401, 503."""
        who = self.WHO if session is None else Caller(session["owner"], Scope.SYSTEM, session["session_id"])
        found: dict[str, Any] = await self.call("POST", "/internal/google", who, {"credential": credential})
        return found

    async def sign_in(self, user: str, token: str | None, user_agent: str) -> dict[str, Any]:
        """End the session of the token, if it opens one; `{token, session}` of a new one of the user."""
        body = {"token": token, "user_agent": user_agent}
        found: dict[str, Any] = await self.call("POST", "/internal/sessions/sign-in", _system(user), body)
        return found

    async def end_of(self, who: Caller) -> datetime | None:
        """When the caller's session expires, None where it has ended. Unlike `resolve` this is no use of the session,
        and prolongs nothing. Raises Problem where nobody can tell."""
        try:
            found = await self.call("GET", "/api/session/bootstrap", who, effort=SOON)
        except Problem as problem:
            if problem.code == "session_ended":
                return None
            raise
        return datetime.fromisoformat(found["expires_at"])

    async def claim_guests(self, most: int) -> list[str]:
        """Guests that have not come back for so long that they are to be erased; none of them can come back now."""
        found = await self.call("POST", "/internal/guests/claim", self.WHO, {"limit": most})
        return list(found["owners"])

    async def _session_of(self, path: str, body: dict[str, Any], effort: Effort) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self.call("POST", f"/internal/sessions/{path}", self.WHO, body, effort)
        except Problem as problem:
            if problem.code == "unknown_session":
                return None
            raise
        return found


class Keeper(Holder):
    """A service that keeps a part of an owner's profile: it can hand its part out, and take one in two steps."""

    knows_again = True

    @asynccontextmanager
    async def hand_out(self, owner: str, passphrase: SecretStr | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
        """The owner's part as JSON values, one a line, of one moment; with a passphrase, what it seals comes first."""
        who = _system(owner)
        method, headers, data = "GET", {}, None
        if passphrase is not None:
            method, headers = "POST", {"Content-Type": "application/json"}
            data = documents.write({"passphrase": passphrase.get_secret_value()})
        async with self.ask(method, "/internal/backup", who, headers=headers, data=data, effort=LONG) as response:
            if response.status != 200:
                await self.read_answer(response)
            yield whole_lines(self.pieces(response))

    async def stage(
        self, operation: Operation, lines: AsyncIterable[bytes], passphrase: SecretStr | None = None
    ) -> dict[str, Any]:
        """Put `lines` beside the live data; the answer is the plan of what committing would do."""
        query = {"mode": "undo", "undoes": operation.undoes} if operation.undoes else {"mode": operation.mode}
        path = f"{_restore_path(operation)}?{urlencode(query)}"
        headers = {"Content-Type": "application/x-ndjson"}
        if passphrase is not None:
            headers[PASSPHRASE_HEADER] = quote(passphrase.get_secret_value(), safe="")
        who = _system(operation.owner)
        async with self.ask("PUT", path, who, headers=headers, data=lines, effort=LONG) as response:
            answer: dict[str, Any] = await self.read_answer(response)
            return answer

    async def commit(self, operation: Operation) -> dict[str, Any]:
        """Put what is staged in place, once; asking again gives the same answer."""
        answer: dict[str, Any] = await self._tell(operation, "commit")
        return answer

    async def abort(self, operation: Operation) -> None:
        await self._tell(operation, "abort")

    async def adopt(self, operation: Operation) -> dict[str, Any]:
        """Make what the operation's owner, a guest, has its target's; asking again gives the same answer."""
        who = Caller(operation.target or "", Scope.SYSTEM, guest=operation.owner)
        path = f"/internal/adoptions/{quote(operation.id, safe='')}"
        answer: dict[str, Any] = await self.call("POST", path, who, effort=LONG_ONCE_OR_TWICE)
        return answer

    async def _tell(self, operation: Operation, end: str) -> Any:
        who = _system(operation.owner)
        path = f"{_restore_path(operation)}/{end}"
        return await self.call("POST", path, who, effort=LONG_ONCE_OR_TWICE)


class SettingsKeeper(Keeper):
    """Settings profiles."""

    async def profile(self, owner: str, known: Mapping[str, Any] | None = None) -> Any:
        """The owner's profile as it is or, where `known` names a version and its times, as that version was."""
        who = Caller(owner, Scope.OWNER)
        if known is not None:
            try:
                version = await self.call("GET", f"/api/settings/history/{known['version']}", who)
                return {**known, "settings": version["settings"]}
            except Problem as problem:
                if problem.status != 404:
                    raise
        return await self.call("GET", "/api/settings", who)


@dataclass(frozen=True)
class Services:
    """All four peers."""

    auth: Auth
    settings: SettingsKeeper
    runs: Keeper
    vault: Keeper

    def all(self) -> tuple[Peer, ...]:
        return (self.auth, self.settings, self.runs, self.vault)

    async def ready(self) -> dict[str, bool]:
        """Whether each is ready, by name; asked all at once, so that one that hangs costs no more than its own time."""
        found = await asyncio.gather(*(peer.is_ready() for peer in self.all()))
        return {peer.name: ready for peer, ready in zip(self.all(), found, strict=True)}

    def keepers(self) -> tuple[Keeper, ...]:
        """Always in this order: settings are small, so they are in place first."""
        return (self.settings, self.runs, self.vault)

    async def refuse_absent(self) -> None:
        """Raises Problem 503 for a keeper that is not ready: better now than half way through what needs all."""
        ready = await asyncio.gather(*(keeper.is_ready() for keeper in self.keepers()))
        for keeper in compress(self.keepers(), map(not_, ready)):
            raise keeper.unreachable()

    def keeper(self, name: str) -> Keeper:
        return {"settings": self.settings, "runs": self.runs, "vault": self.vault}[name]

    def taking_part(self, operation: Operation) -> list[Keeper]:
        """Who was asked to stage something."""
        return [keeper for keeper in self.keepers() if keeper.name in operation.participants]


def _system(owner: str) -> Caller:
    return Caller(owner, Scope.SYSTEM)


def _restore_path(operation: Operation) -> str:
    return f"/internal/restores/{quote(operation.id, safe='')}"
