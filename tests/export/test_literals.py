"""A configuration that is Python text is read as plain values, and never run."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.export.literals import UNREAD, read_assignments


def test_the_text_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "it_ran"
    text = f"mean = open({str(mark)!r}, 'w')\nstd = (-1.5, 'a')\nimport os\nx = [1, *y]\nz = std"
    found = read_assignments(text)
    assert found["mean"] is UNREAD
    assert found["std"] == found["z"] == (-1.5, "a")
    assert not mark.exists()


@pytest.mark.parametrize("text", ["(" * 5000, "a = = 1", "a = \0", "a = " + "[" * 300 + "]" * 300])
def test_what_is_no_python_says_nothing_of_use(text: str) -> None:
    assert read_assignments(text).get("a", UNREAD) is UNREAD
