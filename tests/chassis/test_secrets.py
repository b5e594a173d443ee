"""The root secret in development, and the keys derived from it."""

import multiprocessing
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import SecretStr

from chassis.secrets import derive, existing_root_secret, root_secret


def made(folder: Path) -> str:
    return root_secret(None, folder).get_secret_value()


def test_a_configured_secret_is_taken_and_nothing_is_made(tmp_path: Path) -> None:
    given = SecretStr("configured")
    assert root_secret(given, tmp_path) is given
    assert list(tmp_path.iterdir()) == []


def test_who_only_asks_for_the_development_secret_makes_none(tmp_path: Path) -> None:
    assert existing_root_secret(None, tmp_path / "nowhere") is None
    assert list(tmp_path.iterdir()) == []
    assert existing_root_secret(root_secret(None, tmp_path), tmp_path / "nowhere") is not None
    there = existing_root_secret(None, tmp_path)
    assert there is not None
    assert there.get_secret_value() == made(tmp_path)


def test_the_development_secret_is_long_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    secret = made(tmp_path / "not" / "there" / "yet")
    (file,) = (tmp_path / "not" / "there" / "yet").iterdir()
    assert len(secret) >= 32
    assert file.read_text() == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_is_made_once_and_another_folder_has_another(tmp_path: Path) -> None:
    assert made(tmp_path / "a") == made(tmp_path / "a")
    assert made(tmp_path / "a") != made(tmp_path / "b")


def test_threads_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(made, [tmp_path] * 64))) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(made, [tmp_path] * 8, chunksize=1))) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_each_purpose_and_each_secret_has_a_key_of_its_own() -> None:
    one, other = SecretStr("one"), SecretStr("other")
    keys = {derive(secret, purpose) for secret in (one, other) for purpose in ("a", "b")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert derive(one, "a") == derive(one, "a")
