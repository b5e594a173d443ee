"""A real process: its start, what it survives, and its end."""

import json
import signal
import socket
import time
from http.client import HTTPConnection

import pytest

from tests.chassis.conftest import Start

TAKEN = r"toy cannot start: .*ddress already in use"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_once_what_is_under_way_is_finished(
    start: Start, port: int, stop: signal.Signals
) -> None:
    process = start()
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/slow")
    time.sleep(0.3)
    process.send_signal(stop)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"done":true}')
    connection.close()
    assert "closed" in process.output()


def test_a_client_that_leaves_does_not_cut_a_handler_in_half(start: Start, port: int) -> None:
    process = start()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
    time.sleep(1.2)
    process.terminate()
    assert "written whole" in process.output()


def test_two_processes_share_a_port_only_where_both_are_told_to(start: Start, port: int) -> None:
    start()
    with pytest.raises(AssertionError, match=TAKEN):
        start()
    with pytest.raises(AssertionError, match=TAKEN):
        start(ANIMATIZE_SHARE_PORT="true")


def test_a_process_says_where_it_is_and_that_it_ends(start: Start, port: int) -> None:
    process = start()
    process.terminate()
    lines = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == ["started", "ending"]
    assert (lines[0]["at"], lines[1]["signal"]) == (f"http://127.0.0.1:{port}", "SIGTERM")
    assert {line["pid"] for line in lines} == {process.pid}


def test_a_wrong_value_is_told_of_together_with_those_of_the_process_itself(start: Start) -> None:
    with pytest.raises(AssertionError) as told:
        start(ANIMATIZE_DRAIN_SECONDS="soon", ANIMATIZE_PORT="none", ANIMATIZE_ENV="test")
    assert [str(told.value).count(f"ANIMATIZE_{name}: ") for name in ("DRAIN_SECONDS", "PORT", "ENV")] == [1, 1, 1]


SECRET = b"a-token-that-is-for-no-log"
HOSTILE = {
    "bytes in the path": b"GET /\xff\xfe\xed\xa0\x80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "escapes in the path": b"GET /%ff%ed%a0%80%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the request id": b"GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Request-ID: \xff\xfe\r\n\r\n",
    "a broken secret header": b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + SECRET + b"\x00\r\n\r\n",
    "a broken header name": b"GET / HTTP/1.1\r\nHost: x\r\n" + SECRET + b"\xff: x\r\n\r\n",
    "an absolute address": b"GET http://else.where/nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    "no such method": b"\xff\xff / HTTP/1.1\r\n\r\n",
    "a long line": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + SECRET + b"a" * 40_000 + b"\r\n\r\n",
    "no http": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n",
    "an expectation": b"GET /nowhere HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n",
}


@pytest.mark.parametrize("env", ["development", "production"])
def test_hostile_requests_get_a_4xx_and_neither_take_it_down_nor_fill_the_log(
    start: Start, port: int, env: str
) -> None:
    process = start(env)
    answers = {}
    try:
        for what, raw in HOSTILE.items():
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(raw)
                answers[what] = connection.recv(65536)
    finally:
        process.terminate()
        output = process.output()
    assert {what: answer[:10] for what, answer in answers.items() if answer[9:10] != b"4"} == {}
    assert SECRET.decode() not in output
    assert "Traceback" not in output
