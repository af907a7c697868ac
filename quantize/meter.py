"""Measures accuracy and speed of a candidate on the engine that will run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.accuracy.counts import Masks, compare
from edgeseg.bundle.manifest import Accuracy
from edgeseg.errors import BackendError, ExportError
from edgeseg.images import read_mask, write_mask
from edgeseg.labels import Labels
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import Step, ignore
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.runtime.timing import alternate
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from edgeseg.pixels import Frame

__all__ = ["Meter", "Read", "measure_speed"]

Read = Callable[[], tuple[Bgr, ClassMap | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Images to measure on, and where the reference's masks for them are kept.

    Each of the `images` comes with its place in the whole source, under which its mask is kept. An
    image is read as its pixels and, where known, its ground truth.
    """

    images: Sequence[tuple[int, Read]]
    labels: Labels
    ignore_index: int
    spec: InputSpec
    masks: Path
    open_reference: Callable[[], AbstractContextManager[Backend]]

    def list_kept(self) -> list[bool]:
        """Tell of each image whether the reference's mask is kept, so that it need not run."""
        return [self._find_mask(place).exists() for place, _ in self.images]

    def measure(
        self, candidate: Backend, *, step: Step = ignore, most: int | None = None
    ) -> Accuracy:
        """Compare with the reference on the first `most` images; call `step` after each.

        Raises:
            BackendError: the candidate's engine fails on an image.
            ExportError: the reference's engine fails.
        """
        images = self.images[:most]
        return compare(
            self._segment_images(images, candidate, step),
            self.labels,
            ignore_index=self.ignore_index,
        )

    def _segment_images(
        self,
        images: Sequence[tuple[int, Read]],
        candidate: Backend,
        step: Step,
    ) -> Iterator[Masks]:
        with ExitStack() as stack:
            reference: Backend | None = None
            for place, read in images:
                frame, truth = read()
                kept = self._find_mask(place)
                if not kept.exists():
                    if reference is None:
                        reference = stack.enter_context(self.open_reference())
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        expected = segment_frame(reference, self.spec, frame).mask
                    except BackendError as error:  # the reference failed, not the candidate
                        raise ExportError(
                            f"FP32, which all else is compared with: {error}"
                        ) from error
                    write_mask(expected, kept)
                found = segment_frame(candidate, self.spec, frame).mask
                yield Masks(truth, read_mask(kept), found)
                step()

    def _find_mask(self, place: int) -> Path:
        return self.masks / f"{place}.png"


def measure_speed(candidate: Backend, baseline: Backend, frame: Frame) -> tuple[float, float]:
    """Measure how many times faster a candidate is, and the baseline's milliseconds, in turns.

    The ratio is the median of the rounds' ratios.
    """
    engines = {"own": candidate, "other": baseline}
    times = alternate({name: partial(engine.infer, frame) for name, engine in engines.items()})
    return float(np.median(times["other"] / times["own"])), float(np.median(times["other"]))
