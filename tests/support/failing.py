"""Real models that fail: at run time, for images whose mean is below a level, and else not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgeseg.bundle.manifest import Manifest
from edgeseg.bundle.staging import seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle

__all__ = ["ALWAYS", "BLACK", "WAYS", "failing_bundle", "failing_model"]

# What a model may do in the place of giving logits, and what it is then said to have done.
WAYS = {
    "nan": "gave logits that are not finite",
    "inf": "gave logits that are not finite",
    "minus inf": "gave logits that are not finite",
    "raises": "failed: ",
    "shape": "in the place of float32 (1, 11, 24, 32) logits",
}
ALWAYS = 256.0
BLACK = 1.0


def failing_model(path: Path, way: str, *, below: float) -> bytes:
    """The model of a file, failing in a way for images whose mean over all values is lower.

    `shape` gives twice the classes, for every image.
    """
    model = onnx.load(path)
    graph = model.graph
    (image,), (output,) = graph.input, graph.output
    shape = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
    for node in graph.node:  # the last node's value gets another name
        node.output[:] = ["right" if name == output.name else name for name in node.output]
    if way == "shape":
        graph.node.append(helper.make_node("Concat", ["right"] * 2, [output.name], axis=1))
        output.type.tensor_type.shape.dim[1].dim_value = 2 * shape[1]
        return model.SerializeToString()
    _add_constants(model, below=below, shape=shape)
    graph.node.extend(
        [
            helper.make_node("Cast", [image.name], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "below"], ["above"]),
            *_FAILING[way],
        ]
    )
    end = ["right", "target"] if way == "raises" else ["right", "spoiled"]
    kind = "Reshape" if way == "raises" else "Add"
    graph.node.append(helper.make_node(kind, end, [output.name]))
    return model.SerializeToString()


_INFINITE = [
    helper.make_node("Relu", ["above"], ["light"]),
    helper.make_node("Reciprocal", ["light"], ["infinite"]),  # of zero
]
_FAILING = {
    "nan": [helper.make_node("Sqrt", ["above"], ["spoiled"])],
    "inf": [*_INFINITE, helper.make_node("Identity", ["infinite"], ["spoiled"])],
    "minus inf": [*_INFINITE, helper.make_node("Neg", ["infinite"], ["spoiled"])],
    "raises": [  # a shape of one class more than there are
        helper.make_node("Less", ["above", "zero"], ["dark"]),
        helper.make_node("Cast", ["dark"], ["one"], to=TensorProto.INT64),
        helper.make_node("Mul", ["one", "class"], ["more"]),
        helper.make_node("Add", ["shape", "more"], ["target"]),
    ],
}


def _add_constants(model: ModelProto, *, below: float, shape: list[int]) -> None:
    constants = {
        "below": np.float32(below),
        "zero": np.float32(0),
        "class": np.array([0, 1, 0, 0], np.int64),
        "shape": np.array(shape, np.int64),
    }
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def failing_bundle(
    seeded: Bundle, folder: Path, models: Mapping[str, bytes], *, target: str = "onnxruntime"
) -> Bundle:
    """A copy of the seeded bundle for a target, with a variant for each model; the first is chosen.

    OpenVINO reads an ONNX file, and the fake TensorRT builds one.
    """
    shutil.copytree(seeded.folder, folder)
    for name in ("manifest.json", "manifest.sha256", "model.onnx"):
        (folder / name).unlink()
    for name, content in models.items():
        (folder / f"{name}.onnx").write_bytes(content)
    seal_bundle(folder, _with_variants(seeded.manifest, list(models), target))
    return open_bundle(folder)


def _with_variants(manifest: Manifest, names: list[str], target: str) -> Manifest:
    (fp32,) = manifest.variants
    return msgspec.structs.replace(
        manifest,
        target=target,
        variants=tuple(
            msgspec.structs.replace(fp32, name=name, file=f"{name}.onnx") for name in names
        ),
        chosen=msgspec.structs.replace(manifest.chosen, variant=names[0]),
        golden=tuple(
            msgspec.structs.replace(g, agreement=dict.fromkeys(names, g.agreement["fp32"]))
            for g in manifest.golden
        ),
        files={},
    )
