"""What is too large gets a 413 that names the limit, and reaches the client; nothing is changed."""

from collections.abc import AsyncIterator, Iterator
from io import BytesIO

import pytest

from tests.journeys.browser import Browser
from tests.processes import Stack, running

BODY, DOCUMENT, QUOTA = 100_000, 400_000, 300_000


@pytest.fixture(scope="module")
def tight_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    limits = {
        "ANIMATIZE_MAX_BODY_BYTES": str(BODY),
        "ANIMATIZE_RESTORE_MAX_BYTES": str(DOCUMENT),
        "ANIMATIZE_OWNER_QUOTA_BYTES": str(QUOTA),
    }
    with running(tmp_path_factory.mktemp("tight"), **limits) as stack:
        yield stack


@pytest.fixture
async def person(tight_stack: Stack) -> AsyncIterator[Browser]:
    async with Browser(tight_stack.url) as browser:
        await browser.get("/api/settings")
        yield browser


async def pieces(size: int) -> AsyncIterator[bytes]:
    """A body whose length is not told beforehand."""
    yield b'{"run_id": "a", "filler": "'
    for _ in range(size // 1000):
        yield b"x" * 1000
    yield b'"}'


@pytest.mark.parametrize("size", [BODY + 1, 20 * BODY])
async def test_a_body_over_the_limit_is_refused_however_it_is_sent(person: Browser, size: int) -> None:
    for body in (BytesIO(b"x" * size), pieces(size)):
        headers = {"Content-Type": "application/json"}
        problem = await person.refused("PUT", "/api/runs/a", data=body, headers=headers)
        assert problem["status"] == 413
        assert f"{BODY:,}" in problem["detail"]
    assert await person.all_runs() == []


@pytest.mark.parametrize("size", [DOCUMENT + 1000, 20 * DOCUMENT])
async def test_a_document_over_the_limit_is_refused_however_it_is_sent(person: Browser, size: int) -> None:
    for body in (BytesIO(b'{"runs": [{"run_id": "a", "filler": "' + b"x" * size), pieces(size)):
        problem = await person.refused("POST", "/api/settings/restore", data=body)
        assert problem["status"] == 413
        assert f"{DOCUMENT:,}" in problem["detail"]
    assert await person.all_runs() == []
    assert (await person.restore({"runs": [{"run_id": "b"}]}))["restored_runs"] == 1


async def test_a_profile_over_its_quota_is_refused_and_can_make_room(person: Browser) -> None:
    run = {"filler": "x" * (BODY - 1000)}
    for number in range(3):
        await person.put(f"/api/runs/{number}", run | {"run_id": str(number)})
    problem = await person.refused("PUT", "/api/runs/3", json=run | {"run_id": "3"})
    assert (problem["status"], problem["code"]) == (413, "quota")
    document = {"runs": [run | {"run_id": str(number)} for number in range(10, 13)]}
    refused = await person.refused("POST", "/api/settings/restore", json=document)
    assert (refused["status"], refused["code"]) == (413, "quota")
    assert [each["run_id"] for each in await person.all_runs()] == ["0", "1", "2"]
    await person.json("DELETE", "/api/runs/0")
    await person.put("/api/runs/3", run | {"run_id": "3"})


async def test_a_run_in_a_document_that_is_too_large_is_named_and_the_rest_goes_in(person: Browser) -> None:
    document = {"runs": [{"run_id": "large", "filler": "x" * (BODY + 1)}, {"run_id": "small"}]}
    answer = await person.restore(document)
    assert answer["restored_runs"] == 1
    assert [warning["pointer"] for warning in answer["warnings"]] == ["/runs/0"]
