"""Typed graphs for a Jetson's TensorRT: the device builds, proves and times engines of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgeseg.quantize.recipes import RECIPES as ALL_RECIPES
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.taps import find_floats
from edgeseg.quantize.targets.maker import Effort, Job, Tools
from edgeseg.quantize.targets.tensorrt.emulation import open_emulation
from edgeseg.quantize.targets.tensorrt.quantizer import TYPED_ROLES, TypedQuantizer
from edgeseg.runtime.backends.backend import Backend, open_artifact
from edgeseg.segformer.arch import Role

__all__ = [
    "EFFORT",
    "RECIPES",
    "ROLES",
    "check",
    "convert",
    "float_types",
    "open_to_prove",
    "prepare",
]

# TensorRT-RTX pads depth-wise convolutions in INT8 to four times their channels; a recipe from a
# file may still ask for them.
_DENSE: Final = frozenset(role.value for role in Role if role is not Role.DWCONV)

RECIPES: Final[Mapping[str, Recipe]] = {
    name: recipe.only(_DENSE) for name, recipe in ALL_RECIPES.items()
}

ROLES: Final = TYPED_ROLES
EFFORT: Final = Effort(calibration=2.3, floats=1)  # docs/decisions/0012-calibration-in-one-pass.md


def convert(graph: Path) -> Path:
    """See `Maker`. TensorRT reads ONNX."""
    return graph


def float_types() -> tuple[str, ...]:
    """See `Maker`. A typed graph says itself what it computes in: `prepare` makes the FP16 one."""
    return ("f32",)


def prepare(job: Job) -> Tools:
    """See `Maker`."""
    # FP16 must also hold the values that no recipe quantizes.
    calibrated = None if job.calibrate is None else job.calibrate(find_floats(job.graph))
    typed = TypedQuantizer(
        job.graph,
        calibrated,
        job.frames,
        upsampling=job.upsampling,
        workspace=job.workspace,
        progress=job.progress,
    )
    job.progress.say(
        "accuracy of FP16 is measured here in an emulation, which rounds as FP16 does but adds "
        "up in FP32; the device measures again"
    )
    return Tools(
        floats=[*job.floats, typed.half()],
        quantizer=None if calibrated is None else typed,
        forms=typed.forms,
    )


def open_to_prove(path: Path, compute: str, *, logits_shape: tuple[int, ...] | None) -> Backend:
    """See `Maker`. ONNX Runtime computes in FP32 what is FP32, and emulates what is FP16."""
    if compute == "f16":
        return open_emulation(path, logits_shape=logits_shape)
    return open_artifact("onnxruntime", path, logits_shape=logits_shape, compute=compute)


def check(path: Path) -> None:
    """See `Maker`: the rules of TensorRT's for typed graphs."""
    import onnx

    from edgeseg.quantize.targets.tensorrt.rules import check_rules

    check_rules(onnx.load(path), origin=path.name)
