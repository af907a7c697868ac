"""A bundle's golden frames through the engine that will run."""

from __future__ import annotations

from edgeseg.gates import Judged, at_least
from edgeseg.images import read_image, read_mask
from edgeseg.metrics import pixel_agreement
from edgeseg.runtime.build import GOLDEN_SLACK
from edgeseg.verification.models import BundleModel

__all__ = ["replay_golden"]


def replay_golden(model: BundleModel) -> Judged:
    """Whether the engine gives here what it gave where the bundle was made: a gate a frame."""
    bundle = model.bundle
    gates = []
    for golden in bundle.manifest.golden:
        mask = model.segment(read_image(bundle.path(golden.frame)))
        value = pixel_agreement(read_mask(bundle.path(golden.mask)), mask)
        limit = golden.agreement[model.variant.name] - GOLDEN_SLACK
        gates.append(at_least(f"{golden.frame} pixel agreement", value, limit, unit="%"))
    return Judged(gates=tuple(gates))
