"""Corrupts images as Cityscapes-C does, by families of corruptions and at five severities.

    noise      gaussian_noise, shot_noise, impulse_noise, speckle_noise
    blur       defocus_blur, frosted_glass_blur, motion_blur, gaussian_blur
    weather    snow, spatter, fog
    digital    brightness, contrast, saturate, jpeg

Cityscapes-C (Kamann and Rother 2020, arXiv:1908.05005) applies the corruptions of ImageNet-C
(Hendrycks and Dietterich 2019, arXiv:1903.12261) to Cityscapes' validation images. Procedures and
constants follow the published code of ImageNet-C, which was made for 224 x 224 pixels, and which
Michaelis et al. 2019 (arXiv:1907.07484) extended to any size. Constants in pixels do not grow with
the image. The docstring of a corruption says where it differs from the published one.

Frost is left out, because it needs photographs of frost. So are the corruptions that Kamann and
Rother add to ImageNet-C's: the blur of a real lens, noise that depends on the intensity, and
geometric distortion.

Values are rounded to whole numbers in 0..255 at the end; the published code cuts decimals off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np

from edgeseg.corruptions.blur import defocus_blur, frosted_glass_blur, gaussian_blur, motion_blur
from edgeseg.corruptions.digital import brightness, contrast, jpeg, saturate
from edgeseg.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from edgeseg.corruptions.units import Unit, to_bytes, to_unit
from edgeseg.corruptions.weather import fog, snow, spatter
from edgeseg.errors import SpecError
from edgeseg.pixels import Bgr

__all__ = ["FAMILIES", "SEVERITIES", "corrupt", "find_family", "parse_corruptions"]

SEVERITIES: Final = (1, 2, 3, 4, 5)

_Corruption: TypeAlias = Callable[[Unit, int, np.random.Generator], Unit]

_FAMILIES: Final[Mapping[str, Mapping[str, _Corruption]]] = {
    "noise": {
        "gaussian_noise": gaussian_noise,
        "shot_noise": shot_noise,
        "impulse_noise": impulse_noise,
        "speckle_noise": speckle_noise,
    },
    "blur": {
        "defocus_blur": defocus_blur,
        "frosted_glass_blur": frosted_glass_blur,
        "motion_blur": motion_blur,
        "gaussian_blur": gaussian_blur,
    },
    "weather": {"snow": snow, "spatter": spatter, "fog": fog},
    "digital": {
        "brightness": brightness,
        "contrast": contrast,
        "saturate": saturate,
        "jpeg": jpeg,
    },
}

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {family: tuple(members) for family, members in _FAMILIES.items()}
)


def find_family(corruption: str) -> str:
    """Find the family that a corruption belongs to.

    Raises:
        SpecError: there is no such corruption.
    """
    for family, members in FAMILIES.items():
        if corruption in members:
            return family
    raise _refuse_unknown(corruption, "take " + _list_families())


def parse_corruptions(text: str) -> tuple[str, ...]:
    """Parse "all", or names of families and corruptions separated by commas.

    Returns each corruption once, in the order of `FAMILIES`.

    Raises:
        SpecError: one of the names is neither a family nor a corruption.
    """
    names = [name.strip() for name in text.split(",")]
    every = tuple(member for members in FAMILIES.values() for member in members)
    for name in names:
        if name not in {"all", *FAMILIES, *every}:
            raise _refuse_unknown(
                name, f"take all, a family ({', '.join(FAMILIES)}) or {_list_families()}"
            )
    if "all" in names:
        return every
    return tuple(member for member in every if {member, find_family(member)} & set(names))


def corrupt(image: Bgr, corruption: str, severity: int, *, seed: int) -> Bgr:
    """Corrupt an image, (H, W, 3) uint8 BGR: return a new one of the same size.

    Equal arguments give equal results. With one seed, severities that need equally much noise get
    the same noise.

    Raises:
        SpecError: there is no such corruption, or no such severity.
        MissingPackageError: the corruption needs OpenCV, which is not installed.
    """
    apply = _FAMILIES[find_family(corruption)][corruption]
    if severity not in SEVERITIES:
        raise SpecError(f"severity {severity} does not exist; take 1 to {SEVERITIES[-1]}")
    return to_bytes(apply(to_unit(image), severity, np.random.default_rng(seed)))


def _list_families() -> str:
    return "; ".join(f"{family}: {', '.join(members)}" for family, members in FAMILIES.items())


def _refuse_unknown(name: str, instead: str) -> SpecError:
    return SpecError(f"there is no corruption {name!r}; {instead}")
