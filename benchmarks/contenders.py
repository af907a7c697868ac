"""Makes what races: transformers' exports, and edgeseg's graphs as its export makes them.

The search of an export is left out: there is nothing to judge.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from quantizing import make_meter
from rewrites import LogitsOnly, export
from transformers.utils.logging import disable_progress_bar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from seeded import normalized, transformers_model

from edgeseg.datasets import open_dataset
from edgeseg.demo import draw_scene
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.export.reference import check_parity, run_deployed
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.progress import SILENT
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.recipes import FLOAT, RECIPES
from edgeseg.quantize.search import Candidate
from edgeseg.quantize.targets.maker import Job, Tools, load_maker
from edgeseg.quantize.workspace import Workspace
from edgeseg.segformer.form import Form
from edgeseg.targets import find_target

if TYPE_CHECKING:
    import numpy as np

    from edgeseg.calibration.observe import Tap
    from edgeseg.pixels import Frame

__all__ = [
    "CALIBRATED_ON",
    "MODEL",
    "RECIPE",
    "Course",
    "make_int8",
    "make_tools",
    "prepare_course",
]

MODEL = "b0"
EXPORTERS = ("dynamo", "torchscript")
RECIPE = RECIPES["int8-linear"]
CALIBRATED_ON = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What all run on: one image, and one network as transformers' exports and as a checkpoint.

    `frame` is uint8 (1, H, W, 3) BGR, `pixels` the same as normalized float32 (1, 3, H, W).
    `logits` are those of transformers in PyTorch.
    """

    checkpoint: Checkpoint
    exports: Mapping[str, Path]
    frame: Frame
    pixels: np.ndarray
    logits: np.ndarray

    @property
    def height(self) -> int:
        return self.checkpoint.input.height

    @property
    def width(self) -> int:
        return self.checkpoint.input.width

    @property
    def classes(self) -> int:
        return self.checkpoint.spec.classes


def prepare_course(height: int, width: int, folder: Path) -> Course:
    """Draw the image, make the weights, and let transformers' model be exported by torch."""
    classes = 150 if (height, width) == (512, 512) else 19
    oracle = transformers_model(MODEL, classes=classes)
    disable_progress_bar()
    oracle.save_pretrained(folder / "checkpoint")
    frame = draw_frame(0, height, width)
    pixels = normalized(torch.from_numpy(frame), torch.float32).contiguous()
    exports = {name: folder / f"{name}.onnx" for name in EXPORTERS}
    for name, path in exports.items():
        export(LogitsOnly(oracle).eval(), pixels, path, dynamo=name == "dynamo")
    with torch.inference_mode():
        logits = oracle(pixels).logits.numpy()
    return Course(
        checkpoint=read_checkpoint(str(folder / "checkpoint"), size=(height, width)),
        exports=exports,
        frame=frame,
        pixels=pixels.numpy(),
        logits=logits,
    )


def make_tools(target: str, checkpoint: Checkpoint, form: Form, folder: Path) -> Tools:
    """Write the network in a form, compare it with PyTorch, and let the target's maker prepare it.

    Raises:
        ExportError: the graph does not compute what PyTorch computes in this form.
    """
    folder.mkdir(parents=True)
    size = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=size.mean, std=size.std, form=form)
    opset = find_target(target).opset
    graph = to_onnx(deployed, height=size.height, width=size.width, opset=opset)
    path = folder / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    frames = [
        partial(draw_frame, seed, size.height, size.width) for seed in range(1, CALIBRATED_ON + 1)
    ]
    check_parity(path, run_deployed(deployed), [frames[0]()], image_source="demo scenes")
    maker = load_maker(target)
    candidate = Candidate(
        name="fp32",
        precision="fp32",
        compute="f32",
        recipe=FLOAT,
        path=maker.convert(path),
        form=form,
    )
    workspace = Workspace(folder)

    def calibrate(taps: Sequence[Tap]) -> Calibrated:
        return Calibrated(
            graph,
            frames,
            taps=taps,
            estimator="percentile",
            meter=make_meter(target, candidate.path, checkpoint, open_dataset("demo")),
            workspace=workspace,
            progress=SILENT,
        )

    return maker.prepare(
        Job(
            graph=graph,
            floats=[candidate],
            frames=frames,
            calibrate=calibrate,
            upsampling=size.upsampling,
            workspace=workspace,
            progress=SILENT,
        )
    )


def make_int8(target: str, tools: Tools, folder: Path) -> tuple[Path, float]:
    """Quantize by the recipe; return the artifact and its share of multiply-adds in INT8."""
    quantizer = tools.quantizer
    assert quantizer is not None, "the job had a `calibrate`"
    path = folder / f"int8{find_target(target).suffixes[0]}"
    quantizer.make(RECIPE.only(load_maker(target).ROLES), path)
    return path, quantizer.int8_share(path)


def draw_frame(seed: int, height: int, width: int) -> Frame:
    """Draw a scene as the network's input, uint8 (1, H, W, 3) BGR."""
    return draw_scene(seed, 0, height=height, width=width).image[None]
