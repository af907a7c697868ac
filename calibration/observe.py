"""Runs a graph on images and keeps statistics of chosen tensors, in bounded memory, resumably."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.calibration.ranges import SAMPLING, Statistics, add_values, empty_statistics
from edgeseg.files import written_whole
from edgeseg.runtime.checked import name_failures

if TYPE_CHECKING:
    from edgeseg.pixels import Frame

__all__ = ["Tap", "expected_bytes", "observe"]

# Tensors are fetched in groups of at most this much, so that memory does not grow with the network.
GROUP_BYTES: Final = 128 << 20
# The state is saved after this many images.
SAVE_EVERY: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A tensor to be observed: an output of the graph, of `values` float32 values."""

    name: str
    values: int


def expected_bytes(model: bytes, taps: Sequence[Tap]) -> int:
    """About how much memory observing takes at most, beside the interpreter.

    The weights (held by the graph and by the engine), the largest group of fetched tensors, and as
    much again as all of them for what the engine keeps while it runs.
    """
    largest = max(sum(4 * tap.values for tap in group) for group in _groups(taps))
    return 2 * len(model) + largest + sum(4 * tap.values for tap in taps)


def observe(
    model: bytes,
    taps: Sequence[Tap],
    frames: Sequence[Callable[[], Frame]],
    *,
    saved: Path,
    advance: Callable[[], None],
    begin: Callable[[int], None] = lambda _left: None,
) -> Mapping[str, Statistics]:
    """Statistics of each tap over all frames.

    `frames` are functions that give the network's input, uint8 (1, H, W, 3), each called once and
    in order. `saved` is a file in which an interrupted run goes on; it is for this very model.
    `begin` is told how many images are left, where any are.

    Raises:
        CalibrationError: a value is not finite.
        BackendError: the engine fails.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # the arena keeps the peak of every group
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (graph_input,) = session.get_inputs()
    key = hashlib.sha256(SAMPLING.encode() + model).hexdigest()
    done, statistics = _load(saved, key, taps)
    if done < len(frames):
        begin(len(frames) - done)
    for index in range(done, len(frames)):
        frame = frames[index]()
        for group in _groups(taps):
            names = [tap.name for tap in group]
            with name_failures("onnxruntime"):
                found = session.run(names, {graph_input.name: frame})
            for name, values in zip(names, found, strict=True):
                statistics[name] = add_values(statistics[name], values)
        advance()
        if (index + 1) % SAVE_EVERY == 0 or index + 1 == len(frames):
            _save(saved, key, index + 1, statistics)
    return statistics


def _groups(taps: Sequence[Tap]) -> Iterator[list[Tap]]:
    group: list[Tap] = []
    size = 0
    for tap in taps:
        if group and size + 4 * tap.values > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(tap)
        size += 4 * tap.values
    yield group


def _save(path: Path, key: str, images: int, statistics: Mapping[str, Statistics]) -> None:
    values = list(statistics.values())
    buffer = io.BytesIO()
    np.savez(
        buffer,
        key=np.array(key),
        images=np.array(images),
        names=np.array(list(statistics)),
        edges=np.array([(s.low, s.high, s.limit) for s in values]),
        counts=np.stack([s.counts for s in values]),
    )
    with written_whole(path) as partial:
        partial.write_bytes(buffer.getvalue())


def _load(path: Path, key: str, taps: Sequence[Tap]) -> tuple[int, dict[str, Statistics]]:
    """What was saved of the same model; nothing where there is nothing, or of another."""
    fresh = {tap.name: empty_statistics() for tap in taps}
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
