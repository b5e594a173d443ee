"""What the auth service reads from the environment. It holds no secret."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, HttpUrl, PositiveInt
from pydantic_settings import BaseSettings

from chassis.settings import CONFIG, Environment, Listen, Port, Urls, database_file, local_address, local_url

TEN_YEARS_HOURS = 24 * 3653
GOOGLE_JWKS = "https://www.googleapis.com/oauth2/v3/certs"


class Settings(BaseSettings):
    """The configuration of one auth process."""

    model_config = CONFIG
    env: Environment = "development"
    host: str = "127.0.0.1"
    port: Port = 8000
    listen: Listen = Field(default_factory=local_address(1))
    gateway_url: Urls = Field(default_factory=local_url(0))
    web_db_path: Path = Path("data/animatize_web.db")
    max_body_bytes: PositiveInt = 32 << 20
    session_ttl_hours: Annotated[int, Field(ge=1, le=TEN_YEARS_HOURS)] = 720
    google_client_id: str | None = Field(default=None, alias="GOOGLE_CLIENT_ID")
    google_jwks_url: HttpUrl = Field(default=HttpUrl(GOOGLE_JWKS), alias="GOOGLE_JWKS_URL")

    @property
    def database(self) -> Path:
        return database_file(self.web_db_path, "auth")

    @property
    def session_life(self) -> timedelta:
        return timedelta(hours=self.session_ttl_hours)
