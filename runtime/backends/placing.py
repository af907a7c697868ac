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
    "place_variant",
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

    `title` tells it from all others here. A device that is not the engine's first stands `apart`:
    the title names it, and a variant is tried there before it is trusted.
    """

    device: str
    title: str
    apart: bool


def restrict_devices(devices: Sequence[Device], wanted: str) -> Sequence[Device]:
    """Keep the devices of a name: `auto` is all of them, and `gpu` also `gpu.0` and `gpu.1`.

    Raises:
        DeviceError: there is none; the message names those that are there.
    """
    name = wanted.lower()
    if name == AUTO:
        return devices
    kept = [one for one in devices if name in {one.name, one.name.partition(".")[0]}]
    if not kept:
        there = join_words([one.name for one in devices])
        raise DeviceError(
            f"no device {wanted} here: this bundle's engine offers {there}; to see what is there "
            f"run: edgeseg doctor"
        )
    return kept


def place_variants(
    variants: Sequence[VariantInfo], devices: Sequence[Device], wanted: str = AUTO
) -> Iterator[PlacedVariant]:
    """Place each variant on each device of a name, in order; see `restrict_devices`.

    Where a device has types of its own, each file is placed there once for each type.

    Raises:
        DeviceError: there is no device of that name.
    """
    for device in restrict_devices(devices, wanted):
        apart = device is not devices[0]
        if not device.types:
            for variant in variants:
                yield _place(variant, device, variant.name, apart=apart)
            continue
        for variant in _list_files(variants):
            name = variant.name.removesuffix(f"+{variant.compute}")
            for compute in device.types:
                typed = msgspec.structs.replace(
                    variant,
                    compute=compute,
                    precision="int8" if variant.precision == "int8" else _PRECISIONS[compute],
                )
                yield _place(typed, device, f"{name} in {compute}", apart=apart)


def _place(variant: VariantInfo, device: Device, name: str, *, apart: bool) -> PlacedVariant:
    return PlacedVariant(
        **msgspec.structs.asdict(variant),
        device=device.name,
        title=f"{name} on {device.name}" if apart else name,
        apart=apart,
    )


def _list_files(variants: Sequence[VariantInfo]) -> list[VariantInfo]:
    """List each file once, by its variant that computes in FP32, if there is one."""
    by_file: dict[str, VariantInfo] = {}
    for variant in sorted(variants, key=lambda one: one.compute != "f32"):
        by_file.setdefault(variant.file, variant)
    return list(by_file.values())


def place_variant(variant: VariantInfo, device: str) -> PlacedVariant:
    """Place a variant, as it is, on a device by the runner's name of it."""
    return _place(variant, Device(name=device), variant.name, apart=False)


def find_title(variant: VariantInfo) -> str:
    """Find what tells a variant from all others here, with its device where that matters."""
    return variant.title if isinstance(variant, PlacedVariant) else variant.name


def find_device(variant: VariantInfo) -> str | None:
    """Find the device that a variant was placed on; None for the engine's first."""
    return variant.device if isinstance(variant, PlacedVariant) else None
