"""An export on masks that are not the model's says that its figures prove nothing."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from edgeseg.accuracy.counts import Masks, compare
from edgeseg.bundle.store import Bundle
from edgeseg.cli.answers.export import describe_export
from edgeseg.deploy.export import Exported
from edgeseg.labels import get_known_labels

LABELS = get_known_labels("camvid")


def lines(bundle: Bundle, truth: np.ndarray, reference: np.ndarray) -> str:
    found = compare([Masks(truth, reference, reference)], LABELS, ignore_index=255)
    (variant,) = bundle.manifest.variants
    variants = (msgspec.structs.replace(variant, gate=found),)
    manifest = msgspec.structs.replace(bundle.manifest, variants=variants)
    exported = Exported(bundle=replace(bundle, manifest=manifest), tried=())
    return "\n".join(describe_export(exported))


def test_a_reference_at_chance_level_is_told(seeded_bundle: Bundle) -> None:
    mask = np.random.default_rng(0).integers(0, 10, (60, 80), dtype=np.uint8)
    wrong = lines(seeded_bundle, mask + 1, mask)
    assert "the mIoU of FP32 is at chance level (0.00; guessing would give 4.7" in wrong
    assert "chance level" not in lines(seeded_bundle, mask, mask)
