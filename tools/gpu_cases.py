"""Writes typed graphs of every form, and what they compute in the emulation, for gpu_measure.py.

    python tools/gpu_cases.py KIT CASES

KIT is what gpu_kit.py made. Needs onnx and onnxruntime, no PyTorch and no GPU. It runs in a process
of its own: TensorRT-RTX and ONNX Runtime do not share one well.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from gpu_kit import open_graph

from edgeseg.cli.scripts import check_inputs, run_script
from edgeseg.demo.scenes import draw_scene
from edgeseg.pixels import to_input
from edgeseg.quantize.recipes import FLOAT, RECIPES
from edgeseg.quantize.targets.tensorrt.batch import to_batch
from edgeseg.quantize.targets.tensorrt.emulation import to_fp32_emulation
from edgeseg.quantize.targets.tensorrt.forms import GRAPH_FORMS, PLAIN, GraphForm, write_form
from edgeseg.quantize.targets.tensorrt.graph import to_typed
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.quantize.targets.tensorrt.quantizer import TYPED_ROLES
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["BATCHES", "FRAME", "read_size", "write_cases"]

FRAME: Final = (720, 1280)
BATCHES: Final = (4, 8)
# As a Jetson's recipe: depth-wise convolutions stay in FP16.
_INT8: Final = RECIPES["int8-linear"].only(TYPED_ROLES - {"dwconv"})
_RECIPES: Final = {"fp16": FLOAT, "int8": _INT8}


def main() -> None:
    """Write the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--precisions", nargs="+", choices=tuple(_RECIPES), default=tuple(_RECIPES))
    given = parser.parse_args()
    check_inputs(parser, given.kit)
    write_cases(given.kit, given.cases, given.precisions)


def write_cases(kit: Path, folder: Path, precisions: Sequence[str]) -> None:
    """Write cases.json, a graph for each case, and frame.npy.

    For each network and precision of its own numbers, `expected` names the logits of the emulation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = draw_scene(0, 0, height=FRAME[0], width=FRAME[1]).image
    np.save(folder / "frame.npy", image)
    cases: list[dict[str, Any]] = []
    for path in sorted(kit.glob("*.onnx")):
        cases += _write_network(path, folder, image, precisions)
    # What is asked first is measured, if the time is too short for all: the plain forms.
    cases.sort(key=lambda case: (case["batch"] > 1, bool(case["written"])))
    (folder / "cases.json").write_text(json.dumps(cases), "utf-8")


def _write_network(
    path: Path, folder: Path, image: np.ndarray[Any, Any], precisions: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Write the cases of one network in one of its own forms."""
    model = open_graph(path)
    height, width = read_size(model)
    given = to_input(image, InputSpec(height=height, width=width))
    found = peaks(model, [lambda: given])
    network, _, form = path.stem.partition("_")
    for precision in precisions:
        about = {"network": network, "form": form, "precision": precision}
        name = f"{path.stem}_{precision}"
        for graph_form in GRAPH_FORMS:
            typed = _type_graph(model, graph_form, precision, found)
            if graph_form == PLAIN:
                emulated = to_fp32_emulation(typed).SerializeToString()
                np.save(folder / f"{name}.npy", OrtBackend(emulated, optimized=False).infer(given))
            written = "-".join(graph_form.words)
            batches = (1, *BATCHES) if graph_form == PLAIN and form == "exact" else (1,)
            for batch in batches:
                graph = typed if batch == 1 else to_batch(typed, batch)
                file = f"{name}_{written or 'plain'}_{batch}.onnx"
                (folder / file).write_bytes(graph.SerializeToString())
                case = {"written": written, "batch": batch, "file": file, "expected": f"{name}.npy"}
                yield {**about, **case}


def _type_graph(
    model: ModelProto, form: GraphForm, precision: str, found: dict[str, float]
) -> ModelProto:
    formed = write_form(model, form)
    return to_typed(formed.model, _RECIPES[precision], largest=formed.add_largest(found))


def read_size(model: ModelProto) -> tuple[int, int]:
    """Read height and width of a graph's input, in pixels."""
    _, height, width, _ = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    return int(height), int(width)


if __name__ == "__main__":
    run_script(main)
