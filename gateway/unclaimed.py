"""Fields of a document that no known name claims: perhaps sections of settings that came without their key. Pure."""

from typing import Any, Final

from chassis import documents
from gateway.settings_forms import is_name_of_settings, is_settings_object

LARGEST: Final = 1 << 20  # bytes of all of them


class Unclaimed:
    """`values` are those that can be used, `problems` why others cannot."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.problems: dict[str, str] = {}
        self._bytes = 0

    def add(self, name: str, value: Any, problem: str | None) -> None:
        self._bytes += len(documents.write(value))
        if problem is None and self._bytes > LARGEST:
            problem = f"is left out: settings take at most {LARGEST:,} bytes"
        if problem is None:
            self.values[name] = value
        else:
            self.problems[name] = f"This {problem}."

    def are_settings(self) -> bool:
        return is_settings_object(self.values) or any(map(is_name_of_settings, self.problems))
