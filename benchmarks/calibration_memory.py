"""Peak memory of calibration, for few and for many images.

    python benchmarks/calibration_memory.py [--model b0] [--side 512] [--images 50 500]

Each number in a process of its own: the growth of the peak over what was there before calibrating.
The frames are twenty drawn scenes in turns, read anew each time, and of every two one is in other
light, as in an export.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alternating import report

from edgeseg.calibration.light import light_every_other
from edgeseg.cli.scripts import run_script
from edgeseg.spec import InputSpec

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from edgeseg.pixels import Bgr


def main() -> None:
    """Print a JSON line for each engine and number of images."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="b0")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--images", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--one", choices=["onnxruntime", "openvino"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        calibrate(options.one, options.model, options.side, options.images[0])
        return
    for target in ("onnxruntime", "openvino"):
        for images in options.images:
            command = [sys.executable, __file__, "--one", target, "--model", options.model]
            subprocess.run(
                [*command, "--side", str(options.side), "--images", str(images)], check=True
            )


def calibrate(target: str, model: str, side: int, images: int) -> None:
    """Calibrate once, in this process."""
    from quantizing import observe_taps
    from seeded import model_spec, seeded_model

    from edgeseg.export.graph import GELU_OPSET
    from edgeseg.export.segformer.rewrites import rewrite
    from edgeseg.export.segformer.to_onnx import to_onnx
    from edgeseg.quantize.recipes import RECIPES
    from edgeseg.quantize.taps import estimate_bytes, find_taps
    from edgeseg.quantize.targets.openvino import quantize_openvino
    from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

    deployed = rewrite(
        seeded_model(model_spec(model, classes=19)), mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    graph = to_onnx(deployed, height=side, width=side, opset=GELU_OPSET)
    taps = find_taps(graph)
    spec = InputSpec(height=side, width=side)
    frames = light_every_other([partial(draw, i % 20, side) for i in range(images)], spec)
    before = read_peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        if target == "onnxruntime":
            observe_taps(graph, taps, frames, Path(folder))
        else:
            recipe = RECIPES["int8-linear"]
            quantize_openvino(graph, Path(folder) / "int8.xml", recipe, frames)
    report(
        "calibration_memory",
        target=target,
        model=model,
        side=side,
        images=images,
        expected_mb=round(estimate_bytes(graph, taps) / 1e6),
        grown_mb=round(read_peak_mb() - before),
        peak_mb=round(read_peak_mb()),
    )


def draw(seed: int, side: int) -> Bgr:
    """Draw a street of the network's size, uint8 (side, side, 3)."""
    from edgeseg.demo import draw_scene

    return draw_scene(seed, 0, height=side, width=side).image


def read_peak_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    run_script(main)
