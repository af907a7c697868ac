"""Runs a bundle on sources, with outputs, until the sources end or somebody ends the run.

`edgeseg run` and `edgeseg.run` both go through `run_bundle`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Final

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle, is_bundle, open_bundle
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.errors import BundleError
from edgeseg.images.sizes import SizeTeller
from edgeseg.labels import Labels
from edgeseg.machine.extras import require
from edgeseg.pixels.shrinking import ShrinkTeller
from edgeseg.progress import SILENT, Progress, Say, begin
from edgeseg.runtime.backends.placing import find_title
from edgeseg.runtime.batch import use_batch
from edgeseg.runtime.class_choice import find_class_ids, find_min_scores
from edgeseg.runtime.events import Events
from edgeseg.runtime.finish import Finish
from edgeseg.runtime.legend import Legend, plan_finish
from edgeseg.runtime.live.pace import Pace
from edgeseg.runtime.live.rate_watch import RateWatch
from edgeseg.runtime.live.run import Limits, run_all
from edgeseg.runtime.live.service import Service
from edgeseg.runtime.live.tally import Summary
from edgeseg.runtime.live.ways import explain_host
from edgeseg.runtime.parts import Model, Part, claim_all, make_parts, open_all, open_parts
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.request import RunRequest, RunResult
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter, check_takes_color
from edgeseg.runtime.sinks.masks import plan_masks
from edgeseg.runtime.sinks.outputs import FanOut
from edgeseg.runtime.sizes import SizeKeeper, open_smaller
from edgeseg.runtime.sources import Source, list_files_read
from edgeseg.runtime.tiling import check_gives_logits, check_gives_scores, describe_tiles

__all__ = ["EndedBy", "run_bundle"]

# Takes the function that ends a run; while the block runs, a signal calls that function.
EndedBy = Callable[[Callable[[], None]], AbstractContextManager[None]]

_SEE_ALL: Final = "--tile keeps their resolution, and so does an export with a larger --size"


def run_bundle(
    folder: Path | None,
    request: RunRequest,
    *,
    progress: Progress = SILENT,
    ended_by: EndedBy = lambda _end: nullcontext(),
) -> RunResult:
    """Segment sources until they end, a limit is reached, or somebody ends it.

    Without `folder`, the run uses the only bundle in the working folder, or the demo's bundle where
    there is none. `progress` receives long steps, and all that a user should know.

    Raises:
        MissingPackageError: a package that the source or an output needs is not installed.
        BundleError: `folder` is not a bundle; or it is not given, and there are several bundles.
        GateMissedError: no variant of the bundle works here.
        SourceError: no source is there, or all broke off before their first frame; or the bundle
            takes other frames than a source gives.
        SinkError: an output cannot be written, or would replace a file of somebody else.
        BusyError: another process writes one of the outputs.
        SpecError: masks are to hold ids or colors that the model's classes do not have; or the
            model has no class of a name; or tiles or probabilities are asked for, and the variant's
            graph ends in class ids.
        BackendError: the engine failed on ten frames in a row.
    """
    require("this run", request.extras)
    bundle = _find_bundle(folder, progress.say)
    check_takes_color(bundle)
    finish, legend = _plan_finish(request, bundle.manifest.labels)
    if request.outputs.masks is not None:  # refused now, and not after the engine has opened
        plan_masks(request.outputs.masks, legend)
    service = Service()

    def say(line: str) -> None:
        """Pass a line on, and report to the service manager that a waiting run is alive."""
        progress.say(line)
        service.report_alive()

    events = [Events(say, name=one.name if request.by_name else None) for one in request.sources]
    with ExitStack() as stack:
        for claim in claim_all(request, bundle.folder, say=progress.say):
            stack.enter_context(claim)
        variant = choose_variant(bundle, device=request.device, progress=progress)
        _check_output(variant, finish)
        segmenter = stack.enter_context(Segmenter(bundle, variant=variant, progress=progress))
        # Files have no rate to hold, and each engine costs memory and, on a device, its build.
        unending = [one for one in request.sources if not list_files_read(one.uri)]
        by_size = request.fps is not None and not request.tile and unending
        smaller = open_smaller(bundle, stack, progress, device=request.device) if by_size else ()
        for one in smaller:
            _check_output(one.variant, finish)
        if explain_host(finish, request.reuse) is None:
            for one in (segmenter, *smaller):
                stack.enter_context(use_batch(one, len(request.sources), progress))
        sources = stack.enter_context(open_all(request, events, say=say))
        model = Model(segmenter=segmenter, smaller=smaller, finish=finish, legend=legend)
        parts = make_parts(model, sources, events, request, say=progress.say)
        return _Session(model, sources, parts, request, progress, service).run(ended_by)


class _Session:
    """The open sources, engine and outputs of a run."""

    def __init__(
        self,
        model: Model,
        sources: Sequence[Source],
        parts: Sequence[Part],
        request: RunRequest,
        progress: Progress,
        service: Service,
    ) -> None:
        self._model = model
        self._segmenter = model.segmenter
        self._sources = sources
        self._parts = parts
        self._request = request
        self._progress = progress
        self._service = service
        self._stop = threading.Event()

    def run(self, ended_by: EndedBy) -> RunResult:
        bundle, variant = self._segmenter.bundle, self._segmenter.variant
        say = self._progress.say
        parts = self._parts
        named = ", ".join(part.title for part in parts)
        engine = self._segmenter.backend.name
        say(f"{bundle.folder} ({find_title(variant)}) on {engine}, source {named}")
        if self._request.tile:
            say(describe_tiles(self._segmenter.input))
        host = explain_host(self._model.finish, self._request.reuse)
        if self._segmenter.path is not None and host is not None:
            say(f"the CPU prepares frames and makes masks, and the GPU runs the network: {host}")
        for line in _describe_pace(self._sources, self._request.pace):
            say(line)
        with ended_by(self._end), open_parts(parts, self._request, say=say, end=self._end) as fans:
            self._service.report_ready(f"{parts[0].about.bundle}, source {named}")
            whole, summaries = self._segment(fans)
            for summary, fan in zip(summaries, fans, strict=True):
                if summary.lost is not None:
                    fan.discard()  # which keeps what a camera or stream gave
            self._service.report_stopping()
        return RunResult(
            summary=whole,
            bundle=bundle.folder,
            backend=engine,
            precision=variant.precision,
            parts=tuple(
                part.sum_up(summary, fan)
                for part, summary, fan in zip(parts, summaries, fans, strict=True)
            ),
            by_name=self._request.by_name,
        )

    def _segment(self, fans: Sequence[FanOut]) -> tuple[Summary, list[Summary]]:
        length = _count_frames(self._sources, self._request)
        step = begin(self._progress, "segmenting", length or 0, "frame")
        spec, say = self._segmenter.input, self._progress.say
        shrinking, sizes = ShrinkTeller(spec, say, remedy=_SEE_ALL), SizeTeller(say)
        keeper = self._keep_size()
        watch = _watch_rates(self._sources, self._parts, self._request.fps)

        def on_frame(result: Result) -> None:
            watch(result)
            if keeper is not None:
                keeper.see(result)
            if not self._request.tile:
                shrinking.see(*result.captured.image.shape[:2])
            sizes.see(*result.captured.image.shape[:2])
            step()
            self._service.report_alive()

        return run_all(
            self._segmenter if keeper is None else keeper.choice,
            [
                part.feed(source, fan)
                for source, part, fan in zip(self._sources, self._parts, fans, strict=True)
            ],
            limits=Limits(frames=self._request.frames, seconds=self._request.seconds),
            on_frame=on_frame,
            stop=self._stop,
            finish=self._model.finish,
            reuse=self._request.reuse,
            pace=self._request.pace,
        )

    def _keep_size(self) -> SizeKeeper | None:
        """Keep the rate of live sources by the input's size; None where there is one size only."""
        fps, sizes = self._request.fps, self._segmenter.bundle.manifest.sizes
        live = [index for index, source in enumerate(self._sources) if source.live]
        if fps is None or not sizes or self._request.tile:
            return None
        if not live:
            spec = self._segmenter.input
            self._progress.say(
                f"a file has no rate to hold: the input is {spec.height}x{spec.width}, the largest"
            )
            return None
        keeper = SizeKeeper(
            [self._segmenter, *self._model.smaller],
            rate=sum(min(fps, self._sources[index].fps) for index in live),
            tell=self._parts[live[0]].about.events.tell,
        )
        self._progress.say(f"the input is {keeper.name} at first, by how long frames take here")
        return keeper

    def _end(self) -> None:
        """End the run after the current frame, and stop waiting for lost sources."""
        self._stop.set()
        for source in self._sources:
            source.stop()


def _plan_finish(request: RunRequest, labels: Labels) -> tuple[Finish, Legend]:
    """Plan what is made of the engine's output, and what the ids mean then."""
    least, kept, masks = request.min_score, request.classes, request.outputs.masks
    return plan_finish(
        labels,
        tile=request.tile,
        scores=masks is not None and masks.scores,
        least=() if least is None else find_min_scores(least, labels),
        kept=() if kept is None else find_class_ids(kept, labels),
    )


def _check_output(variant: VariantInfo, finish: Finish) -> None:
    """Refuse a variant whose output does not do; see `check_gives_logits`."""
    if finish.tile:
        check_gives_logits(variant)
    if finish.needs_logits:
        check_gives_scores(variant)


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


def _count_frames(sources: Sequence[Source], request: RunRequest) -> int | None:
    """Count the frames that will come; None where unknown. Of thinned files it is an estimate."""
    lengths = [
        None
        if source.length is None
        else math.ceil(source.length * min(1.0, (request.fps or source.fps) / source.fps))
        for source in sources
    ]
    known = [length for length in lengths if length is not None]
    whole = sum(known) if len(known) == len(lengths) else None
    return min((count for count in (whole, request.frames) if count is not None), default=None)


def _describe_pace(sources: Sequence[Source], pace: Pace) -> Iterator[str]:
    """Say of which sources frames are skipped, and that no frame of a file is too old."""
    fps = pace.fps
    if pace.max_age_ms is not None and not any(source.live for source in sources):
        yield "--max-age has no effect: the frames of a file wait as long as they must"
    for source in sources:
        if fps is not None and source.live:  # its rate is a guess until frames come
            yield f"{source.name}: {fps:g} frames a second at most are segmented (--fps)"
        elif fps is not None and source.fps > fps:
            taken = f"{fps:g} of {source.fps:.4g} frames a second are segmented"
            yield f"{source.name}: {taken} (--fps), the others are skipped"


def _watch_rates(
    sources: Sequence[Source], parts: Sequence[Part], fps: float | None
) -> Callable[[Result], None]:
    """Watch the rate of live sources; a file has none, for it waits."""
    watches = [
        RateWatch(source.name, fps) if fps is not None and source.live else None
        for source in sources
    ]

    def see(result: Result) -> None:
        watch = watches[result.feed]
        event = None if watch is None else watch.see(time.perf_counter(), result.dropped)
        if event is not None:
            parts[result.feed].about.events.tell(event)

    return see
