"""What crosses the wire to and from the auth service."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_HEADER = 16_384  # what a cookie or a User-Agent can weigh at most when it reaches the gateway
LONGEST_USER_AGENT = 300
MOST_CLAIMED = 1000


def _presentable(user_agent: str | None) -> str | None:
    """Without control and other invisible characters, cut to a length that a list of devices can show."""
    return "".join(filter(str.isprintable, user_agent or ""))[:LONGEST_USER_AGENT].strip() or None


Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]  # UTC, microseconds, +00:00
Token = Annotated[str, Field(max_length=LONGEST_HEADER)]
UserAgent = Annotated[str | None, Field(max_length=LONGEST_HEADER), AfterValidator(_presentable)]


class Body(BaseModel):
    """A request body: types are not coerced, unknown fields are an error."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class Unannounced(Body):
    """`wrote`: whether the guest may write something that nobody announces here. A gateway of the release before
    announces nothing and does not know to say so: what it lets through must not be swept as if it were not there."""

    wrote: bool = True


class NewSession(Unannounced):
    user_agent: UserAgent = None


class Presented(Unannounced):
    """A cookie, as a browser presented it."""

    token: Token
    user_agent: UserAgent = None


class Logout(Unannounced):
    """`token` is absent where the caller had no cookie."""

    token: Token | None = None
    user_agent: UserAgent = None


class SignIn(Body):
    """`token` is of the session that the new one takes the place of, absent where the caller had no cookie."""

    token: Token | None = None
    user_agent: UserAgent = None


class Announced(Body):
    """The cookie of a guest that is about to write something."""

    token: Token


class ClaimOfGuests(Body):
    limit: Annotated[int, Field(ge=1, le=MOST_CLAIMED)]


class GoogleCredential(Body):
    """The ID token that Google gave to the browser. However long it is: that says that it is none."""

    credential: Annotated[str, Field(min_length=1)]


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
    wrote: bool  # whether its owner may have written anything; always true of a user
    renewed: bool = False  # whether `expires_at` was just put off: the browser is to hear of it


class Admitted(BaseModel):
    """A user whom Google has confirmed; no session yet."""

    owner: str
    user: User


class ClaimedGuests(BaseModel):
    owners: list[str]


class Erased(BaseModel):
    erased: bool = True


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
