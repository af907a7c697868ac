"""Results, and outputs that are opened for a test."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from edgeseg.demo import draw_scene
from edgeseg.labels import get_known_labels
from edgeseg.runtime.about import About
from edgeseg.runtime.events import Events
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sinks.masks import MaskFiles
from edgeseg.runtime.sinks.outputs import FanOut, Outputs, open_outputs
from edgeseg.runtime.sources import Captured

LABELS = get_known_labels("camvid")
LEGEND = Legend.of(LABELS)


SIZE = (48, 64)


def captured(index: int, size: tuple[int, int] = SIZE) -> Captured:
    return Captured(
        index=index,
        name=f"{index:06d}",
        time_s=index / 10,
        at=time.perf_counter(),
        image=draw_scene(1, index, height=size[0], width=size[1]).image,
    )


def mask(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 11, size, dtype=np.uint8)


def result(index: int, size: tuple[int, int] = SIZE, ids: np.ndarray | None = None) -> Result:
    found = mask(index, size) if ids is None else ids
    part = Segmentation(mask=found, prepare_ms=1, infer_ms=2, mask_ms=3)
    return Result(captured=captured(index, size), segmentation=part, grab_ms=4)


class Opened:
    """The outputs of a run, and what was told of them."""

    def __init__(self, outputs: Outputs, *, live: bool = False) -> None:
        self.said: list[str] = []
        about = About(
            bundle="b", engine="e", precision="p", source="s", legend=LEGEND, fps=10, live=live,
            events=Events(self.said.append),
        )  # fmt: skip
        self._opened = open_outputs(outputs, about, say=self.said.append, end=lambda: None)

    def __enter__(self) -> FanOut:
        self._fan = self._opened.__enter__()
        return self._fan

    @property
    def given_up(self) -> bool:
        return self._fan.given_up

    def __exit__(self, *args: object) -> object:
        return self._opened.__exit__(*args)


def everything(tmp_path: Path) -> Outputs:
    return Outputs(
        save=tmp_path / "out" / "drive.mp4",
        masks=MaskFiles(tmp_path / "out" / "masks"),
        jsonl=str(tmp_path / "out" / "drive.jsonl"),
    )
