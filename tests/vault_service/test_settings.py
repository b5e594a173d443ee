"""What the vault reads from the environment."""

from pathlib import Path

import pytest

from chassis.settings import load
from vault_service.settings import Settings


def keys(settings: Settings) -> dict[str, str]:
    return {provider: key.get_secret_value() for provider, key in settings.environment_keys.items()}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SECRET_KEY",
        "SECRET_KEY_FILE",
        "SECRET_KEY_PREVIOUS",
        "SECRET_KEY_PREVIOUS_FILE",
        "ENV",
        "PORT",
        "LISTEN",
        "WEB_DB_PATH",
    ):
        monkeypatch.delenv(f"ANIMATIZE_{name}", raising=False)


def test_a_bare_environment_gives_the_documented_defaults() -> None:
    settings = load(Settings)
    assert settings.listen == ("127.0.0.1", 8004)
    assert settings.gateway_url == ("http://127.0.0.1:8000",)
    assert settings.database == Path("data/animatize_web.vault.db")
    assert keys(settings) == {}


def test_every_provider_key_is_read_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in ("runway", "pika", "veo", "sora", "flux"):
        monkeypatch.setenv(f"{provider.upper()}_API_KEY", f" {provider}-key\n")
    assert keys(load(Settings)) == {each: f"{each}-key" for each in ("runway", "pika", "veo", "sora", "flux")}


def test_a_key_can_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv("VEO_API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    assert keys(load(Settings)) == {"veo": "from-a-file", "sora": "from-a-file"}


def test_soras_own_name_goes_before_openais(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
    assert keys(load(Settings)) == {"sora": "openai-key"}
    monkeypatch.setenv("SORA_API_KEY", "sora-key")
    assert keys(load(Settings)) == {"sora": "sora-key"}


@pytest.mark.parametrize("blank", ["", "   "])
def test_a_blank_key_is_none(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    monkeypatch.setenv("SORA_API_KEY", blank)
    monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
    monkeypatch.setenv("FLUX_API_KEY", blank)
    assert keys(load(Settings)) == {"sora": "openai-key"}


def test_production_does_not_start_without_a_long_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_ENV", "production")
    monkeypatch.setenv("ANIMATIZE_PORT", "no port")
    with pytest.raises(SystemExit, match="ANIMATIZE_PORT") as refused:
        load(Settings)
    assert "ANIMATIZE_SECRET_KEY" in str(refused.value)
    monkeypatch.setenv("ANIMATIZE_PORT", "8000")
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY", "too short")
    with pytest.raises(SystemExit, match="ANIMATIZE_SECRET_KEY") as refused:
        load(Settings)
    assert "too short" not in str(refused.value)
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY", "x" * 32)
    assert load(Settings).env == "production"


def test_previous_secrets_come_comma_separated_or_out_of_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load(Settings).secret_key_previous == ()
    (tmp_path / "previous").write_text("one-of-a-file, other-of-a-file\n")
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS_FILE", str(tmp_path / "previous"))
    assert [each.get_secret_value() for each in load(Settings).secret_key_previous] == [
        "one-of-a-file",
        "other-of-a-file",
    ]
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS", "one, other,")
    assert [each.get_secret_value() for each in load(Settings).secret_key_previous] == ["one", "other"]


def test_previous_secrets_may_stand_one_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS_FILE", str(tmp_path / "previous"))
    for given in ("one\nother\n", "one\r\n\r\nother\r\n", "one,\n other,\n", '[\n"one",\n"other"\n]\n'):
        (tmp_path / "previous").write_bytes(given.encode())
        assert [each.get_secret_value() for each in load(Settings).secret_key_previous] == ["one", "other"], given


def test_a_previous_secret_with_a_comma_in_it_comes_in_a_json_list(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, found in (
        ('["one, with a comma", "other"]', ["one, with a comma", "other"]),
        ('["a list, that is none', ['["a list', "that is none"]),
        ("12345678", ["12345678"]),
        ("[]", []),
    ):
        monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS", given)
        assert [each.get_secret_value() for each in load(Settings).secret_key_previous] == found
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS", "[1]")
    with pytest.raises(SystemExit, match="ANIMATIZE_SECRET_KEY_PREVIOUS"):
        load(Settings)


def test_a_short_previous_secret_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_ENV", "production")
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY", "x" * 32)
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS", f"{'y' * 32},short-one")
    with pytest.raises(SystemExit, match="ANIMATIZE_SECRET_KEY_PREVIOUS") as refused:
        load(Settings)
    assert "short-one" not in str(refused.value)


def test_no_repr_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY", "root-secret-root-secret-root-secret")
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS", "older-root-secret")
    monkeypatch.setenv("FLUX_API_KEY", "flux-key-0123456789")
    settings = load(Settings)
    shown = repr(settings) + str(settings) + repr(settings.environment_keys) + str(settings.model_dump())
    assert "root-secret" not in shown
    assert "flux-key" not in shown
