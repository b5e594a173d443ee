"""What crosses the wire at the gateway's own routes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RestoreQuery(BaseModel):
    """How a document is put in: `merge` keeps what the document does not name."""

    model_config = ConfigDict(extra="forbid")
    mode: Literal["merge"] = "merge"


class RestorePlan(BaseModel):
    """What became of one part of the document, in numbers of items."""

    added: int
    changed: int
    unchanged: int
    refused: int


class ProfileState(BaseModel):
    settings: dict[str, object]
    version: int
    created_at: str
    updated_at: str


class RestoreWarning(BaseModel):
    pointer: str
    message: str


class RestoreAnswer(BaseModel):
    restore_id: str
    settings: ProfileState
    restored_runs: int
    restored_history: int
    restored_keys: int
    plan: dict[str, RestorePlan]
    warnings: list[RestoreWarning]
    restored_at: str


class GoogleCredential(BaseModel):
    """The ID token that Google Identity Services handed to the page."""

    model_config = ConfigDict(strict=True, extra="forbid")
    credential: str = Field(min_length=1, max_length=16_384)


class SignedIn(BaseModel):
    authenticated: bool
    user: dict[str, object] | None


class Health(BaseModel):
    status: Literal["ok", "degraded"]
    timestamp: str
    services: dict[str, Literal["ok", "unavailable"]]
