"""What the vault service reads from the environment, the operator's own provider keys among it."""

from pathlib import Path

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from chassis.settings import (
    CONFIG,
    Environment,
    Listen,
    Port,
    PreviousSecrets,
    RootSecret,
    Urls,
    database_file,
    local_address,
    local_url,
)
from vault_service import catalogue


class Settings(BaseSettings):
    """Every secret can also be given as the name of a file, in the variable with `_FILE` behind its name."""

    model_config = CONFIG

    env: Environment = "development"
    secret_key: RootSecret = None
    secret_key_previous: PreviousSecrets = ()
    host: str = "127.0.0.1"
    port: Port = 8000
    listen: Listen = Field(default_factory=local_address(4))
    gateway_url: Urls = Field(default_factory=local_url(0))
    web_db_path: Path = Path("data/animatize_web.db")
    max_body_bytes: PositiveInt = 32 << 20

    runway_api_key: SecretStr | None = Field(None, alias="RUNWAY_API_KEY")
    pika_api_key: SecretStr | None = Field(None, alias="PIKA_API_KEY")
    veo_api_key: SecretStr | None = Field(None, alias="VEO_API_KEY")
    sora_api_key: SecretStr | None = Field(None, alias="SORA_API_KEY")
    openai_api_key: SecretStr | None = Field(None, alias="OPENAI_API_KEY")
    flux_api_key: SecretStr | None = Field(None, alias="FLUX_API_KEY")

    @property
    def database(self) -> Path:
        return database_file(self.web_db_path, "vault")

    @property
    def environment_keys(self) -> dict[str, SecretStr]:
        """The operator's key of each provider that has one; of several names the catalogue's first goes before."""
        given = {provider: map(self._given, names) for provider, names in catalogue.ENVIRONMENT_KEYS.items()}
        return {provider: key for provider, keys in given.items() if (key := next(filter(None, keys), None))}

    def _given(self, variable: str) -> SecretStr | None:
        key: SecretStr | None = getattr(self, variable.lower())
        return SecretStr(key.get_secret_value().strip()) if key is not None else None
