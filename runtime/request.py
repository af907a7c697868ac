"""What a run is asked for, and how it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgeseg.data_rules import ValueRange
from edgeseg.errors import SpecError
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.backends.placing import AUTO
from edgeseg.runtime.class_choice import MinScore, check_min_scores
from edgeseg.runtime.live.pace import Pace
from edgeseg.runtime.live.reuse import EXACT, Reuse, check_reuse
from edgeseg.runtime.live.tally import Summary
from edgeseg.runtime.sinks.outputs import Outputs
from edgeseg.runtime.sources.address import is_camera
from edgeseg.runtime.sources.files.bag import find_bag
from edgeseg.runtime.sources.live.raw import RawFrames
from edgeseg.runtime.sources.named import NamedSource, check_readers
from edgeseg.runtime.sources.options import CameraOptions
from edgeseg.spec import check_number

__all__ = ["PartResult", "RunRequest", "RunResult"]

_AS_IT_COMES: Final = CameraOptions()
_NO_FILES: Final = Outputs()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What to segment, where the results go, and when the run ends by itself.

    Of several `sources`, frames are taken in turn. Files of each go into a folder of its name, as
    do those of a single source that the user named.
    `max_retries` says how often a camera or stream without a frame is opened again; None means no
    limit. `show` opens a window; None opens one for a camera or stream where there is a screen.
    `frames` counts those of all sources, and `seconds` from the first frame. `value_range` says
    which values of images of more than 8 bits become 0 and 255. `tile` shows the network each frame
    at its own size, in windows. `raw` describes raw frames on standard input. `classes` are the
    names of those that the outputs tell apart; all others become background. A pixel whose class
    has a probability below `min_score` is ignored; see `find_min_scores`. `reuse` says which frames
    have the mask of an earlier one. Each source gives `fps` frames a second at most, evenly; the
    others are not computed. A live frame that waited for more than `max_age_ms` is dropped.
    `device` restricts the engine to devices of that name.

    Raises:
        SpecError: there is no source, a number is out of range, tiles are to have a gate, or
            several sources cannot share an output or a pipe.
    """

    sources: tuple[NamedSource, ...]
    camera: CameraOptions = _AS_IT_COMES
    max_retries: int | None = None
    outputs: Outputs = _NO_FILES
    show: bool | None = None
    frames: int | None = None
    seconds: float | None = None
    value_range: ValueRange | None = None
    tile: bool = False
    raw: RawFrames | None = None
    classes: Sequence[str] | None = None
    min_score: MinScore | None = None
    reuse: Reuse = EXACT
    fps: float | None = None
    max_age_ms: float | None = None
    device: str = AUTO

    def __post_init__(self) -> None:
        if not self.sources:
            raise SpecError("a run needs a source; name one")
        check_readers(self.sources)
        check_number("frames", self.frames, least=1, whole=True)
        check_number("seconds", self.seconds, least=0)
        check_number("max_retries", self.max_retries, least=0, whole=True)
        check_reuse(self.reuse, tile=self.tile)
        if self.min_score is not None:
            check_min_scores(self.min_score)
        _ = self.pace  # refuses what is not above 0
        if len(self.sources) > 1:
            self.outputs.put_below(self.sources[0].name)  # each of them can have its own

    @property
    def by_name(self) -> bool:
        """Whether sources are told by their names: several, or one that the user named."""
        return len(self.sources) > 1 or self.sources[0].given

    def choose_outputs(self, name: str) -> Outputs:
        """Give a source its outputs: files go into a folder of its name, if sources have names.

        The server's address of a restream stays as it was given where there is one source.
        """
        if not self.by_name:
            return self.outputs
        if len(self.sources) > 1:
            return self.outputs.put_below(name)
        files = replace(self.outputs, restream=None).put_below(name)
        return replace(files, restream=self.outputs.restream)

    @property
    def pace(self) -> Pace:
        """The most frames a second, and how long a frame may wait."""
        return Pace(fps=self.fps, max_age_ms=self.max_age_ms)

    @property
    def extras(self) -> list[str]:
        """The package's extras that the run needs."""
        uris = [source.uri for source in self.sources]
        save = self.outputs.save
        needed = {
            "bag": any(find_bag(uri) is not None for uri in uris),
            "opencv": any(is_camera(uri) or str(uri).startswith(GSTREAMER) for uri in uris),
            "video": (save is not None and save.suffix.lower() == ".mp4")
            or self.outputs.restream is not None,
            "preview": self.outputs.preview is not None,
        }
        return [extra for extra, is_needed in needed.items() if is_needed]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """How a run went for one of its sources.

    `miou` is in percent, None where the source has no ground truth. `summary.lost` says why the
    source ended by itself. `failed_outputs` counts the outputs that were not finished; `written`
    are the files and folders of the others. `events` counts what changed midway, by its kind
    (`edgeseg.runtime.events`); kinds without an event are left out.
    """

    name: str
    live: bool
    summary: Summary
    miou: float | None
    failed_outputs: int
    written: tuple[Path, ...]
    events: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run went, until its end or until Ctrl-C: `summary` is of all sources together.

    `by_name` says whether the names of `parts` tell the sources, as in `RunRequest`.
    """

    summary: Summary
    bundle: Path
    backend: str
    precision: str
    parts: tuple[PartResult, ...]
    by_name: bool = False

    @property
    def live(self) -> bool:
        """Whether any source was a camera or stream."""
        return any(part.live for part in self.parts)

    @property
    def miou(self) -> float | None:
        """The mIoU of the only source, in percent; None without ground truth, or of several."""
        return self.parts[0].miou if len(self.parts) == 1 else None

    @property
    def failed_outputs(self) -> int:
        """The number of outputs that were not finished."""
        return sum(part.failed_outputs for part in self.parts)

    @property
    def written(self) -> tuple[Path, ...]:
        """The files and folders that were written."""
        return tuple(path for part in self.parts for path in part.written)

    @property
    def events(self) -> Mapping[str, int]:
        """The number of events of each kind; kinds without an event are left out."""
        return dict(sum((Counter(part.events) for part in self.parts), Counter()))
