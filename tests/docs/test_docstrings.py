"""The Python page tells shapes, dtypes, units and errors of everything on it."""

from __future__ import annotations

from pathlib import Path

import griffe
import pytest
from reference import faults, objects

import edgeseg

OBJECTS = objects()


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: one.path)
def test_a_docstring_leaves_nothing_out(one: griffe.Object) -> None:
    assert not faults(one)


def test_the_page_has_all_that_the_package_offers() -> None:
    assert set(edgeseg.__all__) <= {one.name for one in OBJECTS}
    assert len(OBJECTS) > 100


def test_a_docstring_that_leaves_things_out_is_found(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(
        "from edgeseg.pixels import Bgr\n"
        "def blend(image: Bgr, weight: float) -> Bgr:\n"
        '    """Blend."""\n'
        "    raise ValueError('x')\n"
    )
    module = griffe.load("sample", search_paths=[tmp_path])
    assert faults(module["blend"]) == [
        "the shape of its arrays",
        "the dtype of its arrays",
        "the unit of weight",
        "Raises: ValueError",
    ]
