"""OpenVINO's own files, and INT8 in them by NNCF's post-training quantization for transformers.

SmoothQuant before matrix products, uint8 activations and int8 weights, fast bias correction.
Statistics are reduced inside the graph, image by image, so memory does not grow with their number.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.errors import MissingPackageError
from edgeseg.files.whole import write_whole
from edgeseg.machine.extras import make_install_command
from edgeseg.machine.packages import find_version
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.recipes import RECIPES, Recipe
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.maker import Effort, Job, Tools
from edgeseg.runtime.backends import openvino as backend
from edgeseg.runtime.backends.backend import Backend, open_artifact
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import Group, find_group

if TYPE_CHECKING:
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

# In its transformer mode NNCF never quantizes the product after the softmax.
ROLES: Final = frozenset(role.value for role in Role if role is not Role.VALUES)
# NNCF calibrates anew for each recipe: docs/decisions/0012-calibration-in-one-pass.md.
EFFORT: Final = Effort(recipe=2.1, recipe_s=4.6)

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
    quantizer = OpenVinoQuantizer(job.calibrate(find_taps(job.graph)), job.floats[0].path)
    return Tools(floats=job.floats, quantizer=quantizer, estimator="nncf")


def open_to_prove(path: Path, compute: str, *, logits_shape: tuple[int, ...] | None) -> Backend:
    """See `Maker`. What runs it proves it."""
    return open_artifact("openvino", path, logits_shape=logits_shape, compute=compute)


def check(path: Path) -> None:
    """See `Maker`. OpenVINO has read the file, and knows no further rule."""


def quantize_openvino(
    source: Path, target: Path, recipe: Recipe, frames: Sequence[Callable[[], Frame]]
) -> None:
    """Read a float graph (ONNX or OpenVINO) and write `target`, an .xml with its .bin.

    `frames` give the network's input, uint8 (1, H, W, C); each is called as often as NNCF needs.

    Raises:
        MissingPackageError: nncf is not installed.
    """
    _require("nncf", "INT8 for OpenVINO")
    import nncf
    import openvino

    model = openvino.Core().read_model(source)
    left_float = [
        op.get_friendly_name()
        for op in model.get_ordered_ops()
        if op.get_type_name() in _COMPUTES and find_group(op.get_friendly_name()) not in recipe.int8
    ]
    with quiet_nncf():
        made = nncf.quantize(
            model,
            nncf.Dataset(_Lazy(frames)),
            subset_size=len(frames),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=left_float, validate=False),
        )
    openvino.save_model(made, target, compress_to_fp16=False)


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
    """NNCF on the float artifact; it finds its own ranges, in the graph that it smooths."""

    computes = ()

    def __init__(self, calibrated: Calibrated, source: Path) -> None:
        self._calibrated = calibrated
        self._source = source

    def make(self, recipe: Recipe, path: Path) -> None:
        """Write an .xml and its .bin; the .xml last, so that it is there only when both are."""
        with write_whole(path) as partial:
            weights = partial.with_suffix(".bin")
            try:
                quantize_openvino(self._source, partial, recipe, self._calibrated.frames)
                weights.replace(path.with_suffix(".bin"))
            finally:
                weights.unlink(missing_ok=True)

    def int8_share(self, path: Path) -> float:
        """See `Quantizer`."""
        return int8_share(path)

    def sensitivity(self) -> Mapping[Group, float]:
        """See `Quantizer`. Measured with Q/DQ: forty runs of NNCF would take too long."""
        return self._calibrated.sensitivity()
