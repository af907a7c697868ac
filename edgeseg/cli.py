"""The command line: parses, calls one function, prints. Work is imported inside the handlers."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg import __version__
from edgeseg.errors import EdgesegError, GateMissedError

if TYPE_CHECKING:
    from edgeseg.bundle import Bundle
    from edgeseg.datasets import Dataset
    from edgeseg.gates import Limits
    from edgeseg.labels import Labels
    from edgeseg.runtime.sources import Source

__all__ = ["main"]

EXIT_FAILED = 1
EXIT_GATE_MISSED = 3

app = typer.Typer(
    name="edgeseg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Trained SegFormer checkpoints, live on a device, with the accuracy proved.",
)


class Target(str, Enum):
    """What an artifact is for."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class Precision(str, Enum):
    """What an artifact may compute in."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Model(str, Enum):
    """SegFormer's sizes."""

    B0 = "b0"
    B1 = "b1"
    B2 = "b2"
    B3 = "b3"
    B4 = "b4"
    B5 = "b5"


JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="A folder with images/ and masks/, perhaps under train/ val/ test/; or `demo`.",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="Which part of --data: train, val or test (demo's default)."),
]


MaxDropOption = Annotated[
    float | None,
    typer.Option(help="Most mIoU points that may be lost against the reference. 1.0."),
]
MaxClassDropOption = Annotated[
    float | None,
    typer.Option(help="Most IoU points that any class may lose against the reference. 5.0."),
]
MinAgreementOption = Annotated[
    float | None,
    typer.Option(help="Least share of pixels, in %, that must agree with the reference."),
]


def main() -> None:
    """Run one command and leave with its exit status."""
    try:
        app()
    except GateMissedError as error:
        say(f"edgeseg: {error}")
        sys.exit(EXIT_GATE_MISSED)
    except EdgesegError as error:
        say(f"edgeseg: {error}")
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(EXIT_FAILED)


@app.callback(invoke_without_command=True)
def _common(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"edgeseg {__version__}")
        raise typer.Exit


@app.command()
def export(
    *,
    weights: Annotated[
        str | None,
        typer.Option(help="A folder, a .safetensors, .pth or .bin file, a hub id, or `demo`."),
    ] = None,
    model: Annotated[
        Model | None,
        typer.Option(help="Which SegFormer --weights must be; b0 without them is the demo's."),
    ] = None,
    target: Annotated[Target, typer.Option(help="What to export for.")] = Target.ONNXRUNTIME,
    precision: Annotated[
        Precision, typer.Option(help="What to compute in; auto is the fastest within the limits.")
    ] = Precision.AUTO,
    int8: Annotated[bool, typer.Option("--int8", help="The same as --precision int8.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="The same as --precision fp16.")] = False,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Input size in pixels, 64x64 up. The checkpoint's own."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Class names: ade20k, camvid, cityscapes, cocostuff, or a file."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Images for INT8: a folder, a data set (train split), a video or `demo`."
        ),
    ] = None,
    calibration_images: Annotated[
        int, typer.Option(min=1, help="How many of them to choose.")
    ] = 300,
    data: DataOption = None,
    split: SplitOption = None,
    max_drop: MaxDropOption = None,
    max_class_drop: MaxClassDropOption = None,
    min_agreement: MinAgreementOption = None,
    budget: Annotated[
        float, typer.Option(min=0.0, help="Minutes after which no further recipe is tried.")
    ] = 20.0,
    recipe: Annotated[
        str | None,
        typer.Option(help="Only this INT8 recipe: a name, or a JSON file. For experts."),
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Measure what INT8 costs in each group of nodes.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The bundle's folder. {model}-{target}-{precision}."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Turn a checkpoint into a bundle: the fastest variant that is accurate enough.

    Example: edgeseg export --weights segformer_b0/ --target openvino --data camvid --split test
    """
    from edgeseg.asking import export_request
    from edgeseg.deploy import export_bundle
    from edgeseg.progress import progress
    from edgeseg.summaries import export_json, export_lines

    asked = _precision(precision, int8=int8, fp16=fp16)
    if target is Target.ONNXRUNTIME and asked == Precision.FP16.value:
        raise typer.BadParameter(
            "ONNX Runtime computes FP16 graphs in FP32 on a CPU; "
            "ask for auto, fp32 or int8, or for --target openvino"
        )
    if split is not None and data is None:
        raise typer.BadParameter("--split is of --data; add --data DATASET")
    if recipe is not None and asked not in {Precision.AUTO.value, Precision.INT8.value}:
        raise typer.BadParameter(f"--recipe is for INT8, and {asked} was asked for")
    request = export_request(
        weights=weights,
        model=model.value if model else None,
        target=target.value,
        precision=asked,
        size=None if size is None else _parse_size(size),
        labels=labels,
        calibration=calibration,
        calibration_images=calibration_images,
        data=data,
        split=split,
        limits=_limits(max_drop, max_class_drop, min_agreement),
        budget_s=60 * budget,
        recipe=recipe,
        sensitivity=sensitivity,
        folder=output,
    )
    with progress("searching", None) as step:
        exported = export_bundle(request, tell=say, step=step)
    bundle = exported.bundle
    for line in export_lines(exported):
        say(line)
    say(f"bundle written: {bundle.folder}")
    say(f"next: edgeseg run {bundle.folder} --source VIDEO --save overlay.mp4")
    if json:
        _print_json(export_json(exported))


@app.command()
def run(
    bundle: Annotated[
        Path | None,
        typer.Argument(help="A bundle; else the only one in the working folder, else the demo's."),
    ] = None,
    *,
    camera: Annotated[
        int | None,
        typer.Option(min=0, help="A camera by its number."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="A video, image, folder, pattern, rtsp:// or http:// URL, or `demo`."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the overlay: .mp4, or a picture of one frame."),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Write a PNG of class ids for every frame into this folder."),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(help="Write a JSON line for every frame to this file, or - for stdout."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after this many frames."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="Stop after this many seconds."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Segment a camera, a stream, a video or images.

    Example: edgeseg run street --source drive.mp4 --save overlay.mp4 --masks masks
    """
    from edgeseg.progress import progress
    from edgeseg.runtime.build import variant_here
    from edgeseg.runtime.pipeline import run as run_pipeline
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.runtime.sinks.outputs import Outputs, open_outputs
    from edgeseg.runtime.sinks.truth import TruthMeter
    from edgeseg.runtime.sources import open_source
    from edgeseg.summaries import run_json, run_lines

    if (camera is None) == (source is None):
        raise typer.BadParameter("give one of --camera and --source")
    if json and jsonl == "-":
        raise typer.BadParameter("--json and --jsonl - would both write to stdout")
    uri = camera if camera is not None else source
    assert uri is not None, "exactly one of the two was given"
    outputs = Outputs(save=save, masks=masks, jsonl=jsonl)
    outputs.check(str(uri))
    opened = _find_bundle(bundle)
    variant = variant_here(opened, tell=say)
    with Segmenter(opened, variant=variant) as segmenter, open_source(uri) as feed:
        engine = segmenter.backend.name
        say(f"{opened.folder} ({variant.name}) on {engine}, source {feed.name}")
        labels = opened.manifest.labels
        meter = TruthMeter(labels) if _same_classes(feed.labels, labels) else None
        with (
            open_outputs(outputs, labels, fps=feed.fps) as sinks,
            progress("segmenting", _length(feed, frames)) as advance,
        ):
            summary = run_pipeline(
                segmenter,
                feed,
                sinks if meter is None else [meter, *sinks],
                max_frames=frames,
                max_seconds=seconds,
                on_frame=lambda _result: advance(),
            )
        backend = segmenter.backend.name
    miou = None if meter is None else meter.miou
    for line in run_lines(summary, miou=miou):
        say(line)
    expected = _length(feed, frames)
    if expected is not None and seconds is None and summary.frames < expected:
        say(f"stopped after {summary.frames} of {expected} frames; if nobody did, is it whole?")
    for written in outputs.files:
        if Path(written).exists():  # nothing is, when no frame came
            say(f"written: {written}")
    say(f"next: edgeseg bench {opened.folder}")
    if json:
        _print_json(run_json(summary, backend=backend, precision=variant.precision, miou=miou))


@app.command()
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
    report = verify_bundle(
        opened,
        variant=variant_here(opened, tell=say),
        dataset=_dataset(data, split),
        reference=None if reference is None else open_reference(reference, opened),
        limits=_limits(max_drop, max_class_drop, min_agreement),
        track=track,
    )
    for line in verify_lines(report):
        say(line)
    if json:
        _print_json(verify_json(report))
    if not report.passed:
        raise typer.Exit(EXIT_GATE_MISSED)
    say(f"next: edgeseg run {bundle} --camera 0")


@app.command()
def bench(
    bundles: Annotated[list[Path], typer.Argument(help="One bundle or more; they take turns.")],
    *,
    frames: Annotated[int, typer.Option(min=1, help="Frames a bundle, warm-up not counted.")] = 50,
    json: JsonFlag = False,
) -> None:
    """Time whole frames (prepare, infer, mask) through bundles, in turns.

    Example: edgeseg bench street street-int8 --frames 100
    """
    from edgeseg.bench import bench as bench_bundles
    from edgeseg.bundle import open_bundle
    from edgeseg.summaries import bench_json, bench_lines

    results = bench_bundles([open_bundle(folder) for folder in bundles], frames=frames)
    for line in bench_lines(results):
        say(line)
    say(f"next: edgeseg run {bundles[0]} --camera 0")
    if json:
        _print_json(bench_json(results))


@app.command()
def build(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")], *, json: JsonFlag = False
) -> None:
    """Prove and time a bundle's variants on this machine, and remember the fastest.

    Example: edgeseg build street
    """
    from edgeseg.bundle import open_bundle
    from edgeseg.runtime.build import build as build_bundle
    from edgeseg.summaries import build_json, build_lines

    results = build_bundle(open_bundle(bundle))
    for line in build_lines(results):
        say(line)
    say(f"next: edgeseg run {bundle} --camera 0")
    if json:
        _print_json(build_json(results))


@app.command()
def calibrate(
    source: Annotated[
        str | None,
        typer.Argument(help="A video, a folder of images, or an rtsp:// or http:// URL."),
    ] = None,
    *,
    camera: Annotated[int | None, typer.Option(min=0, help="A camera by its number.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder.")],
    images: Annotated[int, typer.Option(min=1, help="How many to keep.")] = 300,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="How long to watch a camera or a stream.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Gather a calibration set: frames that differ, spread over what a source shows.

    Example: edgeseg calibrate --camera 0 --seconds 120 -o calibration
    """
    from edgeseg.calibration.gather import gather
    from edgeseg.progress import progress

    if (camera is None) == (source is None):
        raise typer.BadParameter("give one of SOURCE and --camera")
    uri = camera if camera is not None else source
    assert uri is not None, "exactly one of the two was given"
    with progress("watching", None) as advance:
        chosen = gather(uri, output, count=images, seconds=seconds, advance=advance)
    for line in chosen.warnings:
        say(f"warning: {line}")
    say(f"written: {output}, {len(chosen.pictures)} images")
    say(f"next: edgeseg export --calibration {output} --weights CHECKPOINT --int8")
    if json:
        _print_json(
            {"folder": str(output), "images": len(chosen.pictures), "sha256": chosen.sha256}
        )


@app.command()
def inspect(
    what: Annotated[str, typer.Argument(help="b0 to b5, a bundle, or a checkpoint.")],
    *,
    json: JsonFlag = False,
) -> None:
    """Show what a model costs, what a bundle holds, or what a checkpoint is.

    Example: edgeseg inspect b0
    """
    from edgeseg.summaries import inspect_anything

    lines, content = inspect_anything(what)
    for line in lines:
        say(line)
    if json:
        _print_json(content)


@app.command()
def doctor(*, json: JsonFlag = False) -> None:
    """Show what this machine can run. Installs nothing.

    Example: edgeseg doctor
    """
    from edgeseg.doctor import examine
    from edgeseg.summaries import doctor_lines

    findings = examine()
    for line in doctor_lines(findings):
        say(line)
    say("next: edgeseg export --help")
    if json:
        _print_json(findings)


def say(line: str) -> None:
    """A line for people, on stderr: stdout is for machines."""
    print(line, file=sys.stderr)


def _print_json(content: object) -> None:
    import json

    print(json.dumps(content, indent=2))


def _parse_size(size: str) -> tuple[int, int]:
    height, _, width = size.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise typer.BadParameter(f"--size is HEIGHTxWIDTH in pixels, as 512x1024; got {size!r}")
    return int(height), int(width)


def _precision(precision: Precision, *, int8: bool, fp16: bool) -> str:
    asked = {name for name, on in (("int8", int8), ("fp16", fp16)) if on}
    if precision is not Precision.AUTO:
        asked.add(precision.value)
    if len(asked) > 1:
        raise typer.BadParameter(f"{' and '.join(sorted(asked))} were both asked for; give one")
    return asked.pop() if asked else Precision.AUTO.value


def _limits(
    max_drop: float | None, max_class_drop: float | None, min_agreement: float | None
) -> Limits:
    from edgeseg.gates import DEFAULT_MAX_CLASS_DROP, DEFAULT_MAX_DROP, Limits

    for value in (max_drop, max_class_drop, min_agreement):
        if value is not None and not 0 <= value <= 100:
            raise typer.BadParameter(f"a limit is 0 to 100 points; got {value:g}")
    return Limits(
        max_drop=DEFAULT_MAX_DROP if max_drop is None else max_drop,
        max_class_drop=DEFAULT_MAX_CLASS_DROP if max_class_drop is None else max_class_drop,
        min_agreement=min_agreement,
    )


def _dataset(data: str | None, split: str | None) -> Dataset | None:
    from edgeseg.datasets import open_dataset

    return None if data is None else open_dataset(data, split=split)


def _find_bundle(folder: Path | None) -> Bundle:
    """The bundle named, the only one in the working folder, or, where none is, the demo's."""
    from edgeseg.bundle import is_bundle, open_bundle
    from edgeseg.demo.assets import demo_bundle
    from edgeseg.errors import BundleError

    if folder is not None:
        return open_bundle(folder)
    found = sorted(path for path in Path().iterdir() if path.is_dir() and is_bundle(path))
    if len(found) > 1:
        raise BundleError(
            f"no bundle named, and the working folder holds several: "
            f"{', '.join(map(str, found))}; name one"
        )
    if not found:
        say("no bundle named and none in the working folder: the packaged demo bundle")
    return open_bundle(found[0] if found else demo_bundle())


def _same_classes(truth: Labels | None, labels: Labels) -> bool:
    return truth is not None and truth.classes == labels.classes


def _length(feed: Source, frames: int | None) -> int | None:
    known = [length for length in (feed.length, frames) if length is not None]
    return min(known, default=None)


if __name__ == "__main__":
    main()
