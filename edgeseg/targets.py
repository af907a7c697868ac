"""What edgeseg exports for: a row for each target. No engine is imported here.

A target is such a row and two modules, which the row names: its maker (`edgeseg.quantize.targets`)
makes artifacts and proves them on this machine, its runner (`edgeseg.runtime.backends`) runs them.
docs/adding-a-target.md shows how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgeseg.errors import BackendError
from edgeseg.text import join_words

__all__ = [
    "DEFAULT_TARGET",
    "TARGETS",
    "Target",
    "find_target",
    "list_packages",
    "refuse_precision",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target, as all other modules know it.

    `name` is what `--target` and manifests say, `title` what people read; `synonyms` are words that
    people try in its place, with spaces between them. `maker` and `runner` are the full names of
    its modules.

    `engine` is the distribution whose version is the engine's, `package` what pip installs for it,
    None where the system brings it. `builds` are distributions that bring the same engine, built
    for more devices. `tools` are further packages that its artifacts depend on.

    `precisions` are those that `--precision` may ask for; `limitation` says why others are missing.
    `opset` is the ONNX opset of its graphs. `suffixes` are the endings of an artifact's files; the
    engine opens the first. `typed` says that the file itself fixes the type of its float parts;
    where it does not, the engine is told. `on_device` artifacts are chosen and timed where they
    run, not where they are exported. `batch` is the number of frames that its further graphs take
    at once, for several sources: its runner then is a `BatchRunner`. `color` is the target's in
    charts, as #rrggbb.
    """

    name: str
    title: str
    maker: str
    runner: str
    engine: str
    package: str | None
    precisions: tuple[str, ...]
    opset: int
    suffixes: tuple[str, ...]
    color: str
    limitation: str = ""
    builds: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    synonyms: str = ""
    typed: bool = False
    on_device: bool = False
    batch: int = 1


# As many cameras as a robot has around it.
_BATCH: Final = 4
# Colors are dark enough for a printer without color, and told apart by those who see no red or
# green.
_ROWS: Final = (
    Target(
        name="onnxruntime",
        title="ONNX Runtime",
        maker="edgeseg.quantize.targets.onnxruntime",
        runner="edgeseg.runtime.backends.onnxruntime",
        engine="onnxruntime",
        package="onnxruntime",
        builds=("onnxruntime-gpu", "onnxruntime-openvino"),
        precisions=("fp32", "int8"),
        limitation="ONNX Runtime computes FP16 graphs in FP32 on a CPU",
        opset=20,
        suffixes=(".onnx",),
        color="#0072b2",
        synonyms="onnx ort cpu onnx-runtime",
    ),
    Target(
        name="openvino",
        title="OpenVINO",
        maker="edgeseg.quantize.targets.openvino",
        runner="edgeseg.runtime.backends.openvino",
        engine="openvino",
        package="openvino",
        tools=("nncf",),
        precisions=("fp32", "fp16", "int8"),
        opset=20,
        suffixes=(".xml", ".bin"),
        color="#c24a0e",
        synonyms="intel ov vino openvino-ir ir",
    ),
    Target(
        name="jetson",
        title="Jetson",
        maker="edgeseg.quantize.targets.jetson",
        runner="edgeseg.runtime.backends.jetson",
        engine="tensorrt",
        package=None,
        precisions=("fp32", "fp16", "int8"),
        opset=19,
        suffixes=(".onnx",),
        color="#555555",
        synonyms="tensorrt trt nano orin xavier tegra",
        typed=True,
        on_device=True,
        batch=_BATCH,
    ),
    Target(
        name="rtx",
        title="RTX",
        maker="edgeseg.quantize.targets.jetson",  # the same typed graphs
        runner="edgeseg.runtime.backends.rtx",
        engine="tensorrt-rtx-cu13-bindings",
        package="tensorrt-rtx-cu13-bindings",
        precisions=("fp32", "fp16", "int8"),
        opset=19,
        suffixes=(".onnx",),
        color="#3b7a1e",
        synonyms="tensorrt-rtx trt-rtx geforce nvidia cuda gpu desktop",
        typed=True,
        on_device=True,
        batch=_BATCH,
    ),
)

TARGETS: Final = {row.name: row for row in _ROWS}
DEFAULT_TARGET: Final = "onnxruntime"


def find_target(name: str) -> Target:
    """Find the row of a target.

    Raises:
        BackendError: this edgeseg has no such target.
    """
    if name not in TARGETS:
        raise BackendError(
            f"edgeseg has no target {name}, only {join_words(tuple(TARGETS))}; if a newer edgeseg "
            f"made the bundle, run: pip install --upgrade edgeseg"
        )
    return TARGETS[name]


def refuse_precision(target: Target, precision: str) -> str | None:
    """Explain why a target is never exported in a precision; None where it may be, as in `auto`."""
    if precision in {"auto", *target.precisions}:
        return None
    return target.limitation


def list_packages() -> tuple[str, ...]:
    """List all packages that the artifacts of any target depend on, as pip names them."""
    named = (name for row in TARGETS.values() for name in (row.package, *row.tools))
    return tuple(dict.fromkeys(name for name in named if name is not None))
