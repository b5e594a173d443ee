"""Where the five files and the root secrets are: the same variables as the processes read."""

from pathlib import Path
from typing import Final, TypeVar

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from animatize.telling import Exit, Stop
from chassis.secrets import existing_root_secret
from chassis.settings import (
    CONFIG,
    PROCESSES,
    Environment,
    Port,
    PreviousSecrets,
    RootSecret,
    Urls,
    database_file,
    load,
    local_url,
)

Model = TypeVar("Model", bound=BaseSettings)

OWNERS: Final = {name: name.removesuffix("_service") for name in PROCESSES}  # the middle of a file's name, by package


class Place(BaseSettings):
    """What every command on a data folder reads from the environment."""

    model_config = CONFIG
    env: Environment = "development"
    web_db_path: Path = Path("data/animatize_web.db")
    secret_key: RootSecret = None
    secret_key_previous: PreviousSecrets = ()

    @property
    def files(self) -> dict[str, Path]:
        """The file of each package, whether it is there or not."""
        return {package: database_file(self.web_db_path, owner) for package, owner in OWNERS.items()}

    @property
    def root(self) -> SecretStr:
        """Raises Stop where there is none: a command makes no secret, which nothing would be under."""
        folder = self.files["vault_service"].parent
        try:
            found = existing_root_secret(self.secret_key, folder)
        except OSError as error:
            raise Stop(Exit.REFUSED, f"The secret beside the databases cannot be read: {error}.") from error
        if found is None:
            advice = "Give the vault's in ANIMATIZE_SECRET_KEY or ANIMATIZE_SECRET_KEY_FILE."
            raise Stop(Exit.REFUSED, f"There is no root secret, and none in {folder}. {advice}")
        return found

    @property
    def verified(self) -> Path:
        """Where it stands which snapshot was last found whole."""
        journal = self.files["gateway"].resolve()
        return journal.with_name(f"{journal.name.removesuffix('.gateway.db')}.verified.json")


class Addresses(BaseSettings):
    """Where the processes answer: of several replicas each."""

    model_config = CONFIG
    host: str = "127.0.0.1"
    port: Port = 8000
    gateway_url: Urls = Field(default_factory=local_url(0))
    auth_url: Urls = Field(default_factory=local_url(1))
    settings_url: Urls = Field(default_factory=local_url(2))
    runs_url: Urls = Field(default_factory=local_url(3))
    vault_url: Urls = Field(default_factory=local_url(4))

    @property
    def all(self) -> list[tuple[str, str]]:
        """Package and address, one of each process."""
        return [(package, url) for package, owner in OWNERS.items() for url in getattr(self, f"{owner}_url")]


def addresses() -> Addresses:
    """Raises Stop where the environment is wrong."""
    return loaded(Addresses)


def place() -> Place:
    """Raises Stop where the environment is wrong."""
    return loaded(Place)


def loaded(model: type[Model]) -> Model:
    """The variables of a process or of ours. Raises Stop where the environment is wrong."""
    try:
        return load(model)
    except SystemExit as problems:
        raise Stop(Exit.REFUSED, str(problems)) from None
