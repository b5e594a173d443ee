"""Which key counts for a provider, and how much of it may be shown. Rules only: no storage, no request.

A readable key of the profile goes before the environment's; where the profile's cannot be read, the environment's
serves, and the profile's row says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from vault_service.models import ApiKey, Source

CORRUPTED = "corrupted"
STARS = "*" * 8  # always as many, so that the length of a key stays its owner's secret


@dataclass(frozen=True)
class ProfileKey:
    """A stored key: `api_key` is None where it cannot be read."""

    api_key: SecretStr | None
    updated_at: str


def mask(key: SecretStr) -> str:
    """The first and last four characters of a key, of a short one fewer: never more than half of it."""
    text = key.get_secret_value()
    shown = min(4, len(text) // 4)
    return text[:shown] + STARS + text[len(text) - shown :]


def effective(profile: ProfileKey | None, environment: SecretStr | None) -> tuple[SecretStr, Source] | None:
    """The key that a worker gets, and where it comes from."""
    if profile is not None and profile.api_key is not None:
        return profile.api_key, "profile"
    return (environment, "environment") if environment is not None else None


def available(profile: ProfileKey | None, environment: SecretStr | None) -> bool:
    """Whether a worker would get a key."""
    return effective(profile, environment) is not None


def status(provider: str, profile: ProfileKey | None, environment: Mapping[str, SecretStr]) -> ApiKey:
    """What an owner is told of one provider's key."""
    if profile is not None:
        masked = mask(profile.api_key) if profile.api_key is not None else CORRUPTED
        return ApiKey(
            provider=provider, configured=True, masked=masked, updated_at=profile.updated_at, source="profile"
        )
    if (key := environment.get(provider)) is not None:
        return ApiKey(provider=provider, configured=True, masked=mask(key), updated_at=None, source="environment")
    return ApiKey(provider=provider, configured=False, masked=None, updated_at=None, source=None)
