"""Where the five files and the root secrets are: the same variables as the processes read."""

from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from animatize.telling import Exit, Stop
from chassis.secrets import root_secret
from chassis.settings import CONFIG, PROCESSES, Environment, PreviousSecrets, RootSecret, database_file, load

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
        return root_secret(self.secret_key, self.files["vault_service"].parent)


def place() -> Place:
    """Raises Stop where the environment is wrong."""
    try:
        return load(Place)
    except SystemExit as problems:
        raise Stop(Exit.REFUSED, str(problems)) from None
