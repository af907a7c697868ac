"""How a checkpoint wants its images: from Hugging Face's preprocessor_config.json, or by custom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from edgeseg.errors import CheckpointError
from edgeseg.labels import known_labels
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD, Aspect, InputSpec, Resize

__all__ = ["default_input", "input_from_config", "reduces_labels"]

_PILLOW_BILINEAR_CODE: Final = 2  # PIL.Image.Resampling.BILINEAR


def default_input(classes: int, *, keep_aspect: bool) -> InputSpec:
    """The size that the published models were trained at, with ImageNet's statistics.

    Cityscapes is trained on crops of 1024x1024, everything else on 512x512. NVlabs and
    mmsegmentation resize with OpenCV and keep the aspect; Hugging Face uses Pillow and does not.
    """
    side = 1024 if classes == len(known_labels("cityscapes").classes) else 512
    if keep_aspect:
        return InputSpec(height=side, width=side, resize=Resize.OPENCV_BILINEAR, aspect=Aspect.KEEP)
    return InputSpec(height=side, width=side)


def input_from_config(config: Mapping[str, object], *, origin: str) -> InputSpec:
    """Read preprocessor_config.json, old and new.

    Raises:
        CheckpointError: a rule that edgeseg does not have, or values of the wrong kind.
    """
    if config.get("resample", _PILLOW_BILINEAR_CODE) != _PILLOW_BILINEAR_CODE:
        raise CheckpointError(
            f"{origin} asks for resampling filter {config['resample']}; edgeseg has bilinear only, "
            f"which is {_PILLOW_BILINEAR_CODE}"
        )
    try:
        height, width = _size(config.get("size", 512))
        mean = _triple(config.get("image_mean", IMAGENET_MEAN))
        std = _triple(config.get("image_std", IMAGENET_STD))
        rescale = float(str(config.get("rescale_factor", 1 / 255)))
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{origin} cannot be understood: {error!r}") from None
    if not config.get("do_rescale", True):
        rescale = 1.0
    if not config.get("do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    # Ours are of values in 0..1; with another factor they are scaled to mean the same.
    factor = 1.0 if abs(rescale * 255 - 1) < 1e-9 else 1 / (255 * rescale)
    return InputSpec(
        height=height,
        width=width,
        mean=(mean[0] * factor, mean[1] * factor, mean[2] * factor),
        std=(std[0] * factor, std[1] * factor, std[2] * factor),
    )


def reduces_labels(config: Mapping[str, object]) -> bool:
    """Whether ground truth loses its background: 0 becomes "no class", every other id one less.

    `reduce_labels` is the name of the key in old files.
    """
    return bool(config.get("do_reduce_labels", config.get("reduce_labels", False)))


def _size(size: object) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    raise ValueError(f"size {size!r} is neither a number nor a height and a width")


def _triple(values: object) -> tuple[float, float, float]:
    if not isinstance(values, Sequence) or len(values) != 3:
        raise ValueError(f"{values!r} is not one value for red, green and blue each")
    return float(values[0]), float(values[1]), float(values[2])
