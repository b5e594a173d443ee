"""JSON as this system takes it, compares it and writes it: strict on the way in, one canonical form for equality."""

import hashlib
import json
import math
from collections import Counter
from decimal import Decimal
from typing import Any, Final

import orjson

LARGEST_INTEGER: Final = 2**53 - 1  # beyond it an ECMAScript number no longer tells neighbours apart (RFC 8785)


class Malformed(ValueError):
    """A text that is not JSON, or JSON that two readers could understand differently. The message says where."""


def parse(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises Malformed for what RFC 8259 lets readers disagree on as well: a name twice in one object, a lone surrogate,
    an integer beyond ±(2^53−1), a number without finite value, nesting deeper than 250.
    """
    try:
        value = DECODER.decode(text if isinstance(text, str) else text.decode())
        refuse_unwritable(value)
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise Malformed("nested too deeply") from error
    return value


def write(value: Any) -> bytes:
    """Compact UTF-8 JSON. Raises Malformed for what has no JSON form: a lone surrogate, nesting deeper than 250."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise Malformed(str(error).replace("Recursion limit reached", "nested too deeply")) from error


def refuse_unwritable(value: Any) -> None:
    """Raises Malformed for a value that could not be written later, inside an answer, a backup or an upload of ours."""
    write([[[[value]]]])  # orjson writes 254 levels; those that we add around a value are fewer than four


def canonical(value: Any) -> bytes:
    """The canonical form (RFC 8785): keys sorted by UTF-16 code units, numbers as ECMAScript writes them."""
    if _plain(value):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return orjson.dumps(_in_order(value))


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: `1.0` is `1`, `true` is not."""
    return canonical(one) == canonical(other)


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def pointer(*steps: str | int) -> str:
    """A JSON Pointer (RFC 6901) to one place in a document."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        number = Counter(name for name, _ in pairs)
        twice = next(name for name in number if number[name] > 1)
        raise Malformed(f"the name {twice[:80]!r} stands twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > LARGEST_INTEGER:
        raise Malformed(f"the integer {text[:40]} is beyond ±(2^53−1); write it as a string")
    return number


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed(f"the number {text[:40]} is too large")
    return number


def _constant(text: str) -> float:
    raise Malformed(f"{text} is not JSON")


DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
)


def _plain(value: Any) -> bool:
    """Whether orjson's own sorted output is canonical already, as it nearly always is."""
    kind = type(value)
    if kind is float:
        return (1e-5 <= abs(value) < 1e16) and not value.is_integer()
    if kind is dict:
        names = "".join(value)
        if not names.isascii() and max(names) >= "\ud800":
            return False
        value = value.values()
    elif kind is not list:
        return True
    for each in value:  # written out, for all that is ever stored or restored passes here
        kind = type(each)
        if (kind is dict or kind is list or kind is float) and not _plain(each):
            return False
    return True


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return {name: _in_order(value[name]) for name in names}
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    return orjson.Fragment(_ecmascript(value)) if isinstance(value, float) else value


def _ecmascript(number: float) -> str:
    """Number::toString of ECMA-262: plain decimals from 1e-6 up to 1e21, else an exponent with its sign."""
    if number.is_integer() and abs(number) < 1e21:
        return str(int(Decimal(repr(number))))
    if abs(number) >= 1e-6 and abs(number) < 1e21:
        return format(Decimal(repr(number)), "f")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
