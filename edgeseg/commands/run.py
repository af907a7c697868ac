"""`edgeseg run`: a bundle segments a source."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.commands.shared import JsonFlag, print_json, say, watched

if TYPE_CHECKING:
    from types import FrameType

    from edgeseg.bundle import Bundle
    from edgeseg.labels import Labels
    from edgeseg.runtime.live import CameraOptions
    from edgeseg.runtime.sources import Source

__all__ = ["run"]


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
    gstreamer: Annotated[
        str | None,
        typer.Option(help="A GStreamer pipeline that ends in an appsink; for CSI cameras."),
    ] = None,
    camera_size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="What --camera is asked for, in pixels."),
    ] = None,
    camera_fps: Annotated[
        float | None, typer.Option(min=1.0, help="Frames a second that --camera is asked for.")
    ] = None,
    max_retries: Annotated[
        int | None,
        typer.Option(min=0, help="How often in a row a lost camera is opened again. No limit."),
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
    from edgeseg.runtime.live import Retry
    from edgeseg.runtime.pipeline import run as run_pipeline
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.runtime.sinks.outputs import Outputs, open_outputs
    from edgeseg.runtime.sinks.truth import TruthMeter
    from edgeseg.runtime.sources import open_source
    from edgeseg.summaries import run_json, run_lines

    uri, asked = _source(camera, source, gstreamer, camera_size, camera_fps)
    if json and jsonl == "-":
        raise typer.BadParameter("--json and --jsonl - would both write to stdout")
    retry = Retry(attempts=max_retries, tell=say)
    outputs = Outputs(save=save, masks=masks, jsonl=jsonl)
    outputs.check(str(uri))
    opened = _find_bundle(bundle)
    with watched() as watcher:
        variant = variant_here(opened, watcher=watcher)
        ready = Segmenter(opened, variant=variant, watcher=watcher)
    stop = threading.Event()
    with ready as segmenter, open_source(uri, camera=asked, retry=retry) as feed:

        def end(_number: int, _frame: FrameType | None) -> None:
            """As Ctrl-C: what was done is kept; a source that waits to come back waits no more."""
            stop.set()
            feed.stop()

        signal.signal(signal.SIGTERM, end)
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
                stop=stop,
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
        print_json(run_json(summary, backend=backend, precision=variant.precision, miou=miou))


def _source(
    camera: int | None,
    source: str | None,
    gstreamer: str | None,
    camera_size: str | None,
    camera_fps: float | None,
) -> tuple[int | str, CameraOptions]:
    """The one source that was named, and what a camera is asked for."""
    from edgeseg.runtime.live import CameraOptions
    from edgeseg.runtime.sources import GSTREAMER

    pipeline = None if gstreamer is None else f"{GSTREAMER}{gstreamer}"
    named: list[int | str] = [given for given in (camera, source, pipeline) if given is not None]
    if len(named) != 1:
        raise typer.BadParameter("give one of --camera, --source and --gstreamer")
    if camera is None and (camera_size is not None or camera_fps is not None):
        raise typer.BadParameter("--camera-size and --camera-fps are of --camera")
    width, height = (None, None) if camera_size is None else _parse_size(camera_size)
    return named[0], CameraOptions(width=width, height=height, fps=camera_fps)


def _parse_size(size: str) -> tuple[int, int]:
    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"--camera-size is WIDTHxHEIGHT, as 1280x720; got {size!r}")
    return int(width), int(height)


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
