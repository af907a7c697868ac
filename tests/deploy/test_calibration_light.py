"""An export calibrates on its images, of every two one in other light."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from search_limits import export

from edgeseg.calibration.sets import choose_calibration_set
from edgeseg.deploy.request import ExportRequest
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.pixels import to_input
from edgeseg.quantize.calibrated import Calibrated

if TYPE_CHECKING:
    import pytest
    from onnx import ModelProto

Read = Callable[[], np.ndarray]


def test_ranges_come_from_images_of_which_one_of_two_is_in_other_light(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen: list[Sequence[np.ndarray]] = []
    start = Calibrated.__init__

    def watch(self: Calibrated, model: ModelProto, frames: Sequence[Read], **named: Any) -> None:
        seen.append([read() for read in frames])
        start(self, model, frames, **named)

    monkeypatch.setattr(Calibrated, "__init__", watch)
    export(request_)
    spec = read_checkpoint(request_.weights).input
    assert request_.calibration is not None
    pictures = choose_calibration_set(request_.calibration).pictures
    plain = [to_input(picture.image(), spec) for picture in pictures]
    (frames,) = seen
    assert len(frames) == len(plain) > 3
    same = [np.array_equal(a, b) for a, b in zip(frames, plain, strict=True)]
    pairs = [same[place : place + 2] for place in range(0, len(same) - 1, 2)]
    assert all(sum(pair) == 1 for pair in pairs)
