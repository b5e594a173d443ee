"""The command as an operator runs it: a process of its own, with an environment of its own."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.processes import ROOT, SECRET, Stack


def environment(stack: Stack | None = None, **more: str) -> dict[str, str]:
    """That of an operator beside the stack's processes."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("ANIMATIZE_")}
    beside = {"ANIMATIZE_WEB_DB_PATH": str(stack.data), "ANIMATIZE_SECRET_KEY": SECRET} if stack is not None else {}
    urls = {"ANIMATIZE_GATEWAY_URL": stack.url} if stack is not None else {}
    return given | beside | urls | {"TERM": "dumb"} | more


def begun(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "animatize", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, environment: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    process = begun(*arguments, environment=environment)
    told, beside = process.communicate(timeout=60)
    return process.returncode, told, beside


def run_json(*arguments: str, environment: dict[str, str]) -> tuple[int, Any]:
    """Exit code, and the one line of standard output."""
    code, told, beside = run(*arguments, "--json", environment=environment)
    assert told.count("\n") == 1, (told, beside)
    return code, json.loads(told)
