"""The whole stack with small stand-ins for the five processes: what `make run` promises, on the outside."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from chassis.settings import PROCESSES

CHECKOUT = Path(__file__).parents[2]
STACK = (sys.executable, "-m", "chassis.stack")
MAKE = ("make", "--assume-old=.venv/runtime", "run")  # as if the set-up were done, which it is: see `home`
READY = "ANIMAtiZE Director Console is ready at http://127.0.0.1:{port} (Ctrl-C stops it)\n"
STAND_IN = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *_):
        pass

name = __spec__.name.partition(".")[0]
sys.stdout.write("".join(f"{name} {number} {'x' * 200}\\n" for number in range(50)))
sys.stdout.flush()
if Path(f"{name}.broken").exists():
    sys.exit("the configuration is wrong")
HTTPServer(("127.0.0.1", int(os.environ["ANIMATIZE_PORT"]) + PROCESSES.index(name)), Answer).serve_forever()
"""
STAND_IN_SETTINGS = """
from pydantic_settings import BaseSettings

class Settings(BaseSettings):
    model_config = {"env_prefix": "ANIMATIZE_"}
    restore_max_bytes: int = 1
"""


def heed_the_terminal() -> None:
    """Also where the tests themselves run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Stack:
    """A stack that runs in a session of its own, by which whatever it leaves behind is found."""

    def __init__(self, command: tuple[str, ...], home: Path) -> None:
        self.home, self.port = home, five_free_ports()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "ANIMATIZE_"))}
        temporary = str(home / "tmp")
        env = kept | {"PYTHONPATH": str(CHECKOUT), "ANIMATIZE_PORT": str(self.port), "TMPDIR": temporary}
        self.output = home / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=home,
                env=env,
                start_new_session=True,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=heed_the_terminal,  # noqa: PLW1509 - there are no threads here
            )

    def pid(self, name: str) -> int | None:
        """The process that listens at the port of `name`, by its own word."""
        connection = HTTPConnection("127.0.0.1", self.port + PROCESSES.index(name), timeout=1)
        try:
            connection.request("GET", "/health/ready")
            return int(connection.getresponse().read())
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def is_up(self) -> bool:
        """Whether all five listen; the stand-in of a gateway says that it is ready without looking at the services."""
        return self.is_ready() and all(map(self.pid, PROCESSES))

    def is_ready(self) -> bool:
        return READY.format(port=self.port) in self.output.read_text()

    def survivors(self) -> list[int]:
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if session(pid) == self.process.pid]


def session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def five_free_ports() -> int:
    while True:
        first = random.randrange(20_000, 30_000)
        try:
            for port in range(first, first + 5):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


def wait_for(what: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that looks like the checkout, with stand-ins in place of the five processes."""
    for name in PROCESSES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "__main__.py").write_text(f"PROCESSES = {PROCESSES}\n{STAND_IN}")
        (tmp_path / name / "settings.py").write_text(STAND_IN_SETTINGS)
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Stack]]:
    stacks: list[Stack] = []

    def start(command: tuple[str, ...] = STACK) -> Stack:
        stacks.append(Stack(command, home))
        return stacks[-1]

    yield start
    for stack in stacks:
        for pid in stack.survivors():
            os.kill(pid, signal.SIGKILL)
        stack.process.wait()


def test_it_says_where_it_is_ready_and_the_lines_of_all_five_stay_whole(start: Callable[..., Stack]) -> None:
    stack = start()
    wait_for(stack.is_up)
    lines = stack.output.read_text().splitlines(keepends=True)
    expected = [f"{name} {number} {'x' * 200}\n" for name in PROCESSES for number in range(50)]
    assert sorted(lines) == sorted([*expected, READY.format(port=stack.port)])


def test_a_service_that_is_killed_listens_again_within_three_seconds_however_often(
    start: Callable[..., Stack],
) -> None:
    stack = start()
    wait_for(lambda: stack.pid("runs_service"))
    for _ in range(4):
        killed = stack.pid("runs_service")
        assert killed
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: stack.pid("runs_service") not in (None, killed), seconds=3)  # noqa: B023 - awaited at once


def test_a_service_that_cannot_start_says_why_does_not_spin_and_comes_back_once_it_can(
    start: Callable[..., Stack], home: Path
) -> None:
    (home / "vault_service.broken").touch()
    stack = start()
    wait_for(stack.is_ready)
    time.sleep(3)
    assert 1 <= stack.output.read_text().count("the configuration is wrong\n") <= 3
    (home / "vault_service.broken").unlink()
    wait_for(lambda: stack.pid("vault_service"), seconds=5)


@pytest.mark.parametrize("end", [os.kill, os.killpg])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_it_or_to_its_group_ends_everything(
    start: Callable[..., Stack], home: Path, end: Callable[[int, int], None], number: int
) -> None:
    stack = start()
    wait_for(stack.is_up)
    before = set(home.iterdir())
    end(stack.process.pid, number)
    assert stack.process.wait(timeout=15) == 0
    assert stack.survivors() == []
    assert set(home.iterdir()) == before
    assert list((home / "tmp").iterdir()) == []


def test_under_nohup_it_outlives_its_terminal(start: Callable[..., Stack]) -> None:
    stack = start(("nohup", *STACK))
    wait_for(stack.is_up)
    os.killpg(stack.process.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert stack.process.poll() is None
    assert stack.pid("gateway")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_make_alone_ends_everything(start: Callable[..., Stack], number: int) -> None:
    stack = start(MAKE)
    wait_for(stack.is_up)
    os.kill(stack.process.pid, number)
    assert stack.process.wait(timeout=15) == -number
    wait_for(lambda: not stack.survivors(), seconds=15)


def test_a_taken_port_is_named_before_anything_starts(start: Callable[..., Stack], home: Path) -> None:
    first = start()
    wait_for(first.is_up)
    env = os.environ | {"PYTHONPATH": str(CHECKOUT), "ANIMATIZE_PORT": str(first.port - 2)}
    second = subprocess.run(STACK, cwd=home, env=env, capture_output=True, text=True, timeout=10, check=False)
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr.startswith(f"settings_service cannot listen at 127.0.0.1:{first.port}: Address already in use")
    assert second.stderr.count("\n") == 1


def test_two_stacks_run_side_by_side_and_end_apart(start: Callable[..., Stack]) -> None:
    one, other = start(), start()
    wait_for(lambda: one.pid("gateway") and other.pid("gateway"))
    one.process.terminate()
    assert one.process.wait(timeout=15) == 0
    assert other.pid("gateway")


WRONG = [
    ("ANIMATIZE_PORT", "eighty", "ANIMATIZE_PORT: "),
    ("ANIMATIZE_LISTEN", "127.0.0.1:8000", "ANIMATIZE_LISTEN is the address of one process"),
    ("ANIMATIZE_METRICS_LISTEN", "127.0.0.1:9000", "ANIMATIZE_METRICS_LISTEN is the address of one process"),
    ("ANIMATIZE_METRICS_PORT", "8002", "ANIMATIZE_METRICS_PORT on and those from ANIMATIZE_PORT on overlap"),
    ("ANIMATIZE_RESTORE_MAX_BYTES", "lots", "ANIMATIZE_RESTORE_MAX_BYTES: "),
    ("ANIMATIZE_DRAIN_SECONDS", "soon", "ANIMATIZE_DRAIN_SECONDS: "),
]


def test_all_wrong_values_are_named_at_once(home: Path) -> None:
    wrong = {"ANIMATIZE_PORT": "eighty", "ANIMATIZE_DRAIN_SECONDS": "-1", "ANIMATIZE_RESTORE_MAX_BYTES": "lots"}
    env = os.environ | {"PYTHONPATH": str(CHECKOUT)} | wrong
    ended = subprocess.run(STACK, cwd=home, env=env, capture_output=True, text=True, timeout=10, check=False)
    assert [ended.stderr.count(f"{name}: ") for name in wrong] == [1, 1, 1]


@pytest.mark.parametrize(("variable", "value", "reason"), WRONG)
def test_a_wrong_value_is_named_before_anything_starts(home: Path, variable: str, value: str, reason: str) -> None:
    env = os.environ | {"PYTHONPATH": str(CHECKOUT), variable: value}
    ended = subprocess.run(STACK, cwd=home, env=env, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert reason in ended.stderr
