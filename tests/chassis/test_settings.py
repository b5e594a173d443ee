"""Configuration: one message for all problems, no value in it."""

import errno
import os
from pathlib import Path

import pytest
from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from chassis.settings import (
    CONFIG,
    Address,
    Environment,
    Listen,
    Port,
    RootSecret,
    Urls,
    database_file,
    load,
    local_address,
    local_url,
)

LONG = "a root secret of more than 32 characters"


class Toy(BaseSettings):
    model_config = CONFIG

    env: Environment = "development"
    secret_key: RootSecret = None
    host: str = "127.0.0.1"
    port: Port = 8000
    listen: Listen = Field(default_factory=local_address(3))
    gateway_url: Urls = Field(default_factory=local_url(0))
    vault_url: Urls = Field(default_factory=local_url(4))
    web_db_path: Path = Path("data/animatize_web.db")
    max_body_bytes: PositiveInt = 32 << 20
    runway_api_key: SecretStr | None = Field(None, alias="RUNWAY_API_KEY")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in Toy.model_fields.items():
        variable = field.alias or f"ANIMATIZE_{name.upper()}"
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(f"{variable}_FILE", raising=False)


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as found:
        load(Toy)
    return str(found.value)


def test_the_defaults_hang_on_the_port() -> None:
    toy = load(Toy)
    assert toy.listen == Address("127.0.0.1", 8003)
    assert toy.gateway_url == ("http://127.0.0.1:8000",)
    assert toy.vault_url == ("http://127.0.0.1:8004",)
    assert toy.secret_key is None


def test_another_port_moves_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_PORT", "9100")
    monkeypatch.setenv("ANIMATIZE_HOST", "0.0.0.0")
    toy = load(Toy)
    assert toy.listen == Address("127.0.0.1", 9103), "only the gateway is reachable from outside"
    assert toy.gateway_url == ("http://127.0.0.1:9100",)


def test_an_address_of_its_own_and_replicas_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_LISTEN", "[::1]:7000")
    monkeypatch.setenv("ANIMATIZE_VAULT_URL", "http://a:1/, https://b:2 ,")
    toy = load(Toy)
    assert toy.listen == Address("::1", 7000)
    assert toy.listen.url == "http://[::1]:7000"
    assert toy.vault_url == ("http://a:1", "https://b:2")


def test_one_message_names_every_problem_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(
        monkeypatch,
        ANIMATIZE_ENV="production",
        ANIMATIZE_SECRET_KEY="sh0rt",
        ANIMATIZE_PORT="eighty-eighty",
        ANIMATIZE_LISTEN="nowhere-at-all",
        ANIMATIZE_VAULT_URL="ftp://vault-of-ours",
        ANIMATIZE_MAX_BODY_BYTES="-77777",
        RUNWAY_API_KEY_FILE="/does/not/exist",
    )
    for variable in ("SECRET_KEY", "PORT", "LISTEN", "VAULT_URL", "MAX_BODY_BYTES"):
        assert message.count(f"ANIMATIZE_{variable}:") == 1, message
    assert "RUNWAY_API_KEY_FILE: cannot be read" in message
    assert len(message.splitlines()) == 7, "a default that hangs on a wrong value is not a problem of its own"
    for value in ("sh0rt", "eighty-eighty", "nowhere-at-all", "ftp://vault", "-77777"):
        assert value not in message


def test_production_needs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ANIMATIZE_SECRET_KEY" in refused(monkeypatch, ANIMATIZE_ENV="production")
    assert "ANIMATIZE_SECRET_KEY" in refused(monkeypatch, ANIMATIZE_SECRET_KEY="x" * 31)
    assert "ANIMATIZE_SECRET_KEY" in refused(monkeypatch, ANIMATIZE_SECRET_KEY="")
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY", "x" * 32)
    assert load(Toy).secret_key is not None


def test_a_secret_can_stand_in_a_file_and_the_variable_goes_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{LONG}\n")
    monkeypatch.setenv("ANIMATIZE_ENV", "production")
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("RUNWAY_API_KEY_FILE", str(tmp_path / "secret"))
    toy = load(Toy)
    assert toy.secret_key == toy.runway_api_key == SecretStr(LONG)
    monkeypatch.setenv("RUNWAY_API_KEY", "from the variable")
    assert load(Toy).runway_api_key == SecretStr("from the variable")


def test_a_secret_file_that_is_no_text_is_a_problem_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"hush-hush\xff\xfe")
    message = refused(monkeypatch, ANIMATIZE_SECRET_KEY_FILE=str(tmp_path / "secret"))
    assert "ANIMATIZE_SECRET_KEY_FILE: cannot be read" in message
    assert "hush" not in message


def test_an_empty_secret_file_is_a_problem_and_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    assert "_FILE: is empty" in refused(monkeypatch, ANIMATIZE_SECRET_KEY_FILE=str(tmp_path / "secret"))


def test_no_secret_is_given_by_the_null_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAY_API_KEY_FILE", "/dev/null")
    assert load(Toy).runway_api_key is None
    message = refused(monkeypatch, ANIMATIZE_ENV="production", ANIMATIZE_SECRET_KEY_FILE="/dev/null")
    assert "ANIMATIZE_SECRET_KEY: " in message, "where one is needed, that is as bad as naming none"


def test_a_secret_file_that_may_not_be_read_is_told_with_the_user_who_cannot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    message = refused(monkeypatch, ANIMATIZE_SECRET_KEY_FILE=str(tmp_path / "secret"))
    assert f"ANIMATIZE_SECRET_KEY_FILE: cannot be read by user {os.geteuid()} (Permission denied)" in message


def test_settings_are_frozen_and_hide_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY", LONG)
    toy = load(Toy)
    assert LONG not in repr(toy)
    with pytest.raises(ValueError, match="frozen"):
        toy.port = 1


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("x/animatize_web.db", "x/animatize_web.runs.db"),
        ("data/other.db", "data/other.runs.db"),
        ("some/folder", "some/folder/animatize_web.runs.db"),
        ("name.db", "name.runs.db"),
    ],
)
def test_the_file_of_a_process_stands_beside_or_inside(path: str, file: str) -> None:
    assert database_file(Path(path), "runs") == Path(file)


@pytest.mark.parametrize("address", [Address("0.0.0.0", 1), Address("::", 1), Address("::1", 1), Address("box", 1)])
def test_an_address_can_always_be_reached_from_the_same_host(address: Address) -> None:
    assert address.url in ("http://127.0.0.1:1", "http://[::1]:1", "http://box:1")
