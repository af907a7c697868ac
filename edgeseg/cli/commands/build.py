"""`edgeseg build`: finds the variant that is fastest on this machine."""

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

__all__ = ["build"]


def build(
    bundle: Annotated[Path, typer.Argument(help="Bundle to build.")],
    *,
    device: DeviceOption = "auto",
    json: JsonFlag = False,
) -> None:
    """Prove and time a bundle's variants on this machine, and remember the fastest.

    Example: edgeseg build street
    """
    from edgeseg.bundle.store import open_bundle
    from edgeseg.cli.answers.build import build_to_json, describe_build
    from edgeseg.runtime.proving.build import build as build_bundle
    from edgeseg.runtime.proving.remember import recall_variant

    with show_progress() as progress:
        opened = open_bundle(bundle)
        results = build_bundle(opened, device=device, progress=progress)
    kept = recall_variant(opened, device=device) is not None
    for line in describe_build(results, kept=kept):
        say(line)
    say_next_run(bundle, opened.manifest.input.channels, *suggest_source(), device=device)
    if json:
        print_json(build_to_json(results, kept=kept))
