"""`edgeseg verify`: a bundle is measured, compared and judged."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.options import (
    EXIT_GATE_MISSED,
    DaskOption,
    DataOption,
    JsonFlag,
    MaxClassDropOption,
    MaxDropOption,
    MinAgreementOption,
    SplitOption,
    ThreadsOption,
    a_source,
    given_limits,
    say,
    say_next,
)
from edgeseg.cli.progress import show_progress
from edgeseg.cli.reading import (
    ChannelOrderOption,
    MeanOption,
    ResizeOption,
    StdOption,
    overrides_from,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeseg.overrides import Overrides
    from edgeseg.verification.request import Asked

__all__ = ["verify"]


class ProtocolName(str, Enum):
    """How an image becomes a mask."""

    SS = "ss"
    KEEP = "keep"
    SLIDE = "slide"
    MS_FLIP = "ms-flip"
    SLIDE_MS_FLIP = "slide-ms-flip"


def verify(
    source: Annotated[
        str,
        typer.Argument(metavar="BUNDLE|CHECKPOINT", help="A bundle; or a checkpoint, with --data."),
    ],
    *,
    data: DataOption = None,
    split: SplitOption = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="A bundle, or a checkpoint at this bundle's size, to compare with. The bundle's "
            "own FP32 variant, where it has one."
        ),
    ] = None,
    mean: MeanOption = None,
    std: StdOption = None,
    channel_order: ChannelOrderOption = None,
    resize: ResizeOption = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="REPORT.json", help="An earlier report to compare with."),
    ] = None,
    protocol: Annotated[
        ProtocolName,
        typer.Option(help="ss is the runtime's own way; the others are mmsegmentation's."),
    ] = ProtocolName.SS,
    short_sides: Annotated[
        str | None,
        typer.Option(
            metavar="PX,PX",
            help="Also measure a checkpoint at these short sides, as 1024,768,640,512.",
        ),
    ] = None,
    max_drop: MaxDropOption = None,
    max_class_drop: MaxClassDropOption = None,
    min_agreement: MinAgreementOption = None,
    max_regression: Annotated[
        float | None,
        typer.Option(help="Most mIoU points lost beyond chance against --baseline. 0.1."),
    ] = None,
    max_class_regression: Annotated[
        float | None,
        typer.Option(help="Most IoU points of any class lost beyond chance against it. 1.0."),
    ] = None,
    max_latency_ratio: Annotated[
        float | None,
        typer.Option(help="Most time for a frame, as a multiple of the reference's."),
    ] = None,
    max_size_mb: Annotated[
        float | None, typer.Option(help="Most MB of the files that the engine opens.")
    ] = None,
    max_memory_mb: Annotated[
        float | None, typer.Option(help="Most MB that a process segmenting frames takes.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where limits are kept. edgeseg.toml, if the folder has one."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write report.json, report.md, report.xml, report.html there."
        ),
    ] = None,
    corruptions: Annotated[
        str | None,
        typer.Option(
            metavar="all|NAME,NAME",
            help="Also measure on corrupted images: families (noise, blur, weather, digital) or "
            "single corruptions, each at five severities.",
        ),
    ] = None,
    max_extra_drop: Annotated[
        float | None,
        typer.Option(
            help="Most mIoU points that a family of corruptions may cost beyond the clean drop. "
            "1.0."
        ),
    ] = None,
    max_skipped: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT", help="Most images, in %, that may be skipped for a verdict. 5."
        ),
    ] = None,
    dask: DaskOption = None,
    threads: ThreadsOption = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Images that are skipped or converted, and classes that differ, are errors.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Replay a bundle's golden frames and measure it on a data set.

    Ends with 3 if a gate is missed, or if anything that the verdict needs could not be judged.

    Example: edgeseg verify street --data camvid --split test --reference segformer_b0/
    """
    from edgeseg.machine.extras import require
    from edgeseg.reports.report import encode_report
    from edgeseg.reports.terminal import report_lines
    from edgeseg.verification.verify import verify as verify_source

    needed = {"report": report is not None, "dask": dask is not None}
    require("this verify", [extra for extra, is_needed in needed.items() if is_needed])
    asked = _asked(
        source,
        data=data,
        split=split,
        reference=reference,
        baseline=baseline,
        protocol=protocol.value,
        short_sides=() if short_sides is None else _parse_sides(short_sides),
        corruptions=corruptions,
        dask=dask,
        threads=threads,
        overrides=_overrides(source, reference, overrides_from(mean, std, channel_order, resize)),
        strict=strict,
        report=report,
        config=config,
        limits={
            "max_drop": max_drop,
            "max_class_drop": max_class_drop,
            "min_agreement": min_agreement,
            "max_regression": max_regression,
            "max_class_regression": max_class_regression,
            "max_extra_drop": max_extra_drop,
            "max_skipped": max_skipped,
            "max_latency_ratio": max_latency_ratio,
            "max_size_mb": max_size_mb,
            "max_memory_mb": max_memory_mb,
        },
    )
    with show_progress() as progress:
        found = verify_source(asked, progress=progress)
    for line in report_lines(found):
        say(line)
    if report is not None:
        say(f"report written: {report / 'report.html'}")
    if json:
        print(encode_report(found).decode(), end="")
    if found.passed is False:
        raise typer.Exit(EXIT_GATE_MISSED)
    if found.candidate.kind == "bundle":
        say_next("run", source, *a_source())
    else:
        say_next("export", "--weights", source)


def _asked(
    source: str,
    *,
    data: str | None,
    split: str | None,
    reference: str | None,
    baseline: Path | None,
    protocol: str,
    short_sides: tuple[int, ...],
    corruptions: str | None,
    dask: str | None,
    threads: int | None,
    overrides: Overrides,
    strict: bool,
    report: Path | None,
    config: Path | None,
    limits: dict[str, float | None],
) -> Asked:
    """The request, with the limits of `edgeseg.toml` where the command line sets none.

    Raises:
        typer.BadParameter: options that make no sense, alone or together.
        SpecError: a file of settings that cannot be used.
        NotJudgedError: a limit of that file needs a data set, and none is given.
    """
    from edgeseg.accuracy.gates import Limits
    from edgeseg.corruptions import chosen
    from edgeseg.errors import SpecError
    from edgeseg.verification.request import Asked, undecided
    from edgeseg.verification.settings import SETTINGS, read_gates

    try:
        damages = () if corruptions is None else chosen(corruptions)
    except SpecError as error:
        raise typer.BadParameter(str(error)) from None
    given = given_limits(limits)
    notes: tuple[str, ...] = ()
    if config is not None or SETTINGS.exists():
        origin = config or SETTINGS
        kept = given_limits(read_gates(origin), origin)
        say(f"limits from {origin}: {', '.join(sorted(kept)) or 'none'}")
        idle = undecided(data=data, baseline=baseline, corruptions=damages) - given.keys()
        notes = _idle(origin, sorted(idle & kept.keys()))
        given = {name: value for name, value in kept.items() if name not in idle} | given
    try:
        return Asked(
            source=source,
            data=data,
            split=split,
            reference=reference,
            baseline=baseline,
            protocol=protocol,
            short_sides=short_sides,
            corruptions=damages,
            dask=dask,
            threads=threads,
            overrides=overrides,
            limits=Limits(**given),
            given=frozenset(given),
            strict=strict,
            report=report,
            notes=notes,
        )
    except SpecError as error:
        raise typer.BadParameter(str(error)) from None


def _idle(origin: Path, names: Sequence[str]) -> tuple[str, ...]:
    """What is to be said of a file's limits that look at nothing here.

    Raises:
        NotJudgedError: some are no matter of what is asked for, and need a data set.
    """
    from edgeseg.errors import NotJudgedError
    from edgeseg.verification.request import CONDITIONAL

    needy = [name for name in names if name not in CONDITIONAL]
    if needy:
        raise NotJudgedError(
            f"not judged: {', '.join(needy)} of {origin}, for want of images with ground truth; "
            f"add --data DATASET, or name another file with --config"
        )
    if not names:
        return ()
    told = ", ".join(names)
    return (f"of no use without --data, --baseline or --corruptions: {told} of {origin}",)


def _overrides(source: str, reference: str | None, overrides: Overrides) -> Overrides:
    """Check that there is a checkpoint which they are for.

    Raises:
        typer.BadParameter: there is none.
    """
    from edgeseg.bundle.store import resembles_bundle

    if overrides.options and all(resembles_bundle(Path(one)) for one in (source, reference) if one):
        raise typer.BadParameter(
            f"{overrides.options[0]} is for a checkpoint, and none is read here; "
            f"add --reference CHECKPOINT"
        )
    return overrides


def _parse_sides(text: str) -> tuple[int, ...]:
    """Each side once, the largest first."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"--short-sides are pixels, as 1024,768,640,512; got {text!r}")
    return tuple(sorted({int(part) for part in parts}, reverse=True))
