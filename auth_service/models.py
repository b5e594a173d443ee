"""What crosses the wire to and from the auth service."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_HEADER = 16_384  # what a cookie or a User-Agent can weigh at most when it reaches the gateway
LONGEST_USER_AGENT = 300


def _presentable(user_agent: str | None) -> str | None:
    """Without control and other invisible characters, cut to a length that a list of devices can show."""
    return "".join(filter(str.isprintable, user_agent or ""))[:LONGEST_USER_AGENT].strip() or None


Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]  # UTC, microseconds, +00:00
Token = Annotated[str, Field(max_length=LONGEST_HEADER)]
UserAgent = Annotated[str | None, Field(max_length=LONGEST_HEADER), AfterValidator(_presentable)]


class Body(BaseModel):
    """A request body: types are not coerced, unknown fields are an error."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class NewSession(Body):
    user_agent: UserAgent = None


class Presented(Body):
    """A cookie, as a browser presented it."""

    token: Token
    user_agent: UserAgent = None


class Logout(Body):
    """`token` is absent where the caller had no cookie."""

    token: Token | None = None
    user_agent: UserAgent = None


class GoogleCredential(Body):
    """The ID token that Google gave to the browser."""

    credential: Annotated[str, Field(min_length=1, max_length=LONGEST_HEADER)]


class User(BaseModel):
    id: str
    email: str
    name: str
    picture: str | None
    provider: str


class Identity(BaseModel):
    """Whom a session speaks for: a guest has no user."""

    authenticated: bool = False
    user: User | None = None


class Bootstrap(Identity):
    """What the console asks for before anything else. `session_id` is public, never the cookie's value."""

    session_id: str
    expires_at: Timestamp


class Session(Bootstrap):
    """What the gateway needs to know of a session."""

    owner: str
    created_at: Timestamp
    last_seen_at: Timestamp


class OpenedSession(BaseModel):
    """A new session. The one answer that carries a cookie's value."""

    token: str
    session: Session


class Device(BaseModel):
    """A live session, in the list that its owner sees."""

    id: str
    current: bool
    created_at: Timestamp
    last_seen_at: Timestamp
    expires_at: Timestamp
    user_agent: str | None


class Devices(BaseModel):
    sessions: list[Device]


class Revoked(BaseModel):
    id: str
    revoked: bool = True


class RevokedCount(BaseModel):
    revoked: int


class Config(BaseModel):
    google_enabled: bool
    google_client_id: str | None
