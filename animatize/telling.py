"""How a command answers: a result, as text for people or as one line of JSON, progress beside it, and an exit code."""

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Annotated, Any, NoReturn, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chassis.documents import write

Json = Annotated[bool, typer.Option("--json", help="Answer with one line of JSON on standard output.")]


class Exit(IntEnum):
    """What a script can go by; click itself exits with 2 for a wrong command line."""

    DONE = 0
    FOUND = 1  # it was done, and what it found is not as it should be
    USAGE = 2
    REFUSED = 3  # nothing was changed: something has to be put right first
    AWAY = 4  # nobody answers at the address, or a file is locked: try again
    BROKEN_OFF = 5  # half done and safe: begin again
    FAULT = 70  # of the command itself, as sysexits.h numbers it: never taken for what was found


class Stop(Exception):
    """Ends a command with a sentence for a person and a code for a program."""

    def __init__(self, code: Exit, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.code, self.detail, self.more = code, detail, more

    def as_json(self) -> dict[str, Any]:
        return {"error": self.detail, "exit_code": int(self.code), **self.more}


class Result(Protocol):
    """What a command has to tell."""

    def as_json(self) -> dict[str, Any]: ...

    def lines(self) -> Iterable[str]: ...


def tell(result: Result, *, as_json: bool) -> None:
    """On standard output, which holds nothing else. Where that is full or closed, the work is done all the same."""
    text = write(result.as_json()).decode() if as_json else "\n".join(result.lines())
    try:
        _put_out(text)
    except OSError as error:
        sys.stderr.write(f"Done, but the answer could not be written ({error.strerror}).\n")
        raise typer.Exit(int(Exit.FOUND)) from None


def give_up(stop: Stop, *, as_json: bool) -> NoReturn:
    sys.stderr.write(f"{stop.detail}\n")
    if as_json:
        with suppress(OSError):
            _put_out(write(stop.as_json()).decode())
    raise typer.Exit(int(stop.code))


def _put_out(text: str) -> None:
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError:  # Python would try once more at its end, and exit with a code of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


@contextmanager
def answering(*, as_json: bool) -> Iterator[None]:
    """Ends the command as a Stop says, an interrupted one and one with a fault of its own with a sentence."""
    try:
        yield
    except Stop as stop:
        give_up(stop, as_json=as_json)
    except KeyboardInterrupt:
        give_up(Stop(Exit.BROKEN_OFF, "Broken off. What is done stays done: begin again."), as_json=as_json)
    except typer.Exit:
        raise
    except Exception:  # Python would exit with 1, as if something had been found
        traceback.print_exc()
        give_up(Stop(Exit.FAULT, "A fault of this command, which is told above."), as_json=as_json)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator["Step"]:
    """A bar on standard error where that is a terminal, and nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def step(done: int, of: int | None = None) -> None:
            bar.update(task, completed=done, total=total if of is None else of)

        yield step


class Step(Protocol):
    def __call__(self, done: int, of: int | None = None) -> None: ...
