"""Replays a bundle's golden frames through the engine that will run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from edgeseg.accuracy.gates import GOLDEN, Judged, at_least
from edgeseg.accuracy.metrics import pixel_agreement
from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.images import read_mask
from edgeseg.images.bands import read_frame
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["GOLDEN_SLACK", "Replayed", "judge_golden", "read_golden_frame", "replay_golden"]

# Points by which a golden frame's agreement may fall below the value recorded at export. Another
# machine's rounding changes single pixels at boundaries; a broken engine changes many.
GOLDEN_SLACK: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One golden frame: its name, and in % of its pixels the agreement and the least that passes.

    `passed` is False also where the agreement is not a number.
    """

    frame: str
    agreement: float
    least: float

    @property
    def passed(self) -> bool:
        """Whether the masks agree as they did where the bundle was made."""
        return self.agreement >= self.least


def read_golden_frame(bundle: Bundle, index: int = 0) -> Bgr:
    """Read one of the bundle's golden frames: uint8 BGR (H, W, 3), or (H, W, C) of other channels.

    Raises:
        SourceError: the file is damaged.
    """
    path = bundle.path(bundle.manifest.golden[index].frame)
    return read_frame(path, bundle.manifest.input.channels)


def replay_golden(
    bundle: Bundle, variant: VariantInfo, segment: Callable[[Bgr], ClassMap]
) -> Iterator[Replayed]:
    """Compare the masks that `segment` gives with the recorded ones, frame by frame."""
    for index, golden in enumerate(bundle.manifest.golden):
        mask = segment(read_golden_frame(bundle, index))
        yield Replayed(
            frame=golden.frame,
            agreement=pixel_agreement(read_mask(bundle.path(golden.mask)), mask),
            least=golden.agreement[variant.name] - GOLDEN_SLACK,
        )


def judge_golden(
    bundle: Bundle, variant: VariantInfo, segment: Callable[[Bgr], ClassMap], *, within: str = ""
) -> Judged:
    """Judge each golden frame by one gate; `within` is where the bundle lies in another one."""
    return Judged(
        gates=tuple(
            at_least(
                f"{within}{one.frame} pixel agreement",
                one.agreement,
                one.least,
                key=GOLDEN,
                unit="%",
            )
            for one in replay_golden(bundle, variant, segment)
        )
    )
