"""Which key counts, and how much of it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from vault_service.disclosure import ProfileKey, available, effective, mask, status

MINE, THEIRS = SecretStr("profile-key-0123456789"), SecretStr("server-key-9876543210")
READABLE, UNREADABLE = ProfileKey(MINE, "2026-01-01T00:00:00.000000+00:00"), ProfileKey(None, "2026-01-01")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("rk_live-0123456789-7890", "rk_l********7890"),
        ("0123456789abcdef", "0123********cdef"),
        ("0123456789abcde", "012********cde"),
        ("12345678", "12********78"),
        ("123", "********"),
        ("żółw-klucz-długi-ąęś", "żółw********-ąęś"),
    ],
)
def test_a_mask_shows_the_ends_of_a_long_key_and_less_of_a_short_one(key: str, shown: str) -> None:
    assert mask(SecretStr(key)) == shown


@given(st.text(min_size=1, max_size=200))
def test_a_mask_never_shows_more_than_half_and_never_the_length(key: str) -> None:
    masked = mask(SecretStr(key))
    assert len(masked) - 8 <= len(key) / 2
    assert len(masked) <= 16


def test_the_profile_goes_before_the_environment() -> None:
    assert effective(READABLE, THEIRS) == (MINE, "profile")
    assert effective(None, THEIRS) == (THEIRS, "environment")
    assert effective(None, None) is None


def test_the_environment_serves_where_the_profiles_key_cannot_be_read() -> None:
    assert effective(UNREADABLE, THEIRS) == (THEIRS, "environment")
    assert effective(UNREADABLE, None) is None
    assert available(UNREADABLE, THEIRS)
    assert not available(UNREADABLE, None)


def test_an_unreadable_row_says_so_even_where_the_environment_serves() -> None:
    row = status("veo", UNREADABLE, {"veo": THEIRS})
    assert (row.configured, row.masked, row.source, row.updated_at) == (True, "corrupted", "profile", "2026-01-01")


def test_an_environment_key_is_shown_masked_and_without_a_time() -> None:
    row = status("veo", None, {"veo": THEIRS})
    assert (row.configured, row.masked, row.source, row.updated_at) == (True, "serv********3210", "environment", None)


def test_no_key_is_no_key() -> None:
    row = status("veo", None, {"runway": THEIRS})
    assert (row.configured, row.masked, row.source, row.updated_at) == (False, None, None, None)
