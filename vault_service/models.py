"""What crosses the vault's wire."""

from typing import Annotated, Literal
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

SHORTEST_KEY = 8  # characters
LONGEST_KEY = 4096  # bytes of UTF-8
SHORTEST_PASSPHRASE, LONGEST_PASSPHRASE = 8, 1024  # characters

Source = Literal["profile", "environment"]


def _usable(given: SecretStr) -> SecretStr:
    """The key without the white space that a paste brings along. No message ever repeats what was given."""
    text = given.get_secret_value().strip()
    if len(text) < SHORTEST_KEY:
        raise ValueError(f"a key has at least {SHORTEST_KEY} characters")
    if len(text.encode()) > LONGEST_KEY:
        raise ValueError(f"a key has at most {LONGEST_KEY} bytes")
    if not text.isprintable():
        raise ValueError("the key holds a control character or another that cannot be seen; copy it again")
    return SecretStr(text)


def _lasting(given: SecretStr) -> SecretStr:
    """The passphrase in NFC, so that it is the same from every keyboard; white space belongs to it."""
    text = normalize("NFC", given.get_secret_value())
    if not SHORTEST_PASSPHRASE <= len(text) <= LONGEST_PASSPHRASE:
        raise ValueError(f"a passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} characters")
    return SecretStr(text)


class NewKey(BaseModel):
    """A key to store."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    api_key: Annotated[
        SecretStr,
        AfterValidator(_usable),
        Field(json_schema_extra={"minLength": SHORTEST_KEY, "maxLength": LONGEST_KEY}),
    ]


class BackupPassphrase(BaseModel):
    """What a backup's keys are to be sealed under."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    passphrase: Annotated[
        SecretStr,
        AfterValidator(_lasting),
        Field(json_schema_extra={"minLength": SHORTEST_PASSPHRASE, "maxLength": LONGEST_PASSPHRASE}),
    ]


class StoredKey(BaseModel):
    """What may be said of a key that was just stored."""

    provider: str
    configured: bool
    masked: str | None
    updated_at: str | None


class ApiKey(StoredKey):
    """What may be said of one provider's key: `configured` where profile or environment hold one, readable or not.

    `masked` is "corrupted" and `source` profile where the profile's key cannot be read.
    """

    source: Source | None


class ApiKeys(BaseModel):
    """One row a supported provider, in the catalogue's order."""

    api_keys: list[ApiKey]


class Deleted(BaseModel):
    """Whether there was a key to delete."""

    provider: str
    deleted: bool


class PlaintextKey(BaseModel):
    """A key as a worker needs it."""

    provider: str
    api_key: str
    source: Source


class Lifecycle(BaseModel):
    """How long a provider's interface is still there."""

    status: str
    note: str | None


class CatalogueRow(BaseModel):
    """What is known of one provider, whether keys can be kept for it (`supported`) or not."""

    model_config = ConfigDict(frozen=True)

    id: str
    label: str
    supported: bool
    est_cost_per_second: float
    est_wait_seconds: int
    lifecycle: Lifecycle
    max_duration: float | None
    supports_audio: bool
    features: dict[str, bool]


class Provider(CatalogueRow):
    """A provider, and whether this owner has a readable key for it, in the profile or from the environment."""

    available: bool


class CredentialStatus(BaseModel):
    """What may be said of one provider's key beside the catalogue."""

    configured: bool
    masked: str | None
    source: Source | None


class Defaults(BaseModel):
    """What a new run starts with."""

    preset_default: str
    aspect_ratio: str
    duration: int
    variants: int


class Providers(BaseModel):
    """The catalogue, and what of it this owner can use. `provider_count` counts `available_providers`."""

    available_providers: list[str]
    provider_count: int
    supported_providers: list[str]
    providers: list[Provider]
    credential_status: dict[str, CredentialStatus]
    defaults: Defaults
