"""What a share of a data set costs, for the arithmetic of docs/scale.md.

    python benchmarks/scale.py BUNDLE DATASET [--split test] [--images 100] [--shares 500]
        [--part 100000]

Seconds of one core for an image (read, candidate and reference with one engine thread, counted),
the bytes of a share's result for an image, what handing out a share that holds nothing takes in a
Dask cluster of one worker on this machine, and the seconds for the intervals of a part of so many
images, with counts drawn at random.
"""

from __future__ import annotations

import argparse
import pickle
import time
from itertools import cycle, islice

import numpy as np
from alternating import report

from edgeseg.accuracy.bootstrap import estimate_losses
from edgeseg.accuracy.tally import collect_tally, make_image_tally
from edgeseg.cli.scripts import run_script
from edgeseg.datasets import match_classes, open_dataset
from edgeseg.progress import SILENT
from edgeseg.verification.cluster import Cluster
from edgeseg.verification.measuring import Pair, measure_share
from edgeseg.verification.opening import open_model, open_own_reference
from edgeseg.verification.worker import count_share


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("data")
    parser.add_argument("--split")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--shares", type=int, default=500)
    parser.add_argument("--part", type=int, default=100_000)
    options = parser.parse_args()
    candidate = open_model(options.bundle, threads=1)
    pair = Pair(candidate=candidate, reference=open_own_reference(candidate), protocol="ss")
    matched, _ = match_classes(open_dataset(options.data, split=options.split), candidate.labels)
    items = list(islice(cycle(matched.items), options.images))
    measure_share(pair, items[:5], strict=False)  # warm up
    begun = time.perf_counter()
    share = measure_share(pair, items, strict=False)
    seconds = time.perf_counter() - begun
    report(
        "scale",
        bundle=candidate.about.name,
        classes=len(candidate.labels.classes),
        reference=pair.reference is not None,
        images=len(items),
        core_seconds_an_image=round(seconds / len(items), 4),
        result_bytes_an_image=round(len(pickle.dumps(share)) / len(items)),
        ms_to_hand_out_a_share=round(time_handing_out(pair, options.shares), 2),
        part=options.part,
        seconds_for_its_intervals=round(
            time_intervals(options.part, len(candidate.labels.classes)), 1
        ),
    )


def time_intervals(images: int, classes: int) -> float:
    """Seconds of resampling two models' counts."""
    random = np.random.default_rng(0)
    labelled = random.integers(1000, 20_000, (images, classes))
    names = np.arange(classes)
    sides = [
        collect_tally(
            [make_image_tally(names, (share * row).astype(np.int64), row, row) for row in labelled],
            classes=classes,
        )
        for share in (0.8, 0.79)
    ]
    begun = time.perf_counter()
    estimate_losses(*sides, family=np.ones(classes, bool))
    return time.perf_counter() - begun


def time_handing_out(pair: Pair, shares: int) -> float:
    """Milliseconds a share, all submitted at once."""
    from distributed import Client, LocalCluster, wait

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as local,
        Client(local) as client,
    ):
        first = open_dataset("demo").items[0]
        work = Cluster(client, SILENT).describe_work(pair, first, strict=False)
        begun = time.perf_counter()
        wait([client.submit(count_share, work, (), None, pure=False) for _ in range(shares)])
        return 1e3 * (time.perf_counter() - begun) / shares


if __name__ == "__main__":
    run_script(main)
