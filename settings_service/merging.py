"""The rules by which two settings become one or are told apart. Pure: values in, values out, arguments untouched."""

from collections.abc import Iterable, Iterator
from typing import Any

from chassis.documents import pointer, same

Settings = dict[str, Any]
Leaf = tuple[str, ...]


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with the JSON Merge Patch `patch` applied (RFC 7396, section 2): null removes, objects merge."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def merge_sections(current: Settings, sections: Settings, kept: Iterable[Leaf] = ()) -> Settings:
    """`current` with the top-level `sections` put in place whole; the leaves `kept` stay as they are in `current`."""
    merged = current | sections
    for section, *leaf in kept:
        was = current.get(section)
        if section in sections and leaf and isinstance(was, dict) and leaf[0] in was:
            merged[section] = merged[section] | {leaf[0]: was[leaf[0]]}
    return merged


def without(settings: Settings, leaves: Iterable[Leaf]) -> Settings:
    """`settings` less the `leaves`, each `(section,)` or `(section, key)`; a section emptied by that goes as well."""
    left = dict(settings)
    for section, *leaf in leaves:
        rest = {name: value for name, value in left.get(section, {}).items() if name not in leaf} if leaf else {}
        if rest:
            left[section] = rest
        else:
            left.pop(section, None)
    return left


def diff(before: Any, after: Any) -> list[dict[str, Any]]:
    """The places where two values differ, by path: objects are looked into, arrays compared whole."""
    return list(_differences((), before, after))


def _differences(path: tuple[str, ...], before: Any, after: Any) -> Iterator[dict[str, Any]]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if not same(before, after):
            yield _change(path, "changed", before, after)
        return
    for name in sorted(before.keys() | after.keys()):
        place = (*path, name)
        if name not in before:
            yield _change(place, "added", None, after[name])
        elif name not in after:
            yield _change(place, "removed", before[name], None)
        else:
            yield from _differences(place, before[name], after[name])


def _change(path: tuple[str, ...], kind: str, before: Any, after: Any) -> dict[str, Any]:
    return {"path": pointer(*path), "before": before, "after": after, "kind": kind}
