"""Reading runs: the keys of a page by an index, then their rows in slices, so that no page is whole in memory."""

import sqlite3
from typing import Any, NamedTuple

import orjson

from runs_service import views
from runs_service.models import View
from runs_service.paging import Position, Weighed, slices

WHOLE = """
    SELECT runs.run_id, payload, image_prefix, images.bytes AS image
    FROM runs JOIN contents USING (content_id)
        LEFT JOIN images ON images.owner = runs.owner AND images.sha256 = image_sha256
    WHERE runs.owner = ?"""
LIGHT = """
    SELECT run_id, payload, image_sha256 IS NOT NULL AS has_image
    FROM runs JOIN contents USING (content_id) WHERE owner = ?"""
AMONG = " AND runs.run_id IN (SELECT value FROM json_each(?))"
IN_ORDER = " ORDER BY instant, runs.run_id"


class Selection(NamedTuple):
    """Which runs a page shows, and how; None filters nothing. `folded_q` is case-folded."""

    limit: int
    view: View
    before: Position | None = None
    status: str | None = None
    provider: str | None = None
    favorite: bool | None = None
    folded_q: str | None = None


class Page(NamedTuple):
    """A page of which the first slice is read: its runs as JSON, the ids of the later slices, where the next begins."""

    first: list[bytes]
    later: list[list[str]]
    next: Position | None


def page(owner: str, selection: Selection, tx: sqlite3.Connection) -> Page:
    found = tx.execute(*keys(owner, selection)).fetchall()
    shown = found[: selection.limit]
    first, *later = slices(Weighed(row["run_id"], row["weight"]) for row in reversed(shown)) or [[]]
    following = Position(shown[-1]["instant"], shown[-1]["run_id"]) if len(found) > len(shown) else None
    return Page(runs(owner, first, selection.view, tx), later, following)


def runs(owner: str, run_ids: list[str], view: View, tx: sqlite3.Connection) -> list[bytes]:
    """These runs as JSON in this order, without those that are not there (any more)."""
    statement, show = (WHOLE, full) if view is View.FULL else (LIGHT, _summary)
    values = (owner, orjson.dumps(run_ids).decode())
    shown = {row["run_id"]: show(row) for row in tx.execute(statement + AMONG, values)}
    return [shown[run_id] for run_id in run_ids if run_id in shown]


def keys(owner: str, selection: Selection) -> tuple[str, dict[str, Any]]:
    """The statement, and its values, for the keys of a page and one more, newest first."""
    place = selection.before or Position(0, "")
    values = {**selection._asdict(), **place._asdict(), "owner": owner}
    narrower = selection.status is not None or selection.provider is not None
    conditions = {
        "status": "status = :status",
        "provider": "provider = :provider",
        # Most runs are none: those of a status or provider are found by its index, since the + forbids this one's.
        "favorite": "+favorite = :favorite" if narrower and not selection.favorite else "favorite = :favorite",
        "folded_q": "instr(search, :folded_q) > 0",
        "before": "(instant, run_id) < (:instant, :run_id)",
    }
    chosen = "".join(f" AND {text}" for name, text in conditions.items() if values[name] is not None)
    image = "coalesce(images.size, 0) * 4 / 3" if selection.view is View.FULL else "0"
    searched = " JOIN contents USING (content_id)" if selection.folded_q is not None else ""
    statement = (
        f"SELECT instant, run_id, runs.size + {image} AS weight"  # noqa: S608 - constants of this function
        f" FROM runs{searched} LEFT JOIN images ON images.owner = runs.owner AND images.sha256 = image_sha256"
        f" WHERE runs.owner = :owner{chosen} ORDER BY instant DESC, run_id DESC LIMIT :limit + 1"
    )
    del values["before"], values["view"]
    return statement, values


def full(row: sqlite3.Row) -> bytes:
    """The run of a row of WHOLE, as JSON."""
    return views.full(row["payload"], row["image_prefix"], row["image"])


def _summary(row: sqlite3.Row) -> bytes:
    return views.summary(row["payload"], has_image=bool(row["has_image"]))
