"""`edgeseg run`: a bundle segments a source."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.cli.options import EXIT_FAILED, JsonFlag, print_json, say, say_next, watched
from edgeseg.cli.sizes import parse_size

if TYPE_CHECKING:
    from edgeseg.bundle.store import Bundle
    from edgeseg.cli.running import Done
    from edgeseg.runtime.preview.address import Address
    from edgeseg.runtime.sources.options import CameraOptions

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
        typer.Option(metavar="HxW", help="What --camera is asked for: height x width, in pixels."),
    ] = None,
    camera_fps: Annotated[
        float | None, typer.Option(min=1.0, help="Frames a second that --camera is asked for.")
    ] = None,
    max_retries: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How often a camera or stream without a frame is opened again. Without it: no "
            "limit, but at the start it must be there.",
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            help="Write the overlay: .mp4, .png or .jpg of one frame, or FOLDER/, a PNG a frame."
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Write a PNG of class ids for every frame, and a legend, into this folder. Files "
            "that no run wrote are never replaced."
        ),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(help="Write a JSON line for every frame to this file, or - for stdout."),
    ] = None,
    show: Annotated[
        bool | None,
        typer.Option(help="A window. By default of a camera or stream, where there is a screen."),
    ] = None,
    preview: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:PORT]",
            help="Serve a page to watch the run on, at 127.0.0.1:8008 if not told otherwise.",
        ),
    ] = None,
    preview_token: Annotated[
        str | None,
        typer.Option(
            envvar="EDGESEG_PREVIEW_TOKEN",
            show_envvar=True,
            help="What --preview asks of every request; needed where other machines reach it.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after this many frames."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="Stop so many seconds after the source gave its first frame."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Segment a camera, a stream, a video or images.

    Example: edgeseg run street --source drive.mp4 --save overlay.mp4 --masks masks
    """
    from edgeseg.cli.running import Limits, run_until_ended
    from edgeseg.cli.summaries import run_json
    from edgeseg.errors import SourceError
    from edgeseg.machine.extras import require
    from edgeseg.runtime.live.service import Service
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.runtime.select import variant_here
    from edgeseg.runtime.sinks.claims import claimed
    from edgeseg.runtime.sinks.outputs import Outputs, file_or_folder
    from edgeseg.runtime.sources import open_source
    from edgeseg.runtime.sources.options import Retry

    file, folder = file_or_folder(save)
    require("this run", _extras(camera, gstreamer, file, preview))
    uri, asked = _source(camera, source, gstreamer, camera_size, camera_fps)
    if json and jsonl == "-":
        raise typer.BadParameter("--json and --jsonl - would both write to stdout")
    address = None if preview is None else _address(preview, preview_token)
    outputs = Outputs(save=file, overlays=folder, masks=masks, jsonl=jsonl, preview=address)
    limits = Limits(frames=frames, seconds=seconds)
    opened = _find_bundle(bundle)
    service = Service()

    def told(line: str) -> None:
        """A source that is waited for is no reason to be started again."""
        say(line)
        service.alive()

    retry = Retry(attempts=max_retries, tell=told)
    with ExitStack() as stack:
        stack.enter_context(claimed(outputs, uri, opened.folder, frames=frames, tell=say))
        with watched() as watcher:
            variant = variant_here(opened, watcher=watcher)
            ready = Segmenter(opened, variant=variant, watcher=watcher)
        segmenter = stack.enter_context(ready)
        feed = stack.enter_context(open_source(uri, camera=asked, retry=retry))
        outputs = replace(outputs, window=_window(show=show, live=feed.live))
        done = run_until_ended(segmenter, feed, outputs, limits, service)
        backend = segmenter.backend.name
    _tell(done, live=feed.live)
    if not done.failed_outputs and done.summary.frames:
        say_next("bench", opened.folder)
    if json:
        precision = variant.precision
        print_json(run_json(done.summary, backend=backend, precision=precision, miou=done.miou))
    if done.summary.lost is not None:
        raise SourceError(done.summary.lost)
    if done.failed_outputs:
        raise typer.Exit(EXIT_FAILED)


def _extras(
    camera: int | None, gstreamer: str | None, save: Path | None, preview: str | None
) -> list[str]:
    """What of the installation's extras the options need."""
    needed = {
        "opencv": camera is not None or gstreamer is not None,
        "video": save is not None and save.suffix.lower() == ".mp4",
        "preview": preview is not None,
    }
    return [extra for extra, is_needed in needed.items() if is_needed]


def _tell(done: Done, *, live: bool) -> None:
    """The end of a run, for people."""
    from edgeseg.cli.summaries import run_lines

    for line in run_lines(done.summary, miou=done.miou, live=live):
        say(line)
    for written in done.written:
        say(f"written: {written}")


def _address(preview: str, token: str | None) -> Address:
    from edgeseg.errors import SinkError
    from edgeseg.runtime.preview.address import parse_address

    try:
        return parse_address(preview, token)
    except SinkError as error:
        raise typer.BadParameter(str(error)) from None


def _window(*, show: bool | None, live: bool) -> bool:
    """Whether to open one; says why not, where one was to be expected."""
    from edgeseg.runtime.sinks.window import has_display, why_no_window

    if show is False or (show is None and not (live and has_display())):
        return False
    reason = why_no_window()
    if reason is not None:
        say(f"no window: {reason}")
    return reason is None


def _source(
    camera: int | None,
    source: str | None,
    gstreamer: str | None,
    camera_size: str | None,
    camera_fps: float | None,
) -> tuple[int | str, CameraOptions]:
    """The one source that was named, and what a camera is asked for."""
    from edgeseg.runtime.sources import GSTREAMER
    from edgeseg.runtime.sources.options import CameraOptions

    pipeline = None if gstreamer is None else f"{GSTREAMER}{gstreamer}"
    named: list[int | str] = [given for given in (camera, source, pipeline) if given is not None]
    if len(named) != 1:
        raise typer.BadParameter("give one of --camera, --source and --gstreamer")
    if camera is None and (camera_size is not None or camera_fps is not None):
        raise typer.BadParameter("--camera-size and --camera-fps are of --camera")
    height, width = (None, None) if camera_size is None else _camera_size(camera_size)
    return named[0], CameraOptions(width=width, height=height, fps=camera_fps)


def _camera_size(text: str) -> tuple[int, int]:
    """Height and width; says so where they seem to be the other way round."""
    height, width = parse_size(text, "--camera-size")
    if height > width:
        say(
            f"--camera-size {text} is {height} high and {width} wide (height x width); "
            f"did you mean {width}x{height}?"
        )
    return height, width


def _find_bundle(folder: Path | None) -> Bundle:
    """The bundle named, the only one in the working folder, or, where none is, the demo's."""
    from edgeseg.bundle.store import is_bundle, open_bundle
    from edgeseg.demo.assets import demo_bundle
    from edgeseg.errors import BundleError

    if folder is not None:
        return open_bundle(folder)
    # Unlike iterdir, glob passes over folders that are closed.
    folders = sorted(path.parent for path in Path().glob("*/manifest.json"))
    # What is hidden is being written, or was left by a killed export.
    found = [path for path in folders if not path.name.startswith(".") and is_bundle(path)]
    if len(found) > 1:
        raise BundleError(
            f"no bundle named, and the working folder holds several: "
            f"{', '.join(map(str, found))}; name one"
        )
    if not found:
        say("no bundle named and none in the working folder: the packaged demo bundle")
    return open_bundle(found[0] if found else demo_bundle())
