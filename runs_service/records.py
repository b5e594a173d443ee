"""What of a run is kept in which column. Pure: no database, no clock but `now`."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from chassis import documents
from runs_service import images
from runs_service.limits import TooLarge

IMAGE_FIELD = "source_image_data_url"
IMAGE_FIELD_BYTES = len(f',"{IMAGE_FIELD}":""')
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BETWEEN_FIELDS = "\x1f"


class Record(NamedTuple):
    """One run as its row holds it; `image` goes to the table of images."""

    run_id: str
    created: int | None
    digest: str
    status: str | None
    provider: str | None
    image_prefix: str | None
    image_sha256: str | None
    search: str
    payload: bytes
    image: bytes | None


def record(run: dict[str, Any], largest: int, digest: str | None = None) -> Record:
    """The row of a run that has passed `models.Run`; `digest` is that of its canonical form, where it is known.

    Raises TooLarge where its compact JSON, image included, is longer than `largest` bytes, and documents.Malformed.
    """
    embedded = images.take_out(run.get(IMAGE_FIELD))
    payload = documents.write({key: run[key] for key in run if key != IMAGE_FIELD} if embedded else run)
    size = len(payload) + (len(run[IMAGE_FIELD]) + IMAGE_FIELD_BYTES if embedded else 0)
    if size > largest:
        raise TooLarge(size, largest)
    return Record(
        run_id=run["run_id"],
        created=instant(run.get("created_at")),
        digest=digest or documents.digest(run),
        status=_text(run.get("status")),
        provider=_text(_member(run.get("params"), "provider")),
        image_prefix=embedded.prefix if embedded else None,
        image_sha256=images.digest(embedded.content) if embedded else None,
        search=BETWEEN_FIELDS.join(_searched(run)).casefold(),
        payload=payload,
        image=embedded.content if embedded else None,
    )


def whole(payload: bytes, prefix: str | None, image: bytes | None) -> dict[str, Any]:
    """The run that `record` was made of."""
    run: dict[str, Any] = orjson.loads(payload)
    return run if prefix is None or image is None else run | {IMAGE_FIELD: images.put_back(prefix, image)}


def instant(value: object) -> int | None:
    """An ISO 8601 time in microseconds since 1970; one without a zone counts as UTC. None where it is unreadable."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def now() -> int:
    """The time of arrival, in microseconds since 1970."""
    return time.time_ns() // 1000


def _searched(run: dict[str, Any]) -> Iterator[str]:
    variants = run.get("variants", [])
    found = [run.get("intent"), run["run_id"], run.get("preset"), _member(run.get("source_image"), "filename")]
    for value in (*found, *(variant.get("prompt_text") for variant in variants)):
        if isinstance(value, str):
            yield value


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
