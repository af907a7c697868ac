"""Finds the largest magnitude of every value of a graph over many frames, which FP16 must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeseg.calibration.observe import open_tapped
from edgeseg.quantize.taps import find_floats, tap_graph
from edgeseg.runtime.backends.checked import name_failures

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

__all__ = ["peaks"]


def peaks(model: ModelProto, frames: Iterable[Callable[[], Frame]]) -> dict[str, float]:
    """Find each value's largest magnitude, by the value's name; 0 where there is no frame.

    The graph is float32, with inferred shapes. The maxima are taken inside the graph, so memory
    holds one frame's values as in any inference.

    Raises:
        BackendError: the engine fails.
    """
    import numpy as np

    taps = [replace(tap, sampled=False) for tap in find_floats(model)]
    session = open_tapped(tap_graph(model, taps))
    (graph_input,) = session.get_inputs()
    origins = dict.fromkeys(tap.origin for tap in taps)
    outputs = list(dict.fromkeys(output for tap in taps for output in tap.extremes))
    found = np.zeros(len(origins))
    for frame in frames:
        given = {graph_input.name: frame()}
        with name_failures("onnxruntime"):
            values = np.array(session.run(outputs, given), np.float64).reshape(-1, 3)
        low, high, total = values.T
        # NaN stays NaN: it is beyond every limit.
        found = np.maximum(found, np.where(np.isnan(total), np.nan, np.maximum(-low, high)))
    largest = dict(zip(origins, found.tolist(), strict=True))
    return {tap.name: largest[tap.origin] for tap in taps}
