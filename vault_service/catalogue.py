"""The providers as facts: what they can do, what they cost, and which of them this system can hold keys for."""

from importlib.resources import files

from chassis.documents import parse
from chassis.problems import Problem
from vault_service.models import CatalogueRow, Defaults

_FACTS = parse((files("vault_service") / "catalogue.json").read_bytes())

SUPPORTED: tuple[str, ...] = tuple(_FACTS["supported_providers"])
ENVIRONMENT_KEYS: dict[str, list[str]] = _FACTS["environment_keys"]
ROWS: tuple[CatalogueRow, ...] = tuple(CatalogueRow.model_validate(row) for row in _FACTS["providers"])
DEFAULTS = Defaults.model_validate(_FACTS["defaults"])


def supported(provider: str) -> str:
    """`provider` itself. Raises Problem 400 for one that no key can be kept for."""
    if provider not in SUPPORTED:
        raise Problem(400, "unknown_provider", f"Keys can be kept for these providers: {', '.join(SUPPORTED)}.")
    return provider
