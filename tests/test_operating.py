"""The page for operators names every number that the processes tell, with its kind and its labels, and none more."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

PAGE = (Path(__file__).parent.parent / "docs" / "operating.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(animatize_\w+)` \| (\w+)(?:: ([^|]+))? \| (\w+) \| (.+) \|$", re.MULTILINE)
MODULES = {"all": "chassis.metrics", "gateway": "gateway.metrics", "vault": "vault_service.metrics"}
TABLE = {name: rest for name, *rest in ROW.findall(PAGE)}


def metrics(module: str) -> dict[str, MetricWrapperBase]:
    """Those that a module makes, by the name under which Prometheus stores them."""
    made = [value for value in vars(import_module(module)).values() if isinstance(value, MetricWrapperBase)]
    families = {family.name: each for each in made for family in each.describe()}
    return {name + ("_total" if each._type == "counter" else ""): each for name, each in families.items()}


@pytest.mark.parametrize("where", MODULES)
def test_every_metric_stands_in_the_table_and_no_other(where: str) -> None:
    assert {name for name, (_, _, place, _) in TABLE.items() if place == where} == metrics(MODULES[where]).keys()


@pytest.mark.parametrize("where", MODULES)
def test_its_kind_and_labels_are_those_of_the_table(where: str) -> None:
    for name, metric in metrics(MODULES[where]).items():
        kind, labels, _, meaning = TABLE[name]
        assert (kind, tuple(re.findall(r"`(\w+)`", labels))) == (metric._type, metric._labelnames), name
        assert len(meaning) > 40, name


def test_every_value_of_a_label_that_is_ours_is_explained() -> None:
    for name, words in (
        ("animatize_upstream_failures_total", import_module("gateway.metrics").Failure),
        ("animatize_operations_ended_total", import_module("gateway.operations").ENDED),
        ("animatize_vault_failures_total", import_module("vault_service.metrics").Reason),
    ):
        assert {word.value for word in words} <= set(re.findall(r"`(\w+)`", TABLE[name][3])), name


def test_a_metric_says_in_its_help_what_it_counts() -> None:
    for module in MODULES.values():
        assert all(re.fullmatch(r"[A-Z0-9].{30,}\.", metric._documentation) for metric in metrics(module).values())


def test_no_name_of_a_metric_stands_anywhere_on_the_page_that_is_not_told() -> None:
    known = {name for module in MODULES.values() for name in metrics(module)}
    named = set(re.findall(r"\banimatize_(?!web|session|ui|development|services)\w+", PAGE))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} <= known
