"""Places a bundle's variants on the devices of this machine: a variant there is one to prove.

A bundle knows files, not devices. What runs is a file on a device, and a device may compute wrongly
or slowly what another computes well. So each file is proved, timed and remembered for each device
that its engine offers here (`Runner.list_devices`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edgeseg.bundle.manifest import VariantInfo

__all__ = ["PlacedVariant", "find_device", "place_variants"]


class PlacedVariant(VariantInfo, frozen=True, kw_only=True):
    """A variant on a device, by the name that the runner gives the device.

    `title` tells it from all others here: the variant's name, with the device behind it where that
    is not the first one.
    """

    device: str
    title: str


def place_variants(
    variants: Sequence[VariantInfo], devices: Sequence[str]
) -> Iterator[PlacedVariant]:
    """Place each variant on each device, the first device first."""
    for device in devices:
        for variant in variants:
            title = variant.name if device == devices[0] else f"{variant.name} on {device}"
            yield PlacedVariant(**msgspec.structs.asdict(variant), device=device, title=title)


def find_device(variant: VariantInfo) -> str | None:
    """Find the device that a variant was placed on; None for the engine's first."""
    return variant.device if isinstance(variant, PlacedVariant) else None
