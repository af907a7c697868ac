"""Places a bundle's variants on the devices of this machine: a variant there is one to prove.

A bundle knows files, not devices. What runs is a file on a device, and a device may compute wrongly
or slowly what another computes well. So each file is proved, timed and remembered for each device
that its engine offers here (`Runner.list_devices`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.errors import DeviceError
from edgeseg.text import join_words

__all__ = [
    "AUTO",
    "Device",
    "PlacedVariant",
    "find_device",
    "find_title",
    "place_variants",
    "restrict_devices",
]

AUTO: Final = "auto"
_PRECISIONS: Final = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that an engine offers: a short name, as `gpu.1`, and what it is.

    `types` are those that float parts are computed in there, the fastest first; without them each
    variant says so itself. `title` is the product's name.
    """

    name: str
    title: str = ""
    types: tuple[str, ...] = ()


class PlacedVariant(VariantInfo, frozen=True, kw_only=True):
    """A variant on a device, by the name that the runner gives the device.

    `title` tells it from all others here: the variant's name, with the device behind it where that
    is not the first one.
    """

    device: str
    title: str


def restrict_devices(devices: Sequence[Device], wanted: str) -> Sequence[Device]:
    """Keep the devices of a name: `auto` is all of them, and `gpu` also `gpu.0` and `gpu.1`.

    Raises:
        DeviceError: there is none; the message names those that are there.
    """
    if wanted == AUTO:
        return devices
    kept = [one for one in devices if wanted in {one.name, one.name.partition(".")[0]}]
    if not kept:
        there = join_words([one.name for one in devices])
        raise DeviceError(f"no device {wanted} here: this bundle's engine offers {there}")
    return kept


def place_variants(
    variants: Sequence[VariantInfo], devices: Sequence[Device], *, first: str
) -> Iterator[PlacedVariant]:
    """Place each variant on each device, in order; titles leave out the name of device `first`.

    Where a device has types of its own, each file is placed there once for each type.
    """
    for device in devices:
        where = "" if device.name == first else f" on {device.name}"
        if not device.types:
            for variant in variants:
                yield _place(variant, device, title=f"{variant.name}{where}")
            continue
        for variant in _list_files(variants):
            name = variant.name.removesuffix(f"+{variant.compute}")
            for compute in device.types:
                typed = msgspec.structs.replace(
                    variant,
                    compute=compute,
                    precision="int8" if variant.precision == "int8" else _PRECISIONS[compute],
                )
                yield _place(typed, device, title=f"{name} in {compute}{where}")


def _place(variant: VariantInfo, device: Device, *, title: str) -> PlacedVariant:
    return PlacedVariant(**msgspec.structs.asdict(variant), device=device.name, title=title)


def _list_files(variants: Sequence[VariantInfo]) -> list[VariantInfo]:
    """List each file once, by its variant that computes in FP32, if there is one."""
    by_file: dict[str, VariantInfo] = {}
    for variant in sorted(variants, key=lambda one: one.compute != "f32"):
        by_file.setdefault(variant.file, variant)
    return list(by_file.values())


def find_title(variant: VariantInfo) -> str:
    """Find what tells a variant from all others here, with its device where that matters."""
    return variant.title if isinstance(variant, PlacedVariant) else variant.name


def find_device(variant: VariantInfo) -> str | None:
    """Find the device that a variant was placed on; None for the engine's first."""
    return variant.device if isinstance(variant, PlacedVariant) else None
