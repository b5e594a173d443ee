"""What the processes say of themselves, asked at the addresses that they are configured with."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError
from urllib.request import OpenerDirector, ProxyHandler, build_opener

from chassis.release import RELEASE_HEADER

PATIENCE: Final = 5.0  # seconds: a gateway that waits for a service that hangs answers in less


class Process(NamedTuple):
    """One address. `release` is None where none is told: nobody answers, or it is older than that."""

    package: str
    url: str
    up: bool
    ready: bool
    release: str | None

    def as_json(self) -> dict[str, Any]:
        return {"process": self.package, "url": self.url, "up": self.up, "ready": self.ready, "release": self.release}

    def line(self) -> str:
        state = "ready" if self.ready else "up, not ready" if self.up else "does not answer"
        return f"{self.package} at {self.url}: {state}" + (f", release {self.release}" if self.release else "")


def ask_all(addresses: Iterable[tuple[str, str]]) -> list[Process]:
    """At the same time, so that those that hang cost their patience once."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda each: _ask(*each), addresses))


def _ask(package: str, url: str) -> Process:
    opener = build_opener(ProxyHandler({}))  # they are near: no proxy of the environment leads there
    live, release = _answer(opener, f"{url}/health/live")
    ready, _ = _answer(opener, f"{url}/health/ready") if live == 200 else (None, None)
    return Process(package, url, live == 200, ready == 200, release)


def _answer(opener: OpenerDirector, url: str) -> tuple[int | None, str | None]:
    """Status and release; None where there is no answer."""
    try:
        with opener.open(url, timeout=PATIENCE) as answer:
            return answer.status, answer.headers[RELEASE_HEADER]
    except HTTPError as error:
        with error:
            return error.code, None
    except (OSError, ValueError, HTTPException):
        return None, None
