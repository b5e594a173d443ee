"""What counts as a key to store."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vault_service.models import BackupPassphrase, NewKey


def stored(given: Any) -> str:
    return NewKey.model_validate({"api_key": given}).api_key.get_secret_value()


@pytest.mark.parametrize("space", [" ", "\n", "\r\n", "\t", "\u00a0"])
def test_white_space_around_a_pasted_key_is_dropped(space: str) -> None:
    assert stored(f"{space}sk-12345678{space}") == "sk-12345678"


def test_the_bounds_are_eight_characters_and_four_kibibytes() -> None:
    assert stored("12345678") == "12345678"
    assert stored("x" * 4096) == "x" * 4096
    assert stored("ł" * 2048) == "ł" * 2048


@pytest.mark.parametrize(
    "wrong",
    [
        "", "1234567", " 1234567 ", "       \n      ", "x" * 4097, "ł" * 2049, "sk-1234\x005678", "sk-1234\n5678",
        "sk-1234\x7f5678", "sk-1234\u200b5678", "sk-1234\ud8005678", None, 12345678, 1.5, True, ["sk-12345678"],
        {"key": "sk-12345678"},
    ],
)  # fmt: skip
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        stored(wrong)


@pytest.mark.parametrize("body", [None, [], "sk-12345678", {}, {"api_key": "sk-12345678", "owner": "user:eve"}])
def test_a_body_of_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        NewKey.model_validate(body)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=9).map(lambda tail: "sk-secret\x01" + tail))
def test_no_error_and_no_repr_repeats_the_key(key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        stored(key)
    assert "sk-secret" not in str(refused.value)
    assert "sk-secret" not in repr(NewKey.model_validate({"api_key": "sk-secret-12345"}))


def passphrase(given: Any) -> str:
    return BackupPassphrase.model_validate({"passphrase": given}).passphrase.get_secret_value()


def test_a_passphrase_has_8_to_1024_characters_once_they_are_composed() -> None:
    assert passphrase("a\u0304" * 8) == "ā" * 8
    assert passphrase("𐍈" * 1024) == "𐍈" * 1024
    assert passphrase("a\u0304" * 1024) == "ā" * 1024
    for wrong in ("", "a\u0304" * 7, "1234567", "x" * 1025, None, 12345678, ["12345678"], b"12345678"):
        with pytest.raises(ValidationError):
            passphrase(wrong)


def test_white_space_belongs_to_a_passphrase() -> None:
    assert passphrase(" two words\n") == " two words\n"


@pytest.mark.parametrize("body", [None, [], "12345678", {}, {"passphrase": "12345678", "more": 1}])
def test_a_passphrase_in_a_body_of_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        BackupPassphrase.model_validate(body)


def test_no_error_and_no_repr_repeats_the_passphrase() -> None:
    with pytest.raises(ValidationError) as refused:
        passphrase("horse " * 200)
    assert "horse" not in str(refused.value)
    assert "horse" not in repr(BackupPassphrase.model_validate({"passphrase": "horse battery"}))
