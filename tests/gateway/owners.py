"""Services in whose hands things of owners are, as plain dictionaries: what adoption and erasure are tested against."""

from typing import Any, cast

from chassis.problems import Problem, unavailable
from gateway.operations import Operation
from gateway.services import Services

PERSON = {"id": "1", "email": "ana@example.org", "name": "Ana", "picture": None, "provider": "google"}


class FakeKeeper:
    """Keeps a number of things an owner; can be away, or fail once in the middle of what it is asked."""

    def __init__(self, name: str, part: str, diary: list[str]) -> None:
        self.name, self.part, self._diary = name, part, diary
        self.things: dict[str, int] = {}
        self.answers: dict[str, int] = {}
        self.away = self.fails_after = False

    async def is_ready(self) -> bool:
        return not self.away

    def unreachable(self) -> Problem:
        return unavailable("service_unavailable", "It does not answer.", service=self.name)

    async def adopt(self, operation: Operation) -> dict[str, Any]:
        self._refuse()
        if operation.id not in self.answers:
            self._diary.append(f"{self.name} adopts")
            self.answers[operation.id] = moved = self.things.pop(operation.owner, 0)
            target = str(operation.target)
            self.things[target] = self.things.get(target, 0) + moved
        self._break()
        moved = self.answers[operation.id]
        return {"moved": {self.part: moved}, "stayed": [], "stayed_count": 0, "renamed": [], "renamed_count": 0}

    async def erase(self, owner: str) -> None:
        self._refuse()
        self._diary.append(f"{self.name} erases")
        self.things.pop(owner, None)
        self._break()

    def _refuse(self) -> None:
        if self.away:
            raise self.unreachable()

    def _break(self) -> None:
        if self.fails_after:
            self.fails_after = False
            raise self.unreachable()


class FakeAuth(FakeKeeper):
    """Knows one guest, whose token is its name, and one person."""

    def __init__(self, diary: list[str]) -> None:
        super().__init__("auth", "sessions", diary)
        self.sessions = {"token": {"owner": "guest:a", "wrote": True}}
        self.user = "user:1"
        self.forgotten: list[str] = []

    async def verify_google(self, credential: str, session: dict[str, Any] | None) -> dict[str, Any]:
        if credential != "good":
            raise Problem(401, "credential_not_verified", "This is none of Google's.")
        return {"owner": self.user, "user": PERSON}

    async def resolve(self, token: str) -> dict[str, Any] | None:
        return self.sessions.get(token)

    async def sign_in(self, user: str, token: str | None, _user_agent: str) -> dict[str, Any]:
        self._diary.append("auth signs in")
        self.sessions.pop(token or "", None)
        self.sessions["new"] = {"owner": user, "wrote": True}
        return {"token": "new", "session": self.sessions["new"]}

    async def claim_guests(self, most: int) -> list[str]:
        return self.forgotten[:most]

    async def erase(self, owner: str) -> None:
        await super().erase(owner)
        self.sessions = {token: it for token, it in self.sessions.items() if it["owner"] != owner}
        self.forgotten = [guest for guest in self.forgotten if guest != owner]


class FakeServices:
    """`diary` tells what was done, in order."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.auth = FakeAuth(self.diary)
        self.settings = FakeKeeper("settings", "settings", self.diary)
        self.runs = FakeKeeper("runs", "runs", self.diary)
        self.vault = FakeKeeper("vault", "api_keys", self.diary)

    def keepers(self) -> tuple[FakeKeeper, ...]:
        return (self.settings, self.runs, self.vault)

    async def refuse_absent(self) -> None:
        await Services.refuse_absent(cast("Services", self))

    def things(self) -> dict[str, dict[str, int]]:
        return {keeper.name: {owner: n for owner, n in keeper.things.items() if n} for keeper in self.keepers()}
