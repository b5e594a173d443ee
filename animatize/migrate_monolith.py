"""`animatize migrate-monolith`: out of the single-process console's file, into the five files."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from animatize.migration import migrate
from animatize.places import place
from animatize.telling import Exit, Json, Stop, answering, tell

Source = Annotated[Path, typer.Argument(metavar="PATH", help="The old console's database file. It is only read.")]
OldSecrets = Annotated[
    list[Path] | None,
    typer.Option("--secret-file", help="A file with the old console's secret; several, a line each. Repeatable."),
]
ForReal = Annotated[bool, typer.Option("--yes/--dry-run", help="Move it; otherwise only tell what would be moved.")]


def migrate_monolith(path: Source, secret_file: OldSecrets = None, yes: ForReal = False, json: Json = False) -> None:
    """Move users, sessions, settings, runs and keys out of the single-process console's file.

    Stop that console first. What is here already is never written over, and a second migration adds nothing.
    """
    with answering(as_json=json):
        moved = migrate(path, old_secrets(secret_file or []), place(), for_real=yes)
        tell(moved, as_json=json)
        raise typer.Exit(int(moved.exit))


def old_secrets(files: list[Path]) -> list[SecretStr]:
    """A secret a line. Raises Stop where a file cannot be read."""
    secrets: list[SecretStr] = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise Stop(Exit.REFUSED, f"The secret file {file} cannot be read ({error.strerror}).") from None
        except UnicodeDecodeError:
            raise Stop(Exit.REFUSED, f"The secret file {file} cannot be read (it is not UTF-8).") from None
        secrets += [SecretStr(line.strip()) for line in lines if line.strip()]
    return secrets
