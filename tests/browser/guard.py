"""Watches all that a browser complains of, and every request that it makes.

What it finds fails the test at its end, unless the test allowed just that beforehand.
"""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final, Self
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response, WebError

BINDING: Final = "reportPolicyViolation"
LISTENING: Final = f"""
document.addEventListener("securitypolicyviolation", (event) => window.{BINDING}(
  [`${{event.effectiveDirective}}: ${{event.blockedURI}} ${{event.sample}}`.trim(), event.sourceFile || document.URL]));
"""
OUTAGES: Final = (
    "CONNECTION_*",
    "EMPTY_RESPONSE",
    "INCOMPLETE_CHUNKED_ENCODING",
    "INTERNET_DISCONNECTED",
    "SOCKET_NOT_CONNECTED",
)
ABORTED: Final = "net::ERR_ABORTED"  # the page, or who went on to another, did not want the answer any more
FAILED_TO_LOAD: Final = "Failed to load resource"  # what the console says again of a status or a failure


class Kind(StrEnum):
    """What there is to find, and so the names of what can be allowed."""

    CONSOLE = "console"  # an error or a warning
    ERROR = "error"  # thrown and caught by nobody, or a promise rejected and handled by nobody
    POLICY = "policy"  # against the Content-Security-Policy
    STATUS = "status"  # an answer of 400 or more
    FAILURE = "failure"  # no answer, or not a whole one
    FOREIGN = "foreign"  # a request to anybody but the gateway
    DIALOG = "dialog"  # alert, confirm or prompt, which the console does not use
    CRASH = "crash"


@dataclass(frozen=True)
class Finding:
    kind: Kind
    text: str
    url: str

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def __str__(self) -> str:
        return f"{self.kind}: {self.text} ({self.url})"


@dataclass(frozen=True)
class Allowance:
    kind: Kind
    text: str
    path: str

    def covers(self, finding: Finding) -> bool:
        alike = fnmatchcase(finding.text, self.text) and fnmatchcase(finding.path, self.path)
        return self.kind == finding.kind and alike


class Guard:
    """One a test, for all its browsers. `allow(status=409, path="/api/settings")` says what may happen; the values are
    patterns in which `*` stands for anything.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._allowed: list[Allowance] = []
        self._failed_to_load: list[Finding] = []
        self._told_otherwise: set[str] = set()

    async def watch(self, context: BrowserContext, gateway: str) -> None:
        """From now on, until it is closed; `gateway` is the only one that it may speak with."""
        context.on("console", self._note_message)
        context.on("weberror", self._note_error)
        context.on("response", self._note_status)
        context.on("requestfailed", self._note_failure)
        context.on("request", lambda request: self._note_foreign(request, gateway))
        context.on("dialog", self._dismiss)
        context.on("page", lambda page: page.on("crash", self._note_crash))
        await context.expose_binding(BINDING, self._note_violation)
        await context.add_init_script(LISTENING)

    def allow(self, path: str = "*", **what: str | int) -> Self:
        """One kind and its text: `status=503`, `failure="net::ERR_CONNECTION_*"`, `policy="script-src*"`, …"""
        ((kind, text),) = what.items()
        self._allowed.append(Allowance(Kind(kind), str(text), path))
        return self

    def allow_outage(self, path: str = "/*") -> Self:
        """What a page sees while processes die and come back, or while it is offline."""
        for failure in OUTAGES:
            self.allow(path, failure=f"net::ERR_{failure}")
        for status in (502, 503, 504):
            self.allow(path, status=status)
        return self

    def unexpected(self) -> list[Finding]:
        unexplained = [each for each in self._failed_to_load if each.url not in self._told_otherwise]
        found = [*self.findings, *unexplained]
        return [finding for finding in found if not any(allowed.covers(finding) for allowed in self._allowed)]

    def assert_silent(self) -> None:
        if unexpected := self.unexpected():
            raise AssertionError("\n".join(["the browser complained:", *map(str, unexpected)]))

    def _note(self, kind: Kind, text: str, url: str) -> None:
        self.findings.append(Finding(kind, text, url))

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning", "assert"):
            return
        finding = Finding(_kind_of(message.text), message.text, message.location["url"])
        kept = self._failed_to_load if message.text.startswith(FAILED_TO_LOAD) else self.findings
        kept.append(finding)

    def _note_error(self, error: WebError) -> None:
        self._note(Kind.ERROR, f"{error.error}", error.page.url if error.page else "")

    def _note_status(self, response: Response) -> None:
        if response.status >= 400:
            self._told_otherwise.add(response.url)
            self._note(Kind.STATUS, str(response.status), response.url)

    def _note_failure(self, request: Request) -> None:
        self._told_otherwise.add(request.url)
        if request.failure != ABORTED:
            self._note(Kind.FAILURE, request.failure or "", request.url)

    def _note_foreign(self, request: Request, gateway: str) -> None:
        if request.url.startswith(("http", "ws")) and not request.url.startswith(f"{gateway}/"):
            self._note(Kind.FOREIGN, request.url, request.url)

    def _note_violation(self, _source: Any, violation: list[str]) -> None:
        self._note(Kind.POLICY, *violation)

    def _note_crash(self, page: Page) -> None:
        self._note(Kind.CRASH, "the page crashed", page.url)

    async def _dismiss(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":
            await dialog.accept()
        else:
            self._note(Kind.DIALOG, dialog.message, dialog.page.url if dialog.page else "")
            await dialog.dismiss()


def _kind_of(message: str) -> Kind:
    return Kind.POLICY if "Content Security Policy" in message or "requires 'Trusted" in message else Kind.CONSOLE
