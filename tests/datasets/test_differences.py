"""The lines on classes that only a data set or only a model has."""

from __future__ import annotations

from edgeseg.datasets import Differences


def test_a_line_names_five_classes_and_counts_the_rest() -> None:
    names = tuple(f"c{number}" for number in range(290))
    data, model = Differences(data_only=names[:5], model_only=names).lines
    assert data.endswith("not counted: c0, c1, c2, c3, c4")
    assert model.endswith("does not have: c0, c1, c2, c3, c4 and 285 more")
