"""What the environment may say to the auth service."""

from datetime import timedelta

import pytest

from auth_service.settings import Settings
from chassis.settings import load


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_SESSION_TTL_HOURS", "2")
    monkeypatch.setenv("GOOGLE_CLIENT_ID", "an-id")
    monkeypatch.setenv("GOOGLE_JWKS_URL", "http://127.0.0.1:1234/certs")
    monkeypatch.setenv("ANIMATIZE_PORT", "9000")
    monkeypatch.setenv("ANIMATIZE_WEB_DB_PATH", "x/animatize_web.db")
    settings = load(Settings)
    assert settings.session_life == timedelta(hours=2)
    assert settings.google_client_id == "an-id"
    assert str(settings.google_jwks_url) == "http://127.0.0.1:1234/certs"
    assert settings.listen == ("127.0.0.1", 9001)
    assert str(settings.database) == "x/animatize_web.auth.db"


def test_nothing_needs_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANIMATIZE_SESSION_TTL_HOURS", "GOOGLE_CLIENT_ID", "GOOGLE_JWKS_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = load(Settings)
    assert settings.session_life == timedelta(days=30)
    assert settings.google_client_id is None
    assert str(settings.google_jwks_url) == "https://www.googleapis.com/oauth2/v3/certs"


@pytest.mark.parametrize("hours", ["0", "-1", "soon", "1e99", "999999999"])
def test_a_life_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, hours: str) -> None:
    monkeypatch.setenv("ANIMATIZE_SESSION_TTL_HOURS", hours)
    with pytest.raises(SystemExit, match="ANIMATIZE_SESSION_TTL_HOURS"):
        load(Settings)


@pytest.mark.parametrize("url", ["certs", "ftp://keys.example/certs", "https://", "http://keys.example:port/"])
def test_an_address_of_keys_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GOOGLE_JWKS_URL", url)
    with pytest.raises(SystemExit, match="GOOGLE_JWKS_URL"):
        load(Settings)
