"""A backup is of one moment: no restore falls between its parts."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chassis.problems import Problem
from gateway import backup
from gateway.journal import Journal
from gateway.services import Services


class FakeJournal:
    """Its last change is another at each look as often as `unrest` says."""

    def __init__(self, unrest: int = 0, committing: int = 0) -> None:
        self.unrest, self.committing, self.looks = unrest, committing, 0

    async def steps(self, _owner: str) -> int:
        self.looks += 1
        return min(self.looks, 2 * self.unrest)

    @asynccontextmanager
    async def one_backup(self, _owner: str) -> AsyncIterator[None]:
        yield

    async def commit_under_way(self, _owner: str) -> bool:
        self.committing -= 1
        return self.committing >= 0


class FakeKeeper:
    def __init__(self, *lines: bytes) -> None:
        self.lines, self.opened, self.closed = lines, 0, 0

    @asynccontextmanager
    async def hand_out(self, _owner: str, _passphrase: Any = None) -> AsyncIterator[AsyncIterator[bytes]]:
        async def lines() -> AsyncIterator[bytes]:
            for line in self.lines:
                yield line

        self.opened += 1
        yield lines()
        self.closed += 1


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr("gateway.backup.PAUSE_SECONDS", 0)
    return SimpleNamespace(
        settings=FakeKeeper(b'{"version":2}', b'{"id":2}', b'{"id":1}'), runs=FakeKeeper(), vault=FakeKeeper(b"{}")
    )


async def document(peers: SimpleNamespace, journal: FakeJournal) -> Any:
    pieces = backup.backup("guest:a", cast("Services", peers), cast("Journal", journal))
    return json.loads(b"".join([piece async for piece in pieces]))


async def test_every_part_has_its_place_and_an_empty_one_is_an_empty_list(peers: SimpleNamespace) -> None:
    found = await document(peers, FakeJournal())
    assert found["settings"] == {"version": 2}
    assert found["history"] == [{"id": 2}, {"id": 1}]
    assert (found["runs"], found["api_credentials"]) == ([], [{}])
    assert peers.runs.opened == peers.runs.closed == 1


async def test_parts_between_which_a_restore_fell_are_closed_and_opened_again(peers: SimpleNamespace) -> None:
    assert (await document(peers, FakeJournal(unrest=2)))["runs"] == []
    assert peers.runs.opened == peers.runs.closed == 3


async def test_a_restore_that_is_being_committed_is_waited_for_but_not_for_ever(peers: SimpleNamespace) -> None:
    assert (await document(peers, FakeJournal(committing=3)))["runs"] == []
    assert peers.runs.opened == 1
    with pytest.raises(Problem, match="being put in place"):
        await document(peers, FakeJournal(committing=10**6))
