"""Opens all outputs of a run. When an output fails, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgeseg.errors import SinkError
from edgeseg.files.homes import expand_home
from edgeseg.progress import Say, name_lines
from edgeseg.runtime.about import About
from edgeseg.runtime.overlay import Overlay
from edgeseg.runtime.preview.address import Address, parse_address
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.jsonl import JsonlSink
from edgeseg.runtime.sinks.masks import MaskFiles, open_mask_sink
from edgeseg.runtime.sinks.partial import LastStepError
from edgeseg.runtime.sinks.picture import PictureSink, open_overlay_sink
from edgeseg.runtime.sinks.recording import RecordingSink
from edgeseg.runtime.sinks.restream import RestreamSink
from edgeseg.runtime.sinks.scores import open_score_sink
from edgeseg.runtime.sinks.sender import check_target, extend_target
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sinks.video import VideoFile

__all__ = ["FanOut", "Outputs", "check_ending", "open_outputs", "plan_outputs", "to_file_or_folder"]

_VIDEO_SUFFIX: Final = ".mp4"
# Those that can record that edgeseg wrote them, so that the next run can replace them.
_PICTURES: Final = (".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_BESIDE: Final = "what there is lies beside it"


def to_file_or_folder(save: str | None) -> tuple[Path | None, Path | None]:
    """Take `save` as a file or as a folder; a folder exists, or its name ends in a slash."""
    if save is None:
        return None, None
    path = Path(save)
    is_file = path.suffix.lower() in (_VIDEO_SUFFIX, *_PICTURES)
    if save.endswith("/") or (path.is_dir() and not is_file):
        return None, path
    return path, None


def check_ending(save: Path) -> None:
    """Check by its name that a file is a video or a picture.

    Raises:
        SinkError: the file is neither.
    """
    suffix = save.suffix.lower()
    if suffix not in (_VIDEO_SUFFIX, *_PICTURES):
        raise SinkError(
            f"{save} cannot be written: unknown ending {suffix!r}; use {_VIDEO_SUFFIX} for a "
            f"video, .png or .jpg for one picture, or {save}/ for a folder of pictures"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The outputs of a run; None for those not wanted. `jsonl` may be `-`, standard output.

    `save` is a video or one picture, `overlays` a folder of pictures, `restream` the address of a
    server.

    Raises:
        SpecError: `restream` is no address that takes video.
    """

    save: Path | None = None
    overlays: Path | None = None
    masks: MaskFiles | None = None
    jsonl: str | None = None
    window: bool = False
    preview: Address | None = None
    restream: str | None = None

    def __post_init__(self) -> None:
        if self.restream is not None:
            check_target(self.restream)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files and folders that a successful run leaves."""
        lines = None if self.jsonl == "-" else self.jsonl
        named = (self.save, *self.folders, lines)
        return tuple(str(name) for name in named if name is not None)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that get a picture for each frame."""
        masks = () if self.masks is None else self.masks.folders
        return tuple(folder for folder in (self.overlays, *masks) if folder is not None)

    def put_below(self, name: str) -> Outputs:
        """Put a folder `name` above each file, and into each folder; standard output stays.

        Raises:
            SpecError: the server's address is none that can be extended by the name.
        """
        masks, lines = self.masks, self.jsonl

        def put_above(file: Path) -> Path:
            return file.parent / name / file.name

        return replace(
            self,
            save=None if self.save is None else put_above(self.save),
            overlays=None if self.overlays is None else self.overlays / name,
            masks=None if masks is None else replace(masks, folder=masks.folder / name),
            jsonl=lines if lines in {None, "-"} else str(put_above(Path(lines))),
            restream=None if self.restream is None else extend_target(self.restream, name),
        )

    @property
    def draws(self) -> bool:
        """Whether an output shows each frame in the colors of its classes, as `Overlay` draws it.

        The preview draws what its viewers ask for.
        """
        return self.shows or self.save is not None or self.restream is not None

    @property
    def shows(self) -> bool:
        """Whether an output shows these frames as pictures, and not only as video."""
        return self.window or self.overlays is not None or self.picture

    @property
    def picture(self) -> bool:
        """Whether `save` is a picture of one frame."""
        return self.save is not None and self.save.suffix.lower() in _PICTURES


def plan_outputs(
    *,
    save: str | Path | None,
    masks: str | Path | MaskFiles | None,
    jsonl: str | Path | None,
    preview: str | Address | None,
    restream: str | None,
) -> Outputs:
    """Plan a run's outputs; `save` names a video, a picture, or a folder of pictures.

    A `~` is the user's home, as in a shell.

    Raises:
        SpecError: see `Outputs`.
        SinkError: `preview` is no address.
    """
    file, folder = to_file_or_folder(None if save is None else expand_home(str(save)))
    return Outputs(
        save=file,
        overlays=folder,
        masks=MaskFiles(Path(masks).expanduser()) if isinstance(masks, str | Path) else masks,
        jsonl=None if jsonl is None else expand_home(str(jsonl)),
        preview=parse_address(preview, None) if isinstance(preview, str) else preview,
        restream=restream,
    )


class FanOut:
    """A sink that passes results to several sinks.

    `keep` says whether a sink that fails keeps its results so far. `name` is that of the source,
    where there are several. `written` are the final names of the finished outputs; `failed` counts
    the sinks that did not finish. `given_up` says that every sink has failed.
    """

    def __init__(
        self,
        sinks: list[Sink],
        *,
        keep: bool,
        name: str | None = None,
        say: Say,
    ) -> None:
        self._sinks = sinks
        self._keep = keep
        self._tell_failure = name_lines(lambda line: say(f"edgeseg: {line}"), name)
        self.failed = 0
        self.given_up = False
        self.written: list[Path] = []

    def write(self, result: Result, /) -> None:
        """Pass one result to every sink."""
        for sink in tuple(self._sinks):
            self._write(sink, result)

    def finish(self) -> None:
        """Finish every output that can be finished."""
        for sink in self._sinks:
            self._finish(sink)
        self._sinks = []

    def discard(self) -> None:
        """Keep the results so far, or remove them, after the run broke off."""
        for sink in self._sinks:
            if self._keep:
                self._finish(sink)
            else:
                sink.discard()
        self._sinks = []

    def _write(self, sink: Sink, result: Result) -> None:
        try:
            sink.write(result)
        except SinkError as error:
            self._sinks.remove(sink)
            self.failed += 1
            kept = self._explain_kept(sink)
            goes_on = ["the other outputs go on"] if self._sinks else []
            self._tell_failure("; ".join((str(error), *kept, *goes_on)))
            self.given_up = not self._sinks

    def _explain_kept(self, sink: Sink) -> list[str]:
        """Explain what a failed sink leaves."""
        if not self._keep:
            sink.discard()
            return []
        try:
            paths = _list_paths(sink.finish())
        except LastStepError as error:
            return [str(error)]
        except SinkError:  # one line for each output is enough
            return [_BESIDE]
        if not paths:
            sink.discard()
            return []
        self.written += paths
        return ["what it has so far is kept"]

    def _finish(self, sink: Sink) -> None:
        try:
            paths = _list_paths(sink.finish())
        except LastStepError as error:
            self.failed += 1
            self._tell_failure(str(error))
        except SinkError as error:
            self.failed += 1
            if self._keep:  # a recording is kept even where its last step fails
                self._tell_failure(f"{error}; {_BESIDE}")
            else:
                self._tell_failure(str(error))
                sink.discard()
        else:
            self.written += paths


def _list_paths(finished: Path | Sequence[Path] | None) -> Sequence[Path]:
    """List what a sink finished."""
    if finished is None:
        return ()
    return (finished,) if isinstance(finished, Path) else finished


@contextmanager
def open_outputs(
    outputs: Outputs,
    about: About,
    *,
    more: Sequence[Sink] = (),
    say: Say,
    end: Callable[[], None],
) -> Iterator[FanOut]:
    """Open every output that is wanted, but the preview, beside `more` that are open already.

    `say` receives a line about each output that fails. Of several sources, lines begin with the
    name. `end` is called when the user closes the window.

    Raises:
        SinkError: an output cannot be opened.
        MissingPackageError: a package that an output needs is not installed.
    """
    sinks = list(more)
    try:
        for sink in _open(outputs, about, say=say, end=end):
            sinks.append(sink)  # noqa: PERF402  # `sinks` must hold those opened before a failure
    except BaseException:
        for sink in sinks:
            sink.discard()
        raise
    fan = FanOut(sinks, keep=about.live, name=about.name, say=say)
    try:
        yield fan
    except BaseException:
        fan.discard()
        raise
    fan.finish()


def _open(
    outputs: Outputs,
    about: About,
    *,
    say: Say,
    end: Callable[[], None],
) -> Iterator[Sink]:
    overlay, named = Overlay(about.legend), name_lines(say, about.name)
    if outputs.save is not None:
        yield _open_save_sink(outputs.save, about, overlay, named)
    yield from _open_folders(outputs, about, overlay, named)
    if outputs.jsonl is not None:
        yield JsonlSink(outputs.jsonl, about.legend, source=about.name)
    if outputs.window:
        from edgeseg.runtime.sinks.window import WindowSink

        yield WindowSink(f"{about.bundle}: {about.name or about.source}", overlay, end)
    if outputs.restream is not None:
        yield RestreamSink(
            outputs.restream,
            overlay,
            fps=about.fps,
            live=about.live,
            name=about.name,
            say=say,
        )


def _open_folders(outputs: Outputs, about: About, overlay: Overlay, say: Say) -> Iterator[Sink]:
    if outputs.overlays is not None:
        yield open_overlay_sink(outputs.overlays, overlay, say)
    if outputs.masks is not None:
        yield open_mask_sink(outputs.masks, about.legend, say)
        if outputs.masks.scores:
            yield open_score_sink(outputs.masks.folders[-1], say)


def _open_save_sink(path: Path, about: About, overlay: Overlay, say: Say) -> Sink:
    """Open a sink for a picture or a video, by the file's ending."""
    check_ending(path)
    if path.is_dir():
        raise SinkError(f"{path} cannot be written: it is a folder; name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror}") from None
    if path.suffix.lower() in _PICTURES:
        return PictureSink(path, overlay)

    def open_file(path: Path) -> VideoFile:
        return VideoFile(path, overlay, fps=about.fps, last_frame_s=about.last_frame_s)

    return RecordingSink(path, open_file, tell=about.events.tell, say=say)
