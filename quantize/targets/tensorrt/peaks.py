"""The largest magnitude of every value of a graph, over many frames: what FP16 has to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from edgeseg.calibration.observe import Tap, open_tapped
from edgeseg.quantize.taps import tap_extremes
from edgeseg.runtime.backends.checked import name_failures

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

__all__ = ["peaks"]


def peaks(
    model: ModelProto, frames: Iterable[Callable[[], Frame]], *, advance: Callable[[], None]
) -> dict[str, float]:
    """By the value's name; 0 where there is no frame. The graph is float32, with inferred shapes.

    The maxima are taken inside the graph, so memory holds one frame's values as in any inference.

    Raises:
        BackendError: the engine fails.
    """
    import numpy as np
    from onnx import TensorProto

    names = [
        value.name
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    ]
    session = open_tapped(tap_extremes(model, names))
    (graph_input,) = session.get_inputs()
    outputs = [output for name in names for output in Tap(name).extremes]
    found = np.zeros(len(names))
    for frame in frames:
        given = {graph_input.name: frame()}
        with name_failures("onnxruntime"):
            values = np.array(session.run(outputs, given), np.float64).reshape(-1, 3)
        low, high, total = values.T
        # A value that is not a number stays one: it is beyond every limit.
        largest = np.where(np.isnan(total), np.nan, np.maximum(-low, high))
        found = np.maximum(found, largest)
        advance()
    return dict(zip(names, found.tolist(), strict=True))
