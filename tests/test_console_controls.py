"""The console's controls offer what the settings service knows: every setting, its range, its default."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_snake

from gateway import pages
from settings_service.models import DEFAULTS, KnownSettings

CONTROLS = json.loads((Path(pages.__file__).parent / "console" / "settings.json").read_text(encoding="utf-8"))
WITHOUT_CONTROL = {"theme.mode"}  # there is one: darkroom


def schema_of(path: str) -> dict[str, Any]:
    section, name = path.split(".")
    model = KnownSettings.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    schema = model.model_json_schema(by_alias=False)["properties"][to_snake(name)]
    assert isinstance(schema, dict)
    return schema


def test_every_setting_that_the_service_knows_has_one_control() -> None:
    known = {f"{section}.{name}" for section, values in DEFAULTS.items() for name in values}
    paths = [control["path"] for control in CONTROLS]
    assert sorted(paths) == sorted(known - WITHOUT_CONTROL)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control["path"])
def test_a_control_has_the_default_and_the_range_of_the_service(control: dict[str, Any]) -> None:
    section, name = control["path"].split(".")
    schema = schema_of(control["path"])
    assert control["otherwise"] == DEFAULTS[section][name]
    if control["kind"] == "range":
        assert (control["least"], control["most"]) == (schema["minimum"], schema["maximum"])
    elif control["kind"] == "choice" and "enum" in schema:
        assert set(control["options"]) == set(schema["enum"])
    elif control["kind"] == "switch":
        assert schema["type"] == "boolean"
