"""`edgeseg bench`: times bundles in turns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli.options import (
    DeviceOption,
    JsonFlag,
    print_json,
    say,
    say_next_run,
    suggest_source,
)
from edgeseg.cli.progress import show_progress

__all__ = ["bench"]


def bench(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE", help="One or more bundles, timed in turns.")
    ],
    *,
    frames: Annotated[
        int, typer.Option(min=1, help="Frames to time per bundle, warm-up not counted.")
    ] = 50,
    end_to_end: Annotated[
        bool,
        typer.Option(
            "--end-to-end",
            help="Also measure how much of the engine's speed a whole run keeps, with frames of "
            "720x1280 (height x width).",
        ),
    ] = False,
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Time bundles in turns, on whole frames (prepare, infer, mask).

    Example: edgeseg bench street street-int8 --frames 100
    """
    from edgeseg.bench.latency import bench as bench_bundles
    from edgeseg.bench.throughput import measure_end_to_end as run_bundles
    from edgeseg.bundle.store import open_bundle
    from edgeseg.cli.answers.bench import bench_to_json, describe_bench, describe_end_to_end
    from edgeseg.verification.footprint import measure_peak_mb

    opened = [open_bundle(folder) for folder in bundles]
    with show_progress() as progress:
        results = bench_bundles(
            opened, frames=frames, memory=measure_peak_mb, device=device, progress=progress
        )
        whole = (
            run_bundles(opened, frames=frames, device=device, progress=progress)
            if end_to_end
            else []
        )
    fastest = opened[min(range(len(results)), key=lambda place: results[place].p50_ms)]
    for line in (*describe_bench(results), *describe_end_to_end(whole)):
        say(line)
    say_next_run(fastest.folder, fastest.manifest.input.channels, *suggest_source(), device=device)
    if json:
        print_json(bench_to_json(results, whole))
