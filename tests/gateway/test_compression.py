"""Content codings: whole or refused, in pieces of a bounded size whatever a bomb unfolds to."""

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable
from typing import cast
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from chassis.problems import Problem
from gateway import compression
from gateway.compression import CODINGS, PIECE, acceptable_coding, body_of, coding_of, decoded, encoded
from gateway.identity import IDENTITY, Identity
from gateway.services import Auth

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def undone(content: bytes, coding: str, size: int = 4096) -> bytes:
    return b"".join([piece async for piece in decoded(pieces(content, size), coding)])


@pytest.mark.parametrize("coding", CODINGS)
@given(content=st.binary(max_size=2000), size=st.integers(1, 500))
async def test_what_was_coded_comes_back_in_pieces_of_any_size(coding: str, content: bytes, size: int) -> None:
    coded = b"".join([piece async for piece in encoded(pieces(content, size), coding)])
    assert await undone(coded, coding, size) == content


@pytest.mark.parametrize("coding", CODINGS)
async def test_members_one_after_the_other_are_one_body(coding: str) -> None:
    make = MAKERS[coding]
    assert await undone(make(b"one ") + make(b"") + make(b"two"), coding, 7) == b"one two"


@pytest.mark.parametrize("coding", CODINGS)
async def test_what_is_not_whole_is_refused(coding: str) -> None:
    whole = MAKERS[coding](b"some text " * 1000)
    for broken in (b"", whole[:-1], whole[: len(whole) // 2], b"plain text", whole + b"more", whole + whole[:-1]):
        with pytest.raises(Problem) as problem:
            await undone(broken, coding)
        assert (problem.value.status, problem.value.code) == (400, "damaged_coding")


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_bomb_unfolds_in_pieces_of_a_bounded_size(coding: str) -> None:
    bomb = MAKERS[coding](bytes(100 << 20))
    assert len(bomb) < 200_000
    sizes = [len(piece) async for piece in decoded(pieces(bomb, len(bomb)), coding)]
    assert sum(sizes) == 100 << 20
    assert max(sizes) <= PIECE


async def test_a_frame_that_asks_for_more_memory_than_a_decoder_owes_is_refused() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    greedy = compressor.compress(b"x") + compressor.flush()
    with pytest.raises(Problem) as problem:
        await undone(greedy, "zstd")
    assert problem.value.code == "damaged_coding"


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("br", None),
        ("gzip;q=much, zstd", "zstd"),
        (";;;,,q=", None),
    ],
)
def test_an_answer_takes_the_best_coding_that_its_reader_likes(header: str, coding: str | None) -> None:
    assert acceptable_coding(make_mocked_request("GET", "/", {"Accept-Encoding": header})) == coding


@pytest.mark.parametrize(("header", "coding"), [("gzip", "gzip"), ("X-GZIP", "gzip"), ("identity", None), ("", None)])
def test_a_body_is_coded_as_it_says(header: str, coding: str | None) -> None:
    assert coding_of(make_mocked_request("POST", "/", {"Content-Encoding": header})) == coding


@pytest.mark.parametrize("header", ["br", "deflate", "gzip, gzip", "zstd, gzip", "rubbish"])
def test_a_coding_that_is_not_known_here_is_refused_with_those_that_are(header: str) -> None:
    with pytest.raises(Problem) as problem:
        coding_of(make_mocked_request("POST", "/", {"Content-Encoding": header}))
    assert problem.value.status == 415
    assert problem.value.headers["Accept-Encoding"] == "zstd, gzip"


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_body_of_which_nothing_more_comes_is_given_up(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "STALL_SECONDS", 0.05)
    content = StreamReader(Mock(_reading_paused=False), 1 << 16, loop=asyncio.get_running_loop())
    content.feed_data(gzip.compress(b"{")[:12])
    app = web.Application()
    app[IDENTITY] = Identity(cast("Auth", None))
    request = make_mocked_request("PUT", "/", {"Content-Encoding": coding}, payload=content, app=app)
    with pytest.raises(Problem) as problem:
        _ = [piece async for piece in body_of(request, 100)]
    assert (problem.value.status, problem.value.code) == (400, "stalled")
