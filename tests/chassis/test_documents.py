"""JSON in, JSON out, and the one form in which values are compared."""

import struct
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.documents import LARGEST_INTEGER, Malformed, canonical, digest, parse, pointer, same, write

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=25,
)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def as_reals(value: Any) -> Any:
    """Every integer that a double holds exactly, as that double."""
    if isinstance(value, dict):
        return {name: as_reals(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_reals(item) for item in value]
    return float(value) if type(value) is int else value


@given(VALUES)
def test_the_order_of_keys_makes_no_difference(value: Any) -> None:
    assert canonical(value) == canonical(reordered(value))


@given(VALUES)
def test_a_whole_real_is_the_integer(value: Any) -> None:
    assert same(value, as_reals(value))


@given(VALUES)
def test_the_canonical_form_is_json_for_the_same_value_and_its_own_canonical_form(value: Any) -> None:
    form = canonical(value)
    assert canonical(orjson.loads(form)) == form
    assert b"\n" not in form


@given(VALUES)
def test_what_is_written_is_parsed_to_the_same_value(value: Any) -> None:
    assert canonical(parse(write(value))) == canonical(value)


@pytest.mark.parametrize(("one", "other"), [(True, 1), (False, 0), (None, 0), ("1", 1), ([], {}), ("", None), (1, 1.5)])
def test_values_of_different_kinds_are_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same([one], [other])
    assert not same({"a": one}, {"a": other})
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("333333333.33333329", "333333333.3333333"),
        ("1E30", "1e+30"),
        ("4.50", "4.5"),
        ("2e-3", "0.002"),
        ("0.000000000000000000000000001", "1e-27"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("5e-324", "5e-324"),
        ("-5e-324", "-5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992.0", "9007199254740992"),
        ("-9007199254740992.0", "-9007199254740992"),
        ("295147905179352830000.0", "295147905179352830000"),
        ("1e21", "1e+21"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("999999999999999900000.0", "999999999999999900000"),
        ("1e-6", "0.000001"),
        ("9.999999999999997e-7", "9.999999999999997e-7"),
        ("1e-7", "1e-7"),
        ("0.00001", "0.00001"),
        ("1e16", "10000000000000000"),
        ("1424953923781206.2", "1424953923781206.2"),
        ("1.0", "1"),
        ("56.0", "56"),
    ],
)
def test_numbers_are_written_as_ecmascript_does(text: str, form: str) -> None:
    """Vectors of RFC 8785, appendix B and section 3.2.2.3, and the edges of each notation."""
    assert canonical(parse(text)).decode() == form
    assert canonical({"a": [parse(text)]}).decode() == f'{{"a":[{form}]}}'


@pytest.mark.parametrize(
    ("bits", "form"),
    [
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
        ("4340000000000000", "9007199254740992"),
        ("0000000000000001", "5e-324"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ],
)
def test_the_ieee_754_samples_of_rfc_8785_come_out_as_printed_there(bits: str, form: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number).decode() == form


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_alike_alone_and_beside_others(number: float) -> None:
    """The quick path and the careful one agree; `-0.0` beside it forces the careful one."""
    assert canonical([number, -0.0]) == b"[" + canonical(number) + b",0]"


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    """RFC 8785, section 3.2.3: a surrogate pair sorts before U+FB33."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    found = list(orjson.loads(canonical(dict.fromkeys(names))))
    assert found == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(st.dictionaries(TEXT, st.none(), max_size=8))
def test_any_keys_are_sorted_so(value: dict[str, None]) -> None:
    expected = sorted(value, key=lambda name: struct.unpack(f">{len(raw := name.encode('utf-16-be')) // 2}H", raw))
    assert list(orjson.loads(canonical(value))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", "[1,]", "{'a': 1}", "nul", "NaN", "Infinity", "-Infinity", "[1] []", "\ufeff{}", "01", "+1", ".5",
        '"\n"', "9007199254740992", "-9007199254740992", "1" * 5000, "1e400", "-1e400", '"\\ud800"', '{"\\udc00": 1}',
        "[" * 300 + "]" * 300, "[" * 200_000, '{"a": 1, "a": 1}', '[{"b": {"x": 1, "y": 2, "x": 3}}]', '"\\x"', "/**/1",
    ],
)  # fmt: skip
def test_what_two_readers_could_understand_differently_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


@pytest.mark.parametrize("raw", [b"\xff", b'"\xed\xa0\x80"', b'{"a": "\xc3"}', "{}".encode("utf-16")])
def test_other_encodings_than_utf_8_are_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse(raw)


@given(st.text() | st.binary())
def test_any_rubbish_is_parsed_or_refused_and_nothing_else(rubbish: str | bytes) -> None:
    with suppress(Malformed):
        write(parse(rubbish))


def test_the_largest_integers_and_the_deepest_nesting_still_pass() -> None:
    assert parse("[9007199254740991, -9007199254740991]") == [LARGEST_INTEGER, -LARGEST_INTEGER]
    deep = "[" * 200 + "]" * 200
    assert write(parse(deep)).decode() == deep
    assert canonical(parse(deep)).decode() == deep


def test_a_name_twice_is_told_by_name() -> None:
    with pytest.raises(Malformed, match="'grain' stands twice"):
        parse('{"theme": {"grain": 1, "mode": "x", "grain": 2}}')


def test_escaped_surrogate_pairs_are_one_character() -> None:
    assert parse('"\\ud83d\\ude00"') == "😀"


def test_a_pointer_escapes_what_rfc_6901_says() -> None:
    assert pointer() == ""
    assert pointer("a/b", "m~n", 0, "") == "/a~1b/m~0n/0/"
