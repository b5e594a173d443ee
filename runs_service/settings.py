"""What the runs service reads from the environment."""

from pathlib import Path

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings

from chassis.settings import CONFIG, Environment, Listen, Port, Urls, database_file, local_address, local_url


class Settings(BaseSettings):
    """`max_body_bytes` bounds every body and any one run; `owner_quota_bytes` all runs and images of one owner."""

    model_config = CONFIG

    env: Environment = "development"
    host: str = "127.0.0.1"
    port: Port = 8000
    listen: Listen = Field(default_factory=local_address(3))
    gateway_url: Urls = Field(default_factory=local_url(0))
    web_db_path: Path = Path("data/animatize_web.db")
    max_body_bytes: PositiveInt = 32 << 20
    owner_quota_bytes: PositiveInt = 2 << 30

    @property
    def database(self) -> Path:
        return database_file(self.web_db_path, "runs")
