"""What the logs of processes and the packages of files are called, and what must not stand in any log."""

from typing import Final

from tests.processes import Stack

AMISS: Final = ("database is locked", "database_refused", "Traceback", "unexpected_error", "vault_locked", "status=5")


def package_of(file: str) -> str:
    return file if file == "gateway" else f"{file}_service"


def check_log(stack: Stack) -> None:
    """Nothing amiss in any line, but that somebody asked too early whether all were ready."""
    lines = [line for line in stack.log.read_text(errors="replace").splitlines() if "/health/ready" not in line]
    assert [line for line in lines if any(word in line for word in AMISS)] == []
