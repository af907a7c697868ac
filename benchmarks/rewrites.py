"""The deployed graph against transformers, in PyTorch and as transformers' own ONNX export.

    python benchmarks/rewrites.py [--models b0 b2] [--rounds 11]

The same seeded weights, 150 classes, 512x512, all cores. transformers' model is exported by both of
torch's exporters, and the faster of the two is the baseline. Ours also casts and normalizes the
camera's uint8 image, which the others are given ready.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from alternating import alternate, compare, compute_medians, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from seeded import normalized, random_image, transformers_model, twin_of

from edgeseg.cli.scripts import run_script
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

SIDE, CLASSES = 512, 150


class LogitsOnly(torch.nn.Module):
    """transformers' model with a tensor for an output, as an exporter wants it."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=pixels).logits


def main() -> None:
    """Print a JSON line a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["b0", "b2"])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    for variant in options.models:
        with tempfile.TemporaryDirectory() as folder:
            measure(variant, Path(folder), rounds=options.rounds)


def measure(variant: str, folder: Path, *, rounds: int) -> None:
    """Compare one model."""
    oracle = transformers_model(variant, classes=CLASSES)
    image = random_image(SIDE, SIDE)
    pixels = normalized(image, torch.float32).contiguous()
    deployed = rewrite(twin_of(oracle), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    ours = to_onnx(deployed, height=SIDE, width=SIDE)
    (folder / "ours.onnx").write_bytes(ours.SerializeToString())

    def in_pytorch() -> np.ndarray:
        with torch.inference_mode():
            return oracle(pixels).logits.numpy()

    candidates: dict[str, Callable[[], np.ndarray]] = {"transformers in PyTorch": in_pytorch}
    for name, dynamo in (("dynamo", True), ("torchscript", False)):
        path = folder / f"{name}.onnx"
        export(LogitsOnly(oracle).eval(), pixels, path, dynamo=dynamo)
        candidates[f"transformers' ONNX ({name})"] = make_runner(path, pixels.numpy())
    candidates["edgeseg"] = make_runner(folder / "ours.onnx", image.numpy())

    expected = in_pytorch()
    for name, call in candidates.items():
        difference = float(np.abs(call() - expected).max() / expected.std())
        assert difference < 1e-4, f"{name} differs by {difference} standard deviations"
    times = alternate(candidates, rounds=rounds)
    exports = [name for name in candidates if "ONNX" in name]
    faster_export = min(exports, key=lambda name: float(np.median(times[name])))
    report(
        "rewrites",
        model=variant,
        size=[SIDE, SIDE],
        classes=CLASSES,
        onnxruntime=onnxruntime.__version__,
        threads=torch.get_num_threads(),
        median_ms=compute_medians(times),
        comparisons=[
            compare(times, baseline=name, ours="edgeseg")
            for name in ("transformers in PyTorch", faster_export)
        ],
    )


def export(model: torch.nn.Module, pixels: torch.Tensor, path: Path, *, dynamo: bool) -> None:
    """Torch's own exporters, without what they print."""
    logging.disable(logging.WARNING)
    quiet = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(quiet):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (pixels,),
                str(path),
                dynamo=dynamo,
                opset_version=18 if dynamo else 17,
                external_data=False,
            )
    finally:
        logging.disable(logging.NOTSET)


def make_runner(path: Path, data: np.ndarray) -> Callable[[], np.ndarray]:
    """A session with ONNX Runtime's defaults: all optimizations, all cores."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: data})[0]


if __name__ == "__main__":
    run_script(main)
