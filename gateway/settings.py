"""What the gateway reads from the environment."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings
from yarl import URL

from chassis.settings import (
    CONFIG,
    Environment,
    Listen,
    Port,
    PreviousSecrets,
    RootSecret,
    Urls,
    database_file,
    gateway_address,
    local_url,
)
from gateway.addresses import Networks

LEASE_SECONDS = 10.0


def _web_origin(value: str) -> str:
    """Scheme, host and port of an address; whatever path it has is nobody's concern."""
    with suppress(ValueError):  # of a port that is none, say
        if value.startswith(("http://", "https://")):
            return str(URL(value).origin())
    raise ValueError("write it with its scheme, for example https://console.example.org")


class Settings(BaseSettings):
    """See the configuration table of the README, which a test holds against this model."""

    model_config = CONFIG
    env: Environment = "development"
    host: str = "127.0.0.1"
    port: Port = 8000
    listen: Listen = Field(default_factory=gateway_address)
    web_db_path: Path = Path("data/animatize_web.db")
    secret_key: RootSecret = None
    secret_key_previous: PreviousSecrets = ()
    auth_url: Urls = Field(default_factory=local_url(1))
    settings_url: Urls = Field(default_factory=local_url(2))
    runs_url: Urls = Field(default_factory=local_url(3))
    vault_url: Urls = Field(default_factory=local_url(4))
    public_url: Annotated[str, AfterValidator(_web_origin)] | None = None
    cookie_secure: bool = Field(default_factory=lambda data: data.get("env") == "production")
    trusted_proxies: Networks = ()
    new_guests_per_minute: PositiveInt = 600
    sign_ins_per_minute: PositiveInt = 120
    google_client_id: str | None = Field(default=None, alias="GOOGLE_CLIENT_ID")
    max_body_bytes: PositiveInt = 32 << 20
    restore_max_bytes: PositiveInt = 1 << 30
    lease_seconds: PositiveFloat = LEASE_SECONDS
    sweep_seconds: PositiveFloat = 3600.0

    @property
    def database(self) -> Path:
        return database_file(self.web_db_path, "gateway")
