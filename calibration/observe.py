"""Runs a graph on images and keeps statistics of chosen tensors.

Memory is bounded, and an interrupted run can be resumed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.calibration.ranges import SAMPLING, Statistics, add_sample, make_statistics
from edgeseg.files.whole import write_whole
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.checked import name_failures

if TYPE_CHECKING:
    import onnxruntime

    from edgeseg.pixels import Frame

__all__ = ["Tap", "count_observed", "observe", "open_tapped"]

# The state is saved after this many images.
SAVE_EVERY: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A tensor of the graph to be observed, by its name.

    The graph itself computes the extremes and the sample, so whole tensors never leave the engine.
    `origin` is the tensor that holds the same values, perhaps in another order. A tap that is not
    `sampled` has extremes only, and its histogram stays empty.
    """

    name: str
    origin: str
    sampled: bool

    @property
    def extremes(self) -> tuple[str, str, str]:
        """Names of three float32 scalar outputs: the least value, the largest, and the sum.

        The engine's minimum and maximum ignore NaN; its sum does not.
        """
        return f"{self.origin}.low", f"{self.origin}.high", f"{self.origin}.sum"

    @property
    def sample(self) -> str:
        """Name of the output that holds the sampled values: float32, one axis."""
        return f"{self.name}.sample"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all outputs that the graph must have for this tap."""
        return (*self.extremes, self.sample) if self.sampled else self.extremes


def observe(
    model: bytes,
    taps: Sequence[Tap],
    frames: Sequence[Callable[[], Frame]],
    *,
    saved: Path,
    progress: Progress = SILENT,
) -> Mapping[str, Statistics]:
    """Gather statistics of each tap over all frames, by the tap's name.

    `model` has the outputs that the taps name. `frames` are functions that give the network's
    input, uint8 (1, H, W, 3); each is called once, in order. `saved` is the file that keeps the
    state, so that an interrupted run can resume; it belongs to this very model.

    Raises:
        CalibrationError: a value is not finite.
        BackendError: the engine fails.
    """
    session = open_tapped(model)
    (graph_input,) = session.get_inputs()
    outputs = list(dict.fromkeys(name for tap in taps for name in tap.outputs))
    nothing = np.zeros(0, np.float32)
    key = _key(model)
    done, statistics = _load(saved, key, taps)
    if done < len(frames):
        progress.phase("calibrating", done, len(frames))
    for index in range(done, len(frames)):
        frame = frames[index]()
        with name_failures("onnxruntime"):
            found = dict(zip(outputs, session.run(outputs, {graph_input.name: frame}), strict=True))
        for tap in taps:
            low, high, total = (float(found[name]) for name in tap.extremes)
            if math.isnan(total):
                low = high = total
            sample = found[tap.sample] if tap.sampled else nothing
            statistics[tap.name] = add_sample(statistics[tap.name], sample, low=low, high=high)
        progress.phase("calibrating", index + 1, len(frames))
        if (index + 1) % SAVE_EVERY == 0 or index + 1 == len(frames):
            _save(saved, key, index + 1, statistics)
    return statistics


def count_observed(model: bytes, taps: Sequence[Tap], saved: Path) -> int:
    """Count the images that an earlier `observe` of this very model has kept in `saved`."""
    done, _ = _load(saved, _key(model), taps)
    return done


def open_tapped(model: bytes) -> onnxruntime.InferenceSession:
    """Open a session that computes each of the graph's many small outputs as soon as it can.

    In the engine's own order the outputs would come last, and every tensor would be kept until
    then: 860 MB in place of 285 for B0 at 512x512. The engine's memory plan for the whole graph
    would cost 190 MB more.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _key(model: bytes) -> str:
    return hashlib.sha256(SAMPLING.encode() + model).hexdigest()


def _save(path: Path, key: str, images: int, statistics: Mapping[str, Statistics]) -> None:
    values = list(statistics.values())
    with write_whole(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            key=np.array(key),
            images=np.array(images),
            names=np.array(list(statistics)),
            edges=np.array([(s.low, s.high, s.limit) for s in values]),
            counts=np.stack([s.counts for s in values]),
        )


def _load(path: Path, key: str, taps: Sequence[Tap]) -> tuple[int, dict[str, Statistics]]:
    """Load the state saved for the same model; an empty state where there is none."""
    fresh = {tap.name: make_statistics() for tap in taps}
    if not path.exists():
        return 0, fresh
    with np.load(path, allow_pickle=False) as content:
        if str(content["key"]) != key or content["names"].tolist() != list(fresh):
            return 0, fresh
        loaded = {
            name: Statistics(low=low, high=high, limit=limit, counts=counts)
            for name, (low, high, limit), counts in zip(
                content["names"].tolist(),
                content["edges"].tolist(),
                content["counts"],
                strict=True,
            )
        }
        return int(content["images"]), loaded
