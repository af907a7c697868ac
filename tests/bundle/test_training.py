"""How a variant was trained, in words."""

from __future__ import annotations

import msgspec

from edgeseg.bundle.manifest import RecoveryInfo, VariantInfo
from edgeseg.bundle.training import describe_training

PLAIN = VariantInfo(name="int8-full", precision="int8", file="int8.onnx", recipe="int8-full")
DONE = RecoveryInfo(
    images=262, held_back=16, sha256="0" * 64, seed=0, steps=1, minutes=21.96, before=97.03,
    after=97.372,
)  # fmt: skip


def test_what_was_not_trained_has_no_words() -> None:
    assert describe_training(PLAIN) is None


def test_what_was_trained() -> None:
    variant = msgspec.structs.replace(PLAIN, name="int8-full+recovered", recovery=DONE)
    told = (
        "int8-full+recovered was trained against FP32: 1 step on 262 images without labels in 22.0 "
        "minutes; mean IoU with FP32's masks on 16 images held back 97.03 before, 97.37 after"
    )
    assert describe_training(variant) == told
    worse = msgspec.structs.replace(DONE, extra_drops={"fog 1": -0.2, "contrast 2": 0.31})
    variant = msgspec.structs.replace(variant, recovery=worse)
    assert describe_training(variant) == (
        f"{told}; of all corruptions it loses most under contrast 2, +0.31 points beyond its drop "
        f"on clean images"
    )


def test_labels_that_took_part_are_told() -> None:
    labelled = msgspec.structs.replace(DONE, labels=250)
    told = describe_training(msgspec.structs.replace(PLAIN, recovery=labelled))
    assert told is not None
    assert "1 step on 262 images, 250 of them with labels, in 22.0 minutes" in told
