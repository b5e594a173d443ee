"""The page on secrets names all that is made of the root secret, and every variable with a secret in it."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from chassis.settings import PROCESSES
from tests.faults.test_key_rotation import STEPS
from vault_service import rekey

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "secrets.md").read_text(encoding="utf-8")
MADE, NOT_MADE = PAGE.partition("## What is made of it")[2].split("Not made of it", 1)
PRIMITIVES = {
    "HKDF",
    "PBKDF2HMAC",
    "Scrypt",
    "Argon2id",
    "argon2id",
    "argon2i",
    "hmac",
    "blake2b",
    "scrypt",
    "pbkdf2_hmac",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("chassis", *PROCESSES):
        for file in sorted((ROOT / package).rglob("*.py")):
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def imports_derive(module: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "chassis.secrets"
        and "derive" in {n.name for n in node.names}
        for node in ast.walk(module)
    )


def purposes(module: ast.Module) -> Iterator[object]:
    """The second argument of each call of `derive`, or of `secrets.derive`; None where it is not spelled out."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "derive":
            given = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "purpose")]
            yield given[0].value if given and isinstance(given[0], ast.Constant) else None


def used(module: ast.Module) -> set[str]:
    """By their own name or through their module, as in `hashlib.scrypt`."""
    names = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    return (names | attributes) & PRIMITIVES


def test_every_purpose_that_a_key_is_derived_for_stands_in_the_table() -> None:
    found = [(path, each) for path, module in modules() if imports_derive(module) for each in purposes(module)]
    assert len(found) >= 2
    for path, purpose in found:
        assert isinstance(purpose, str), f"{path} derives a key for a purpose that cannot be read off"
        assert f"`{purpose}`" in MADE, path
        assert f"`{path}`" in MADE


def test_derive_is_called_by_its_own_name_everywhere() -> None:
    """So that the test above sees it."""
    for path, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and node.module == "chassis.secrets":
                assert all(each.asname is None for each in node.names), path
            if isinstance(node, ast.ImportFrom) and node.module == "chassis":
                assert "secrets" not in {each.name for each in node.names}, path


@pytest.mark.parametrize("written", ["scrypt(a)", "hashlib.scrypt(a)", "hmac.digest(a, b, c)", "argon2id.kdf(a)"])
def test_a_module_that_makes_keys_is_seen_however_it_is_written(written: str) -> None:
    assert used(ast.parse(written))


def test_every_module_that_makes_keys_of_something_is_named() -> None:
    found = {path for path, module in modules() if used(module)}
    assert {"chassis/secrets.py", "vault_service/sealing.py"} <= found
    assert {path for path in found if f"`{path}`" not in PAGE} == set()


@pytest.mark.parametrize("process", PROCESSES)
def test_every_variable_with_a_secret_is_named(process: str) -> None:
    fields = import_module(f"{process}.settings").Settings.model_fields
    secret = {name: field for name, field in fields.items() if "SecretStr" in str(field.annotation)}
    assert secret or process not in ("gateway", "vault_service")
    for name, field in secret.items():
        assert f"`{field.alias or f'ANIMATIZE_{name.upper()}'}`" in PAGE


@pytest.mark.parametrize(("service", "process"), [("gateway", "gateway"), ("vault", "vault_service")])
def test_compose_hands_every_secret_to_its_process_as_a_file(service: str, process: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    section = re.split(r"\n\n|\n(?=\S)", text.partition(f"\n  {service}:\n")[2])[0]
    fields = import_module(f"{process}.settings").Settings.model_fields
    for name, field in fields.items():
        if "SecretStr" in str(field.annotation):
            variable = f"{field.alias or f'ANIMATIZE_{name.upper()}'}_FILE"
            assert f"\n      {variable}: /run/secrets/{name}\n" in section
            assert re.search(rf"secrets:\s[^#]*\b{name}\b", section), name
            assert f'\n  {name}: {{file: "${{{variable}:-' in text.partition("\nsecrets:")[2]


def test_only_the_processes_that_it_names_are_given_the_root_secret() -> None:
    given = {each for each in PROCESSES if "secret_key" in import_module(f"{each}.settings").Settings.model_fields}
    assert given == {"gateway", "vault_service"}
    assert "Only `gateway` and `vault_service` are given it" in PAGE


def test_the_times_are_those_of_the_code() -> None:
    keys, peers = import_module("chassis.public_keys"), import_module("chassis.peers")
    assert f"for {keys.FRESH_SECONDS / 60:.0f} minutes more at most; for {keys.GIVEN_UP_SECONDS / 60:.0f} where" in MADE
    assert f"which live for {peers.LIFE_SECONDS} s" in MADE
    assert peers.LIFE_SECONDS + peers.LEEWAY_SECONDS < 120, "two minutes after the swap no old token is alive"


def test_the_steps_are_those_that_are_tested_under_load() -> None:
    steps = re.findall(
        r"^(\d)\. \*\*(\w+)", PAGE.partition("## Changing")[2].partition("**The short way")[0], re.MULTILINE
    )
    assert steps == [("1", "Announce"), ("2", "Swap"), ("3", "Rekey"), ("4", "Drop")]
    current, previous = "ANIMATIZE_SECRET_KEY", "ANIMATIZE_SECRET_KEY_PREVIOUS"
    announced, swapped, dropped = STEPS
    assert (announced[current], announced[previous]) == (swapped[previous], swapped[current])
    assert (dropped[current], dropped[previous]) == (swapped[current], "")


def test_every_option_and_exit_code_of_the_command_is_explained() -> None:
    section = PAGE.partition("## Rekey")[2]
    options = {name for action in rekey._parser()._actions for name in action.option_strings if name.startswith("--")}
    assert {each for each in options - {"--help"} if f"`{each}`" not in section} == set()
    assert (rekey.DONE, rekey.LEFT, rekey.WRONG_SET_UP) == (0, 1, 2)
    assert "0: done · 1: something is left, or it was broken off · 2: wrong set-up" in section
    assert "told by this command alone" in section
    assert "`rekey_needed`" in section
    assert "`.venv/bin/python`" in PAGE


def test_every_link_of_the_page_leads_somewhere() -> None:
    for file, heading in re.findall(r"\]\(([\w.-]+)#([\w-]+)\)", PAGE):
        headings = re.findall(r"^## (.+)$", (ROOT / "docs" / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    operating = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert "(secrets.md#changing-the-root-secret)" in operating
    assert "\n## Changing the root secret\n" in PAGE
