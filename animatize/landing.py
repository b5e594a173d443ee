"""A file that lands under its name only when it is whole: until then it lies beside it under another."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from animatize.telling import Exit, Stop
from animatize.troubles import is_full


@contextmanager
def landing(file: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Write to what is given; at the end of the block it has the name `file`, and is on the disk. Mode 600.

    What was there before stays where the block raises. Raises Stop where it is there and `force` does not say to
    replace it, also where it came meanwhile.
    """
    if file.exists() and not force:
        raise _there(file)
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _name(part, file, force=force)
    except OSError as error:
        code = Exit.BROKEN_OFF if is_full(error) else Exit.REFUSED
        raise Stop(code, f"{file} cannot be written ({error.strerror}). Nothing was kept.") from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            part.unlink()


def _name(part: Path, file: Path, *, force: bool) -> None:
    if force:
        part.replace(file)
        return
    try:
        os.link(part, file)  # unlike a rename, this replaces nothing
    except FileExistsError:
        raise _there(file) from None


def _there(file: Path) -> Stop:
    return Stop(Exit.REFUSED, f"{file} is there already: name another, or replace it with --force.")
