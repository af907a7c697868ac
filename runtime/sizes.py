"""Opens the smaller input sizes of a bundle, and keeps a run on the largest that holds the rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Final

from edgeseg.bundle.store import Bundle, open_sizes
from edgeseg.progress import Progress
from edgeseg.runtime.backends.placing import AUTO
from edgeseg.runtime.events import Event, Tell
from edgeseg.runtime.golden import read_golden_frame
from edgeseg.runtime.live.ladder import PATIENT, Ladder, Move, Patience
from edgeseg.runtime.live.network import Choice
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter

__all__ = ["SizeKeeper", "open_smaller"]

_ROUNDS: Final = 4  # of which the first warms up


def open_smaller(
    bundle: Bundle, stack: ExitStack, progress: Progress, *, device: str = AUTO
) -> tuple[Segmenter, ...]:
    """Open the engines of a bundle's smaller sizes, the largest first; `stack` closes them.

    Raises:
        BundleError: a size was changed, or is of other weights.
        GateMissedError: no variant of a size works here.
        BackendError: an engine refuses its variant.
    """
    return tuple(
        stack.enter_context(
            Segmenter(
                one,
                variant=choose_variant(one, device=device, progress=progress),
                progress=progress,
            )
        )
        for one in open_sizes(bundle)
    )


class SizeKeeper:
    """Chooses the size for each next frame, from how long the frames before took."""

    def __init__(
        self,
        segmenters: Sequence[Segmenter],
        *,
        rate: float,
        tell: Tell,
        patience: Patience = PATIENT,
    ) -> None:
        """Time each size, the largest first; `rate` is that of all sources together."""
        self._names = [f"{one.input.height}x{one.input.width}" for one in segmenters]
        self._ladder = Ladder([*map(_time, segmenters)], rate=rate, patience=patience)
        self._tell = tell
        self._dropped: dict[int, int] = {}
        self.choice = Choice(networks=segmenters, pick=lambda: self._ladder.rung)

    @property
    def name(self) -> str:
        """The size of the next frame's input, height x width."""
        return self._names[self._ladder.rung]

    def see(self, result: Result) -> None:
        """See a result; each change of size is an event."""
        self._dropped[result.feed] = result.dropped
        move = self._ladder.see(
            time.perf_counter(),
            rung=result.network,
            dropped=sum(self._dropped.values()),
            took_ms=None if result.reused else result.segmentation.infer_ms,
        )
        if move is not None:
            self._tell(Event(kind="size", text=self._describe(move)))

    def _describe(self, move: Move) -> str:
        before, after = self._names[move.before], self._names[move.after]
        if move.after < move.before:
            return f"the input is {after} from now on (before: {before}), for there is time for it"
        return (
            f"the input is {after} from now on: with {before}, {move.reached:.1f} of "
            f"{move.offered:.1f} frames a second were segmented"
        )


def _time(segmenter: Segmenter) -> float:
    """Time the engine, in milliseconds.

    The other steps take about as long for each size, as they work on whole frames, and run beside
    the engine.
    """
    frame = read_golden_frame(segmenter.bundle)
    times_ms = [segmenter.segment(frame).infer_ms for _ in range(_ROUNDS)]
    return median(times_ms[1:])
