"""`edgeseg verify`: a bundle is measured, and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.commands.shared import (
    EXIT_GATE_MISSED,
    DataOption,
    JsonFlag,
    MaxClassDropOption,
    MaxDropOption,
    MinAgreementOption,
    SplitOption,
    limits_from,
    print_json,
    say,
    watched,
)

if TYPE_CHECKING:
    from edgeseg.datasets import Dataset

__all__ = ["verify"]


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    *,
    data: DataOption = None,
    split: SplitOption = None,
    reference: Annotated[
        str | None,
        typer.Option(help="A bundle, or a checkpoint at this bundle's size, to compare with."),
    ] = None,
    max_drop: MaxDropOption = None,
    max_class_drop: MaxClassDropOption = None,
    min_agreement: MinAgreementOption = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Images that cannot be measured, and classes that differ, are errors."
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Replay a bundle's golden frames and measure it on a data set; exit 3 if a gate is missed.

    Example: edgeseg verify street --data camvid --split test --reference segformer_b0/
    """
    from edgeseg.bundle import open_bundle
    from edgeseg.progress import track
    from edgeseg.runtime.build import variant_here
    from edgeseg.summaries import verify_json, verify_lines
    from edgeseg.verify import open_reference
    from edgeseg.verify import verify as verify_bundle

    if data is None and (reference is not None or split is not None):
        raise typer.BadParameter("--reference and --split need --data")
    if reference is None and {max_drop, max_class_drop, min_agreement} != {None}:
        raise typer.BadParameter("gates on a drop or an agreement need --reference")
    opened = open_bundle(bundle)
    with watched() as watcher:
        variant = variant_here(opened, watcher=watcher)
    report = verify_bundle(
        opened,
        variant=variant,
        dataset=_dataset(data, split),
        reference=None if reference is None else open_reference(reference, opened),
        limits=limits_from(max_drop, max_class_drop, min_agreement),
        strict=strict,
        track=track,
    )
    for line in verify_lines(report):
        say(line)
    if json:
        print_json(verify_json(report))
    if not report.passed:
        raise typer.Exit(EXIT_GATE_MISSED)
    say(f"next: edgeseg run {bundle} --camera 0")


def _dataset(data: str | None, split: str | None) -> Dataset | None:
    from edgeseg.datasets import open_dataset

    return None if data is None else open_dataset(data, split=split)
