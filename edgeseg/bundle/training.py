"""Says in words how a variant's file was trained against FP32."""

from __future__ import annotations

from edgeseg.bundle.manifest import RecoveryInfo, VariantInfo
from edgeseg.text import pluralize

__all__ = ["describe_training"]


def describe_training(variant: VariantInfo) -> str | None:
    """Describe how a variant was trained; None for one that was not."""
    if variant.recovery is None:
        return None
    return f"{variant.name} was trained against FP32: {_describe(variant.recovery)}"


def _describe(done: RecoveryInfo) -> str:
    labels = f", {done.labels} of them with labels," if done.labels else " without labels"
    told = (
        f"{pluralize(done.steps, 'step')} on {pluralize(done.images, 'image')}{labels} in "
        f"{done.minutes:.1f} minutes; mean IoU with FP32's masks on {done.held_back} images held "
        f"back {done.before:.2f} before, {done.after:.2f} after"
    )
    if not done.extra_drops:
        return told
    worst = max(done.extra_drops, key=lambda name: done.extra_drops[name])
    return (
        f"{told}; of all corruptions it loses most under {worst}, {done.extra_drops[worst]:+.2f} "
        f"points beyond its drop on clean images"
    )
