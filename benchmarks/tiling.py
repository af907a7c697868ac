"""What `run --tile` wins on a picture that is larger than the network, and what it costs.

    python benchmarks/tiling.py [BUNDLE] [--height 4000] [--width 6000]
    python benchmarks/tiling.py BUNDLE --overlaps 0,0.25,0.5

The picture is a mosaic of demo scenes, 512 pixels high and wide, as the demo model was trained on;
their drives are those of the test split, which it never saw. So the truth of each pixel is known,
and the scale is right. Tiles lie across the seams of the mosaic. The picture is segmented squashed
to the network's input, and in tiles, each in a process of its own: mIoU, seconds for the picture,
and the process's peak memory.

With `--overlaps` it measures instead what tiles that overlap by each of these parts of their side
make of the test split's single scenes, which have no seams. The bundle takes less than 512x512:
`edgeseg export --model b0 --size 192x192 --precision fp32 -o BUNDLE`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from alternating import report

from edgeseg.accuracy.metrics import Confusion, confusion, mean_iou
from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import run_script
from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.demo.splits import DEMO_SPLITS, SIDE
from edgeseg.pixels import Bgr, ClassMap, Logits, to_input
from edgeseg.pixels.tiles import find_stride, segment_tiles
from edgeseg.pixels.windows import list_windows
from edgeseg.runtime.segmenter import Segmenter


def main() -> None:
    """Print a JSON line for each way, and for each overlap that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, default=find_demo_bundle())
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--overlaps", help="parts of a tile's side, such as 0,0.25,0.5")
    parser.add_argument("--segment", help=argparse.SUPPRESS)  # what a process of its own does
    parser.add_argument("--picture", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.segment is not None:
        measure_here(options.bundle, options.picture, options.segment)
        return
    if options.overlaps is not None:
        measure_overlaps(options.bundle, [float(one) for one in options.overlaps.split(",")])
        return
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.npz"
        image, truth = draw_mosaic(options.height, options.width)
        np.savez(picture, image=image, truth=truth)
        for way in ("squashed", "tiled"):
            arguments = [str(options.bundle), "--picture", str(picture), "--segment", way]
            subprocess.run([sys.executable, __file__, *arguments], check=True)


def draw_mosaic(height: int, width: int) -> tuple[Bgr, ClassMap]:
    """Draw scenes side by side and one below the other, and cut them to the size."""
    rows, columns = -(-height // SIDE), -(-width // SIDE)
    frames = iter(DEMO_SPLITS["test"].frames(rows * columns))
    image = np.empty((rows * SIDE, columns * SIDE, 3), np.uint8)
    truth = np.empty((rows * SIDE, columns * SIDE), np.uint8)
    for top in range(0, rows * SIDE, SIDE):
        for left in range(0, columns * SIDE, SIDE):
            scene = draw_scene(*next(frames), height=SIDE, width=SIDE)
            place = (slice(top, top + SIDE), slice(left, left + SIDE))
            image[place], truth[place] = scene.image, scene.mask
    return np.ascontiguousarray(image[:height, :width]), truth[:height, :width]


def measure_here(bundle: Path, picture: Path, way: str) -> None:
    """Segment the picture in this process; print accuracy, time and peak."""
    with np.load(picture) as arrays:
        image, truth = arrays["image"], arrays["truth"]
    with Segmenter(open_bundle(bundle)) as segmenter:
        spec = segmenter.input
        segmenter.segment(image[: spec.height, : spec.width])  # warm up
        begun = time.perf_counter()
        mask = segmenter.segment(image, tile=way == "tiled").mask
        seconds = time.perf_counter() - begun
        peak = read_peak_bytes()  # before pixels are counted, which takes more
        report(
            way,
            picture=list(image.shape[:2]),
            network=[spec.height, spec.width],
            variant=segmenter.variant.name,
            miou=round(mean_iou(count_pixels(segmenter, truth, mask)), 2),
            seconds=round(seconds, 2),
            peak_mb=round(peak / 1e6),
        )


def measure_overlaps(bundle: Path, overlaps: list[float]) -> None:
    """Segment the single scenes with each overlap."""
    scenes = [draw_scene(*one, height=SIDE, width=SIDE) for one in DEMO_SPLITS["test"].frames()]
    with Segmenter(open_bundle(bundle)) as segmenter:
        spec = segmenter.input

        def look(part: Bgr) -> Logits:
            return segmenter.backend.infer(to_input(part, spec))

        for overlap in overlaps:
            begun = time.perf_counter()
            masks = [segment_tiles(look, spec, scene.image, overlap=overlap) for scene in scenes]
            seconds = time.perf_counter() - begun
            counts = sum(
                count_pixels(segmenter, scene.mask, mask)
                for scene, mask in zip(scenes, masks, strict=True)
            )
            report(
                "overlap",
                scene=[SIDE, SIDE],
                network=[spec.height, spec.width],
                overlap=overlap,
                windows=count_windows(spec.height, overlap) * count_windows(spec.width, overlap),
                miou=round(mean_iou(counts), 2),
                ms_a_scene=round(1e3 * seconds / len(scenes)),
            )


def count_windows(side: int, overlap: float) -> int:
    """Count the windows along a scene's side."""
    return len(list_windows(SIDE, window_px=side, stride_px=find_stride(side, overlap)))


def count_pixels(segmenter: Segmenter, truth: ClassMap, mask: ClassMap) -> Confusion:
    """Count the pixels of a mask by true and by found class."""
    labels = segmenter.bundle.manifest.labels
    classes, ignored = len(labels.classes), labels.ignore_index
    return confusion(truth, mask, classes=classes, ignore_index=ignored)


def read_peak_bytes() -> int:
    """Read the peak of this program, on Linux."""
    status = Path("/proc/self/status").read_text("ascii")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    run_script(main)
