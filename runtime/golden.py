"""Replays a bundle's golden frames through the engine that will run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeseg.accuracy.gates import GOLDEN, Judged, at_least
from edgeseg.accuracy.metrics import pixel_agreement
from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.images import read_image, read_mask
from edgeseg.pixels import Bgr, ClassMap

__all__ = ["GOLDEN_SLACK", "replay_golden"]

# Points by which a golden frame's agreement may fall below the value recorded at export. Another
# machine's rounding changes single pixels at boundaries; a broken engine changes many.
GOLDEN_SLACK: Final = 0.5


def replay_golden(
    bundle: Bundle, variant: VariantInfo, segment: Callable[[Bgr], ClassMap]
) -> Judged:
    """Judge by one gate for each golden frame whether `segment` still gives the recorded masks.

    Agreement is in % of a frame's pixels.
    """
    gates = []
    for golden in bundle.manifest.golden:
        mask = segment(read_image(bundle.path(golden.frame)))
        value = pixel_agreement(read_mask(bundle.path(golden.mask)), mask)
        limit = golden.agreement[variant.name] - GOLDEN_SLACK
        name = f"{golden.frame} pixel agreement"
        gates.append(at_least(name, value, limit, key=GOLDEN, unit="%"))
    return Judged(gates=tuple(gates))
