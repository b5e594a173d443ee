"""The console's files: what can be asked for, and how a browser keeps them."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from chassis.serving import problems_answered
from gateway import pages

FOLDER = Path(pages.__file__).parent / "console"
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.*"))
CODE = [path for path in FILES if path.endswith((".js", ".css"))]
NAMED = re.compile(r"""(?:href|src)="/console/([^"]+)"|(?:from|import)\s*\(?\s*"(\.{1,2}/[^"]+)\"""")
MOST_BYTES = 100_000  # of own JavaScript and CSS, before compression


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> TestClient[web.Request, web.Application]:
    app = web.Application(middlewares=[problems_answered])
    app.router.add_get("/", pages.show_console)
    app.router.add_get("/console/{file:.+}", pages.show_file)
    return await aiohttp_client(app)


@pytest.mark.parametrize("path", FILES)
async def test_every_file_is_shown_as_what_it_is(client: TestClient[web.Request, web.Application], path: str) -> None:
    answer = await client.get(f"/console/{path}", headers={"Accept-Encoding": "identity"})
    assert answer.status == 200
    assert path in CODE or await answer.read() == (FOLDER / path).read_bytes()
    kind = pages.TYPES
    assert answer.headers["Content-Type"] == f"{kind[path.rpartition('.')[2]]}; charset=utf-8"


@pytest.mark.parametrize("path", FILES)
def test_what_a_file_names_is_there(path: str) -> None:
    for absolute, relative in NAMED.findall((FOLDER / path).read_text()):
        target = FOLDER / absolute if absolute else (FOLDER / path).parent / relative
        assert target.resolve().is_file(), f"{path} names {absolute or relative}"


def without_comments(lines: list[str]) -> Iterator[str]:
    inside = False
    for line in map(str.strip, lines):
        if inside or line.startswith("/*"):
            inside = "*/" not in line
        elif line and not line.startswith("//"):
            code, mark, comment = line.rpartition(" // ")
            yield code if mark and not set(comment) & set("\"'`") else line


async def test_a_browser_asks_each_time_and_is_sent_a_file_once(
    client: TestClient[web.Request, web.Application],
) -> None:
    first = await client.get("/")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    other = await client.get("/", headers={"If-None-Match": '"of another release"'})
    assert other.status == 200


async def test_a_file_goes_zipped_to_whoever_takes_that(client: TestClient[web.Request, web.Application]) -> None:
    answer = await client.get("/console/main.js", headers={"Accept-Encoding": "gzip"}, auto_decompress=False)
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(await answer.read()) == await (await client.get("/console/main.js")).read()


@pytest.mark.parametrize(
    "path", ["nothing.js", "../pages.py", "%2e%2e/pages.py", "css", "css/", "..%2fpages.py", "/etc/passwd"]
)
async def test_nothing_else_can_be_asked_for(client: TestClient[web.Request, web.Application], path: str) -> None:
    assert (await client.get(f"/console/{path}")).status == 404


@pytest.mark.parametrize("path", CODE)
async def test_a_script_or_style_comes_without_what_only_readers_need(
    client: TestClient[web.Request, web.Application], path: str
) -> None:
    sent = (await (await client.get(f"/console/{path}")).text()).splitlines()
    written = (FOLDER / path).read_text().splitlines()
    assert list(filter(None, sent)) == list(without_comments(written))


@pytest.mark.parametrize("path", CODE)
def test_no_text_runs_over_several_lines_of_a_script_since_these_lose_their_indentation(path: str) -> None:
    assert not [line for line in (FOLDER / path).read_text().splitlines() if line.count("`") % 2]


async def test_what_a_browser_is_sent_of_scripts_and_styles_is_small(
    client: TestClient[web.Request, web.Application],
) -> None:
    sent = [await (await client.get(f"/console/{path}")).read() for path in CODE]
    assert sum(map(len, sent)) < MOST_BYTES


@pytest.mark.parametrize("path", FILES)
def test_no_file_makes_markup_of_text_or_names_another_server(path: str) -> None:
    text = (FOLDER / path).read_text()
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function", text
    )
    foreign = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert foreign <= {"http://www.w3.org/2000/svg", "https://accounts.google.com/gsi/client"}
