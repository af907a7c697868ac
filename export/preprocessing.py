"""Reads how a checkpoint expects its images from Hugging Face's preprocessor_config.json.

Each field that changes a pixel is honored, or refused by name. Other fields are ignored, as
transformers' SegFormer processor ignores them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from edgeseg.errors import CheckpointError
from edgeseg.export.facts import InputFacts
from edgeseg.export.values import excuse, read_finite
from edgeseg.overrides import Overrides
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD, Aspect, ChannelOrder, PerChannel, Resize

__all__ = ["FILTERS", "describe_config", "read_config", "reduces_labels"]

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
_RESIZING: Final = ("do_resize", "resample", "default_to_square", *_PROCESSORS)
_DEFAULT_SIDE: Final = 512  # transformers' own
_CROPPING: Final = ("do_center_crop", "do_pad")
_FAST: Final = "SegformerImageProcessorFast"
_OWN_SIZES: Final = frozenset({"shortest_edge", "longest_edge", "max_height", "max_width"})
_CAMERA: Final = (720, 1280)  # the frame of an example, in pixels

# How torchvision's pixels differ where it is not by rounding; see docs/checkpoints.md.
_FAST_DIFFERENCES: Final[Mapping[Resize | None, str]] = {
    Resize.PILLOW_NEAREST: "which picks the other of two pixels that are equally near",
    Resize.PILLOW_LANCZOS: "and torchvision below 0.27, or on a GPU, takes bicubic for lanczos",
}

# Fields that transformers knows, and that do not change a color image's pixels. SegFormer's
# processor neither crops nor pads, whatever the file says.
_WITHOUT_EFFECT: Final = frozenset(
    {
        *("do_reduce_labels", "reduce_labels", "do_convert_rgb", "processor_class"),
        *("return_tensors", "device", "disable_grouping", "input_data_format"),
        *("do_center_crop", "crop_size", "do_pad", "pad_size", "size_divisor", "image_seq_length"),
        *("backend", "_processor_class", "_valid_processor_keys", "_valid_kwargs_names"),
        *("model_input_names", "_image_processor_class", "transformers_version", "return_metadata"),
    }
)


def read_config(
    config: Mapping[str, object], overrides: Overrides, *, origin: str, complete: bool
) -> InputFacts | None:
    """Read an old or new preprocessor_config.json; None where it says nothing about the input.

    In a `complete` file, absent fields have transformers' default values. In another file (beside
    weights of another framework) absent fields say nothing. A resizing rule that edgeseg lacks is
    passed over where `overrides` give another.

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
        resize=excuse(lambda: _read_filter(config, origin), given=overrides.resize)
        if resizes
        else None,
        aspect=Aspect.SQUASH if resizes else None,
        mean=mean,
        std=std,
        channel_order=ChannelOrder.RGB if complete else None,
    )


def describe_config(config: Mapping[str, object], *, origin: str) -> list[str]:
    """List what a user should know, a line each: another way to resize, fields without effect."""
    notes = []
    if _FAST in (config.get(name) for name in _PROCESSORS):
        rule = FILTERS.get(_to_code(config.get("resample", _BILINEAR)))
        notes.append(
            f"{origin} names {_FAST}, which resizes by torchvision; edgeseg resizes by Pillow, "
            f"{_FAST_DIFFERENCES.get(rule, 'whose pixels differ by rounding')}"
        )
    cropping = [name for name in _CROPPING if config.get(name)]
    if cropping:
        notes.append(
            f"{origin} has {' and '.join(cropping)}: SegFormer's image processor neither crops nor "
            f"pads, whatever the file says; neither does edgeseg"
        )
    known = {*_NORMALIZATION, *_RESIZING, *_WITHOUT_EFFECT, "size", "data_format"}
    unknown = sorted(config.keys() - known)
    if unknown:
        notes.append(
            f"{origin} has {', '.join(unknown[:5])}{', ...' * (len(unknown) > 5)}, "
            f"which SegFormer's image processor does not read; neither does edgeseg"
        )
    return notes


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
    if not _read_flag(config, "do_resize", origin):
        return None, "do_resize false"
    size = config.get("size", _DEFAULT_SIDE)
    is_square = _read_flag(config, "default_to_square", origin)
    if _is_whole(size) and not is_square:  # transformers 5 reads it so; older ones make a square
        size = {"shortest_edge": size}
    sides = [size, size]
    if isinstance(size, Mapping):
        wanted = {name: value for name, value in size.items() if value is not None}
        if wanted.keys() & _OWN_SIZES:
            return None, _describe_rule(wanted)
        sides = [wanted.get("height"), wanted.get("width")]
    elif isinstance(size, (list, tuple)):
        sides = list(size)
    whole = [side for side in sides if isinstance(side, int) and _is_whole(side)]
    if len(whole) < len(sides) or len(sides) != 2:
        raise CheckpointError(
            f"{origin} has size {size!r}, which is neither a number nor a height and a width; "
            f"correct it"
        )
    return (whole[0], whole[1]), None


def _describe_rule(wanted: Mapping[str, object]) -> str:
    """Describe a rule that gives each frame its own size, with an example where it is simple."""
    told = f"size {', '.join(f'{name} {value}' for name, value in wanted.items())}"
    shortest = wanted.get("shortest_edge")
    if len(wanted) > 1 or not isinstance(shortest, int) or shortest < 1:
        return told
    height, width = _CAMERA
    return f"{told} ({shortest}x{int(shortest * width / height)} for a frame of {height}x{width})"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_flag(config: Mapping[str, object], name: str, origin: str) -> bool:
    """Read a field that is true where it is absent.

    Raises:
        CheckpointError: it is null, which transformers 4 takes for false and transformers 5 for its
            default; or it is no truth value.
    """
    value = config.get(name, True)
    if not isinstance(value, bool):
        raise CheckpointError(
            f"{origin} has {name} {value!r}, which is neither true nor false; correct it"
        )
    return value


def _read_filter(config: Mapping[str, object], origin: str) -> Resize:
    code = config.get("resample", _BILINEAR)
    rule = FILTERS.get(_to_code(code))
    if rule is None:
        known = ", ".join(f"{one} ({rule.value})" for one, rule in FILTERS.items())
        raise CheckpointError(
            f"{origin} asks for resample {code!r}; edgeseg has {known}, and --resize overrides it"
        )
    return rule


def _to_code(value: object) -> int:
    """Take a filter's number; -1, which no filter has, for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _read_statistics(config: Mapping[str, object], origin: str) -> tuple[PerChannel, PerChannel]:
    """Read mean and std, scaled to values in 0..1; one value is for all channels."""
    scale = 1.0
    if _read_flag(config, "do_rescale", origin):
        scale = _read_number(config.get("rescale_factor", 1 / 255), "rescale_factor", origin)
        if scale <= 0:
            raise CheckpointError(
                f"{origin} has rescale_factor {config['rescale_factor']}; give a number above 0"
            )
    mean: PerChannel = (0.0,)
    std: PerChannel = (1.0,)
    if _read_flag(config, "do_normalize", origin):
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
