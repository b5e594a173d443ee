"""Reads one JSON text value by value: the fields of its outermost object, the items of its lists.

Pure, and in memory no larger than about twice the largest value. What is wrong with one value only is told with it.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from chassis import documents
from chassis.documents import Malformed

LARGEST_VALUE: Final = 32 << 20  # characters of one value: a run, or a whole export inside a string
LARGE_VALUE: Final = 1 << 20  # characters: from here on its members are counted, each of which takes 100 bytes or more
MOST_MEMBERS: Final = 500_000
BLANK: Final = " \t\r\n"
NUMBER_GOES_ON: Final = re.compile(r"[0-9.eE+-]*")
MOST_NAMES: Final = 10_000  # in the outermost object: one browser's localStorage has a few dozen
TAIL: Final = 32  # an error this close to the end of what has arrived may only mean that the rest is still to come
CUT: Final = "The document ends early: it was cut short."

# Only finds where a value ends that the strict decoder has refused; what it returns is never used.
LENIENT: Final = json.JSONDecoder(parse_int=float)

Path = tuple[str | int, ...]


class Unusable(Exception):
    """The document as a whole cannot be read; the message is a sentence that says where and why."""

    code = "unusable_document"


class Piece(NamedTuple):
    """One value: `()` the whole text, `(name,)` a field, `(name, index)` or `(index,)` an item of a list.

    A list that is told item by item is told as a value where it is empty. `problem` says why the value cannot be used;
    `value` is None then.
    """

    path: Path
    value: Any
    problem: str | None = None


class _At(Enum):
    VALUE = auto()
    FIRST_NAME = auto()
    NAME = auto()
    AFTER_FIELD = auto()
    FIRST_ITEM = auto()
    ITEM = auto()
    AFTER_ITEM = auto()
    END = auto()


class _More(Exception):
    """What has arrived ends in the middle of something."""


class Scanner:
    """`lists` names the fields whose items are told one by one, if their value is a list; an outermost list always is.

    With `one_object` an outermost object is one value. `feed` and `finish` raise Unusable.
    """

    def __init__(self, lists: frozenset[str], *, one_object: bool = False) -> None:
        self._lists, self._one_object = lists, one_object
        self._names: set[str] = set()
        self._repeated = False
        self._at, self._final = _At.VALUE, False
        self._text, self._place = "", 0
        self._arrived: list[str] = []
        self._held, self._wanted = 0, 1  # characters not yet read, and how many make another try worth while
        self._prefix: Path = ()
        self._inside = False
        self._index = 0

    def feed(self, text: str) -> Iterator[Piece]:
        self._arrived.append(text)
        self._held += len(text)
        if self._held < self._wanted and not self._final:
            return
        begun = self._text[self._place :]  # of a value that is not here as a whole
        if len(begun) > LARGE_VALUE and begun.count(",") > MOST_MEMBERS:
            raise Unusable(f"One value of the document has more than {MOST_MEMBERS:,} members, which is the most.")
        self._text = begun + "".join(self._arrived)
        self._place, self._arrived = 0, []
        try:
            while self._at is not _At.END or self._text[self._place :].strip(BLANK):
                yield from self._step()
        except _More:
            pass
        except RecursionError as error:
            raise Unusable("The document is nested too deeply to be read.") from error
        self._held = len(self._text) - self._place
        if self._held > LARGEST_VALUE:
            raise Unusable(f"One value of the document is longer than {LARGEST_VALUE:,} characters, which is the most.")
        self._wanted = min(2 * self._held, LARGEST_VALUE + 1)

    def finish(self) -> Iterator[Piece]:
        """The rest. Raises Unusable where the text is not complete."""
        self._final = True
        yield from self.feed("")
        if self._at is not _At.END:
            raise Unusable(CUT if self._at is not _At.VALUE or self._inside else "The document is empty.")

    def _step(self) -> Iterator[Piece]:
        match self._at:
            case _At.VALUE:
                yield from self._value()
            case _At.FIRST_NAME | _At.NAME:
                self._name()
            case _At.AFTER_FIELD:
                self._separator("}", _At.NAME)
            case _At.FIRST_ITEM | _At.ITEM:
                yield from self._item()
            case _At.AFTER_ITEM:
                self._separator("]", _At.ITEM)
            case _At.END:
                raise Unusable(f"The document goes on after its end, with {self._next_text()!r}.")

    def _value(self) -> Iterator[Piece]:
        character = self._peek()
        if character == "{" and not self._inside and not self._one_object:
            self._place += 1
            self._inside, self._at = True, _At.FIRST_NAME
        elif character == "[" and (not self._inside or self._is_list()):
            self._place += 1
            self._at, self._index = _At.FIRST_ITEM, 0
        else:
            value, problem = self._decode()
            self._leave()
            twice = "is left out: its name stands a second time in the document" if self._repeated else None
            yield Piece(self._prefix, None if twice else value, twice or problem)

    def _name(self) -> None:
        character, start = self._peek(), self._place
        if self._at is _At.FIRST_NAME and character == "}":
            self._at = _At.END
        elif character != '"':
            raise self._broken("a name in double quotes")
        else:
            name, problem = self._decode()
            if problem is not None:
                raise Unusable(f"A name in the document {problem}.")
            if self._peek_or_return_to(start) != ":":
                raise self._broken("a colon")
            self._at, self._prefix, self._repeated = _At.VALUE, (name,), name in self._names
            self._names.add(name)
            if len(self._names) > MOST_NAMES:
                raise Unusable(f"The document has more than {MOST_NAMES:,} fields; none that can be restored has.")
        self._place += 1

    def _item(self) -> Iterator[Piece]:
        if self._peek() == "]" and self._at is _At.FIRST_ITEM:
            self._place += 1
            self._leave()
            yield Piece(self._prefix, [])
            return
        value, problem = self._decode()
        self._at, self._index = _At.AFTER_ITEM, self._index + 1
        yield Piece((*self._prefix, self._index - 1), value, problem)

    def _separator(self, closing: str, following: _At) -> None:
        character = self._peek()
        if character == ",":
            self._at = following
        elif character != closing:
            raise self._broken(f"a comma or {closing}")
        elif closing == "]":
            self._leave()
        else:
            self._at = _At.END
        self._place += 1

    def _is_list(self) -> bool:
        return self._prefix[0] in self._lists and not self._repeated

    def _leave(self) -> None:
        """A value is read: back to the object that holds it, or the end."""
        self._at = _At.AFTER_FIELD if self._inside else _At.END

    def _decode(self) -> tuple[Any, str | None]:
        """The next value, or what is wrong with it where only it is concerned; moves past it either way."""
        self._peek()
        value, problem = None, None
        try:
            value, end = documents.DECODER.raw_decode(self._text, self._place)
            documents.refuse_unwritable(value)
        except json.JSONDecodeError as error:
            raise self._incomplete(error) from error
        except Malformed as error:
            value, problem = None, f"is left out: {error}"
            try:
                _, end = LENIENT.raw_decode(self._text, self._place)
            except json.JSONDecodeError as broken:
                raise self._incomplete(broken) from broken
        if not self._final and self._text[end - 1] not in '}]"' and NUMBER_GOES_ON.fullmatch(self._text, end):
            raise _More  # a number may go on in what is still to come
        self._place = end
        return value, problem

    def _incomplete(self, error: json.JSONDecodeError) -> Exception:
        """Whether what failed is broken, or only not there yet."""
        unterminated = error.msg.startswith("Unterminated string")
        if not self._final and (unterminated or error.pos >= len(self._text) - TAIL):
            return _More()
        if unterminated or not self._text[error.pos :].strip(BLANK):
            return Unusable(CUT)
        return Unusable(f"The document is not JSON: {error.msg}, near {self._text[error.pos :][:20]!r}.")

    def _peek(self) -> str:
        """The next character that is not white space. Raises _More at the end of what has arrived."""
        while self._place < len(self._text) and self._text[self._place] in BLANK:
            self._place += 1
        if self._place == len(self._text):
            raise _More
        return self._text[self._place]

    def _peek_or_return_to(self, start: int) -> str:
        try:
            return self._peek()
        except _More:
            self._place = start
            raise

    def _broken(self, expected: str) -> Unusable:
        return Unusable(f"The document is not JSON: there is {self._next_text()!r} instead of {expected}.")

    def _next_text(self) -> str:
        return self._text[self._place :].lstrip(BLANK)[:20]
