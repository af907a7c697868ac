"""Trained SegFormer checkpoints, live on a device, with the accuracy proved.

import edgeseg

with edgeseg.open("street") as segmenter:
    mask = segmenter.segment(frame).mask  # (H, W) class ids of a uint8 BGR (H, W, 3) frame
    for result in segmenter.stream("drive.mp4"):  # a camera's number, a URL, a file, `demo`
        print(result.captured.index, result.mask.shape)

exported = edgeseg.export_model("segformer_b0/", target="openvino", data="camvid", split="test")
print(exported.bundle.folder)

edgeseg.run("street", source="drive.mp4", save="overlay.mp4")  # as `edgeseg run` does

limits = edgeseg.Limits(max_drop=0.5, max_size_mb=20)
report = edgeseg.verify("street", data="camvid", split="test", limits=limits)
assert report.passed, (report.misses, report.unjudged)
"""

from __future__ import annotations

import os

# What checkers of types look for. `typing` is not imported: under `python -m edgeseg` the
# working folder is still searched, and may hold anybody's typing.py.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edgeseg.accuracy.limits import Limits
    from edgeseg.deploy.export import Exported
    from edgeseg.reports.report import Report
    from edgeseg.runtime.class_choice import MinScore
    from edgeseg.runtime.preview.address import Address
    from edgeseg.runtime.request import RunResult
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.runtime.sinks.masks import MaskFiles
    from edgeseg.runtime.sources.options import CameraOptions

__version__ = "0.1.0"

__all__ = ["Limits", "export_model", "open", "run", "verify"]

# ONNX Runtime (1.31, Linux) writes an identity and usage events into the user's cache, for its
# maker. A robot does not do so unasked; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def export_model(
    weights: str | Path | None = None,
    *,
    model: str | None = None,
    target: str = "onnxruntime",
    precision: str = "auto",
    size: tuple[int, int] | None = None,
    calibration: str | Path | None = None,
    data: str | Path | None = None,
    split: str | None = None,
    limits: Limits | None = None,
    max_drop: float | None = None,
    budget_minutes: float = 20.0,
    output: str | Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Exported:
    """Turn a checkpoint into a bundle: `edgeseg export`, with the same defaults and notes.

    Without `weights`, `model="b0"` is the packaged demo checkpoint. `size` is height and width in
    pixels. `calibration` and `data` name images as the options do. A limit that is not given has
    its default; `max_drop=0.5` (points) is short for `limits=edgeseg.Limits(max_drop=0.5)`.
    The bundle is written to `output`, or to {model}-{target}-{precision}. `say` hears each note;
    without it they go to stderr. The result's `bundle` ships, `tried` is all that was measured.

    `edgeseg.deploy.request.ExportOptions` has all options of the command line, among them `form`
    (`"exact"` keeps the network as it was trained) and the `overrides` of what a checkpoint says:
    `export_bundle(fill_defaults(options))`, of `edgeseg.deploy.export` and `.defaults`.

    Raises:
        SpecError: options that do not fit together.
        CheckpointError: the weights cannot be used.
        CalibrationError: INT8 is asked for, and there is nothing to calibrate on.
        GateMissedError: no variant of the precision asked for is within the limits.
        EdgesegError: something cannot be read, exported, measured or written.
    """
    from pathlib import Path

    from edgeseg.accuracy.limits import Limits
    from edgeseg.deploy.defaults import fill_defaults
    from edgeseg.deploy.export import export_bundle
    from edgeseg.deploy.request import ExportOptions
    from edgeseg.files.homes import check_not_empty, expand_home
    from edgeseg.progress import Progress, print_line

    check_not_empty(weights=weights, calibration=calibration, data=data, output=output)
    limits = Limits() if limits is None else limits
    options = ExportOptions(
        weights=None if weights is None else expand_home(str(weights)),
        model=model,
        target=target,
        precision=precision,
        size=size,
        calibration=None if calibration is None else expand_home(str(calibration)),
        data=None if data is None else expand_home(str(data)),
        split=split,
        limits=limits if max_drop is None else limits.replace(max_drop=max_drop),
        budget_s=60 * budget_minutes,
        folder=None if output is None else Path(output).expanduser(),
    )
    return export_bundle(fill_defaults(options), progress=Progress(say=say or print_line))


def open(bundle: str | Path, *, device: str = "auto") -> Segmenter:  # noqa: A001  # edgeseg.open reads as io.open does
    """Open a bundle with its variant for this machine, which is found out on first use.

    `device` restricts its engine to devices of that name, as `cpu`, `gpu` or `gpu.1`.

    Raises:
        DeviceError: its engine offers no such device here.
        BundleError: it is not a bundle, or was changed.
        GateMissedError: no variant of it works here.
        BackendError: its engine is not installed.
    """
    from pathlib import Path

    from edgeseg.bundle.store import open_bundle
    from edgeseg.files.homes import check_not_empty
    from edgeseg.runtime.proving.choose import choose_variant
    from edgeseg.runtime.segmenter import Segmenter

    check_not_empty(bundle=bundle)
    opened = open_bundle(Path(bundle).expanduser())
    return Segmenter(opened, variant=choose_variant(opened, device=device))


def run(
    bundle: str | Path | None = None,
    *,
    source: str | Path | int | Sequence[str | Path | int] | Mapping[str, str | Path | int],
    camera: CameraOptions | None = None,
    max_retries: int | None = None,
    save: str | Path | None = None,
    masks: str | Path | MaskFiles | None = None,
    jsonl: str | Path | None = None,
    show: bool | None = None,
    preview: str | Address | None = None,
    restream: str | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    tile: bool = False,
    classes: str | Sequence[str] | None = None,
    min_score: MinScore | None = None,
    say: Callable[[str], None] | None = None,
) -> RunResult:
    """Segment a source into files, a window or a page: `edgeseg run`, with the same defaults.

    `source` is a camera's number or what `--source` takes; several make a list, or a dict with
    their names. `masks` is a folder or a `MaskFiles`, `preview` host:port or an `Address`,
    `min_score` a probability, a mapping from classes, or what the option takes. `classes` are
    names, or what the option takes. `say` hears what stderr shows. Ctrl-C ends the run.
    `edgeseg.runtime.request.RunRequest` has all options, among them `reuse`.

    Raises:
        EdgesegError: as `edgeseg.runtime.session.run_bundle` lists.
    """
    from pathlib import Path

    from edgeseg.files.homes import check_not_empty
    from edgeseg.progress import Progress, print_line
    from edgeseg.runtime.request import RunRequest
    from edgeseg.runtime.session import run_bundle
    from edgeseg.runtime.sinks.outputs import plan_outputs
    from edgeseg.runtime.sources.named import name_sources
    from edgeseg.runtime.sources.options import CameraOptions

    check_not_empty(bundle=bundle, save=save, masks=masks, jsonl=jsonl, restream=restream)
    request = RunRequest(
        sources=name_sources(source),
        camera=camera or CameraOptions(),
        max_retries=max_retries,
        outputs=plan_outputs(
            save=save, masks=masks, jsonl=jsonl, preview=preview, restream=restream
        ),
        show=show,
        frames=frames,
        seconds=seconds,
        tile=tile,
        classes=classes.split(",") if isinstance(classes, str) else classes,
        min_score=min_score,
    )
    named = None if bundle is None else Path(bundle).expanduser()
    return run_bundle(named, request, progress=Progress(say=say or print_line))


def verify(
    source: str | Path,
    *,
    data: str | Path | None = None,
    split: str | None = None,
    reference: str | Path | None = None,
    baseline: str | Path | None = None,
    limits: Limits | None = None,
    max_drop: float | None = None,
    protocol: str = "ss",
    corruptions: str | None = None,
    short_sides: Sequence[int] = (),
    threads: int | None = None,
    strict: bool = False,
    report: str | Path | None = None,
) -> Report:
    """Measure a bundle or a checkpoint, judge it, and return the report.

    Does what `edgeseg verify` does, without `edgeseg.toml`; the options are explained there. A
    limit that is not given has its default; `max_drop=0.5` (points) is short for
    `limits=edgeseg.Limits(max_drop=0.5)`. A missed gate raises nothing: see `passed`, `misses` and
    `unjudged` of the report; `passed` is None where there was nothing to judge. `short_sides` are
    in pixels. `report` is a folder to write the report to.

    What the command line has beyond this is in `edgeseg.verification.request.VerifyRequest`, which
    `edgeseg.verification.verify.verify` takes.

    Raises:
        NotJudgedError: a limit that is given can decide nothing, whatever is measured.
        EdgesegError: something cannot be read, compared or written.
    """
    from pathlib import Path

    from edgeseg.accuracy.limits import Limits
    from edgeseg.corruptions import parse_corruptions
    from edgeseg.files.homes import check_not_empty, expand_home
    from edgeseg.verification.request import VerifyRequest
    from edgeseg.verification.verify import verify as verify_source

    check_not_empty(source=source, data=data, reference=reference, baseline=baseline, report=report)
    limits = Limits() if limits is None else limits
    request = VerifyRequest(
        source=expand_home(str(source)),
        data=None if data is None else expand_home(str(data)),
        split=split,
        reference=None if reference is None else expand_home(str(reference)),
        baseline=None if baseline is None else Path(baseline).expanduser(),
        protocol=protocol,
        limits=limits if max_drop is None else limits.replace(max_drop=max_drop),
        short_sides=tuple(short_sides),
        corruptions=() if corruptions is None else parse_corruptions(corruptions),
        threads=threads,
        strict=strict,
        report=None if report is None else Path(report).expanduser(),
    )
    return verify_source(request)


def __getattr__(name: str) -> object:
    """`edgeseg.Limits`, imported when it is first asked for."""
    if name == "Limits":
        from edgeseg.accuracy.limits import Limits

        return Limits
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
