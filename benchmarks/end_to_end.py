"""From a 1280x720 frame to its 1280x720 mask: edgeseg against the transformers pipeline.

    python benchmarks/end_to_end.py CHECKPOINT IMAGES [--rounds 15]

A trained checkpoint is widened to 150 classes (see widened.py) and exported at 512x512 for ONNX
Runtime and OpenVINO. transformers' side is its processor, its model in PyTorch and its
`post_process_semantic_segmentation`. Every round all take the same frame in turns, on all cores.
Printed are the widened masks' properties, and for each engine the ratio of the times, the least
share of pixels that agree in a frame, and the share over all frames.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from alternating import alternate, compare, compute_medians, report
from msgspec.structs import replace
from PIL import Image
from widened import widen

from edgeseg.cli.scripts import check_inputs, run_script
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.images import read_image
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.runtime.segmenter import Segmenter

SIZE_WH = (1280, 720)
FRAMES = 15
BASELINE = "transformers"


def main() -> None:
    """Print a JSON line for the checkpoint, then one an engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("images", type=Path)
    parser.add_argument("--rounds", type=int, default=FRAMES)
    options = parser.parse_args()
    check_inputs(parser, options.checkpoint, options.images)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        wide = Path(folder) / "wide"
        report("widened", **widen(options.checkpoint, options.images, wide))
        ours = {
            name: stack.enter_context(segmenter)
            for name, segmenter in _open_segmenters(wide, Path(folder)).items()
        }
        measure(_open_transformers(wide), ours, _read_frames(options.images), rounds=options.rounds)


def measure(
    theirs: Callable[[np.ndarray], np.ndarray],
    ours: dict[str, Segmenter],
    frames: list[np.ndarray],
    *,
    rounds: int,
) -> None:
    """Compare masks on all frames, then the times."""
    expected = [theirs(frame) for frame in frames]
    equal = {
        name: [
            float((segmenter.segment(frame).mask == mask).mean())
            for frame, mask in zip(frames, expected, strict=True)
        ]
        for name, segmenter in ours.items()
    }
    calls: dict[str, Callable[[np.ndarray], object]] = {
        BASELINE: theirs,
        **{name: segmenter.segment for name, segmenter in ours.items()},
    }
    times = alternate({name: _time_in_turn(c, frames) for name, c in calls.items()}, rounds=rounds)
    for name, segmenter in ours.items():
        report(
            "end to end",
            engine=segmenter.backend.name,
            cores=os.cpu_count(),
            torch_threads=torch.get_num_threads(),
            median_ms=compute_medians({key: times[key] for key in (BASELINE, name)}),
            equal_pixels=round(float(np.mean(equal[name])), 6),
            equal_pixels_worst_frame=round(min(equal[name]), 6),
            frames=len(frames),
            **compare(times, baseline=BASELINE, ours=name),
        )


def _time_in_turn(
    call: Callable[[np.ndarray], object], frames: list[np.ndarray]
) -> Callable[[], None]:
    queue = itertools.cycle(frames)
    return lambda: (call(next(queue)), None)[1]


def _read_frames(folder: Path) -> list[np.ndarray]:
    """uint8 BGR (720, 1280, 3), spread over a folder."""
    paths = sorted(folder.iterdir())
    chosen = paths[:: max(1, len(paths) // FRAMES)][:FRAMES]
    images = [Image.fromarray(read_image(path)) for path in chosen]
    return [np.asarray(i.resize(SIZE_WH, Image.Resampling.BICUBIC)) for i in images]


def _open_segmenters(checkpoint: Path, folder: Path) -> dict[str, Segmenter]:
    """One an engine and float type."""
    found = {}
    for target in ("onnxruntime", "openvino"):
        request = ExportRequest(
            weights=str(checkpoint), target=target, folder=folder / target, precision="fp32"
        )
        bundle = export_bundle(request).bundle
        for compute in load_maker(target).float_types():
            variant = replace(bundle.chosen, compute=compute)
            found[f"{target} {compute}"] = Segmenter(bundle, variant=variant)
    return found


def _open_transformers(checkpoint: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The pipeline as its documentation has it, for one frame."""
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessorPil

    processor = SegformerImageProcessorPil.from_pretrained(checkpoint)
    model = SegformerForSemanticSegmentation.from_pretrained(checkpoint).float().eval()

    def segment(frame: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            inputs = processor(frame[:, :, ::-1], return_tensors="pt")
            outputs = model(**inputs)
            (mask,) = processor.post_process_semantic_segmentation(
                outputs, target_sizes=[frame.shape[:2]]
            )
        return mask.numpy()

    return segment


if __name__ == "__main__":
    run_script(main)
