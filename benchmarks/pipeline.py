"""How much of the engine's speed a run keeps: prepare and masks beside it, in threads of their own.

    python benchmarks/pipeline.py VIDEO [BUNDLE ...] [--threads 1] [--rounds 5]

The engine alone and the whole run take turns; `ratio` is run / engine. With `--threads 1` the other
core is left to the host. Without a bundle it is the packaged demo's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from alternating import report

from edgeseg.bundle import open_bundle
from edgeseg.demo.assets import demo_bundle
from edgeseg.pixels import to_input
from edgeseg.runtime.pipeline import run
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import open_source

ALONE = 30
WARM_UP = 3


def main() -> None:
    """Print a JSON line a bundle."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("bundles", nargs="*", type=Path, default=[demo_bundle()])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for folder in options.bundles:
        with Segmenter(open_bundle(folder), threads=options.threads) as segmenter:
            pairs = [measure(segmenter, options.video) for _ in range(options.rounds)]
            ratios = [whole / alone for alone, whole in pairs]
            report(
                "pipeline",
                bundle=folder.name,
                engine=segmenter.backend.name,
                engine_fps=round(float(np.median([alone for alone, _ in pairs])), 2),
                run_fps=round(float(np.median([whole for _, whole in pairs])), 2),
                ratio=round(float(np.median(ratios)), 3),
                lowest=round(min(ratios), 3),
                rounds=len(pairs),
            )


def measure(segmenter: Segmenter, video: str) -> tuple[float, float]:
    """Frames a second of the engine alone, and of a run without outputs."""
    with open_source(video) as source:
        first = to_input(next(source.frames).image, segmenter.bundle.manifest.input)
    for _ in range(WARM_UP):
        segmenter.backend.infer(first)
    begun = time.perf_counter()
    for _ in range(ALONE):
        segmenter.backend.infer(first)
    alone = ALONE / (time.perf_counter() - begun)
    with open_source(video) as source:
        return alone, run(segmenter, source, []).fps


if __name__ == "__main__":
    main()
