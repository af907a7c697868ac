"""The largest magnitude of every value of a graph, over many frames: what FP16 has to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from edgeseg.runtime.checked import name_failures

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
    import onnxruntime

    watched, names = _watched(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (graph_input,) = session.get_inputs()
    found = np.zeros(len(names))
    outputs = [f"{name}.peak" for name in names]
    for frame in frames:
        given = {graph_input.name: frame()}
        with name_failures("onnxruntime"):
            values = session.run(outputs, given)
        # A value that is not a number stays one: it is beyond every limit.
        found = np.maximum(found, np.array(values, np.float64))
        advance()
    return dict(zip(names, found.tolist(), strict=True))


def _watched(model: ModelProto) -> tuple[ModelProto, list[str]]:
    from onnx import ModelProto, TensorProto, helper

    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    names = [
        value.name
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    ]
    del graph.output[:]
    for name in names:
        size, peak = f"{name}.size", f"{name}.peak"
        graph.node.append(helper.make_node("Abs", [name], [size], name=size))
        graph.node.append(helper.make_node("ReduceMax", [size], [peak], name=peak, keepdims=0))
        graph.output.append(helper.make_tensor_value_info(peak, TensorProto.FLOAT, []))
    return copy, names
