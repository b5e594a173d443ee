"""A person's browser, as far as the API can tell: it keeps its cookie and speaks JSON."""

from collections.abc import Mapping
from io import BytesIO
from types import TracebackType
from typing import Any, Self

import aiohttp

from chassis.documents import write


class Browser:
    """`await browser.get(path)` gives the JSON of a success; `ask` gives the whole answer."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        self.jar = aiohttp.CookieJar(unsafe=True)
        self._http = aiohttp.ClientSession(cookie_jar=self.jar)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    def use_cookies_of(self, other: "Browser") -> None:
        """From now on the two are one browser, whichever gateway each asks."""
        self.jar = other.jar
        self._http._cookie_jar = other.jar

    async def ask(self, method: str, path: str, **rest: Any) -> tuple[int, dict[str, str], bytes]:
        async with self._http.request(method, self.url + path, **rest) as response:
            return response.status, dict(response.headers), await response.read()

    async def json(self, method: str, path: str, value: Any = None, **rest: Any) -> Any:
        body = {"json": value} if value is not None else {}
        async with self._http.request(method, self.url + path, **body, **rest) as response:
            answer = await response.json(content_type=None)
            assert response.status < 300, answer
            return answer

    async def get(self, path: str) -> Any:
        return await self.json("GET", path)

    async def put(self, path: str, value: Any) -> Any:
        return await self.json("PUT", path, value)

    async def restore(self, document: Any, headers: Mapping[str, str] | None = None, **query: str) -> Any:
        """Hand in a document: bytes as they are, anything else as JSON."""
        rest = self._restoring(document, headers, query)
        return await self.json("POST", "/api/settings/restore", **rest)

    async def refused_restore(
        self, document: Any, headers: Mapping[str, str] | None = None, **query: str
    ) -> dict[str, Any]:
        """The problem that a document must be answered with."""
        rest = self._restoring(document, headers, query)
        return await self.refused("POST", "/api/settings/restore", **rest)

    def _restoring(self, document: Any, headers: Mapping[str, str] | None, query: Mapping[str, str]) -> dict[str, Any]:
        data = BytesIO(document if isinstance(document, bytes) else write(document))
        return {"params": query, "data": data, "headers": {"Content-Type": "application/json", **(headers or {})}}

    async def profile(self) -> Any:
        """All that a restore can change, as it is now: settings, history, runs, and whose keys are there."""
        backup = await self.get("/api/settings/backup")
        return {name: backup[name] for name in ("settings", "history", "runs", "api_credentials")}

    async def refused(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        """The problem of an answer that must be one."""
        async with self._http.request(method, self.url + path, **rest) as response:
            problem: dict[str, Any] = await response.json(content_type=None)
            assert response.status >= 400, problem
            assert response.content_type == "application/problem+json"
            assert {"type", "title", "status", "detail", "code", "request_id"} <= problem.keys()
            return problem

    async def all_runs(self) -> list[Any]:
        """Every run, oldest first, page by page."""
        runs: list[Any] = []
        cursor = ""
        while True:
            page = await self.get(f"/api/runs?limit=50{cursor}")
            runs = page["runs"] + runs
            if page["next_cursor"] is None:
                return runs
            cursor = f"&cursor={page['next_cursor']}"
