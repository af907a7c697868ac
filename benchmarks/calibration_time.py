"""Time of calibrating on images, in times of inferring them.

    python benchmarks/calibration_time.py [--model b0] [--side 512] [--images 30] [--rounds 3]
        [--targets onnxruntime jetson openvino]

Each round infers all images in FP32 with the target's engine (ONNX Runtime for jetson), then
calibrates on the same ones, of which every other is in other light, as in an export. Ratios are of
processor time, which other work on the machine disturbs less than the clock. `fixed_s` is what
calibrating on two images takes: opening engines, reading the graph; `per_image` leaves it out. The
frames are twenty drawn scenes in turns, and lie in memory. Reading and choosing images is timed
beside it, on the demo's own as files.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from alternating import report

from edgeseg.calibration.light import light_every_other
from edgeseg.cli.scripts import run_script
from edgeseg.spec import InputSpec

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

TARGETS = ("onnxruntime", "jetson", "openvino")
# What calibrating takes on this many images is taken as fixed.
FEW = 2

Frames = Sequence["Callable[[], Frame]"]


def main() -> None:
    """Print a JSON line for each target, and one for the choice of images."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="b0")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    options = parser.parse_args()
    graph = make_float_graph(options.model, options.side)
    drawn = draw_scenes(min(20, options.images), options.side)
    frames = [partial(drawn.__getitem__, i % len(drawn)) for i in range(options.images)]
    images = [partial(frame.squeeze, 0) for frame in drawn]
    reads = [images[i % len(images)] for i in range(options.images)]
    lit = light_every_other(reads, InputSpec(height=options.side, width=options.side))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "fp32.onnx"
        source.write_bytes(graph.SerializeToString())
        for target in options.targets:
            found = compare(target, graph, source, frames, lit, rounds=options.rounds)
            report(
                "calibration_time",
                target=target,
                model=options.model,
                side=options.side,
                images=options.images,
                **found,
            )
        report("calibration_choice", side=options.side, **time_choosing(drawn, folder / "images"))


def compare(
    target: str, graph: ModelProto, source: Path, frames: Frames, lit: Frames, *, rounds: int
) -> dict[str, object]:
    """Infer the frames, and calibrate on the lit ones: medians over the rounds, and of ratios."""
    from edgeseg.runtime.backends.backend import open_artifact

    infer_s, whole_s, few_s = [], [], []
    engine = "onnxruntime" if target == "jetson" else target
    with closing(open_artifact(engine, source, compute="f32")) as backend:
        backend.infer(frames[0]())
        calibrate(target, graph, lit[:FEW])  # imports what it needs
        for _ in range(rounds):
            infer_s.append(measure_cpu_s(lambda: [backend.infer(frame()) for frame in frames]))
            whole_s.append(measure_cpu_s(lambda: calibrate(target, graph, lit)))
            few_s.append(measure_cpu_s(lambda: calibrate(target, graph, lit[:FEW])))
    infer, whole, few = (np.array(times) for times in (infer_s, whole_s, few_s))
    per_image = (whole - few) / (len(frames) - FEW) * len(frames) / infer
    return {
        "infer_s": round(float(np.median(infer)), 2),
        "calibrate_s": round(float(np.median(whole)), 2),
        "fixed_s": round(float(np.median(few)), 2),
        "ratio": round(float(np.median(whole / infer)), 2),
        "per_image": round(float(np.median(per_image)), 2),
    }


def calibrate(target: str, graph: ModelProto, frames: Frames) -> None:
    """Once, as an export does for its first INT8 candidate."""
    from quantizing import observe_taps

    from edgeseg.calibration.ranges import percentile
    from edgeseg.quantize.recipes import RECIPES
    from edgeseg.quantize.taps import find_floats, find_taps
    from edgeseg.quantize.targets.openvino import quantize_openvino

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if target == "openvino":
            recipe = RECIPES["int8-linear"]
            quantize_openvino(graph, folder / "int8.xml", recipe, frames)
            return
        taps = (find_floats if target == "jetson" else find_taps)(graph)
        for statistics in observe_taps(graph, taps, frames, folder).values():
            percentile(statistics)


def time_choosing(images: Sequence[Frame], folder: Path) -> dict[str, object]:
    """Milliseconds an image for reading a JPEG, and for reading, describing and hashing it."""
    from PIL import Image

    from edgeseg.calibration.sets import choose_calibration_set
    from edgeseg.images import read_image

    folder.mkdir()
    for index, frame in enumerate(images):
        Image.fromarray(frame[0, :, :, ::-1].copy()).save(folder / f"{index}.jpg", quality=95)
    paths = sorted(folder.iterdir())
    return {
        "images": len(paths),
        "read_ms": round(
            1e3 * measure_cpu_s(lambda: [read_image(p) for p in paths]) / len(paths), 2
        ),
        "choose_ms": round(
            1e3 * measure_cpu_s(lambda: choose_calibration_set(str(folder))) / len(paths), 2
        ),
    }


def make_float_graph(model: str, side: int) -> ModelProto:
    """A seeded network as it is deployed."""
    from seeded import model_spec, seeded_model

    from edgeseg.export.graph import GELU_OPSET
    from edgeseg.export.segformer.rewrites import rewrite
    from edgeseg.export.segformer.to_onnx import to_onnx
    from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

    deployed = rewrite(
        seeded_model(model_spec(model, classes=19)), mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    return to_onnx(deployed, height=side, width=side, opset=GELU_OPSET)


def draw_scenes(count: int, side: int) -> list[Frame]:
    """Drawn streets as the network's input."""
    from edgeseg.demo import draw_scene

    return [draw_scene(seed, 0, height=side, width=side).image[None] for seed in range(count)]


def measure_cpu_s(call: Callable[[], object]) -> float:
    """Seconds of processor time in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    run_script(main)
