"""INT8 against FP32 on the same graph: how much faster, how much of it INT8.

    python benchmarks/int8.py [--models b0 b2] [--rounds 21] [--side 512]

Random weights, 150 classes, ranges from a few drawn scenes: for speed, not for accuracy. ONNX
Runtime runs the recipe int8-linear; OpenVINO NNCF's form of int8-no-softmax, its float parts in f32
and in what 16-bit float the CPU has. ONEDNN_MAX_CPU_ISA limits OpenVINO to older instructions.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alternating import alternate, compare, compute_medians, report
from quantizing import observe_taps

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from seeded import model_spec, seeded_model

from edgeseg.calibration.ranges import ESTIMATORS
from edgeseg.cli.scripts import run_script
from edgeseg.demo import draw_scene
from edgeseg.errors import BackendError
from edgeseg.export.graph import GELU_OPSET
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.qdq import to_qdq
from edgeseg.quantize.recipes import RECIPES
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.taps import find_taps
from edgeseg.quantize.targets.openvino import quantize_openvino
from edgeseg.runtime.backends.backend import Backend, open_artifact
from edgeseg.runtime.backends.openvino import list_float_types
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from edgeseg.pixels import Frame

CLASSES = 150


def main() -> None:
    """Print a JSON line for each model, engine and float type."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["b0", "b2"])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--side", type=int, default=512)
    options = parser.parse_args()
    for variant in options.models:
        with tempfile.TemporaryDirectory() as folder:
            measure(variant, Path(folder), side=options.side, rounds=options.rounds)


def measure(variant: str, folder: Path, *, side: int, rounds: int) -> None:
    """Compare one model on both engines."""
    deployed = rewrite(
        seeded_model(model_spec(variant, classes=CLASSES)), mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    graph = to_onnx(deployed, height=side, width=side, opset=GELU_OPSET)
    fp32 = folder / "fp32.onnx"
    fp32.write_bytes(graph.SerializeToString())
    frames = [partial(draw_frame, seed, side) for seed in range(4)]
    found = observe_taps(graph, find_taps(graph), frames, folder)
    ranges = {name: ESTIMATORS["percentile"](s) for name, s in found.items()}
    qdq = folder / "int8.onnx"
    qdq.write_bytes(to_qdq(graph, RECIPES["int8-linear"], ranges).SerializeToString())
    nncf = folder / "int8.xml"
    quantize_openvino(graph, nncf, RECIPES["int8-no-softmax"], frames)
    compute = [c for c in list_float_types() if c != "f32"]
    contests = {
        "onnxruntime": {"fp32": (fp32, "f32"), "int8": (qdq, "f32")},
        "openvino": {
            "fp32": (fp32, "f32"),
            **{c: (fp32, c) for c in compute},
            "int8": (nncf, "f32"),
            **{f"int8+{c}": (nncf, c) for c in compute},
        },
    }
    for target, entries in contests.items():
        engines = open_all(target, entries)
        frame = frames[0]()
        times = alternate({n: make_runner(e, frame) for n, e in engines.items()}, rounds=rounds)
        for name, (path, _) in entries.items():
            if name == "fp32" or name not in engines:
                continue
            report(
                "int8",
                model=variant,
                side=side,
                classes=CLASSES,
                engine=engines[name].name,
                onednn_limited_to=os.environ.get("ONEDNN_MAX_CPU_ISA"),
                variant=name,
                int8_share=round(int8_share(path), 3),
                median_ms=compute_medians(times),
                **compare(times, baseline="fp32", ours=name),
            )


def open_all(target: str, entries: Mapping[str, tuple[Path, str]]) -> dict[str, Backend]:
    """Those that the engine takes: limited, oneDNN refuses types that OpenVINO believes it has."""
    tried = {name: open_or_none(target, *entry) for name, entry in entries.items()}
    return {name: engine for name, engine in tried.items() if engine is not None}


def open_or_none(target: str, path: Path, compute: str) -> Backend | None:
    """An engine, or a line that says why there is none."""
    try:
        return open_artifact(target, path, compute=compute)
    except BackendError as error:
        limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
        report("int8", file=path.name, compute=compute, onednn_limited_to=limit, refused=str(error))
        return None


def draw_frame(seed: int, side: int) -> Frame:
    """A scene as the network's input."""
    return draw_scene(seed, 0, height=side, width=side).image[None]


def make_runner(engine: Backend, frame: Frame) -> Callable[[], object]:
    """One inference."""
    return lambda: engine.infer(frame)


if __name__ == "__main__":
    run_script(main)
