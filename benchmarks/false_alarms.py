"""How often two models that differ by chance alone would be told apart.

    python benchmarks/false_alarms.py REPORT.json [--repetitions 500] [--images 10]

In each repetition candidate and reference of the report change places in about half of its images,
drawn at random. What is left between the sides is chance, so each loss that is called certain is a
false alarm. Of an interval of 95 %, one side misses in 2.5 % of the repetitions. With `--images` a
repetition looks at so many of the images, drawn at random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from alternating import report as print_line

from edgeseg.accuracy.bootstrap import estimate_losses
from edgeseg.accuracy.tally import ImageTally, Tally, collect_tally, make_image_tally
from edgeseg.cli.scripts import run_script
from edgeseg.reports.report import Report, read_report


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--images", type=int)
    options = parser.parse_args()
    whole = read_report(options.report)
    images = options.images or whole.images
    family = np.array([result.counted for result in whole.classes])
    random = np.random.default_rng(0)
    worse = {"miou": 0, "any_class": 0, "any_class_alone": 0}
    for _ in range(options.repetitions):
        seen = np.zeros(whole.images, np.bool_)
        seen[random.choice(whole.images, images, replace=False)] = True
        sides = [
            side.select(seen, range(len(whole.classes)))
            for side in swap_sides(whole, random.random(whole.images) < 0.5)
        ]
        found = estimate_losses(*sides, family=family)
        worse["miou"] += found.miou_interval.low > 0
        worse["any_class"] += bool((found.class_intervals[family, 0] > 0).any())
        worse["any_class_alone"] += any(
            estimate_losses(
                *(side.select(np.ones(images, np.bool_), [place]) for side in sides),
                family=np.ones(1, bool),
            ).class_intervals[0, 0]
            > 0
            for place in np.flatnonzero(family & (sides[0].shown > 0))
        )
    print_line(
        "false_alarms",
        images=images,
        classes=int(family.sum()),
        repetitions=options.repetitions,
        **{f"{name}_called_worse": n / options.repetitions for name, n in worse.items()},
    )


def swap_sides(report: Report, swap: npt.NDArray[np.bool_]) -> tuple[Tally, Tally]:
    """Both sides' counts, with candidate and reference in each other's place where `swap` says."""
    sides: tuple[list[ImageTally], list[ImageTally]] = ([], [])
    for image, other in zip(report.per_image, swap, strict=True):
        if image.reference_hits is None or image.reference_predicted is None:
            raise SystemExit("the report has no reference")
        own = make_image_tally(image.classes, image.hits, image.labelled, image.predicted)
        theirs = make_image_tally(
            image.classes, image.reference_hits, image.labelled, image.reference_predicted
        )
        for side, values in zip(sides, (own, theirs) if other else (theirs, own), strict=True):
            side.append(values)
    before, after = (collect_tally(side, classes=len(report.classes)) for side in sides)
    return before, after


if __name__ == "__main__":
    run_script(main)
