"""OpenVINO's own files, and INT8 in them by NNCF's post-training quantization for transformers.

SmoothQuant before matrix products, uint8 activations and int8 weights, fast bias correction. Ranges
cover all that any image shows. Statistics are reduced inside the graph, image by image, so memory
does not grow with their number. The product after the softmax, which NNCF leaves in float, follows
from `edgeseg.quantize.targets.openvino_values`.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.errors import MissingPackageError
from edgeseg.files.whole import write_file, write_whole
from edgeseg.machine.extras import make_install_command
from edgeseg.machine.packages import find_version
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.exact_pixels import can_be_exact, center_pixels_exactly
from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.maker import Effort, Job, Tools
from edgeseg.quantize.targets.openvino_values import measure_values, quantize_values
from edgeseg.runtime.backends import openvino as backend
from edgeseg.runtime.backends.backend import Backend, open_artifact
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import Group, find_group

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

__all__ = [
    "EFFORT",
    "RECIPES",
    "ROLES",
    "OpenVinoQuantizer",
    "check",
    "convert",
    "float_types",
    "open_to_prove",
    "prepare",
    "quantize_openvino",
    "quiet_nncf",
]

ROLES: Final = frozenset(role.value for role in Role)
# NNCF calibrates anew for each recipe: docs/decisions/0012-calibration-in-one-pass.md. That is 2.1
# times; the one of five that quantizes values runs the float graph once more.
EFFORT: Final = Effort(recipe=2.3, recipe_s=4.6)

_COMPUTES: Final = frozenset({"Convolution", "GroupConvolution", "MatMul"})


def convert(graph: Path) -> Path:
    """See `Maker`: an .xml with its .bin."""
    _require("openvino", "exporting for OpenVINO")
    import openvino

    converted = graph.with_suffix(".xml")
    openvino.save_model(openvino.Core().read_model(graph), converted, compress_to_fp16=False)
    graph.unlink()
    return converted


def float_types() -> tuple[str, ...]:
    """See `Maker`. The engine is told what to compute in: one file serves all types."""
    return backend.list_float_types()


def prepare(job: Job) -> Tools:
    """See `Maker`. NNCF finds ranges of its own; our taps serve the sensitivity alone."""
    if job.calibrate is None:
        return Tools(floats=job.floats, quantizer=None, estimator="nncf")
    for package in ("openvino", "nncf"):
        _require(package, "INT8 for OpenVINO")
    quantizer = OpenVinoQuantizer(job.calibrate(find_taps(job.graph)))
    return Tools(floats=job.floats, quantizer=quantizer, estimator="nncf")


def open_to_prove(path: Path, compute: str, *, logits_shape: tuple[int, ...] | None) -> Backend:
    """See `Maker`. What runs it proves it."""
    return open_artifact("openvino", path, logits_shape=logits_shape, compute=compute)


def check(path: Path) -> None:
    """See `Maker`. OpenVINO has read the file, and knows no further rule."""


def quantize_openvino(
    model: ModelProto, target: Path, recipe: Recipe, frames: Sequence[Callable[[], Frame]]
) -> None:
    """Quantize a float graph, as `edgeseg.export` writes it, into `target`, an .xml with its .bin.

    `frames` give the network's input, uint8 (1, H, W, C); each is called as often as NNCF needs.

    Raises:
        MissingPackageError: nncf is not installed.
    """
    _require("nncf", "INT8 for OpenVINO")
    import nncf
    import openvino
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    if can_be_exact(model, recipe):
        model = center_pixels_exactly(model, joins_pixels=True)
        frames = [partial(_show_all_levels, frames[0]), *frames[1:]]
    with _convert_for_now(model, target) as source:
        floats = openvino.Core().read_model(source)
        left_float = [
            op.get_friendly_name()
            for op in floats.get_ordered_ops()
            if op.get_type_name() in _COMPUTES
            and find_group(op.get_friendly_name()) not in recipe.int8
        ]
        with quiet_nncf():
            made = nncf.quantize(
                floats,
                nncf.Dataset(_Lazy(frames)),
                subset_size=len(frames),
                model_type=nncf.ModelType.TRANSFORMER,
                # The mean of all images' extremes would cut off what low contrast makes large.
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
                ),
                ignored_scope=nncf.IgnoredScope(names=left_float, validate=False),
            )
        whole = quantize_values(made, measure_values(model, recipe, frames))
        openvino.save_model(whole, target, compress_to_fp16=False)


@contextlib.contextmanager
def _convert_for_now(model: ModelProto, target: Path) -> Iterator[Path]:
    """Write a float graph as an .xml and its .bin beside `target`, and remove them at the end.

    NNCF then sees what the float artifact holds: writing a model fuses its operators.
    """
    graph = target.with_name(f"{target.stem}_float.onnx")
    try:
        write_file(graph, model.SerializeToString())
        yield convert(graph)
    finally:
        for suffix in (".onnx", ".xml", ".bin"):
            graph.with_suffix(suffix).unlink(missing_ok=True)


def _show_all_levels(read: Callable[[], Frame]) -> Frame:
    """Read a frame, with a black and a white pixel in a corner: so NNCF covers all levels."""
    frame = read().copy()
    frame[:, 0, 0], frame[:, 0, 1] = 0, 255
    return frame


def _require(package: str, purpose: str) -> None:
    if find_version(package) is None:
        command = make_install_command(["export"])
        raise MissingPackageError(package, purpose=purpose, command=command)


class _Lazy:
    """Reads frames one by one, each time it is iterated."""

    def __init__(self, frames: Sequence[Callable[[], Frame]]) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        for read in self._frames:
            yield read()

    def __len__(self) -> int:
        return len(self._frames)


@contextlib.contextmanager
def quiet_nncf() -> Iterator[None]:
    """Silence NNCF, which prints on stdout; that belongs to edgeseg's JSON."""
    import nncf

    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        yield


class OpenVinoQuantizer:
    """NNCF on the float graph; it finds its own ranges, in the graph that it smooths."""

    computes = ()

    def __init__(self, calibrated: Calibrated) -> None:
        self._calibrated = calibrated

    def make(self, recipe: Recipe, path: Path) -> None:
        """Write an .xml and its .bin; the .xml last, so that it is there only when both are."""
        with write_whole(path) as unfinished:
            weights = unfinished.with_suffix(".bin")
            try:
                quantize_openvino(
                    self._calibrated.model, unfinished, recipe, self._calibrated.frames
                )
                weights.replace(path.with_suffix(".bin"))
            finally:
                weights.unlink(missing_ok=True)

    def int8_share(self, path: Path) -> float:
        """See `Quantizer`."""
        return int8_share(path)

    def sensitivity(self) -> Mapping[Group, float]:
        """See `Quantizer`. Measured with Q/DQ: forty runs of NNCF would take too long."""
        return self._calibrated.sensitivity()
