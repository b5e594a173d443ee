"""Where something is made: seen by nobody until it is whole, and not left behind."""

import os
import shutil
from pathlib import Path

import pytest

from animatize.workplaces import workplace, write_whole
from tests.animatize.console import killed_at


def test_it_is_there_for_the_block_alone_unless_it_is_renamed(tmp_path: Path) -> None:
    with workplace(tmp_path) as folder:
        (folder / "something").touch()
    with workplace(tmp_path) as folder:
        (folder / "whole").touch()
        os.rename(folder, tmp_path / "name")
    assert [each.name for each in tmp_path.iterdir()] == ["name"]
    assert (tmp_path / "name" / "whole").exists()


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    def work() -> None:
        with workplace(tmp_path) as folder:
            (folder / "something").touch()
            os.fsync(0)

    step = 0
    while not list(tmp_path.iterdir()):
        assert killed_at(step := step + 1, work)
    with workplace(tmp_path) as one, workplace(tmp_path) as other:
        assert {*tmp_path.iterdir()} == {one, other}


def test_a_file_is_written_entirely_or_stays_as_it_was(tmp_path: Path) -> None:
    step, again = 0, True
    while again:
        (tmp_path / "file").write_bytes(b"before")
        again = killed_at(step := step + 1, lambda: write_whole(tmp_path / "file", b"after" * 10_000))
        assert (tmp_path / "file").read_bytes() in (b"before", b"after" * 10_000)
    assert (tmp_path / "file").read_bytes() == b"after" * 10_000
    assert step > 3


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    with pytest.raises(FileNotFoundError), workplace(tmp_path):
        pass
