"""A small file system of its own, where root may mount one: a disk that can really be full."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

PIECE: Final = 1 << 14


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, left: int) -> None:
    """Fill the disk but for about `left` bytes."""
    with (disk / "filler").open("ab", buffering=0) as filler:
        try:
            while True:
                filler.write(secrets.token_bytes(PIECE))
        except OSError:
            filler.truncate(max(0, os.path.getsize(filler.name) - left))


def make_room(disk: Path) -> None:
    (disk / "filler").unlink()
