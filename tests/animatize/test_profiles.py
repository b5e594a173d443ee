"""Export and import through the gateway: the same documents as the console's, whole or not at all."""

import asyncio
import json
import os
import pty
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from animatize import import_profile
from tests.animatize.running import begun, environment, run, run_json
from tests.journeys.browser import Browser
from tests.processes import ROOT, Stack, free_ports, peak_memory

PASSPHRASE = "correct horse — battery stāple 100%"
KEY = "rk_live_an_exported_key"


def session_of(browser: Browser, folder: Path) -> str:
    """The browser's session in a file, as its bare value."""
    (cookie,) = [each for each in browser.jar if each.key == "animatize_session"]
    file = folder / "session"
    file.write_text(f"{cookie.value}\n", encoding="ascii")
    return str(file)


def jar_of(browser: Browser, folder: Path, host: str, *, secure: bool = False) -> str:
    """The same as curl writes it."""
    value = Path(session_of(browser, folder)).read_text(encoding="ascii").strip()
    file = folder / "cookies.txt"
    flags = f"FALSE\t/\t{str(secure).upper()}\t0"
    file.write_text(f"# Netscape HTTP Cookie File\n\n#HttpOnly_{host}\t{flags}\tanimatize_session\t{value}\n")
    return str(file)


async def filled(browser: Browser) -> None:
    await browser.put("/api/settings", {"settings": {"theme": {"grain": 0.5}}, "change_note": "evening"})
    await browser.put("/api/runs/R1", {"run_id": "R1", "status": "success"})
    await browser.put("/api/settings/api-keys/runway", {"api_key": KEY})


@pytest.fixture
async def other_browser(stack: Stack) -> Any:
    async with Browser(stack.url) as browser:
        await browser.get("/api/settings")
        yield browser


@pytest.mark.parametrize("how", ["bare", "jar"])
async def test_the_document_is_that_of_the_console(stack: Stack, browser: Browser, tmp_path: Path, how: str) -> None:
    await filled(browser)
    session = session_of(browser, tmp_path) if how == "bare" else jar_of(browser, tmp_path, "127.0.0.1")
    file = tmp_path / "profile.json"
    code, told = run_json("export", str(file), "--session", session, environment=environment(stack))
    document, mine = json.loads(file.read_text()), await browser.get("/api/settings/backup")
    assert (code, told["counts"]) == (0, document["manifest"]["counts"])
    assert {**document, "exported_at": ""} == {**mine, "exported_at": ""}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


async def test_a_document_that_is_there_is_kept_unless_forced(stack: Stack, browser: Browser, tmp_path: Path) -> None:
    await filled(browser)
    file, session = tmp_path / "profile.json", session_of(browser, tmp_path)
    file.write_text("mine")
    code, _, beside = run("export", str(file), "--session", session, environment=environment(stack))
    assert (code, "there already" in beside, file.read_text()) == (3, True, "mine")
    assert run("export", str(file), "--session", session, "--force", environment=environment(stack))[0] == 0
    assert json.loads(file.read_text())["manifest"]


async def test_a_profile_goes_to_another_with_its_keys(
    stack: Stack, browser: Browser, other_browser: Browser, tmp_path: Path
) -> None:
    await filled(browser)
    secret, document = tmp_path / "passphrase", tmp_path / "profile.json"
    file = str(document)
    secret.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    given = ("--passphrase-file", str(secret))
    code, told, beside = run(
        "export", file, "--session", session_of(browser, tmp_path), *given, environment=environment(stack)
    )
    assert (code, KEY in document.read_text(), PASSPHRASE in told + beside) == (0, False, False)
    theirs = session_of(other_browser, tmp_path)
    code, told = run_json("import", file, "--session", theirs, "--dry-run", *given, environment=environment(stack))
    assert (code, told["plan"]["runs"]["added"], told["plan"]["api_keys"]["added"]) == (0, 1, 1)
    assert (await other_browser.get("/api/runs"))["runs"] == []
    code, told = run_json("import", file, "--session", theirs, *given, environment=environment(stack))
    assert (code, told["restored_runs"], told["restored_keys"], told["warnings"]) == (0, 1, 1, [])
    mine, imported = await browser.profile(), await other_browser.profile()
    assert (imported["runs"], imported["settings"]["settings"]["theme"]) == (mine["runs"], {"grain": 0.5})
    keys = {row["provider"]: row["masked"] for row in imported["api_credentials"]}
    assert keys["runway"] == "rk_l********_key"
    await other_browser.json("POST", f"/api/settings/restore/{told['restore_id']}/undo")


async def test_what_cannot_be_used_is_told_and_the_rest_is_in(stack: Stack, browser: Browser, tmp_path: Path) -> None:
    await browser.get("/api/settings")
    file, session = tmp_path / "some.json", session_of(browser, tmp_path)
    file.write_text(json.dumps({"runs": [{"run_id": "R1"}, {"run_id": 7}]}))
    code, told, _ = run("import", str(file), "--session", session, environment=environment(stack))
    assert (code, "not used: /runs/1" in told) == (1, True)
    assert len((await browser.get("/api/runs"))["runs"]) == 1
    code, told = run_json(
        "import", str(file), "--session", session, "--mode", "replace", environment=environment(stack)
    )
    assert (code, told["problem"]) == (3, "refused")
    file.write_text("nothing of the kind")
    code, told = run_json("import", str(file), "--session", session, environment=environment(stack))
    assert (code, told["exit_code"]) == (3, 3)


async def test_replace_removes_what_the_document_does_not_name(stack: Stack, browser: Browser, tmp_path: Path) -> None:
    await filled(browser)
    file, session = tmp_path / "some.json", session_of(browser, tmp_path)
    file.write_text(json.dumps({"runs": [{"run_id": "R2"}]}))
    code, told = run_json(
        "import", str(file), "--session", session, "--mode", "replace", environment=environment(stack)
    )
    assert (code, told["removed"]["runs"]) == (0, 1)
    assert [each["run_id"] for each in (await browser.get("/api/runs"))["runs"]] == ["R2"]


@pytest.mark.parametrize("command", ["export", "import"])
async def test_an_ended_session_is_refused_and_nothing_lands_elsewhere(
    stack: Stack, browser: Browser, tmp_path: Path, command: str
) -> None:
    await filled(browser)
    session, file = session_of(browser, tmp_path), tmp_path / "profile.json"
    if command == "import":
        file.write_text(json.dumps({"runs": [{"run_id": "R2"}]}))
    await browser.json("POST", "/api/auth/logout")
    code, told = run_json(command, str(file), "--session", session, environment=environment(stack))
    assert (code, told["problem"]) == (3, "session_ended")
    assert command == "import" or not file.exists()


@pytest.mark.parametrize("host", ["example.org", "127.0.0.2", "0.0.1"])
async def test_a_cookie_is_sent_nowhere_but_home(stack: Stack, browser: Browser, tmp_path: Path, host: str) -> None:
    await filled(browser)
    jar = jar_of(browser, tmp_path, host)
    code, told = run_json("export", str(tmp_path / "x"), "--session", jar, environment=environment(stack))
    assert (code, f"it has one for {host}" in told["error"]) == (3, True)


@contextmanager
def mocking(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """An address where every request gets this answer, whose connection then breaks; and the heads that came."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heads.append(connection.recv(65536))
                    boot = b"bootstrap" in heads[-1]
                    connection.sendall(BOOTSTRAP if boot else answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heads
        server.shutdown(socket.SHUT_RDWR)


BOOTSTRAP = b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{"session_id":"s"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WITHOUT_END = CHUNKED + b'10\r\n{"settings":{},"\r\n'
WITHOUT_MANIFEST = CHUNKED + b'10\r\n{"settings":{} }\r\n0\r\n\r\n'


@pytest.mark.parametrize("answer", [WITHOUT_END, WITHOUT_MANIFEST])
def test_a_document_without_its_end_does_not_land(tmp_path: Path, answer: bytes) -> None:
    (tmp_path / "session").write_text("x" * 43)
    with mocking(answer) as (url, heads):
        told = run_json(
            "export", str(tmp_path / "profile.json"), "--session", str(tmp_path / "session"), "--url", url,
            environment=environment(),
        )  # fmt: skip
    assert (told[0], "broke off" in told[1]["error"]) == (5, True)
    assert [each.name for each in tmp_path.iterdir()] == ["session"]
    assert b"\r\nAnimatize-Session: s\r\n" in heads[-1]


def test_nobody_at_home_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "session").write_text("x" * 43)
    (port,) = free_ports(1)
    arguments = ("export", str(tmp_path / "x"), "--session", str(tmp_path / "session"))
    code, told = run_json(*arguments, "--url", f"http://127.0.0.1:{port}", environment=environment())
    assert (code, "does not answer" in told["error"]) == (4, True)
    assert run(*arguments, "--url", "ftp://example.org", environment=environment())[0] == 2


def test_the_passphrase_of_a_prompt_is_asked_for_twice_and_shown_never(tmp_path: Path) -> None:
    """By a terminal, as a person has it."""
    (tmp_path / "session").write_text("x" * 43)
    told = typed(
        ["one passphrase\n", "another one\n"], "export", str(tmp_path / "x"), "--session", str(tmp_path / "session")
    )
    assert "The two passphrases differ" in told
    assert "one passphrase" not in told
    code, _, beside = run(
        "export", str(tmp_path / "x"), "--with-keys", "--session", str(tmp_path / "session"), environment=environment()
    )
    assert (code, "--passphrase-file" in beside) == (3, True)


def typed(lines: list[str], *arguments: str) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "animatize", *arguments, "--with-keys"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = ""
        for line in lines:
            shown = read_until(ours, shown, ": ")
            os.write(ours, line.encode())
        shown = read_until(ours, shown, None)
        process.wait(30)
    os.close(ours)
    return shown


def read_until(terminal: int, shown: str, end: str | None) -> str:
    length = len(shown)
    while end is None or end not in shown[length:]:
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # the other side has closed it
            break
    return shown


class Passage:
    """A port of its own in front of the gateway, which loses the answer to a restore."""

    def __init__(self, stack: Stack) -> None:
        self._to = stack.ports["gateway"]
        self.lost = self._open = 0

    async def __aenter__(self) -> "Passage":
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        while self._open:  # noqa: ASYNC110 - a test waits for what it began
            await asyncio.sleep(0.01)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._to)
        loses = False

        async def onward() -> None:
            nonlocal loses
            while piece := await reader.read(65536):
                loses = loses or piece.startswith(b"POST ")
                there.write(piece)
            there.close()

        going = asyncio.create_task(onward())
        while piece := await there_reader.read(65536):
            if loses:
                self.lost += 1
                break
            writer.write(piece)
        going.cancel()
        for each in (there, writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()
        self._open -= 1


async def test_a_lost_answer_is_asked_for_by_the_id(stack: Stack, browser: Browser, tmp_path: Path) -> None:
    await browser.get("/api/settings")
    file, session = tmp_path / "some.json", session_of(browser, tmp_path)
    file.write_text(json.dumps({"runs": [{"run_id": "R1"}]}))
    async with Passage(stack) as passage:
        arguments = ("import", str(file), "--session", session, "--url", passage.url)
        code, told = await asyncio.to_thread(run_json, *arguments, environment=environment(stack))
        assert (code, passage.lost, told["restored_runs"]) == (0, 1, 1)
        assert told["restore_id"].startswith("import-")
        restores = (await browser.get("/api/settings/restores"))["restores"]
        assert [each["restore_id"] for each in restores] == [told["restore_id"]]
        code, told = await asyncio.to_thread(run_json, *arguments, "--dry-run", environment=environment(stack))
        assert (code, "A dry run changes nothing" in told["error"]) == (5, True)


async def test_a_restore_that_waits_for_a_service_is_waited_for(
    stack: Stack, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 restore_completing: decided, and no reason to do it again."""
    asked = []

    class Gateway:
        async def read(self, path: str) -> Any:
            asked.append(path)
            done = {"stage": "done", "outcome": {"warnings": []}}
            return done if len(asked) == 3 else {"stage": "committing", "outcome": None}

    monkeypatch.setattr(import_profile, "LOOK_SECONDS", 0.01)
    order = import_profile.Order(tmp_path / "x", import_profile.Mode.MERGE, None, dry_run=False)
    assert await import_profile._outcome(Gateway(), order) == {"warnings": []}  # type: ignore[arg-type]
    assert set(asked) == {f"/api/settings/restores/{order.id}"}


async def test_memory_is_the_same_for_a_large_profile(stack: Stack, browser: Browser, tmp_path: Path) -> None:
    await browser.get("/api/settings")
    large, session = tmp_path / "large.json", session_of(browser, tmp_path)
    runs = [{"run_id": f"R{n}", "compiled_prompt": "x" * 30_000} for n in range(2_000)]
    large.write_text(json.dumps({"runs": runs}))
    peaks = []
    for arguments in (("import", str(large)), ("export", str(tmp_path / "back.json"))):
        peak = await asyncio.to_thread(peak_of, *arguments, "--session", session, stack=stack)
        peaks.append(peak >> 20)
    assert (tmp_path / "back.json").stat().st_size > 60_000_000
    assert max(peaks) < 130, peaks


def peak_of(*arguments: str, stack: Stack) -> int:
    process = begun(*arguments, environment=environment(stack))
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, peak_memory(process.pid))
        except (FileNotFoundError, ValueError, IndexError):
            break
        threading.Event().wait(0.02)
    _, beside = process.communicate()
    assert process.returncode == 0, beside
    return peak
