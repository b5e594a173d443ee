"""The facts, and that everything that hangs on them agrees."""

import json

import pytest

from chassis.problems import Problem
from tests.conftest import LEGACY
from vault_service import catalogue
from vault_service.settings import Settings

FACTS = LEGACY.parent / "facts" / "providers.json"


def test_the_catalogue_is_the_facts() -> None:
    if not FACTS.exists():
        pytest.skip("the folder with the facts is not beside the checkout")
    facts = json.loads(FACTS.read_text())
    assert list(catalogue.SUPPORTED) == facts["supported_providers"]
    assert facts["environment_keys"] == catalogue.ENVIRONMENT_KEYS
    assert [row.model_dump() for row in catalogue.ROWS] == facts["providers"]
    assert catalogue.DEFAULTS.model_dump() == facts["defaults"]


def test_the_supported_providers_are_the_ones_marked_so() -> None:
    assert set(catalogue.SUPPORTED) == {row.id for row in catalogue.ROWS if row.supported}
    assert set(catalogue.ENVIRONMENT_KEYS) == set(catalogue.SUPPORTED)


def test_every_environment_key_of_the_catalogue_is_a_setting_and_the_other_way_round() -> None:
    names = {name for names in catalogue.ENVIRONMENT_KEYS.values() for name in names}
    assert names == {field.alias for field in Settings.model_fields.values() if field.alias}


@pytest.mark.parametrize("provider", ["kling", "Runway", "", "runway ", "../runway"])
def test_an_unsupported_provider_is_refused_with_the_names_of_the_others(provider: str) -> None:
    with pytest.raises(Problem, match="runway, pika, veo, sora, flux") as refused:
        catalogue.supported(provider)
    assert (refused.value.status, refused.value.code) == (400, "unknown_provider")
