"""One trace through every hop of a request: W3C Trace Context, taken over from the caller or begun here.

Nothing is recorded or sent anywhere: the ids stand in the log lines, where they join ours with those of whoever called.
The rules are those of https://www.w3.org/TR/trace-context/, where level 2 is wider, those of level 2.
"""

import os
import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Self

import structlog
from aiohttp import web

from chassis import logs

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
VERSION: Final = "00"
# A later version may append fields after a dash, and keeps these four ("Versioning of traceparent").
PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
KNOWN_FLAGS: Final = 0x03  # sampled and, of level 2, random-trace-id; others are passed on as 0 ("Other Flags")
MEMBER: Final = re.compile(
    r"(?P<key>[a-z0-9][a-z0-9_*/@-]{0,255})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
MOST_MEMBERS: Final = 32
LONGEST_STATE: Final = 512  # characters: so much should be passed on ("tracestate Limits"), and no more is


@dataclass(frozen=True)
class Trace:
    """Where a request stands in its trace: `span_id` is the caller's, or once entered this hop's own."""

    trace_id: str
    span_id: str
    flags: int = 0  # nothing was recorded
    state: str = ""

    @classmethod
    def begun(cls) -> Self:
        return cls(os.urandom(16).hex(), os.urandom(8).hex())

    def hop(self, state: str) -> "Trace":
        return Trace(self.trace_id, os.urandom(8).hex(), self.flags, state)

    def headers(self) -> dict[str, str]:
        parent = f"{VERSION}-{self.trace_id}-{self.span_id}-{self.flags:02x}"
        return {TRACEPARENT: parent} | ({TRACESTATE: self.state} if self.state else {})


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def enter(request: web.BaseRequest) -> None:
    """Take over the caller's trace, or begin one, and bind `trace_id` and this hop's `span_id` to the log lines."""
    given = request.headers.getall(TRACEPARENT, ())
    caller = parse_parent(given[0]) if len(given) == 1 else None  # several say nothing
    trace = Trace.begun() if caller is None else caller.hop(parse_state(request.headers.getall(TRACESTATE, ())))
    _bind(trace)


def begin() -> None:
    """Give what nobody asked for, a recovery in a task of its own, ids as a request has them."""
    logs.bind_request_id(logs.fresh_request_id())
    _bind(Trace.begun())


def outgoing() -> dict[str, str]:
    """The headers that hand request id and trace on to the next process; none while no request is under way."""
    if not (request_id := logs.current_request_id()):
        return {}
    trace = _current.get()
    return {logs.HEADER: request_id} | (trace.headers() if trace is not None else {})


def _bind(trace: Trace) -> None:
    _current.set(trace)
    structlog.contextvars.bind_contextvars(trace_id=trace.trace_id, span_id=trace.span_id)


def parse_parent(text: str) -> Trace | None:
    """What a `traceparent` says; None where it is invalid, and so says nothing."""
    if (match := PARENT.fullmatch(text)) is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == VERSION and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id, span_id, int(flags, 16) & KNOWN_FLAGS)


def parse_state(texts: list[str] | tuple[()]) -> str:
    """The `tracestate` of one or more headers; empty where it is invalid, repeats a key or is too long."""
    members = [member for text in texts for each in text.split(",") if (member := each.strip(" \t"))]
    matches = [MEMBER.fullmatch(member) for member in members]
    keys = {match["key"] for match in matches if match}
    state = ",".join(members)
    if len(keys) != len(members) or len(members) > MOST_MEMBERS or len(state) > LONGEST_STATE:
        return ""
    return state
