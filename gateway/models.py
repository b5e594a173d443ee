"""What crosses the wire at the gateway's own routes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictBool


class RestoreQuery(BaseModel):
    """How a document is put in: `merge` keeps what the document does not name, `replace` removes it from every part
    that the document carries. `dry_run` only tells what would be done."""

    model_config = ConfigDict(extra="forbid")
    mode: Literal["merge", "replace"] = "merge"
    dry_run: bool = False


class BackupRequest(BaseModel):
    """The passphrase under which the profile's provider keys are sealed into the backup. The vault judges it."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)
    passphrase: SecretStr = Field(description="8 to 1024 characters")


class RestoreHeaders(BaseModel):
    """What may go along with a document, beside `Content-Encoding: gzip` or `zstd`."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        description="your own id for this restore: 1 to 128 letters, digits and . _ ~ : -",
    )
    passphrase: str | None = Field(
        None,
        alias="Animatize-Backup-Passphrase",
        description="opens sealed_api_keys; UTF-8, percent-encoded",
    )


class BackupDocument(BaseModel):
    """Everything of one profile; see docs/backup-format.md. A restore takes other documents too: the older console's
    backup, an export of a browser's localStorage, a list of runs, an object of settings."""

    model_config = ConfigDict(extra="allow")
    schema_version: str | None = None
    exported_at: str | None = None
    settings: dict[str, object] | None = None
    history: list[dict[str, object]] | None = None
    runs: list[dict[str, object]] | None = None
    api_credentials: list[dict[str, object]] | None = None
    sealed_api_keys: dict[str, object] | None = None
    manifest: dict[str, object] | None = None


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


class PartNumbers(BaseModel):
    """One number for each part of a profile."""

    settings: int
    history: int
    runs: int
    api_keys: int


class RestorePlans(BaseModel):
    settings: RestorePlan
    history: RestorePlan
    runs: RestorePlan
    api_keys: RestorePlan


class RestoreOutcome(BaseModel):
    """What came in. After a dry run the plan tells what would, and `restored_at` is null."""

    restore_id: str
    restored_runs: int
    restored_history: int
    restored_keys: int
    plan: RestorePlans
    removed: PartNumbers
    warnings: list[RestoreWarning]
    restored_at: str | None


class RestoreAnswer(RestoreOutcome):
    settings: ProfileState


class UndoAnswer(BaseModel):
    """`undone` are as they were before the restore; `stayed` were written since and are left alone."""

    restore_id: str
    undone: PartNumbers
    stayed: PartNumbers
    settings: ProfileState
    undone_at: str


class UndoState(BaseModel):
    """Whether a restore can be undone, until when, when that was done, and what came back."""

    open: bool
    until: str | None
    undone_at: str | None
    outcome: dict[str, object] | None


class RestoreEntry(BaseModel):
    """How far a restore has come. `outcome` is what came in once it is done; once it is aborted the problem or, of a
    dry run, what would have come in."""

    restore_id: str
    kind: Literal["restore", "dry_run", "undo"]
    mode: Literal["merge", "replace"]
    stage: Literal["staging", "committing", "done", "aborting", "aborted", "failed"]
    started_at: str
    changed_at: str
    outcome: dict[str, object] | None
    undo: UndoState


class RestoreList(BaseModel):
    """Newest first, at most 100."""

    restores: list[RestoreEntry]


class GoogleCredential(BaseModel):
    """The ID token that Google Identity Services handed to the page."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)
    credential: str = Field(min_length=1)


class LoggedOut(BaseModel):
    authenticated: bool
    user: None


class Renamed(BaseModel):
    """A run that the user has under another id, since there was a different one of its id already."""

    model_config = ConfigDict(populate_by_name=True)
    before: str = Field(alias="from")
    after: str = Field(alias="to")


class Stayed(BaseModel):
    """The provider of a key that did not come along, and why."""

    name: str
    reason: str


class Adopted(BaseModel):
    """What the guest had made and the user has now, in numbers. `settings` is 1 where the guest's became the profile;
    the lists name at most 100."""

    settings: int
    history: int
    runs: int
    api_keys: int
    renamed: list[Renamed]
    renamed_count: int
    stayed: list[Stayed]
    stayed_count: int


class SignedIn(BaseModel):
    authenticated: bool
    user: dict[str, object]
    adopted: Adopted


def _meant(confirm: bool) -> bool:
    if not confirm:
        raise ValueError("has to be true: everything will be gone for good")
    return confirm


class AccountDeletion(BaseModel):
    """Says that it is meant."""

    model_config = ConfigDict(strict=True, extra="forbid")
    confirm: Annotated[StrictBool, AfterValidator(_meant)]


class AccountDeleted(BaseModel):
    deleted: Literal[True]


class Health(BaseModel):
    status: Literal["ok", "degraded"]
    timestamp: str
    services: dict[str, Literal["ok", "unavailable"]]
