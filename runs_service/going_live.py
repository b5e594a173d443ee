"""Rows that wait to take the place of live runs: those that a restore staged, and those kept from before it."""

import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

REPLACING = """
    ON CONFLICT (owner, run_id) DO UPDATE SET
        created = excluded.created, digest = excluded.digest, status = excluded.status, provider = excluded.provider,
        image_prefix = excluded.image_prefix, image_sha256 = excluded.image_sha256, size = excluded.size,
        content_id = excluded.content_id, place = coalesce(excluded.place, runs.place)
    WHERE runs.digest <> excluded.digest"""
VERSION = "coalesce((SELECT version FROM changes WHERE owner = :owner), (SELECT erased FROM change_clock))"
GO_LIVE = f"""
    INSERT INTO runs (owner, run_id, created, arrived, digest, status, provider, image_prefix, image_sha256, size,
        content_id, place)
    SELECT owner, run_id, created, arrived, digest, status, provider, image_prefix, image_sha256, size, content_id,
        row_number() OVER () + {VERSION}
    FROM {{rows}} WHERE restore_id = :restore_id AND owner = :owner AND content_id IS NOT NULL"""  # noqa: S608 - a constant of this module
# Of runs that were given their places, all at once.
TELL_HIGHEST_PLACE = """
    INSERT INTO touched (owner, version)
    SELECT :owner, highest FROM (SELECT max(place) AS highest FROM runs WHERE owner = :owner)
    WHERE highest > coalesce((SELECT version FROM changes WHERE owner = :owner), 0)"""
CONTENTS_GROW = """
    SELECT coalesce(sum(coalesce(waiting.size, 0) - coalesce(live.size, 0)), 0)
    FROM {rows} AS waiting LEFT JOIN runs AS live ON live.owner = waiting.owner AND live.run_id = waiting.run_id
    WHERE waiting.restore_id = :restore_id AND waiting.owner = :owner AND live.digest IS NOT waiting.digest"""
IMAGES_GROW = """
    SELECT coalesce(sum(size * ((comes OR stays) - shown)), 0) FROM (
        SELECT size,
            EXISTS (SELECT 1 FROM {rows}
                WHERE owner = :owner AND image_sha256 = images.sha256 AND restore_id = :restore_id) AS comes,
            :others_stay AND EXISTS (SELECT 1 FROM runs
                WHERE owner = :owner AND image_sha256 = images.sha256 AND NOT EXISTS (SELECT 1 FROM {rows}
                    WHERE owner = :owner AND run_id = runs.run_id AND restore_id = :restore_id)) AS stays,
            EXISTS (SELECT 1 FROM runs WHERE owner = :owner AND image_sha256 = images.sha256) AS shown
        FROM images WHERE owner = :owner)"""


class Rows(StrEnum):
    """The tables of such rows. One without a content says that there was no such run."""

    STAGED = "staged_runs"
    KEPT = "undo_runs"


def growth(tx: sqlite3.Connection, rows: Rows, values: Mapping[str, Any], *, others_stay: bool) -> int:
    """By how many bytes the owner's usage changes with these rows in place. Where others do not stay, their images are
    counted here, their contents are not. `values` hold `restore_id` and `owner`."""
    bound = {**values, "others_stay": others_stay}
    statements = (CONTENTS_GROW.format(rows=rows), IMAGES_GROW.format(rows=rows))
    return sum(tx.execute(statement, bound).fetchone()[0] for statement in statements)


def go_live(tx: sqlite3.Connection, rows: Rows, values: Mapping[str, Any]) -> None:
    """Put in what differs from the live runs. What equals them is not touched, and leaves its place empty."""
    tx.execute(GO_LIVE.format(rows=rows) + REPLACING, values)
    tx.execute(TELL_HIGHEST_PLACE, values)
