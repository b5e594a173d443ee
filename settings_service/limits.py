"""How much one document and one owner may take up, and how deeply a document may be nested."""

from typing import Any, Final

from chassis import documents
from chassis.problems import Problem

LARGEST_DOCUMENT: Final = 1 << 20  # bytes of the canonical form of one settings document
LARGEST_BODY: Final = 8 << 20  # bytes of a request: spaces and escapes can make a document longer, by that much at most


def check_size(size: int) -> None:
    """Raises Problem 413 for a settings document larger than LARGEST_DOCUMENT."""
    if size > LARGEST_DOCUMENT:
        raise Problem(413, "too_large", f"The settings are larger than {LARGEST_DOCUMENT} bytes; take something out.")


def check_room(used: int, quota: int) -> None:
    """Raises Problem 413 where an owner's versions would take more than `quota` bytes."""
    if used > quota:
        raise Problem(413, "quota", f"There is no room left for another version: {quota} bytes are all there is.")


def write_embeddable(value: Any) -> bytes:
    """Compact JSON of a value that still can be put four levels deep, as answers and backups do with settings.

    Raises Malformed where it is nested too deeply for that.
    """
    return documents.write([[[[value]]]])[4:-4]
