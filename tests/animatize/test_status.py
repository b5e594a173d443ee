"""How everything stands, where much of it does not."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from animatize import standing
from chassis.release import RELEASE
from chassis.settings import PROCESSES
from tests.animatize.console import Console, made, unmade
from tests.vault_service.conftest import NEW_ROOT
from tests.vault_service.rotation import OLD

Answer = Callable[[str], tuple[int, str | None]]


class StandIns:
    """The five processes, as far as health goes: `answers` says what each tells at a path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = dict.fromkeys(PROCESSES, lambda _: (200, RELEASE))
        self.servers = {name: self._server(name) for name in PROCESSES}
        for server in self.servers.values():
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()

    def _server(self, name: str) -> ThreadingHTTPServer:
        stand_ins = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, release = stand_ins.answers[name](self.path)
                self.send_response(status)
                if release is not None:
                    self.send_header("Animatize-Release", release)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def environment(self) -> dict[str, str]:
        urls = {name.removesuffix("_service"): server.server_address[1] for name, server in self.servers.items()}
        return {f"ANIMATIZE_{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in urls.items()}

    def close(self) -> None:
        for server in self.servers.values():
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def running() -> Iterator[StandIns]:
    stand_ins = StandIns()
    yield stand_ins
    stand_ins.close()


@pytest.fixture
def stand_ins(running: StandIns) -> StandIns:
    running.answers = dict.fromkeys(PROCESSES, lambda _: (200, RELEASE))
    return running


@pytest.fixture
def console(tmp_path: Path, stand_ins: StandIns) -> Console:
    """At rest: the operations that its vault remembers are in the journal too."""
    console = made(tmp_path)
    console.environment |= stand_ins.environment
    for number in range(3):
        console.operation(f"r-{number:05}", "done", participants='["vault"]')
    return console


def told(console: Console, code: int = 1) -> Any:
    found = console("status", "--json")
    assert (found.code, found.out.count("\n")) == (code, 1), found
    assert found.json["ok"] is (code == 0)
    return found.json


def test_where_all_is_well_it_says_so_and_exits_with_0(console: Console) -> None:
    found = told(console, 0)
    assert [each["process"] for each in found["processes"]] == list(PROCESSES)
    assert all((each["up"], each["ready"], each["release"]) == (True, True, RELEASE) for each in found["processes"])
    assert found["files"]["runs_service"]["schema"] == found["files"]["runs_service"]["known_schema"]
    assert found["files"]["runs_service"]["size"] == console.files["runs_service"].stat().st_size
    assert (found["secret"]["vault"], found["secret"]["current"]) == (OLD.current.id,) * 2
    assert (found["operations"], found["differences"], found["verified"]) == ([], [], None)
    text = console("status").out
    assert "all is well" in text
    assert OLD.current.id in text


def test_a_process_that_is_away_not_ready_or_of_another_release_is_named(console: Console, stand_ins: StandIns) -> None:
    stand_ins.answers |= {
        "gateway": lambda path: (503, None) if path.endswith("ready") else (200, RELEASE),
        "auth_service": lambda _: (404, None),
        "settings_service": lambda _: (200, None),
        "runs_service": lambda _: (200, "0.0.1"),
    }
    console.environment["ANIMATIZE_VAULT_URL"] = "http://127.0.0.1:9,http://nowhere.invalid:1"
    problems = told(console)["problems"]
    ends = [each.partition(" at ")[0::2] for each in problems]
    assert [(name, rest.partition(" ")[2]) for name, rest in ends] == [
        ("gateway", "is not ready"),
        ("auth_service", "does not answer"),
        ("settings_service", f"is of release unknown, this is {RELEASE}"),
        ("runs_service", f"is of release 0.0.1, this is {RELEASE}"),
        ("vault_service", "does not answer"),
        ("vault_service", "does not answer"),
    ]


def test_every_file_is_told_of_whatever_the_others_are(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "PATIENCE", 0.05)
    console.files["auth_service"].unlink()
    console.files["settings_service"].write_bytes(b"rubbish" * 1000)
    console.files["settings_service"].with_name("animatize_web.settings.db-wal").unlink(missing_ok=True)
    console.write("runs", "PRAGMA user_version = 2")
    console.write("vault", "PRAGMA user_version = 77")
    files = told(console)["files"]
    assert "there is no file of auth_service" in files["auth_service"]["problem"]
    assert "not a readable database" in files["settings_service"]["problem"]
    assert "older release, with schema 2 of" in files["runs_service"]["problem"]
    assert "newer release, with schema 77" in files["vault_service"]["problem"]
    assert files["gateway"]["problem"] is None
    with closing(sqlite3.connect(console.files["gateway"], isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in told(console)["files"]["gateway"]["problem"]


def test_nothing_is_made_where_nothing_is(tmp_path: Path, stand_ins: StandIns) -> None:
    console = unmade(tmp_path)
    console.environment |= stand_ins.environment | {"ANIMATIZE_SECRET_KEY": ""}
    assert len(told(console)["problems"]) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_wrong_secret_is_named_and_none_is_made(console: Console) -> None:
    before = set(console.data.iterdir())
    console.environment["ANIMATIZE_SECRET_KEY"] = NEW_ROOT
    assert "the vault is locked" in told(console)["problems"][0]
    console.environment["ANIMATIZE_SECRET_KEY"] = ""
    assert "There is no root secret" in told(console)["problems"][0]
    assert {each.name for each in set(console.data.iterdir()) ^ before if "-" not in each.suffix} == set()
    assert NEW_ROOT not in console("status").out


def test_the_secret_of_development_is_found_beside_the_files(console: Console) -> None:
    secret = console.environment.pop("ANIMATIZE_SECRET_KEY")
    (console.data / "animatize_development_secret").write_text(secret)
    told(console, 0)


def test_operations_in_flight_are_told_and_only_an_old_one_is_a_problem(console: Console) -> None:
    console.operation("r_new", "committing", started_at=datetime.now(UTC).isoformat())
    [operation] = told(console, 0)["operations"]
    assert (operation["id"], operation["kind"], operation["stage"]) == ("r_new", "restore", "committing")
    assert 0 <= operation["age"] < 60
    console.operation("r_old", "aborting")
    assert told(console)["problems"][0].startswith("restore r_old has been aborting for")
    assert "r_new: committing" in console("status").out


def test_a_difference_between_journal_and_services_is_named_once_it_stays(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "PAUSE", 0.0)
    console.operation("r_1", "done")
    console.remembers("settings", "r_1", "staged")
    assert told(console)["differences"] == ["settings has r_1 as staged, and the journal says done"]
    looks = iter([["of a moment", "another"], ["another"], []])
    monkeypatch.setattr(standing, "_differences", lambda _: next(looks))
    told(console, 0)


def test_the_last_verified_snapshot_is_told_and_where_it_has_gone(console: Console, tmp_path: Path) -> None:
    assert console("snapshot", tmp_path / "one").code == 0
    assert console("verify", tmp_path / "one").code == 0
    verified = told(console, 0)["verified"]
    assert (verified["snapshot"], verified["age"] < 60) == (str(tmp_path / "one"), True)
    assert str(tmp_path / "one") in console("status").out
    (tmp_path / "one").rename(tmp_path / "two")
    assert "which is not there any more" in console("status").out


def test_a_wrong_environment_is_refused_in_one_message(console: Console) -> None:
    console.environment |= {"ANIMATIZE_RUNS_URL": "nonsense", "ANIMATIZE_ENV": "nowhere"}
    found = console("status", "--json")
    assert (found.code, "ANIMATIZE_ENV" in found.json["error"]) == (3, True)
