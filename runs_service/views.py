"""The two forms in which a stored run is shown: whole, as it was written, and the summary for lists."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from chassis.problems import Problem
from runs_service import images
from runs_service.records import IMAGE_FIELD

HEAVY_FIELDS = ("compiled_prompt", "execution")
LINK_FIELD = "source_image_url"  # a summary has it in place of the image


def full(payload: bytes, prefix: str | None, image: bytes | None) -> bytes:
    """JSON of the run with its data URL, made without parsing: the payload is an object and never empty."""
    if prefix is None or image is None:
        return payload
    field = b"," + orjson.dumps(IMAGE_FIELD) + b":" + orjson.dumps(prefix)[:-1]
    return b"".join((payload[:-1], field, b64encode(image), b'"}'))


def summary(payload: bytes, *, has_image: bool) -> bytes:
    """JSON of the run without what is heavy, and with the address of its image (null where there is none)."""
    run: dict[str, Any] = orjson.loads(payload)
    left_inside = run.pop(IMAGE_FIELD, None)
    shown = has_image or images.decode(left_inside) is not None
    light = _without_heavy(run)
    if "variants" in run:
        light["variants"] = [_without_heavy(variant) for variant in run["variants"]]
    light[LINK_FIELD] = _image_path(run["run_id"]) if shown else None
    return orjson.dumps(light)


def path(run_id: str) -> str:
    return f"/api/runs/{quote(run_id, safe='')}"


def refuse_summary(run: Mapping[str, Any]) -> None:
    """Raises Problem 400 for a summary that somebody sends back: in its place the run would lose what it leaves out."""
    if _is_summary(run):
        detail = "This is a summary, without image and prompts: change the run as GET of its own address gives it."
        whole = f"One that is whole says {IMAGE_FIELD}, be it null."
        raise Problem(400, "summary", f"{detail} {whole}")


def _is_summary(run: Mapping[str, Any]) -> bool:
    """As far as can be told of a run that may have a field of that name, even a null, of its own."""
    if run.get("run_id") is None or LINK_FIELD not in run or IMAGE_FIELD in run:
        return False
    if run[LINK_FIELD] is None:
        return not any(field in part for part in (run, *run.get("variants", ())) for field in HEAVY_FIELDS)
    return bool(run[LINK_FIELD] == _image_path(run["run_id"]))


def _image_path(run_id: str) -> str:
    return f"{path(run_id)}/source-image"


def _without_heavy(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key not in HEAVY_FIELDS}
