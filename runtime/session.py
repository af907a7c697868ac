"""Runs a bundle on a source, with outputs, until the source ends or somebody ends the run.

`edgeseg run` and `edgeseg.run` both go through `run_bundle`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgeseg.bundle.store import Bundle, is_bundle, open_bundle
from edgeseg.data_rules import ValueRange
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.errors import BundleError
from edgeseg.images.sizes import SizeTeller
from edgeseg.labels import Labels
from edgeseg.machine.extras import require
from edgeseg.pixels.shrinking import ShrinkTeller
from edgeseg.progress import SILENT, Progress, Say, begin
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.about import About
from edgeseg.runtime.live.pipeline import Summary, run
from edgeseg.runtime.live.service import Service
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter, check_takes_color
from edgeseg.runtime.select import choose_variant
from edgeseg.runtime.sinks.claims import claim_outputs
from edgeseg.runtime.sinks.masks import plan_masks
from edgeseg.runtime.sinks.outputs import FanOut, Outputs, open_outputs
from edgeseg.runtime.sinks.truth import TruthMeter
from edgeseg.runtime.sinks.window import explain_no_window, has_display
from edgeseg.runtime.sources import Source, open_source
from edgeseg.runtime.sources.options import CameraOptions, Retry
from edgeseg.runtime.tiling import check_gives_logits, describe_tiles
from edgeseg.spec import check_number
from edgeseg.text import to_plain

__all__ = ["EndedBy", "RunRequest", "RunResult", "run_bundle"]

# Takes the function that ends a run; while the block runs, a signal calls that function.
EndedBy = Callable[[Callable[[], None]], AbstractContextManager[None]]

_AS_IT_COMES: Final = CameraOptions()
_NO_FILES: Final = Outputs()

_SEE_ALL: Final = "--tile keeps their resolution, and so does an export with a larger --size"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What to segment, where the results go, and when the run ends by itself.

    `source` is a camera's number, or any source that `edgeseg run --source` takes. `max_retries`
    says how often a camera or stream without a frame is opened again; None means no limit. `show`
    opens a window; None opens one for a camera or stream where there is a screen. `seconds` counts
    from the first frame. `value_range` says which values of images of more than 8 bits become 0 and
    255. `tile` shows the network each frame at its own size, in windows.

    Raises:
        SpecError: a number is out of range.
    """

    source: str | int
    camera: CameraOptions = _AS_IT_COMES
    max_retries: int | None = None
    outputs: Outputs = _NO_FILES
    show: bool | None = None
    frames: int | None = None
    seconds: float | None = None
    value_range: ValueRange | None = None
    tile: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.source, int):
            check_number("source", self.source, least=0, whole=True)
        check_number("frames", self.frames, least=1, whole=True)
        check_number("seconds", self.seconds, least=0)
        check_number("max_retries", self.max_retries, least=0, whole=True)

    @property
    def extras(self) -> list[str]:
        """The package's extras that the run needs."""
        of_opencv = isinstance(self.source, int) or self.source.startswith(GSTREAMER)
        save = self.outputs.save
        needed = {
            "opencv": of_opencv,
            "video": save is not None and save.suffix.lower() == ".mp4",
            "preview": self.outputs.preview is not None,
        }
        return [extra for extra, is_needed in needed.items() if is_needed]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run went, until its end or until Ctrl-C.

    `miou` is in percent, None where the source has no ground truth. `summary.lost` says why a
    camera or stream ended by itself. `failed_outputs` counts the outputs that were not finished;
    `written` are the files and folders of the others.
    """

    summary: Summary
    bundle: Path
    backend: str
    precision: str
    live: bool
    miou: float | None
    failed_outputs: int
    written: tuple[Path, ...]


def run_bundle(
    folder: Path | None,
    request: RunRequest,
    *,
    progress: Progress = SILENT,
    ended_by: EndedBy = lambda _end: nullcontext(),
) -> RunResult:
    """Segment a source until it ends, a limit is reached, or somebody ends it.

    Without `folder`, the run uses the only bundle in the working folder, or the demo's bundle where
    there is none. `progress` receives long steps, and all that a user should know.

    Raises:
        MissingPackageError: a package that the source or an output needs is not installed.
        BundleError: `folder` is not a bundle; or it is not given, and there are several bundles.
        GateMissedError: no variant of the bundle works here.
        SourceError: the source is not there, or broke off before its first frame; or the bundle
            takes other frames than a source gives.
        SinkError: an output cannot be written, or would replace a file of somebody else.
        BusyError: another process writes one of the outputs.
        SpecError: masks are to hold ids or colors that the model's classes do not have; or tiles
            are asked for, and the variant's graph ends in class ids.
        BackendError: the engine failed on ten frames in a row.
    """
    require("this run", request.extras)
    bundle = _find_bundle(folder, progress.say)
    check_takes_color(bundle)
    if request.outputs.masks is not None:  # refused now, and not after the engine has opened
        plan_masks(request.outputs.masks, bundle.manifest.labels)
    service = Service()

    def say(line: str) -> None:
        """Pass a line on, and report to the service manager that a waiting run is alive."""
        progress.say(line)
        service.report_alive()

    retry = Retry(attempts=request.max_retries, say=say)
    claim = claim_outputs(
        request.outputs, request.source, bundle.folder, frames=request.frames, say=progress.say
    )
    with ExitStack() as stack:
        stack.enter_context(claim)
        variant = choose_variant(bundle, progress=progress)
        if request.tile:
            check_gives_logits(variant)
        segmenter = stack.enter_context(Segmenter(bundle, variant=variant, progress=progress))
        source = stack.enter_context(
            open_source(
                request.source,
                camera=request.camera,
                retry=retry,
                value_range=request.value_range,
            )
        )
        window = _wants_window(show=request.show, live=source.live, say=progress.say)
        request = replace(request, outputs=replace(request.outputs, window=window))
        return _Session(segmenter, source, request, progress, service).run(ended_by)


class _Session:
    """The open source, engine and outputs of a run."""

    def __init__(
        self,
        segmenter: Segmenter,
        source: Source,
        request: RunRequest,
        progress: Progress,
        service: Service,
    ) -> None:
        self._segmenter = segmenter
        self._source = source
        self._request = request
        self._progress = progress
        self._service = service
        self._stop = threading.Event()
        self._shrinking = ShrinkTeller(segmenter.input, progress.say, remedy=_SEE_ALL)
        self._sizes = SizeTeller(progress.say)

    def run(self, ended_by: EndedBy) -> RunResult:
        about = _describe(self._segmenter, self._source)
        variant = f"{self._segmenter.bundle.folder} ({self._segmenter.variant.name})"
        self._progress.say(f"{variant} on {about.engine}, source {about.source}")
        if self._request.tile:
            self._progress.say(describe_tiles(self._segmenter.input))
        meter = None
        if _have_same_classes(self._source.labels, about.labels):
            meter = TruthMeter(about.labels, say=self._progress.say)
        outputs = open_outputs(self._request.outputs, about, say=self._progress.say, stop=self._end)
        with ended_by(self._end), outputs as fan:
            self._service.report_ready(f"{about.bundle}, source {about.source}")
            summary = self._segment(fan, meter)
            self._service.report_stopping()
        return RunResult(
            summary=summary,
            bundle=self._segmenter.bundle.folder,
            backend=about.engine,
            precision=about.precision,
            live=about.live,
            miou=None if meter is None else meter.miou,
            failed_outputs=fan.failed,
            written=tuple(fan.written),
        )

    def _segment(self, fan: FanOut, meter: TruthMeter | None) -> Summary:
        length = _count_frames(self._source, self._request.frames)
        step = begin(self._progress, "segmenting", length or 0, "frame")

        def on_frame(result: Result) -> None:
            if not self._request.tile:
                self._shrinking.see(*result.captured.image.shape[:2])
            self._sizes.see(*result.captured.image.shape[:2])
            step()
            self._service.report_alive()

        return run(
            self._segmenter,
            self._source,
            [fan] if meter is None else [meter, fan],
            max_frames=self._request.frames,
            max_seconds=self._request.seconds,
            on_frame=on_frame,
            stop=self._stop,
            tile=self._request.tile,
        )

    def _end(self) -> None:
        """End the run after the current frame, and stop waiting for a lost source."""
        self._stop.set()
        self._source.stop()


def _find_bundle(folder: Path | None, say: Say) -> Bundle:
    """Find the named bundle, or the only one in the working folder, or the demo's."""
    if folder is not None:
        return open_bundle(folder)
    # Unlike iterdir, glob skips folders that cannot be read.
    folders = sorted(path.parent for path in Path().glob("*/manifest.json"))
    # A hidden folder is being written, or was left by a killed export.
    found = [path for path in folders if not path.name.startswith(".") and is_bundle(path)]
    if len(found) > 1:
        raise BundleError(
            f"no bundle named, and the working folder holds several: "
            f"{', '.join(map(str, found))}; name one"
        )
    if not found:
        say("no bundle named and none in the working folder: the packaged demo bundle")
    return open_bundle(found[0] if found else find_demo_bundle())


def _count_frames(source: Source, limit: int | None) -> int | None:
    """Count the frames that will come; None where unknown."""
    return min((n for n in (source.length, limit) if n is not None), default=None)


def _describe(segmenter: Segmenter, source: Source) -> About:
    manifest = segmenter.bundle.manifest
    return About(
        bundle=to_plain(manifest.name),
        engine=segmenter.backend.name,
        precision=segmenter.variant.precision,
        source=to_plain(source.name),  # a file's name may be no text, and hold line breaks
        labels=manifest.labels,
        fps=source.fps,
        live=source.live,
        last_frame_s=source.last_frame_s,
    )


def _have_same_classes(truth: Labels | None, labels: Labels) -> bool:
    return truth is not None and truth.classes == labels.classes


def _wants_window(*, show: bool | None, live: bool, say: Say) -> bool:
    """Decide whether to open a window; where the user may expect one, say why none opens."""
    if show is False or (show is None and not (live and has_display())):
        return False
    reason = explain_no_window()
    if reason is not None:
        say(f"no window: {reason}")
    return reason is None
