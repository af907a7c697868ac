"""Runs a graph on images and keeps statistics of chosen tensors, in bounded memory, resumably."""

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

    The graph computes what is wanted of it, so that whole tensors never leave the engine. `origin`
    is the tensor that holds the same values, perhaps in another order. One that is not `sampled`
    has extremes alone, and its histogram stays empty.
    """

    name: str
    origin: str
    sampled: bool

    @property
    def extremes(self) -> tuple[str, str, str]:
        """Outputs of the graph, float32 scalars: the least value, the largest, and the sum.

        The engine's minima and maxima pass over a value that is not a number; its sum does not.
        """
        return f"{self.origin}.low", f"{self.origin}.high", f"{self.origin}.sum"

    @property
    def sample(self) -> str:
        """Output of the graph: the values at `sample_positions`, float32, of one axis."""
        return f"{self.name}.sample"

    @property
    def outputs(self) -> tuple[str, ...]:
        """All that the graph has to give."""
        return (*self.extremes, self.sample) if self.sampled else self.extremes


def observe(
    model: bytes,
    taps: Sequence[Tap],
    frames: Sequence[Callable[[], Frame]],
    *,
    saved: Path,
    progress: Progress = SILENT,
) -> Mapping[str, Statistics]:
    """Statistics of each tap over all frames, by the tap's name.

    `model` has the outputs that the taps name. `frames` are functions that give the network's
    input, uint8 (1, H, W, 3), each called once and in order. `saved` is a file in which an
    interrupted run goes on; it is for this very model.

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
    """How many images an earlier run of `observe` for this very model has left in `saved`."""
    done, _ = _load(saved, _key(model), taps)
    return done


def open_tapped(model: bytes) -> onnxruntime.InferenceSession:
    """A session for a graph with many small outputs, each computed as soon as it can be.

    In the engine's own order they would come last, and every tensor would be kept until then: 860
    MB in place of 285 for B0 at 512x512. Its plan of memory for the whole graph costs 190 MB more.
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
    """What was saved of the same model; nothing where there is nothing, or of another."""
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
