"""Tokens: whatever was made is understood again by the same file for the same owner, and by nobody else."""

import string
from base64 import urlsafe_b64decode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runs_service.tokens import BadToken, Progress, Tokens

MINE, OTHERS = Tokens(b"a key of one file"), Tokens(b"a key of another")
PLACES = st.integers(0, 2**63)
PROGRESS = st.builds(Progress, PLACES, PLACES)
OWNERS = st.text(max_size=40).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text))
ALPHABET = string.ascii_letters + string.digits + "-_"
ASCII = "".join(map(chr, range(128)))


@given(OWNERS, PROGRESS)
def test_every_progress_comes_back_and_the_token_is_a_short_word_for_a_url(owner: str, progress: Progress) -> None:
    token = MINE.encode(owner, progress)
    assert MINE.decode(owner, token) == progress
    assert set(token) <= set(ALPHABET)
    assert len(token) < 50


@given(OWNERS, OWNERS, PROGRESS)
def test_another_owner_or_file_refuses_it(owner: str, other: str, progress: Progress) -> None:
    assume(owner != other)
    token = MINE.encode(owner, progress)
    for tokens, asking in ((MINE, other), (OTHERS, owner)):
        with pytest.raises(BadToken):
            tokens.decode(asking, token)


@given(PROGRESS, st.integers(0, 42), st.sampled_from(ALPHABET))
def test_a_token_changed_anywhere_is_refused(progress: Progress, where: int, what: str) -> None:
    token = MINE.encode("guest:a", progress)
    changed = token[:where] + what + token[where + 1 :]
    assume(changed != token)
    with pytest.raises(BadToken):
        MINE.decode("guest:a", changed)


@given(st.one_of(st.text(max_size=60), *(st.text(each, min_size=43, max_size=43) for each in (ALPHABET, ASCII))))
@example("!" * 43)
@example("A" * 42 + "!")
@example("=" * 43)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        MINE.decode("guest:a", text)


def test_the_owner_cannot_be_read_out_of_it() -> None:
    one, other = (urlsafe_b64decode(MINE.encode(owner, Progress(7, 7)) + "=") for owner in ("guest:a", "user:ab"))
    assert b"guest" not in one
    assert len(one) == len(other)
    assert one[:16] == other[:16]
    assert one[16:] != other[16:]
