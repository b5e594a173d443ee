"""The passphrase of keys that travel: from a prompt, which shows nothing, or from a file. Never an argument."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from animatize.telling import Exit, Stop

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="A file with the passphrase, instead of the prompt.")
]


def passphrase_of(file: Path | None, *, twice: bool) -> SecretStr:
    """Raises Stop for none, or two that differ."""
    given = _read(file) if file is not None else _asked_for(twice=twice)
    if not given:
        raise Stop(Exit.REFUSED, "An empty passphrase protects nothing.")
    return SecretStr(given)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise Stop(Exit.REFUSED, f"The passphrase cannot be read from {file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Stop(Exit.REFUSED, f"The passphrase cannot be read from {file}: it is not UTF-8.") from None


def _asked_for(*, twice: bool) -> str:
    if not sys.stdin.isatty():
        raise Stop(Exit.REFUSED, "There is nobody to ask for the passphrase: give it with --passphrase-file.")
    given = getpass.getpass("Passphrase: ")
    if twice and getpass.getpass("Once more: ") != given:
        raise Stop(Exit.REFUSED, "The two passphrases differ. Nothing was done.")
    return given
