"""A drive through everything, and then a look at all that the processes said of it: logs and numbers.

No secret stands there in any notation; and what an operator needs stands there.
"""

import asyncio
import json
import re
import sqlite3
import urllib.request
from base64 import b64encode, urlsafe_b64encode
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from chassis.secrets import derive
from chassis.serving import ROUTES, add_routes
from gateway import routes as gateway_routes
from gateway.identity import Audience
from tests.issuer import Issuer
from tests.journeys import drive, hops, workers
from tests.journeys.browser import Browser
from tests.journeys.disguises import TOKEN, found
from tests.journeys.drive import Secrets
from tests.processes import Stack, free_ports, is_free, running
from vault_service.sealing import derive_key

PROCESSES = ("gateway", "auth_service", "settings_service", "runs_service", "vault_service")
OUTSIDE_REQUESTS = {"vault_locked", "vault_unlocked", "recovery_waits", "feed_lost", "feed_back", "started", "ending"}


class Page:
    """What one process told at /metrics: `page("animatize_…", service="runs")` adds up what fits the labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        return sum(s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items())


@dataclass(frozen=True)
class Told:
    """All that the processes said, and what they must not say. A page has the name of its process or its occasion."""

    secrets: dict[str, str | bytes]
    log: str
    pages: dict[str, Page]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told_in("production", tmp_path_factory.mktemp("leaks"))


def told_in(environment_name: str, folder: Path) -> Told:
    planted, port = Secrets(), five_in_a_row()
    environment = {
        "ANIMATIZE_ENV": environment_name,
        "ANIMATIZE_COOKIE_SECURE": "false",
        "ANIMATIZE_SECRET_KEY": planted.root,
        "ANIMATIZE_SECRET_KEY_PREVIOUS": planted.previous_root,
        "ANIMATIZE_METRICS_PORT": str(port),
        "VEO_API_KEY": planted.operators_key,
    }
    return asyncio.run(all_told(folder, environment, planted, port))


async def all_told(folder: Path, environment: dict[str, str], planted: Secrets, port: int) -> Told:
    async with Issuer() as issuer:
        with running(folder, **environment, **issuer.environment) as stack:
            pages = await driven(stack, issuer, planted, port)
            stack.stop()
            return Told(all_of(planted, stack), stack.log.read_text(encoding="utf-8", errors="replace"), pages)


async def driven(stack: Stack, issuer: Issuer, planted: Secrets, port: int) -> dict[str, Page]:
    """The pages after the drive, under a locked vault, and while two services are away."""
    await drive.through_everything(stack, issuer, planted)
    await workers.read_a_key(stack, planted)
    pages = {name: scraped(port + offset) for offset, name in enumerate(PROCESSES)}
    async with Browser(stack.url) as browser:
        await drive.before_a_locked_vault(browser, planted)
        stack.stop("vault_service")
        stack.start("vault_service", ANIMATIZE_SECRET_KEY=planted.foreign_root)
        await drive.with_a_locked_vault(browser, planted)
        pages["locked vault"] = scraped(port + PROCESSES.index("vault_service"))
        stack.kill("runs_service", "vault_service")
        await drive.without_runs_and_vault(browser, planted)
        await drive.until_told(stack, "operation_recovered")
        pages["gateway alone"] = scraped(port)
    return pages


def scraped(port: int) -> Page:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return Page(response.read().decode())


def five_in_a_row() -> int:
    return next(port for port in free_ports(500) if all(is_free(port + offset) for offset in range(1, 5)))


def all_of(planted: Secrets, stack: Stack) -> dict[str, str | bytes]:
    """What was planted, the cookies that were handed out, and what is derived from the root secrets."""
    named: dict[str, str | bytes] = {name: value for name, value in vars(planted).items() if isinstance(value, str)}
    named |= {f"cookie {number}": cookie for number, cookie in enumerate(planted.cookies)}
    named |= {f"token {number}": token.rpartition(".")[2] for number, token in enumerate(planted.tokens)}
    for root in map(SecretStr, (planted.root, planted.previous_root, planted.foreign_root)):
        key_encryption_key = derive_key(root, salt_of(stack)).secret
        derived = (derive(root, "service-tokens"), derive(root, "gateway/idempotency"), key_encryption_key)
        named |= {f"derived {len(named) + number}": key for number, key in enumerate(derived)}
    return named


def salt_of(stack: Stack) -> bytes:
    with closing(sqlite3.connect(stack.data / "animatize_web.vault.db")) as database:
        return bytes(database.execute("SELECT salt FROM vault").fetchone()[0])


def test_a_secret_is_found_in_every_notation() -> None:
    secret = drive.planted()
    encoded = secret.encode()
    for text in (
        f"Bearer {secret}.",
        secret[:15],
        quote(secret),
        quote(secret, safe="").lower(),
        json.dumps({"key": secret}),
        json.dumps({"key": json.dumps({"key": secret})}),
        repr({"key": secret.encode()}),
        encoded.hex(),
        *(b64encode(b"abc"[:before] + encoded + b"def").decode() for before in range(4)),
        *(urlsafe_b64encode(b"abc"[:before] + encoded[:20]).decode() for before in range(4)),
    ):
        assert found(secret, text), text
    assert not found(secret, drive.planted() + drive.plain())


def test_no_secret_is_in_any_log_or_number(told: Told) -> None:
    check_nothing_leaked(told)


def test_nor_is_one_in_the_log_of_development_which_is_written_otherwise(tmp_path: Path) -> None:
    check_nothing_leaked(told_in("development", tmp_path))


def check_nothing_leaked(told: Told) -> None:
    assert len(told.secrets) > 27
    texts = {"log": told.log, **{name: page.text for name, page in told.pages.items()}}
    leaks = [(name, place) for name, secret in told.secrets.items() for place in texts if found(secret, texts[place])]
    assert leaks == []
    assert [token for text in texts.values() for token in TOKEN.findall(text)] == []


def test_the_drive_has_touched_every_route_of_the_gateway(told: Told) -> None:
    """A new route belongs into the drive: what it says is searched only then."""
    app = web.Application()
    add_routes(app, gateway_routes.ROUTES, Audience)
    well = {
        (sample.labels["method"], sample.labels["route"])
        for sample in told.pages["gateway"].samples
        if sample.name == "animatize_http_requests_total" and sample.labels["status"] < "400"
    }
    assert app[ROUTES].keys() - well == set()


def test_every_line_is_json_and_says_what_when_and_who(told: Told) -> None:
    assert {line["process"] for line in told.lines} == set(PROCESSES)
    for line in told.lines:
        assert {"event", "level", "timestamp", "process"} <= line.keys(), line
        assert line["level"] in ("info", "warning", "error"), line
        assert line["event"] != "unexpected_error", line


def test_every_line_of_a_request_has_its_ids_and_no_other_line_has_one(told: Told) -> None:
    for line in told.lines:
        ids = {"request_id", "trace_id", "span_id"} & line.keys()
        assert len(ids) == (0 if line["event"] in OUTSIDE_REQUESTS and not ids else 3), line
    requests = [line for line in told.lines if line["event"] == "request"]
    assert len(requests) > 100
    assert all(re.fullmatch("[0-9a-f]{32}", line["trace_id"]) for line in requests)


@pytest.mark.parametrize("service", hops.REFUSED)
def test_one_request_is_found_again_in_the_next_process(told: Told, service: str) -> None:
    lines = [line for line in told.lines if line.get("request_id") == service]
    assert {line["process"] for line in lines} == {"gateway", service}
    assert {line["trace_id"] for line in lines} == {hops.TRACE}
    spans = {line["process"]: line["span_id"] for line in lines}
    assert len({hops.CALLERS_SPAN, *spans.values()}) == 3


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_tells_of_its_requests_commits_and_itself(told: Told, process: str) -> None:
    page = told.pages[process]
    assert page("animatize_http_requests_total", status="200") > 0
    assert page("animatize_http_requests_total") == page("animatize_http_request_seconds_count")
    assert page("animatize_http_requests_under_way") == (process != "gateway"), "the gateway's feed"
    assert page("animatize_group_commit_works_sum") >= page("animatize_group_commit_works_count") > 0
    assert page("animatize_group_commit_failures_total") == page("animatize_scrape_failures_total") == 0
    assert page("process_resident_memory_bytes") > 0


def test_the_numbers_are_those_of_the_drive(told: Told) -> None:
    gateway, settings, vault = (told.pages[name] for name in ("gateway", "settings_service", "vault_service"))
    assert gateway("animatize_http_requests_total", method="PUT", route="/api/settings", status="200") == 3
    assert settings("animatize_http_requests_total", method="PUT", route="/api/settings", status="200") == 3
    assert gateway("animatize_http_requests_total", route="unmatched", status="404") >= 2
    assert gateway("animatize_operations_ended_total", kind="restore", stage="done") == 3
    assert gateway("animatize_operations_ended_total", kind="dry_run", stage="aborted") == 2
    assert gateway("animatize_operations_ended_total", kind="undo", stage="done") == 1
    assert gateway("animatize_operations_unfinished") == 0
    assert gateway("animatize_upstream_seconds_count", service="settings") > 20
    assert vault("animatize_vault_failures_total", reason="wrong_passphrase") == 1
    assert vault("animatize_vault_locked") == 0


def test_a_locked_vault_and_missing_services_show(told: Told) -> None:
    locked, alone = told.pages["locked vault"], told.pages["gateway alone"]
    assert locked("animatize_vault_locked") == 1
    assert locked("animatize_vault_failures_total", reason="vault_locked") >= 2
    assert locked("animatize_vault_failures_total", reason="foreign_key") >= 1
    assert told.pages["gateway"]("animatize_upstream_failures_total", service="runs") == 0
    for service in ("runs", "vault"):
        assert alone("animatize_upstream_failures_total", service=service) >= 1
        assert alone("animatize_upstream_retries_total", service=service) >= 1
    assert alone("animatize_http_requests_total", status="503") >= 5
    assert alone("animatize_operations_unfinished", kind="restore", stage="aborting") == 1
    assert alone("animatize_oldest_unfinished_operation_seconds") > 0


def test_what_nobody_asked_for_has_ids_of_its_own(told: Told) -> None:
    (recovered, *_) = [line for line in told.lines if line["event"] == "operation_recovered"]
    asked_for = [line for line in told.lines if line["event"] == "request" and line["process"] == "gateway"]
    assert recovered["trace_id"] not in {line["trace_id"] for line in asked_for}
    assert recovered["request_id"] not in {line["request_id"] for line in asked_for}
