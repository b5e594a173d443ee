"""Which provider keys a document speaks of and does not bring: whoever restores it has to enter them. Pure."""

from collections.abc import Iterator
from typing import Any

from gateway.scanning import Path

STATUSES, SEALED = "api_credentials", "sealed_api_keys"
LONGEST_NAME = 40  # of a provider, as it is shown


class MissingKeys:
    """Told of both sections, in whatever order they come; `opened` says whether the sealed keys are restored."""

    def __init__(self, *, opened: bool) -> None:
        self._opened = opened
        self._configured: list[tuple[Path, str]] = []
        self._sealed: list[str] | None = None
        self._damaged = False

    def note_statuses(self, rows: Any) -> None:
        for index, row in enumerate(rows if isinstance(rows, list) else []):
            if isinstance(row, dict) and row.get("configured") is True and row.get("source") != "environment":
                self._configured.append(((STATUSES, index), str(row.get("provider"))[:LONGEST_NAME]))

    def note_sealed(self, value: Any) -> None:
        providers = value.get("providers") if isinstance(value, dict) else None
        self._damaged = not isinstance(providers, list)
        self._sealed = [str(each)[:LONGEST_NAME] for each in providers] if isinstance(providers, list) else []

    def told(self) -> Iterator[tuple[Path, str]]:
        """Where, and what to do."""
        sealed = set(self._sealed or ())
        for path, provider in self._configured:
            if provider not in sealed:
                advice = "enter it, unless this profile has it already"
                yield path, f"The key of {provider} is not in the document: {advice}."
        if self._opened and self._sealed is None:
            yield (), "A passphrase was given, and there are no sealed keys in the document."
        if self._opened:
            return
        if self._damaged:
            yield (SEALED,), "These sealed keys are damaged. Without a passphrase they are passed over."
        for index, provider in enumerate(self._sealed or ()):
            advice = "give the passphrase of the document, or enter the key again"
            yield (SEALED, "providers", index), f"The key of {provider} is sealed: {advice}."
