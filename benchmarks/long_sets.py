"""Memory and time of what follows the segmentation of a long data set, step by step.

    python benchmarks/long_sets.py [--images 100000] [--classes 150] [--shown 10]

No image is read and no network runs: small masks are made up, of so many `--shown` classes each.
Everything after that is what `edgeseg verify --report --baseline` does: masks are counted in shares
as a cluster's workers count them, joined, drawn again for the intervals, made a report, written,
read again as a baseline and compared. Each line has the seconds of its step, the largest memory
during the step, and the memory after it, in MB (10^6 bytes) of this process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from alternating import report as print_line

from edgeseg.accuracy.counts import Counts, Masks
from edgeseg.accuracy.limits import Limits
from edgeseg.cli.scripts import run_script
from edgeseg.datasets import FilePair
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.labels import Labels
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import list_tools
from edgeseg.reports.report import Data, Report, Subject, read_report
from edgeseg.reports.writing import write_reports
from edgeseg.verification.baseline import compare_reports
from edgeseg.verification.findings import (
    make_accuracy_fields,
    make_image_results,
    rank_hardest_first,
)
from edgeseg.verification.reader import Measured

SHARE = 64  # images, as a cluster's
SCENES = 50  # different layouts of regions; the classes in them differ from image to image
SIDE = 48  # pixels
STRAYS = 2  # classes that a model sees where they are not


def main() -> None:
    """Print a JSON line a step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=150)
    parser.add_argument("--shown", type=int, default=10)
    options = parser.parse_args()
    names = tuple(f"class {index}" for index in range(options.classes))
    labels = Labels(classes=names, palette=((0, 0, 0),) * options.classes)
    with step("listing the images"):
        measured = list_images(options.images)
    with step("counting and joining shares"):
        counts = Counts(labels, ignore_index=labels.ignore_index)
        for part in count_parts(labels, options.images, options.shown):
            counts.include(part)
    with step("drawing images again"):
        fields = make_accuracy_fields(counts)
    with step("making rows"):
        rows = make_image_results(counts, measured)
        rank_hardest_first(counts, rows)
        report = make_report(fields, rows)
    with tempfile.TemporaryDirectory() as folder:
        with step("writing the report"):
            write_reports(Path(folder), report, labels=labels, pictures=[])
        with step("reading the baseline"):
            baseline = read_report(Path(folder) / "report.json")
        with step("comparing with the baseline"):
            compare_reports(report, baseline, origin=Path("report.json"), limits=Limits())


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what the block took."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    print_line(
        "long_sets",
        step=name,
        seconds=round(seconds, 1),
        peak_mb=round(read_status("VmHWM")),
        after_mb=round(read_status("VmRSS")),
    )


def read_status(field: str) -> float:
    """Read a field of this process's status, in MB."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1]) / 1e6


def list_images(images: int) -> list[Measured]:
    """List files that are not there, with hashes that are made up."""
    root = Path("/data/street")
    return [
        Measured(
            FilePair(
                root / "images" / f"{index:08d}.jpg",
                MaskFile(root / "masks" / f"{index:08d}.png"),
            ),
            f"{index:064x}",
        )
        for index in range(images)
    ]


def count_parts(labels: Labels, images: int, shown: int) -> Iterator[Counts]:
    """Count made-up masks, in parts of `SHARE` images."""
    random = np.random.default_rng(0)
    scenes = [draw_scene(random, shown) for _ in range(SCENES)]
    for start in range(0, images, SHARE):
        part = Counts(labels, ignore_index=labels.ignore_index)
        for index in range(start, min(start + SHARE, images)):
            classes = random.choice(len(labels.classes), shown + STRAYS, replace=False)
            names = classes.astype(np.uint8 if len(labels.classes) <= 256 else np.uint16)
            part.add(Masks(*(names[mask] for mask in scenes[index % SCENES])))
        yield part


def draw_scene(random: np.random.Generator, shown: int) -> Masks:
    """Draw a truth of `shown` regions, and two masks that miss some pixels of it."""
    coarse = np.resize(random.permutation(shown), (-(-shown // 4), 4))
    rows, columns = np.indices((SIDE, SIDE))
    truth = coarse[rows * len(coarse) // SIDE, columns * 4 // SIDE]
    sides = [
        np.where(
            random.random(truth.shape) < missed,
            random.integers(0, shown + STRAYS, truth.shape),
            truth,
        )
        for missed in (0.10, 0.11)
    ]
    return Masks(truth, *sides)


def make_report(fields: dict[str, object], rows: tuple[object, ...]) -> Report:
    """Make the report of models that do not exist."""
    subject = Subject(
        kind="bundle", name="street", sha256="0" * 64, model="b0", target="onnxruntime",
        variant="int8", precision="int8", engine="none", height=512, width=512, license="none",
    )  # fmt: skip
    return Report(
        passed=None,
        created="2026-01-01T00:00:00+00:00",
        candidate=subject,
        reference=subject,
        data=Data(name="street", split=None, sha256="0" * 64),
        gates=(),
        machine=describe_machine(),
        tools=list_tools(),
        per_image=rows,
        **fields,
    )


if __name__ == "__main__":
    run_script(main)
