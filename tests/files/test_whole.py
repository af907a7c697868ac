"""A file is written whole or not at all, alone or with others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeseg.files.whole import write_file, write_files, write_whole


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with write_whole(path) as first:
        first.write_text("first")
        with write_whole(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    with pytest.raises(ZeroDivisionError), write_whole(path) as third:
        third.write_text("half")
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "first"


def test_a_file_with_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".png")
    with write_whole(path) as partial:
        partial.write_text("whole")
    assert path.exists()
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208  # as the system lists it


def test_files_written_together_stay_as_they_were_if_one_of_them_fails(tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "closed" / "second.txt"
    write_file(first, b"old")
    for contents in ({first: b"new", second: b"new"}, {second: b"new", first: b"new"}):
        with pytest.raises(FileNotFoundError, match="closed"):
            write_files(contents)
        assert [path.name for path in tmp_path.iterdir()] == ["first.txt"]
        assert first.read_bytes() == b"old"
    second.parent.mkdir()
    write_files({first: b"new", second: b"newer"})
    assert (first.read_bytes(), second.read_bytes()) == (b"new", b"newer")
