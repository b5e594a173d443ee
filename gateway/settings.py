"""What the gateway reads from the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from chassis.settings import (
    CONFIG,
    Environment,
    Listen,
    Port,
    RootSecret,
    Urls,
    database_file,
    gateway_address,
    local_url,
)


def _parse_secrets(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """See the configuration table of the README, which a test holds against this model."""

    model_config = CONFIG
    env: Environment = "development"
    host: str = "127.0.0.1"
    port: Port = 8000
    listen: Listen = Field(default_factory=gateway_address)
    web_db_path: Path = Path("data/animatize_web.db")
    secret_key: RootSecret = None
    secret_key_previous: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_parse_secrets)] = ()
    auth_url: Urls = Field(default_factory=local_url(1))
    settings_url: Urls = Field(default_factory=local_url(2))
    runs_url: Urls = Field(default_factory=local_url(3))
    vault_url: Urls = Field(default_factory=local_url(4))
    public_url: str | None = None
    cookie_secure: bool = Field(default_factory=lambda data: data.get("env") == "production")
    max_body_bytes: PositiveInt = 32 << 20
    restore_max_bytes: PositiveInt = 1 << 30

    @property
    def database(self) -> Path:
        return database_file(self.web_db_path, "gateway")
