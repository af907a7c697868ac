"""The case reported most: a road painted white. CamVid, in part and small."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from road_other import WHITE, write_masks, write_two_classes

from edgeseg.datasets import open_dataset

if TYPE_CHECKING:
    from outcome import Outcome


def test_camvid_as_road_and_other_is_the_same_in_0_and_255_as_in_0_and_1(
    edgeseg: Callable[..., Outcome], camvid: Path, camvid_weights: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(camvid, split="test")
    dataset = replace(dataset, items=dataset.items[::12])
    write_two_classes(tmp_path / "model", str(camvid_weights), height=128, width=160)
    reports = []
    for name, road in (("plain", 1), ("painted", WHITE)):
        write_masks(tmp_path / name, dataset, road=road)
        outcome = edgeseg("verify", tmp_path / "model", "--data", tmp_path / name, "--json")
        assert outcome.status == 0
        reports.append(json.loads(outcome.out))
    plain, painted = reports
    for figure in ("images", "miou", "miou_low", "miou_high", "classes", "confusion"):
        assert painted[figure] == plain[figure]
    assert plain["miou"] > 60
    assert not any("255" in note for note in plain["notes"])
    assert "255 is read as 'road', not as ignored" in painted["notes"][0]
