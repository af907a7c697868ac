"""Corrupts images as Cityscapes-C does, by families of corruptions and at five severities.

    noise      gaussian_noise, shot_noise, impulse_noise, speckle_noise
    blur       defocus_blur, frosted_glass_blur, motion_blur, gaussian_blur
    weather    snow, spatter, fog
    digital    brightness, contrast, saturate, jpeg

Cityscapes-C (Kamann and Rother 2020, arXiv:1908.05005) applies the corruptions of ImageNet-C
(Hendrycks and Dietterich 2019, arXiv:1903.12261) to Cityscapes' validation images. Procedures
and constants follow their published code. Both were made for 224 x 224 pixels, and work at any size
since Michaelis et al. 2019 (arXiv:1907.07484). Constants in pixels do not grow with the image. The
docstring of a corruption says where it differs from the published one.

Frost is left out: it lays photographs of frost over the image, and edgeseg has none. The
corruptions that Kamann and Rother add to ImageNet-C's are left out too: the blur of a real lens,
noise that depends on the intensity, and geometric distortion.

Values are rounded to the nearest of 0..255 at the end; the published code cuts them off.
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

__all__ = ["FAMILIES", "SEVERITIES", "parse_corruptions", "corrupt", "find_family"]

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

    The result is the same for the same arguments. Severities that draw noise of the same size draw
    the same noise from one seed.

    Raises:
        SpecError: there is no such corruption, or no such severity.
        MissingPackageError: the corruption needs OpenCV, which is not installed.
    """
    apply = _FAMILIES[find_family(corruption)][corruption]
    if severity not in SEVERITIES:
        raise SpecError(f"severities are 1 to {SEVERITIES[-1]}, got {severity}")
    return to_bytes(apply(to_unit(image), severity, np.random.default_rng(seed)))


def _list_families() -> str:
    return "; ".join(f"{family}: {', '.join(members)}" for family, members in FAMILIES.items())


def _refuse_unknown(name: str, instead: str) -> SpecError:
    return SpecError(f"there is no corruption {name!r}; {instead}")
