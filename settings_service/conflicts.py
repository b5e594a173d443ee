"""Where a merge patch that was made against one version meets what others have changed since. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from chassis.documents import pointer, same
from settings_service.merging import Settings, merge_patch

ABSENT: Final = object()  # what a removed key is, and one that was never there
UNKNOWN: Final = object()  # what everything was in a version that is not kept; equal to nothing


def conflicts(base: Settings | None, theirs: Settings, patch: Settings) -> list[dict[str, Any]]:
    """The places that `patch` touches where `theirs` is neither what it was in `base` nor what the patch asks for.

    Where the patch and `theirs` are objects, their members are looked at; everything else, arrays too, is one value,
    so that of an object that others have removed or replaced the whole is in conflict. `yours` is what the patch makes
    of the base. A patch that asks for what the base had is in conflict as well where others have changed it: who sends
    it wants it so. Without a base that is known (None) each place is in conflict that is not as the patch asks.

    In `base`, `theirs` and `yours` null also stands for what is absent, and for all of a base that is not known.
    """
    return list(_conflicts((), UNKNOWN if base is None else base, theirs, patch))


def _conflicts(path: tuple[str, ...], base: Any, theirs: Any, patch: Any) -> Iterator[dict[str, Any]]:
    if isinstance(patch, dict) and isinstance(theirs, dict):
        for name in sorted(patch):
            yield from _conflicts((*path, name), _member(base, name), theirs.get(name, ABSENT), patch[name])
        return
    yours = ABSENT if patch is None else merge_patch(base, patch)
    if not (_equal(base, theirs) or _equal(theirs, yours)):
        yield {"path": pointer(*path), "base": _shown(base), "theirs": _shown(theirs), "yours": _shown(yours)}


def _member(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name, ABSENT)
    return UNKNOWN if value is UNKNOWN else ABSENT


def _equal(one: Any, other: Any) -> bool:
    return one is other or (_is_value(one) and _is_value(other) and same(one, other))


def _is_value(it: Any) -> bool:
    return it is not ABSENT and it is not UNKNOWN


def _shown(it: Any) -> Any:
    return it if _is_value(it) else None
