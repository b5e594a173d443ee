"""What a device sends, how it was answered, and what each patch of the settings must have done by that answer."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.ledger import Value, Write, of_settings
from tests.faults.line import Answer

MERGE_PATCH: Final = {"Content-Type": "application/merge-patch+json"}


def a_name() -> str:
    return secrets.token_hex(8)


def run_of(run_id: str, mark: str, favorite: bool = False) -> dict[str, Any]:
    return {"run_id": run_id, "mark": mark, "variants": [{"id": "v", "favorite": favorite}]}


@dataclass(frozen=True)
class Edit:
    """A write as it is sent, and what of the ledger's it sets and wipes. `made_on` is the profile that a patch is made
    against."""

    method: str
    path: str
    body: Any = None
    sets: Mapping[str, Value] = field(default_factory=dict)
    wipes: tuple[str, ...] = ()
    made_on: tuple[int, dict[str, Any]] | None = None
    name: str = field(default_factory=a_name)

    @property
    def request(self) -> dict[str, Any]:
        headers = {"Idempotency-Key": self.name}
        rest: dict[str, Any] = {"json": self.body} if self.body is not None else {}
        if self.made_on is not None:
            headers |= MERGE_PATCH
            rest["params"] = {"base": str(self.made_on[0]), "change_note": self.name}
        return {"headers": headers, **rest}


@dataclass(frozen=True)
class Done:
    """An edit as it was sent last, and its answer. `write` stands in the ledger where it was acknowledged."""

    edit: Edit
    answer: Answer
    write: Write | None


def value_at(settings: Any, path: str) -> Any:
    """What an RFC 6901 pointer without escapes leads to, or None."""
    for name in path.split("/")[1:]:
        settings = settings.get(name) if isinstance(settings, dict) else None
    return settings


def check_patch(done: Done, history: Mapping[int, Any]) -> bool:
    """Where the history still tells: a patch changed what it names and nothing else, and nobody's change since the
    profile that it was made on has been overwritten unseen."""
    version = done.answer.value["version"]
    if done.edit.made_on is None or not {version, version - 1} <= history.keys():
        return False
    assert history[version]["change_note"] == done.edit.name
    before, made_on = of_settings(history[version - 1]["settings"]), of_settings(done.edit.made_on[1])
    touched = {key for key in {*before, *made_on} if key in done.edit.sets or key.startswith(done.edit.wipes)}
    assert all(before.get(key) in (made_on.get(key), done.edit.sets.get(key)) for key in touched), done
    expected = {key: value for key, value in before.items() if key not in touched} | {**done.edit.sets}
    assert of_settings(history[version]["settings"]) == {key: it for key, it in expected.items() if it is not None}
    return True
