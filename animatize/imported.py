"""What an import tells: how many of each part came in, and everything that could not be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chassis.parts import MOST_WARNINGS


@dataclass(frozen=True)
class Imported:
    """`answer` is the gateway's, without what it says of the settings themselves."""

    dry_run: bool
    answer: dict[str, Any]

    @property
    def warnings(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.answer["warnings"]
        return found

    def as_json(self) -> dict[str, Any]:
        told = {name: value for name, value in self.answer.items() if name != "settings"}
        return {"dry_run": self.dry_run, "version": (self.answer["settings"] or {}).get("version")} | told

    def lines(self) -> Iterator[str]:
        would = "would be " if self.dry_run else ""
        for part, counts in self.answer["plan"].items():
            yield f"{part.replace('_', ' ')}: " + ", ".join(
                f"{number} {would}{name}" for name, number in counts.items()
            )
        for warning in self.warnings[: MOST_WARNINGS + 1]:
            yield f"not used: {warning['pointer'] or 'the document'}: {warning['message']}"
        if self.dry_run:
            yield "Nothing was changed: this was a dry run."
        else:
            yield f"Undo it within seven days as {self.answer['restore_id']}."
