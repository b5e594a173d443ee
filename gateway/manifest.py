"""How many items each section of a backup has, and what they are: finds damage, not forgery. Pure."""

import hashlib
from typing import Any, Final

from chassis import documents

SECTIONS: Final = ("settings", "history", "runs", "api_credentials", "sealed_api_keys")


class Tally:
    """Counts the items of each section, and hashes their canonical forms (RFC 8785) in order, one a line."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}
        self._counts: dict[str, int] = {}

    def open(self, section: str) -> None:
        """The section is there, with however many items."""
        if section not in self._counts:
            self._counts[section], self._hashes[section] = 0, hashlib.sha256()

    def add(self, section: str, item: Any) -> bytes:
        """The canonical form of the item, which costs more than anything else here."""
        self.open(section)
        self._counts[section] += 1
        canonical = documents.canonical(item)
        self._hashes[section].update(canonical + b"\n")
        return canonical

    def manifest(self) -> dict[str, Any]:
        """What stands last in a document."""
        return {
            "counts": dict(self._counts),
            "sha256": {section: found.hexdigest() for section, found in self._hashes.items()},
        }

    def differs_from(self, manifest: Any) -> str | None:
        """The first difference from what a document says of itself, as a sentence; None where there is none."""
        found, said = self.manifest(), manifest if isinstance(manifest, dict) else {}
        counts, hashes = said.get("counts"), said.get("sha256")
        if not isinstance(counts, dict) or not isinstance(hashes, dict):
            return "Its manifest has no counts or no sha256."
        for section in (*SECTIONS, *counts, *hashes):
            told, there = counts.get(section, 0), found["counts"].get(section, 0)
            if not documents.same(told, there):
                return f"Its manifest counts {told!r:.40} in {section!r:.40}, and there are {there}."
            if hashes.get(section, EMPTY) != found["sha256"].get(section, EMPTY):
                return f"What stands in {section!r:.40} is not what its manifest was made of."
        return None


EMPTY: Final = hashlib.sha256().hexdigest()
