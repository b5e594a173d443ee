"""What people ask of the whole while one service is away, whom each question needs, and what it leaves behind."""

import base64
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tests.faults.guest import PASSPHRASE

ALL: Final = ("auth", "settings", "runs", "vault")
BACKUP: Final = "/api/settings/backup"
IMAGE: Final = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n an image").decode()
RUN: Final = {"run_id": "kept", "variants": [{"id": "v", "favorite": False}], "source_image_data_url": IMAGE}
KEY: Final = {"api_key": "a key that is kept"}
EARLIER: Final = {"runs": [{"run_id": "earlier"}]}
SETTINGS: Final = {"settings": {"kept": {"here": True}}}
OTHER_SETTINGS: Final = {"settings": {"other": {"here": True}}}
Seen = Callable[[dict[str, Any]], bool]


class Question(NamedTuple):
    """`needs` are the services without which there is no answer, beside the auth service for one that writes;
    `seen` tells from a backup whether the write is in place."""

    method: str
    path: str
    needs: tuple[str, ...] = ()
    body: Any = None
    seen: Seen | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def blocked_by(self, away: str) -> bool:
        return away in self.needs or (away == "auth" and self.method != "GET")

    @property
    def writes(self) -> bool:
        return any(self.writes_to(name) for name in ("gateway", *ALL))

    def writes_to(self, name: str) -> bool:
        """Whether there is something that the service, or the gateway, has to write down for it."""
        if self.method == "GET":
            return name == "gateway" and self.path == BACKUP  # whose turn it is
        if name == "gateway":
            return "settings/restore" in self.path or self.path == BACKUP
        if self.path == "/api/auth/sessions":
            return False  # there is no other to end
        if self.path == BACKUP:
            return name == "vault"  # which keys were read
        if name == "settings" and "restore" in self.path:
            return "settings" in (self.body or {}) or "history" in self.path
        return name in self.needs


def _has_run(run_id: str) -> Seen:
    return lambda backup: any(run["run_id"] == run_id for run in backup["runs"])


def _has_no_run(backup: dict[str, Any]) -> bool:
    return not _has_run("kept")(backup)


def _is_favourite(backup: dict[str, Any]) -> bool:
    return any(run["run_id"] == "kept" and run["variants"][0]["favorite"] for run in backup["runs"])


def _has_settings(backup: dict[str, Any]) -> bool:
    return "other" in backup["settings"]["settings"]


def _has_defaults(backup: dict[str, Any]) -> bool:
    return bool(backup["history"][0]["change_note"] == "restore:1")


def _has_key(provider: str) -> Seen:
    return lambda backup: any(row["provider"] == provider and row["configured"] for row in backup["api_credentials"])


def _has_no_key(backup: dict[str, Any]) -> bool:
    return not _has_key("runway")(backup)


SETTINGS_NEEDED, RUNS_NEEDED, VAULT_NEEDED = ("settings",), ("runs",), ("vault",)
BACKUP_NEEDED: Final = ("settings", "runs", "vault")
READS: Final = [
    Question("GET", "/api/session/bootstrap", ("auth",)),
    Question("GET", "/api/auth/me", ("auth",)),
    Question("GET", "/api/auth/config", ("auth",)),
    Question("GET", "/api/auth/sessions", ("auth",)),
    Question("GET", "/api/settings", SETTINGS_NEEDED),
    Question("GET", "/api/settings/history", SETTINGS_NEEDED),
    Question("GET", "/api/settings/history/1", SETTINGS_NEEDED),
    Question("GET", "/api/settings/history/1/diff", SETTINGS_NEEDED),
    Question("GET", "/api/presets", SETTINGS_NEEDED),
    Question("GET", "/api/runs", RUNS_NEEDED),
    Question("GET", "/api/runs?view=summary&limit=1", RUNS_NEEDED),
    Question("GET", "/api/runs?since=", RUNS_NEEDED),
    Question("GET", "/api/runs/kept", RUNS_NEEDED),
    Question("GET", "/api/runs/kept/source-image", RUNS_NEEDED),
    Question("GET", "/api/settings/api-keys", VAULT_NEEDED),
    Question("GET", "/api/providers", VAULT_NEEDED),
    Question("GET", BACKUP, BACKUP_NEEDED),
    Question("GET", "/api/settings/restores"),
    Question("GET", "/api/settings/restores/earlier"),
    Question("GET", "/api/openapi.json", ALL),
    Question("GET", "/api/docs", ALL),
    Question("GET", "/"),
]
WRITES: Final = [
    Question("PUT", "/api/settings", SETTINGS_NEEDED, OTHER_SETTINGS, _has_settings),
    Question("PATCH", "/api/settings", SETTINGS_NEEDED, OTHER_SETTINGS["settings"], _has_settings),
    Question("POST", "/api/settings/history/1/restore", SETTINGS_NEEDED, None, _has_defaults),
    Question("PUT", "/api/runs/other", RUNS_NEEDED, {"run_id": "other"}, _has_run("other")),
    Question("POST", "/api/runs", RUNS_NEEDED, {"run_id": "posted"}, _has_run("posted")),
    Question("PUT", "/api/runs/kept/variants/v/favorite", RUNS_NEEDED, {"favorite": True}, _is_favourite),
    Question("DELETE", "/api/runs/kept", RUNS_NEEDED, None, _has_no_run),
    Question("DELETE", "/api/runs", RUNS_NEEDED, None, _has_no_run),
    Question("PUT", "/api/settings/api-keys/pika", VAULT_NEEDED, KEY, _has_key("pika")),
    Question("DELETE", "/api/settings/api-keys/runway", VAULT_NEEDED, None, _has_no_key),
    Question("POST", BACKUP, BACKUP_NEEDED, {"passphrase": PASSPHRASE}),
    Question(
        "POST", "/api/settings/restore", ("settings", "runs"), OTHER_SETTINGS | {"runs": [{"run_id": "restored"}]},
        _has_run("restored"),
    ),
    Question("POST", "/api/settings/restore?dry_run=true", ("settings", "runs"), {"runs": [{"run_id": "tried"}]}),
    Question(
        "POST", "/api/settings/restore?mode=merge", ("settings", "runs"), {"runs": [{"run_id": "alone"}]},
        _has_run("alone"),
    ),
    Question(
        "POST", "/api/settings/restore/earlier/undo", ("settings", "runs"), None,
        lambda backup: not _has_run("earlier")(backup),
    ),
    Question("DELETE", "/api/auth/sessions", ("auth",)),
]  # fmt: skip
QUESTIONS: Final = [*READS, *WRITES]
