"""Reads how a checkpoint expects its images from Hugging Face's preprocessor_config.json.

Each field that changes a pixel is honored, or refused by name. Other fields are ignored, as
transformers' SegFormer processor ignores them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from edgeseg.errors import CheckpointError
from edgeseg.export.facts import InputFacts, read_finite
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD, Aspect, ChannelOrder, PerChannel, Resize

__all__ = ["FILTERS", "find_unknown_fields", "read_config", "reduces_labels"]

# The numbers are Pillow's, which `resample` uses.
FILTERS: Final[Mapping[int, Resize]] = {
    0: Resize.PILLOW_NEAREST,
    1: Resize.PILLOW_LANCZOS,
    2: Resize.PILLOW_BILINEAR,
    3: Resize.PILLOW_BICUBIC,
}
_BILINEAR: Final = 2  # transformers' own default
_PROCESSORS: Final = ("image_processor_type", "feature_extractor_type")
_KNOWN_PROCESSORS: Final = (
    "SegformerImageProcessor",
    "SegformerImageProcessorFast",
    "SegformerImageProcessorPil",
    "SegformerFeatureExtractor",
)
_NORMALIZATION: Final = ("image_mean", "image_std", "do_rescale", "rescale_factor", "do_normalize")
_RESIZING: Final = ("do_resize", "resample", *_PROCESSORS)
_DEFAULT_SIDE: Final = 512  # transformers' own

# Fields that transformers knows, and that do not change a color image's pixels. SegFormer's
# processor neither crops nor pads, whatever the file says.
_WITHOUT_EFFECT: Final = frozenset(
    {
        *("do_reduce_labels", "reduce_labels", "do_convert_rgb", "processor_class"),
        *("default_to_square", "return_tensors", "device", "disable_grouping", "input_data_format"),
        *("do_center_crop", "crop_size", "do_pad", "pad_size", "size_divisor", "image_seq_length"),
        *("backend", "_processor_class", "_valid_processor_keys", "_valid_kwargs_names"),
        *("model_input_names", "_image_processor_class", "transformers_version", "return_metadata"),
    }
)


def read_config(config: Mapping[str, object], *, origin: str, complete: bool) -> InputFacts | None:
    """Read an old or new preprocessor_config.json; None where it says nothing about the input.

    In a `complete` file, absent fields have transformers' default values. In another file (beside
    weights of another framework) absent fields say nothing.

    Raises:
        CheckpointError: edgeseg does not have a field's rule, or a value has the wrong kind; the
            message names the field.
    """
    _check_kind(config, origin)
    complete = complete or any(name in config for name in _PROCESSORS)
    resizes = complete or any(name in config for name in _RESIZING)
    normalizes = complete or any(name in config for name in _NORMALIZATION)
    if not resizes and not normalizes and "size" not in config:
        return None
    size, size_rule = _read_size(config, origin) if resizes or "size" in config else (None, None)
    mean, std = _read_statistics(config, origin) if normalizes else (None, None)
    return InputFacts(
        origin=Path(origin).name,  # a path says nothing on another machine
        size=size,
        size_rule=size_rule,
        resize=_read_filter(config, origin) if resizes else None,
        aspect=Aspect.SQUASH if resizes else None,
        mean=mean,
        std=std,
        channel_order=ChannelOrder.RGB if complete else None,
    )


def find_unknown_fields(config: Mapping[str, object]) -> list[str]:
    """List the fields that no SegFormer processor of transformers knows."""
    known = {*_NORMALIZATION, *_RESIZING, *_WITHOUT_EFFECT, "size", "data_format"}
    return sorted(config.keys() - known)


def reduces_labels(config: Mapping[str, object]) -> bool:
    """Tell whether training removed the background from the ground truth.

    Id 0 then becomes "no class", and every other id one less. Old files call the key
    `reduce_labels`.
    """
    return bool(config.get("do_reduce_labels", config.get("reduce_labels", False)))


def _check_kind(config: Mapping[str, object], origin: str) -> None:
    for name in _PROCESSORS:
        kind = config.get(name)
        if kind is not None and kind not in _KNOWN_PROCESSORS:
            raise CheckpointError(
                f"{origin} has {name} {kind!r}, whose rules edgeseg does not know; it reads "
                f"{_KNOWN_PROCESSORS[0]}"
            )
    if config.get("data_format") not in (None, "channels_first"):
        raise CheckpointError(
            f"{origin} has data_format {config['data_format']!r}; SegFormer takes channels_first"
        )


def _read_size(
    config: Mapping[str, object], origin: str
) -> tuple[tuple[int, int] | None, str | None]:
    """Read height and width, or the rule that gives each frame a size of its own; one is None."""
    if not config.get("do_resize", True):
        return None, "do_resize false"
    size = config.get("size", _DEFAULT_SIDE)
    if isinstance(size, Mapping):
        wanted = {name: value for name, value in size.items() if value is not None}
        if wanted.keys() & {"shortest_edge", "longest_edge", "max_height", "max_width"}:
            return None, f"size {', '.join(f'{name} {value}' for name, value in wanted.items())}"
        sides = [wanted.get("height"), wanted.get("width")]
    else:
        sides = [size, size]
    whole = [side for side in sides if isinstance(side, int) and not isinstance(side, bool)]
    if len(whole) < len(sides):
        raise CheckpointError(
            f"{origin} has size {size!r}, which is neither a number nor a height and a width; "
            f"correct it"
        )
    return (whole[0], whole[1]), None


def _read_filter(config: Mapping[str, object], origin: str) -> Resize:
    code = config.get("resample", _BILINEAR)
    if isinstance(code, bool) or not isinstance(code, int) or code not in FILTERS:
        known = ", ".join(f"{one} ({rule.value})" for one, rule in FILTERS.items())
        raise CheckpointError(
            f"{origin} asks for resample {code!r}; edgeseg has {known}, and --resize overrides it"
        )
    return FILTERS[code]


def _read_statistics(config: Mapping[str, object], origin: str) -> tuple[PerChannel, PerChannel]:
    """Read mean and std, scaled to values in 0..1; one value is for all channels."""
    scale = 1.0
    if config.get("do_rescale", True):
        scale = _read_number(config.get("rescale_factor", 1 / 255), "rescale_factor", origin)
        if scale <= 0:
            raise CheckpointError(
                f"{origin} has rescale_factor {config['rescale_factor']}; give a number above 0"
            )
    mean: PerChannel = (0.0,)
    std: PerChannel = (1.0,)
    if config.get("do_normalize", True):
        mean = _read_values(config.get("image_mean", IMAGENET_MEAN), "image_mean", origin)
        std = _read_values(config.get("image_std", IMAGENET_STD), "image_std", origin)
    if min(std) <= 0:
        raise CheckpointError(f"{origin} has image_std {config['image_std']}; give numbers above 0")
    # edgeseg's mean and std are of values in 0..1; the file's may have another scale.
    factor = 1.0 if abs(scale * 255 - 1) < 1e-9 else 1 / (255 * scale)
    return tuple(one * factor for one in mean), tuple(one * factor for one in std)


def _read_values(value: object, name: str, origin: str) -> PerChannel:
    if not isinstance(value, Sequence) or isinstance(value, str):
        value = [value]  # transformers takes one number for all channels
    if not value:
        raise CheckpointError(f"{origin} has no value of {name}; give one for each channel")
    return tuple(_read_number(one, name, origin) for one in value)


def _read_number(value: object, name: str, origin: str) -> float:
    number = read_finite(value)
    if number is None:
        raise CheckpointError(f"{origin} has {name} {value!r}, which is no number; correct it")
    return number
