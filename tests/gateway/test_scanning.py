"""The scanner reads a text the same however it is cut into pieces, and tells broken from unfinished."""

import json
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.scanning import LARGEST_VALUE, Piece, Scanner, Unusable

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def scan(text: str, size: int = 10**9, lists: frozenset[str] = frozenset({"runs"})) -> list[Piece]:
    scanner = Scanner(lists)
    found: list[Piece] = []
    for start in range(0, len(text), size):
        found += scanner.feed(text[start : start + size])
    return found + list(scanner.finish())


@given(st.dictionaries(st.sampled_from(["runs", "settings", "x", "ż"]), JSON), st.integers(1, 30), st.booleans())
@settings(max_examples=150)
def test_a_document_reads_the_same_in_pieces_of_any_size(document: dict[str, object], size: int, escape: bool) -> None:
    text = json.dumps(document, ensure_ascii=escape)
    pieces = scan(text, size)
    assert pieces == scan(text)
    for name, value in document.items():
        if name == "runs" and isinstance(value, list):
            told = [piece.value for piece in pieces if piece.path[:1] == ("runs",)]
            assert told == (value or [[]])  # an empty list is told as one value
        else:
            assert Piece((name,), value) in pieces


@given(JSON.filter(lambda value: isinstance(value, list | dict) and value), st.data())
@settings(max_examples=100)
def test_a_cut_document_is_never_taken_for_whole(document: object, data: st.DataObject) -> None:
    text = json.dumps(document)
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(Unusable):
        scan(text[:cut])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('{"a": 1', "cut short"),
        ('{"runs": [{"a"', "cut short"),
        ('"never closed', "cut short"),
        ("{} {}", "goes on after its end"),
        ("{'a': 1}", "double quotes"),
        ('{"a" 1}', "a colon"),
        ("[1 2]", "a comma or ]"),
        ('{"a": nope, "much more text follows here so that this is no cut": 1}', "not JSON"),
        ("[" * 10_000, "nested too deeply"),
        ('{"a\\ud800": 1}', "A name"),
    ],
)
def test_what_is_broken_is_told_in_words(text: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        scan(text)


def test_a_value_that_alone_is_wrong_is_told_with_its_place_and_the_rest_is_read() -> None:
    pieces = scan('{"runs": [{"a": 1, "a": 2}, 90071992547409931, "\\ud800", 1e999, {"ok": 1}], "runs": [3], "x": 1}')
    assert [(piece.path, piece.problem is None) for piece in pieces] == [
        (("runs", 0), False),
        (("runs", 1), False),
        (("runs", 2), False),
        (("runs", 3), False),
        (("runs", 4), True),
        (("runs",), False),
        (("x",), True),
    ]


def test_a_value_without_end_is_refused_before_it_fills_the_memory() -> None:
    scanner = Scanner(frozenset())
    chunk = "x" * (1 << 20)
    list(scanner.feed('["'))
    chunks = [chunk] * (3 * LARGEST_VALUE // len(chunk))
    with pytest.raises(Unusable, match="longer than"):
        deque(piece for each in chunks for piece in scanner.feed(each))


def test_a_large_value_in_small_pieces_is_not_read_again_and_again() -> None:
    attempts = 0

    class Counting(Scanner):
        def _step(self):  # type: ignore[no-untyped-def]
            nonlocal attempts
            attempts += 1
            return super()._step()

    scanner = Counting(frozenset())
    text = json.dumps(["y" * 1_000_000])
    for start in range(0, len(text), 1000):
        list(scanner.feed(text[start : start + 1000]))
    assert list(scanner.finish())
    assert attempts < 40
