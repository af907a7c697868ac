"""The parts of a run: each source with its own outputs, counts and ground truth."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgeseg.errors import SinkError, SourceError
from edgeseg.progress import Say, name_lines
from edgeseg.runtime.about import About
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.events import Event, Events
from edgeseg.runtime.finish import Finish
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.live.feed import Loss
from edgeseg.runtime.live.run import Fed
from edgeseg.runtime.live.tally import Summary
from edgeseg.runtime.preview.sink import open_previews
from edgeseg.runtime.request import PartResult, RunRequest
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sinks.claims import claim_outputs
from edgeseg.runtime.sinks.outputs import FanOut, Outputs, open_outputs
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sinks.truth import TruthMeter
from edgeseg.runtime.sinks.window import explain_no_window, has_display
from edgeseg.runtime.sources import Source, open_source
from edgeseg.runtime.sources.files.clocked import hold_back
from edgeseg.runtime.sources.options import Retry
from edgeseg.runtime.threads import start_thread
from edgeseg.text import join_reasons, to_plain

__all__ = ["Model", "Part", "claim_all", "make_parts", "open_all", "open_parts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The model of a run: its engine, what is made of the output, and what the ids mean then.

    `smaller` are the engines of smaller inputs, the largest first, where a rate is to be held.
    """

    segmenter: Segmenter
    smaller: tuple[Segmenter, ...] = ()
    finish: Finish
    legend: Legend


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a run does with one source: `meter` compares with its ground truth, if it has one."""

    name: str
    about: About
    outputs: Outputs
    meter: TruthMeter | None

    @property
    def title(self) -> str:
        """The source as people know it, with the name that its outputs carry, if they do."""
        source = self.about.source
        return source if self.about.name in {None, source} else f"{self.name} ({source})"

    def feed(self, source: Source, fan: FanOut) -> Fed:
        """Feed the source's results to its outputs, which end with it."""

        def end(loss: Loss | None) -> None:
            if loss is None:
                fan.finish()
            else:
                fan.discard()  # which keeps what a camera or stream gave
            text = self._describe_end(loss, given_up=fan.given_up)
            self.about.events.tell(Event(kind="ended", text=text))

        return Fed(
            source=source,
            sinks=[fan] if self.meter is None else [self.meter, fan],
            tell=self.about.events.tell,
            drawing=self._plan_drawing(),
            wanted=lambda: not fan.given_up,
            end=end,
        )

    def _plan_drawing(self) -> Drawing | None:
        outputs, legend = self.outputs, self.about.legend
        return Drawing(legend=legend, encoded=not outputs.shows) if outputs.draws else None

    def _describe_end(self, loss: Loss | None, *, given_up: bool) -> str:
        """Describe how the source ended, while others go on."""
        if given_up:
            return "left, for no output of it is left; the other sources go on"
        if loss is None:
            return "ended; its outputs are finished, and the other sources go on"
        done = "finished" if self.about.live else "removed, for they would not be whole"
        text = f"given up; its outputs are {done}, and the other sources go on"
        return text if loss.told else f"{text}: {loss.reason}"

    def sum_up(self, summary: Summary, fan: FanOut) -> PartResult:
        """Sum up how it went."""
        return PartResult(
            name=self.name,
            live=self.about.live,
            summary=summary,
            miou=None if self.meter is None else self.meter.miou,
            failed_outputs=fan.failed,
            written=tuple(fan.written),
            events={kind: count for kind, count in self.about.events.counts.items() if count},
        )


def claim_all(
    request: RunRequest, bundle: Path, *, say: Say
) -> Iterator[AbstractContextManager[None]]:
    """Give, for each source, the lock of its outputs; `claim_outputs` says what is refused."""
    uris = [source.uri for source in request.sources]
    taken: dict[str, str] = {}
    for source in request.sources:
        outputs = request.choose_outputs(source.name)
        for file in outputs.files:  # a source may be called as another one's folder of scores
            other = taken.setdefault(str(Path(file).resolve()), source.name)
            if other != source.name:
                raise SinkError(f"{other} and {source.name} would both write {file}; rename one")
        yield claim_outputs(
            outputs,
            source.uri,
            bundle,
            frames=request.frames if len(uris) == 1 else None,
            beside=[uri for uri in uris if uri != source.uri],
            say=say,
        )


@contextmanager
def open_all(request: RunRequest, events: Sequence[Events], *, say: Say) -> Iterator[list[Source]]:
    """Open all sources at the same time; of several, those that are not there are waited for.

    Each source tells the events of its own.

    Raises:
        SourceError: none of them is there, or a file is not.
        MissingPackageError: a package that a source needs is not installed.
    """
    several = len(request.sources) > 1
    openings = [
        open_source(
            named.uri,
            camera=request.camera,
            retry=Retry(
                attempts=request.max_retries,
                say=name_lines(say, named.name if several else None),
                tell=told.tell,
                wait=several,
            ),
            value_range=request.value_range,
            raw=request.raw,
        )
        for named, told in zip(request.sources, events, strict=True)
    ]
    with ExitStack() as stack:
        if several:
            sources = _enter_together(stack, openings)
        else:
            sources = [stack.enter_context(openings[0])]
        if request.outputs.restream is not None:
            sources = [source if source.live else hold_back(source) for source in sources]
        absent = {
            named.name: source.absent
            for named, source in zip(request.sources, sources, strict=True)
            if source.absent is not None
        }
        if len(absent) == len(sources):
            raise SourceError(join_reasons(absent.values()))
        for name, fault in absent.items():
            say(f"{name}: {fault} (the run begins without it, and tries again)")
        yield sources


def _enter_together(
    stack: ExitStack, openings: Sequence[AbstractContextManager[Source]]
) -> list[Source]:
    """Enter all contexts at the same time; raise the first error.

    Ctrl-C ends the wait: what opens after that is left to the end of the process.
    """
    opened: dict[int, Source] = {}
    failed: dict[int, BaseException] = {}

    def enter(index: int) -> None:
        try:
            opened[index] = stack.enter_context(openings[index])
        except BaseException as error:  # raised again below
            failed[index] = error

    threads = [
        threading.Thread(target=enter, args=(index,), name="edgeseg opening", daemon=True)
        for index in range(len(openings))
    ]
    for thread in threads:
        start_thread(thread)
    for thread in threads:
        thread.join()
    for index in sorted(failed):
        raise failed[index]
    return [opened[index] for index in range(len(openings))]


def make_parts(
    model: Model,
    sources: Sequence[Source],
    events: Sequence[Events],
    request: RunRequest,
    *,
    say: Say,
) -> list[Part]:
    """Make the parts of a run: for each source its outputs, and what these need to know."""
    window = _wants_window(show=request.show, live=any(source.live for source in sources), say=say)
    parts = []
    for named, source, told in zip(request.sources, sources, events, strict=True):
        about = _describe(model, source, told, named.name if request.by_name else None)
        parts.append(
            Part(
                name=named.name,
                about=about,
                outputs=replace(request.choose_outputs(named.name), window=window),
                meter=_make_meter(model, source, name_lines(say, about.name)),
            )
        )
    return parts


@contextmanager
def open_parts(
    parts: Sequence[Part], request: RunRequest, *, say: Say, end: Callable[[], None]
) -> Iterator[list[FanOut]]:
    """Open the outputs of all parts.

    `end` ends the run, where the user closes any window: OpenCV does not tell which window a key
    was meant for.

    Raises:
        SinkError: an output cannot be opened.
        MissingPackageError: a package that an output needs is not installed.
    """
    with ExitStack() as stack:
        previews: list[list[Sink]] = [[] for _ in parts]
        if request.outputs.preview is not None:
            opened = open_previews(request.outputs.preview, [part.about for part in parts])
            say(f"preview: {opened[0].url}")
            for sink in opened:
                stack.callback(sink.discard)
            previews = [[sink] for sink in opened]
        yield [
            stack.enter_context(open_outputs(part.outputs, part.about, more=more, say=say, end=end))
            for part, more in zip(parts, previews, strict=True)
        ]


def _make_meter(model: Model, source: Source, say: Say) -> TruthMeter | None:
    """Make what compares with a source's ground truth; None where they cannot be compared.

    A mask without some classes, or without some pixels, has no mIoU to compare.
    """
    labels = model.segmenter.bundle.manifest.labels
    if source.labels is None or source.labels.classes != labels.classes:
        return None
    whole = not (model.finish.becomes or model.finish.least)
    return TruthMeter(labels, say=say) if whole else None


def _describe(model: Model, source: Source, events: Events, name: str | None) -> About:
    segmenter = model.segmenter
    return About(
        bundle=to_plain(segmenter.bundle.manifest.name),
        engine=segmenter.backend.name,
        precision=segmenter.variant.precision,
        source=to_plain(source.name),  # a file's name may be no text, and hold line breaks
        name=name,
        legend=model.legend,
        fps=source.fps,
        live=source.live,
        last_frame_s=source.last_frame_s,
        events=events,
    )


def _wants_window(*, show: bool | None, live: bool, say: Say) -> bool:
    """Decide whether to open windows; where the user may expect one, say why none opens."""
    if show is False or (show is None and not (live and has_display())):
        return False
    reason = explain_no_window()
    if reason is not None:
        say(f"no window: {reason}")
    return reason is None
