"""Reads a process's configuration once, from the environment, and refuses a bad one in a single message.

Each process declares its own frozen model out of the types here; nothing in this module knows which process reads what.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from yarl import URL

CONFIG = SettingsConfigDict(
    env_prefix="ANIMATIZE_", env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True
)
SHORTEST_SECRET = 32
PROCESSES = ("gateway", "auth_service", "settings_service", "runs_service", "vault_service")  # in the order of ports

Model = TypeVar("Model", bound=BaseSettings)
Other = TypeVar("Other", bound=BaseSettings)
Problems = dict[tuple[str, str], None]  # variable and what is wrong with it, in their order, each once
Environment = Literal["development", "production"]
Port = Annotated[int, Field(ge=1, le=65531)]


class Address(NamedTuple):
    """Where a process listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How a process on the same host reaches it; the wildcard addresses are reached over loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def _parse_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("write it as host:port, for example 127.0.0.1:8003")
    return Address(host.strip("[]"), int(port))


def _parse_urls(value: object) -> object:
    if not isinstance(value, str):
        return value
    urls = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    if not urls or not all(map(_is_web_address, urls)):
        raise ValueError("write one or more http:// or https:// addresses, comma-separated")
    return urls


def _is_web_address(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:  # a port that is none, say
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def long_enough(value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    """Raises ValueError where production would run on a short secret, or none."""
    if info.data.get("env") == "production" and (value is None or len(value.get_secret_value()) < SHORTEST_SECRET):
        raise ValueError(f"production needs a secret of at least {SHORTEST_SECRET} characters, here or in ..._FILE")
    return value


def _parse_secrets(value: object) -> object:
    """Comma-separated, or one a line; or a JSON list, for a secret with a comma in it."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        if isinstance(listed := json.loads(value), list):
            return listed
    return [part.strip() for part in re.split(r"[,\r\n]", value) if part.strip()]


def _all_long_enough(secrets: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
    """What one of them makes is believed, so that a short one is as bad as a short current one."""
    for secret in secrets:
        long_enough(secret, info)
    return secrets


Listen = Annotated[Address, NoDecode, BeforeValidator(_parse_address)]
Urls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_urls)]
# Both declared after `env`, whose value decides whether a short or missing secret is an error.
RootSecret = Annotated[SecretStr | None, Field(validate_default=True), AfterValidator(long_enough)]
PreviousSecrets = Annotated[
    tuple[SecretStr, ...], NoDecode, BeforeValidator(_parse_secrets), AfterValidator(_all_long_enough)
]


def local_address(offset: int) -> Callable[[dict[str, Any]], Address]:
    """The default address of a service: the `offset`-th port after the gateway's, never reachable from outside."""
    return lambda data: Address("127.0.0.1", data["port"] + offset)


def gateway_address(data: dict[str, Any]) -> Address:
    """The default address of the gateway, the only one that ANIMATIZE_HOST can open to other machines."""
    return Address(data["host"], data["port"])


def local_url(offset: int) -> Callable[[dict[str, Any]], tuple[str, ...]]:
    """The default place to find a process that runs on this host."""
    return lambda data: (Address(data["host"] if offset == 0 else "127.0.0.1", data["port"] + offset).url,)


def database_file(path: Path, owner: str) -> Path:
    """The SQLite file of one process: `x/name.db` gives `x/name.<owner>.db`, a folder the like inside."""
    if path.suffix == ".db":
        return path.with_name(f"{path.stem}.{owner}.db")
    return path / f"animatize_web.{owner}.db"


def load(model: type[Model]) -> Model:
    """Read the environment into `model`. Exits with one message that names every problem, and no value."""
    return load_both(model, model)[0]


def load_both(one: type[Model], other: type[Other]) -> tuple[Model, Other]:
    """Two models that one process reads, with one message for the problems of both."""
    problems = Problems()
    read = _read(one, problems), _read(other, problems)
    if read[0] is None or read[1] is None or problems:
        raise refusal(problems)
    return read[0], read[1]


def check(*models: type[BaseSettings]) -> None:
    """Exit with one message that names every problem of all of them, if there is any."""
    problems = Problems()
    for model in models:
        _read(model, problems)
    if problems:
        raise refusal(problems)


def refusal(problems: Problems) -> SystemExit:
    return SystemExit("The configuration has problems:\n" + "\n".join(f"  {name}: {what}" for name, what in problems))


def _read(model: type[Model], problems: Problems) -> Model | None:
    values: dict[str, Any] = {}
    unread = {}
    for key, variable in _secrets(model):
        try:
            values |= secret_from_file(variable, key)
        except OSError as error:
            unread[variable] = f"cannot be read by user {os.geteuid()} ({error.strerror})"
        except UnicodeDecodeError:
            unread[variable] = "cannot be read (it is not UTF-8)"
        except ValueError as error:
            unread[variable] = str(error)
    problems |= {(f"{variable}_FILE", what): None for variable, what in unread.items()}
    try:
        return model(**values)
    except ValidationError as error:
        found = [(_variable(model, str(e["loc"][0])), e["msg"]) for e in error.errors() if _telling(e["type"])]
        problems |= {(name, what): None for name, what in found if name not in unread}
        return None


def secret_from_file(variable: str, key: str) -> dict[str, str]:
    """`{key: contents}` of the file that `<variable>_FILE` names; empty where it is unset or not needed.

    An empty file is a mistake, but /dev/null says that there is no such secret: so compose can always name a file.
    """
    file = os.environ.get(f"{variable}_FILE")
    if not file or os.environ.get(variable):
        return {}
    if text := Path(file).read_text(encoding="utf-8").strip():
        return {key: text}
    if Path(file).is_char_device():
        return {}
    raise ValueError("is empty")


def _secrets(model: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if "SecretStr" in str(field.annotation):
            yield field.alias or name, _variable(model, name)


def _variable(model: type[BaseSettings], location: str) -> str:
    field = model.model_fields.get(location)
    return (field.alias if field and field.alias else None) or (f"ANIMATIZE_{location}".upper() if field else location)


def _telling(kind: str) -> bool:
    """A default that could not be worked out only repeats the problem of the field that it hangs on."""
    return kind != "default_factory_not_called"
