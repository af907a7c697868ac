"""What happens to a frame after the engine: its mask, how sure each pixel is, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import numpy as np

from edgeseg.pixels import (
    Bgr,
    ClassMap,
    Logits,
    Output,
    Place,
    Probabilities,
    Scores,
    rate_bands,
    rename_ids,
    to_frame_mask,
)
from edgeseg.pixels.tiles import Look, segment_tiles
from edgeseg.runtime.result import Segmentation
from edgeseg.runtime.timing import time_call
from edgeseg.spec import InputSpec

__all__ = ["PLAIN", "Finish", "Finished"]

_BYTE: Final = 255
_HIGHEST_ID: Final = 65535


class Finished(NamedTuple):
    """A mask, class ids (H, W), and the scores of its pixels where they were asked for."""

    mask: ClassMap
    scores: Scores | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """What is made of an engine's output; by default a mask of class ids, and nothing else.

    `scores` asks for the probability of each pixel's class. A pixel of class i whose probability is
    below `least[i]` gets the id `ignore`; without `least` none does. Another pixel of class i gets
    the id `becomes[i]`; without `becomes` it keeps its own. A mask has two bytes a pixel where an
    id is above 255. With `tile`, the network sees a larger frame through windows of its own size.
    """

    tile: bool = False
    scores: bool = False
    least: tuple[float, ...] = ()
    becomes: tuple[int, ...] = ()
    ignore: int = _BYTE

    @property
    def needs_logits(self) -> bool:
        """Whether class ids alone, which some graphs end in, are not enough."""
        return self.scores or bool(self.least)

    def segment(
        self, output: Output, spec: InputSpec, frame: Bgr, *, prepare_ms: float, infer_ms: float
    ) -> Segmentation:
        """Make what `make` makes, with the milliseconds of this step and of those before."""
        (mask, scores), mask_ms = time_call(self.make, output, spec, frame)
        return Segmentation(
            mask=mask,
            scores=scores,
            prepare_ms=prepare_ms,
            infer_ms=infer_ms,
            mask_ms=mask_ms,
        )

    def make(self, output: Output, spec: InputSpec, frame: Bgr) -> Finished:
        """Make the mask of a frame, uint8 (H, W, C), at its own size, from an engine's output.

        Raises:
            BackendError: a logit is NaN or plus infinity.
        """
        mask = to_frame_mask(output, spec, frame)
        if not self.needs_logits:
            return Finished(self.rename(mask), None)
        rating = _Rating(self, mask.shape)
        rate_bands(cast("Logits", output), spec, mask, rating.take)
        return self._settle(mask, rating)

    def make_tiled(self, look: Look, spec: InputSpec, frame: Bgr) -> Finished:
        """Make the mask of a frame through windows of the network's size; see `segment_tiles`.

        Raises:
            BackendError: a logit is NaN or plus infinity.
        """
        if not self.needs_logits:
            return Finished(self.rename(segment_tiles(look, spec, frame)), None)
        rating = _Rating(self, frame.shape[:2])
        return self._settle(segment_tiles(look, spec, frame, rate=rating.take), rating)

    def _settle(self, mask: ClassMap, rating: _Rating) -> Finished:
        settled = self.rename(mask)
        if rating.unsure is not None:
            if self.ignore > np.iinfo(settled.dtype).max:
                settled = settled.astype(np.uint16)
            settled[rating.unsure] = self.ignore
        return Finished(settled, rating.scores)

    def rename(self, mask: ClassMap) -> ClassMap:
        """Give each class id of a mask what it becomes, in memory of its own if that differs."""
        return rename_ids(mask, self._make_table(mask)) if self.becomes else mask

    def _make_table(self, mask: ClassMap) -> ClassMap:
        """Make the table from ids to what they become; what is no class stays as it is."""
        wide = max(self.becomes) > _BYTE or mask.dtype != np.uint8
        table: ClassMap = np.arange(
            (_HIGHEST_ID if mask.dtype != np.uint8 else _BYTE) + 1,
            dtype=np.uint16 if wide else np.uint8,
        )
        table[: len(self.becomes)] = self.becomes
        return table


PLAIN: Final = Finish()


class _Rating:
    """The scores of a frame, and its pixels that are not sure enough, filled part by part."""

    def __init__(self, finish: Finish, size: tuple[int, ...]) -> None:
        self.scores = np.empty(size, np.uint8) if finish.scores else None
        self.unsure = np.empty(size, bool) if finish.least else None
        self._least = np.array(finish.least, np.float32)

    def take(self, place: Place, mask: ClassMap, probabilities: Probabilities) -> None:
        """Take the classes and the probabilities of a part of the frame."""
        if self.scores is not None:
            self.scores[place] = np.rint(_BYTE * probabilities)
        if self.unsure is not None:
            self.unsure[place] = probabilities < self._least[mask]
