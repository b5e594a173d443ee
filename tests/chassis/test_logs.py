"""One event a line, in one shape, with the request id and without what is secret."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.test_utils import make_mocked_request

from chassis import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def in_production(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Configure, and give back a function that tells the lines logged since."""
    logs.configure("toy_service", "production")
    return lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_an_event_is_one_line_of_json_with_process_time_and_request_id(capfd: pytest.CaptureFixture[str]) -> None:
    lines = in_production(capfd)
    request_id = logs.enter_request(make_mocked_request("GET", "/", headers={logs.HEADER: "given-by-the-caller"}))
    structlog.get_logger().info("saved", owner="user:ada", note="zażółć\n🎬")
    (line,) = lines()
    assert request_id == logs.current_request_id() == "given-by-the-caller"
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "process": "toy_service", "pid": os.getpid(), "event": "saved", "level": "info", "owner": "user:ada",
        "note": "zażółć\n🎬",
        "request_id": request_id,
    }  # fmt: skip


def test_the_next_request_starts_afresh(capfd: pytest.CaptureFixture[str]) -> None:
    lines = in_production(capfd)
    logs.enter_request(make_mocked_request("GET", "/", headers={logs.HEADER: "the-first-one"}))
    structlog.contextvars.bind_contextvars(owner="user:ada")
    logs.enter_request(make_mocked_request("GET", "/"))
    structlog.get_logger().info("next")
    (line,) = lines()
    assert "owner" not in line
    assert line["request_id"] != "the-first-one"


def test_libraries_log_in_the_same_shape_from_warnings_on(capfd: pytest.CaptureFixture[str]) -> None:
    lines = in_production(capfd)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("it is %s", "late")
    (line,) = lines()
    assert (line["event"], line["level"], line["process"]) == ("it is late", "warning", "toy_service")


def test_a_traceback_is_one_line_and_holds_no_local_values(capfd: pytest.CaptureFixture[str]) -> None:
    lines = in_production(capfd)

    def fail(api_key: str) -> None:
        if api_key[::-1]:
            raise LookupError("inside")

    try:
        fail("-".join(["sk", "0123456789"]))
    except LookupError as error:
        structlog.get_logger().error("broken", exc_info=error)
    (line,) = lines()
    assert "LookupError: inside" in line["exception"]
    assert "sk-0123456789" not in line["exception"]


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), 2**70, b"bytes", "\ud800", {"a": ["\udc00"]}])
def test_a_value_without_json_form_still_makes_a_line(capfd: pytest.CaptureFixture[str], value: Any) -> None:
    lines = in_production(capfd)
    structlog.get_logger().info("odd", value=value, other="there")
    (line,) = lines()
    assert (line["event"], line["other"]) == ("odd", "there")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_broken_http_message_is_not_repeated(environment: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("toy_service", environment)
    try:
        raise BadHttpMessage("Authorization: Bearer hush\x00")
    except BadHttpMessage:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    logging.getLogger("aiohttp.server").error("something else")
    shown = capfd.readouterr().out
    assert "hush" not in shown
    assert "something else" in shown


def test_that_a_caller_has_left_is_no_error_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    lines = in_production(capfd)
    for error in (ConnectionResetError("Connection lost"), LookupError("ours")):
        logging.getLogger("aiohttp.server").error("Error handling request", exc_info=error)
    (line,) = lines()
    assert "LookupError: ours" in line["exception"]


def test_in_development_a_line_is_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("toy_service", "development")
    structlog.get_logger().info("saved", owner="user:ada")
    shown = capfd.readouterr().out
    assert "saved" in shown
    assert "owner=user:ada" in shown
    assert "\x1b" not in shown


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else() -> None:
    class Full(StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    output = logs.Lossy(Full())
    output.write("a line")
    output.flush()
