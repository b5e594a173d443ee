"""A gateway that was configured in a way that nobody can mean does not start, and says why without a value."""

from pathlib import Path

import pytest

from chassis.settings import load
from gateway.app import create_app
from gateway.limiting import NEW_GUESTS, SIGN_INS
from gateway.settings import Settings

LONG = "a root secret that is long enough to be taken"


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_ENV", "production")
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY", LONG)


def test_older_secrets_are_read_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMATIZE_SECRET_KEY_PREVIOUS", f"{LONG}1, {LONG}2")
    previous = load(Settings).secret_key_previous
    assert [each.get_secret_value() for each in previous] == [f"{LONG}1", f"{LONG}2"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ANIMATIZE_SECRET_KEY_PREVIOUS", f"{LONG},short-one"),
        ("ANIMATIZE_SECRET_KEY", "short-one"),
        ("ANIMATIZE_PUBLIC_URL", "console.example.org"),
        ("ANIMATIZE_PUBLIC_URL", "https://"),
        ("ANIMATIZE_PUBLIC_URL", "https://console.example.org:port"),
        ("ANIMATIZE_LISTEN", "127.0.0.1:99999"),
        ("ANIMATIZE_LISTEN", "127.0.0.1:0"),
        ("ANIMATIZE_RUNS_URL", "http://runs:nope"),
        ("ANIMATIZE_RUNS_URL", "http://"),
        ("ANIMATIZE_NEW_GUESTS_PER_MINUTE", "0"),
        ("ANIMATIZE_SIGN_INS_PER_MINUTE", "many"),
    ],
)
def test_a_value_that_nobody_can_mean_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=variable) as stopped:
        load(Settings)
    assert "short-one" not in str(stopped.value)


@pytest.mark.parametrize("written", ["https://console.example.org/", "https://Console.Example.org:443/console?a=b"])
def test_of_the_public_address_only_the_origin_counts(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("ANIMATIZE_PUBLIC_URL", written)
    assert load(Settings).public_url == "https://console.example.org"


@pytest.mark.parametrize(
    ("given", "secure"),
    [({}, True), ({"COOKIE_SECURE": "false"}, False), ({"ENV": "development"}, False)],
    ids=["in production", "in production, where it is not wanted", "in development"],
)
def test_production_asks_for_a_secure_cookie_by_itself(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], secure: bool
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"ANIMATIZE_{name}", value)
    assert load(Settings).cookie_secure is secure


def test_one_address_may_become_600_guests_a_minute_and_try_to_sign_in_120_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANIMATIZE_WEB_DB_PATH", str(tmp_path))
    app = create_app(load(Settings))
    assert [app[limit]._item.amount for limit in (NEW_GUESTS, SIGN_INS)] == [600, 120]
    assert [app[limit]._item.get_expiry() for limit in (NEW_GUESTS, SIGN_INS)] == [60, 60]
