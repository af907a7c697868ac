"""`edgeseg verify`: measures, compares and judges a bundle."""

from __future__ import annotations

from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.accuracy.limits import LIMITS, Limits
from edgeseg.cli.data_rules import add_rule_options
from edgeseg.cli.limits import add_limit_options
from edgeseg.cli.options import (
    EXIT_GATE_MISSED,
    DaskOption,
    DataOption,
    DeviceOption,
    JsonFlag,
    SplitOption,
    ThreadsOption,
    print_json,
    repeat_device,
    report_wrong_usage,
    say,
    say_next,
    suggest_source,
)
from edgeseg.cli.progress import show_progress
from edgeseg.cli.reading import add_override_options
from edgeseg.data_rules import Rules
from edgeseg.overrides import Overrides
from edgeseg.spec import RGB

if TYPE_CHECKING:
    from edgeseg.reports.report import Report
    from edgeseg.verification.request import VerifyRequest

__all__ = ["verify"]


class ProtocolName(str, Enum):
    """How an image becomes a mask."""

    SS = "ss"
    KEEP = "keep"
    SLIDE = "slide"
    MS_FLIP = "ms-flip"
    SLIDE_MS_FLIP = "slide-ms-flip"


_SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE|CHECKPOINT", help="Bundle to verify; or a checkpoint, which needs --data."
    ),
]
_ReferenceOption = Annotated[
    str | None,
    typer.Option(
        help="Bundle or checkpoint to compare with. A checkpoint is run at this bundle's size.",
        show_default="the bundle's FP32 variant, if it has one",
    ),
]
_BaselineOption = Annotated[
    Path | None,
    typer.Option(metavar="REPORT.json", help="report.json of an earlier verify to compare with."),
]
_ProtocolOption = Annotated[
    ProtocolName,
    typer.Option(
        help="How an image becomes a mask: ss as in `edgeseg run`, slide of a bundle as in "
        "`edgeseg run --tile`, the others as in mmsegmentation."
    ),
]
_ShortSidesOption = Annotated[
    str | None,
    typer.Option(
        metavar="PX,PX",
        help="Also measure a checkpoint with images resized to these short sides, in pixels, for "
        "example 1024,768,640,512.",
    ),
]
_ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML file of limits.",
        show_default="edgeseg.toml in the working folder, if there",
    ),
]
_ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Folder for report.json, report.md, report.xml and report.html."
    ),
]
_CorruptionsOption = Annotated[
    str | None,
    typer.Option(
        metavar="all|NAME,NAME",
        help="Also measure on corrupted images: all, families (noise, blur, weather, digital) or "
        "single corruptions, each at five severities.",
    ),
]
_VideoOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Measure only what `edgeseg run --reuse gated` saves and costs on this video, for "
        "several factors.",
    ),
]
_StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail if an image is skipped or converted, or if classes differ.",
    ),
]


@add_limit_options(*LIMITS)
@add_override_options
@add_rule_options
def verify(
    source: _SourceArgument,
    *,
    data: DataOption = None,
    split: SplitOption = None,
    rules: Rules,
    reference: _ReferenceOption = None,
    overrides: Overrides,
    baseline: _BaselineOption = None,
    protocol: _ProtocolOption = ProtocolName.SS,
    short_sides: _ShortSidesOption = None,
    limits: Limits,
    config: _ConfigOption = None,
    report: _ReportOption = None,
    corruptions: _CorruptionsOption = None,
    dask: DaskOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    video: _VideoOption = None,
    strict: _StrictOption = False,
    json: JsonFlag = False,
) -> None:
    """Replay a bundle's golden frames and measure it on a data set.

    The exit status is 3 if a gate is missed, or if the verdict needs what could not be judged.

    Example: edgeseg verify street --data camvid --split test --reference segformer_b0/
    """
    from edgeseg.corruptions import parse_corruptions
    from edgeseg.machine.extras import require
    from edgeseg.verification.request import VerifyRequest

    require("this verify", [name for name, it in (("report", report), ("dask", dask)) if it])
    with report_wrong_usage():
        request = VerifyRequest(
            source=source,
            data=data,
            split=split,
            rules=rules,
            reference=reference,
            baseline=baseline,
            protocol=protocol.value,
            limits=limits,
            short_sides=() if short_sides is None else _parse_sides(short_sides),
            corruptions=() if corruptions is None else parse_corruptions(corruptions),
            dask=dask,
            threads=threads,
            device=device,
            overrides=_check_overrides(source, reference, overrides),
            strict=strict,
            report=report,
            video=video,
        )
    if video is None:
        _verify(request, config, json=json)
    else:
        _measure_reuse(request, config, json=json)


def _verify(request: VerifyRequest, config: Path | None, *, json: bool) -> None:
    """Measure and judge what is asked for, with the limits of a file, and tell the verdict."""
    from edgeseg.verification.settings import SETTINGS
    from edgeseg.verification.verify import verify as verify_source

    if config is not None or SETTINGS.exists():
        request = _add_limits_of(config or SETTINGS, request)
    with show_progress() as progress:
        found = verify_source(request, progress=progress)
    _tell(found, request.source, request.report, device=request.device, json=json)


def _measure_reuse(request: VerifyRequest, config: Path | None, *, json: bool) -> None:
    """Measure what reuse does on a video, and print it, for people and for machines."""
    from edgeseg.cli.answers.reuse import describe_reuse
    from edgeseg.verification.reuse import measure_reuse

    if config is not None:
        raise typer.BadParameter("--video is measured alone; leave --config out")
    with show_progress() as progress:
        found = measure_reuse(request, progress=progress)
    for line in describe_reuse(found):
        say(line)
    way = "exact" if found.fits is None else f"gated={found.fits:g}"
    say_next("run", request.source, *suggest_source(), "--reuse", way)
    if json:
        print_json(asdict(found))


def _tell(found: Report, source: str, folder: Path | None, *, device: str, json: bool) -> None:
    """Print the report, for people and for machines, and set the exit status."""
    from edgeseg.bundle.store import open_bundle
    from edgeseg.reports.report import encode_report
    from edgeseg.reports.terminal import describe_report

    for line in describe_report(found):
        say(line)
    if folder is not None:
        say(f"report written: {folder / 'report.html'}")
    if json:
        print(encode_report(found).decode(), end="")
    if found.passed is False:
        raise typer.Exit(EXIT_GATE_MISSED)
    if found.candidate.kind == "bundle":
        color = open_bundle(Path(source)).manifest.input.channels == RGB
        words = ("run", source, *suggest_source()) if color else ("bench", source)
        say_next(*words, *repeat_device(device))
    else:
        say_next("export", "--weights", source)


def _add_limits_of(origin: Path, request: VerifyRequest) -> VerifyRequest:
    """Add the limits of a file to the request; those of the command line win.

    Raises:
        SpecError: the file cannot be used.
        NotJudgedError: a limit of the file needs a data set, and none is given.
    """
    from edgeseg.errors import NotJudgedError
    from edgeseg.verification.settings import read_limits

    kept = read_limits(origin)
    say(f"limits from {origin}: {', '.join(sorted(kept.given)) or 'none'}")
    idle = sorted(request.list_undecided(kept.given) - request.limits.given)
    needy = [name for name in idle if not LIMITS[name].optional]
    if needy:
        raise NotJudgedError(
            f"not judged: {', '.join(needy)} of {origin}, because no images with "
            f"ground truth were given; add --data DATASET, or name another file with --config"
        )
    used = {name: value for name, value in kept.table.items() if name not in idle}
    told = f"not used without --data, --baseline or --corruptions: {', '.join(idle)} of {origin}"
    return replace(
        request,
        limits=Limits.of(used | request.limits.table),
        notes=(told,) if idle else (),
    )


def _check_overrides(source: str, reference: str | None, overrides: Overrides) -> Overrides:
    """Check that a checkpoint is read, to which the overrides apply.

    Raises:
        typer.BadParameter: only bundles are read.
    """
    from edgeseg.bundle.store import resembles_bundle

    if overrides.options and all(resembles_bundle(Path(one)) for one in (source, reference) if one):
        raise typer.BadParameter(
            f"{overrides.options[0]} is for a checkpoint, and none is read here; "
            f"add --reference CHECKPOINT"
        )
    return overrides


def _parse_sides(text: str) -> tuple[int, ...]:
    """Parse the sides, each once, the largest first."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(
            f"--short-sides takes pixels, for example 1024,768,640,512; got {text!r}"
        )
    return tuple(sorted({int(part) for part in parts}, reverse=True))
