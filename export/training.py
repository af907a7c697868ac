"""Reads the training configuration inside a pickle: mmsegmentation's, old or new, or NVlabs'.

Old files (0.x, and NVlabs', which builds on it) have `meta["config"]`, with the normalization in
the test pipeline. New files (1.x) have `meta["cfg"]`, with a `data_preprocessor`. No configuration
is run as code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from edgeseg.errors import CheckpointError
from edgeseg.export.facts import InputFacts
from edgeseg.export.literals import read_assignments
from edgeseg.export.nested import Config, take_part, to_pair, walk
from edgeseg.export.trained_network import TrainedNetwork
from edgeseg.export.values import excuse, read_finite
from edgeseg.export.weights.unpickle import Inert
from edgeseg.overrides import Overrides
from edgeseg.spec import GRAY, RGB, Aspect, ChannelOrder, PerChannel, Resize
from edgeseg.text import pluralize

__all__ = ["Training", "find_unread_training", "read_training"]

_ORIGIN: Final = "the training configuration in the file"

_KEYS: Final = ("cfg", "config")  # mmengine's key in `meta`, and mmcv's

_RESIZING: Final = ("Resize", "AlignResize")  # steps of a pipeline

# mmcv's two ways to resize, by its own names.
_RULES: Final[Mapping[str, Resize]] = {
    "cv2": Resize.OPENCV_BILINEAR,
    "pillow": Resize.PILLOW_BILINEAR,
}

_PADDING: Final = ("size", "size_divisor", "pad_val", "pad_to_square", "padding_mode")

# How mmsegmentation reads the images of gray and color networks, by the number of channels; those
# of other networks it reads unchanged.
_COLOR_TYPES: Final[Mapping[int, str]] = {GRAY: "grayscale", RGB: "color"}

# The windows of `edgeseg verify CHECKPOINT --protocol slide` and their distance, in pixels.
_WINDOWS: Final = ((1024, 1024), (768, 768))


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training configuration; `origin` is the file that holds it."""

    config: Config
    origin: str

    def facts(self, channels: int, overrides: Overrides) -> InputFacts:
        """Read the facts about the input of a network that takes so many channels.

        A mean or std that is no list of numbers is passed over where `overrides` give another.

        Raises:
            CheckpointError: edgeseg does not have a rule; the message names the rule.
        """
        pipeline = tuple(walk(self._pipeline()))
        mean, std, order = self._statistics(pipeline, overrides)
        self._check_loading(pipeline, channels)
        rule, aspect, size = self._resizing(pipeline)
        return InputFacts(
            origin=_ORIGIN,
            size=size,
            resize=rule,
            aspect=aspect,
            mean=mean,
            std=std,
            channel_order=order,
        )

    @property
    def network(self) -> TrainedNetwork:
        """What the configuration says about the network."""
        return TrainedNetwork(model=take_part(self.config, "model"), origin=self._where)

    @property
    def dataset(self) -> Config:
        """The `classes` and `palette` of the data set that the model is tested on."""
        return take_part(self.config, "test_dataloader", "dataset", "metainfo") or take_part(
            self.config, "data", "test"
        )

    def notes(self) -> tuple[str, ...]:
        """List what the training program does in another way than edgeseg, one line each."""
        return (*self._describe_windows(), *self._describe_padding(), *self.network.notes())

    def reduces_labels(self) -> bool:
        """Tell whether training removed the background (`reduce_zero_label`)."""
        return any(part.get("reduce_zero_label") is True for part in walk(self.config))

    @property
    def _where(self) -> str:
        return f"the training configuration in {self.origin}"

    @property
    def _preprocessor(self) -> Config:
        """The `data_preprocessor` of version 1.x, at the top or in the model; empty in 0.x."""
        own = take_part(self.config, "data_preprocessor")
        return own or take_part(self.config, "model", "data_preprocessor")

    @property
    def _testing(self) -> Config:
        """How the model is tested; the oldest files say it at the top, others in the model."""
        return take_part(self.config, "model", "test_cfg") or take_part(self.config, "test_cfg")

    def _describe_windows(self) -> list[str]:
        """Name the protocol of `edgeseg verify` that follows the program's own test."""
        mode = self._testing.get("mode")
        if mode == "whole":
            _, aspect, _ = self._resizing(tuple(walk(self._pipeline())))
            protocol = "ss" if aspect is Aspect.SQUASH else "keep"
            return [
                (
                    f"{_ORIGIN} tests a frame whole; edgeseg verify --protocol {protocol} "
                    f"measures that way"
                )
            ]
        if mode != "slide":
            return []
        told = (to_pair(self._testing.get("crop_size")), to_pair(self._testing.get("stride")))
        size, stride = (None if pair is None else f"{pair[0]}x{pair[1]}" for pair in told)
        own = "" if told == _WINDOWS or None in told else ", which are not these"
        return [
            (
                f"{_ORIGIN} tests through sliding windows"
                f"{f' of {size} pixels' if size else ''}{f', {stride} apart' if stride else ''}; "
                f"edgeseg sees a frame whole, and with edgeseg run --tile through windows of the "
                f"bundle's size. edgeseg verify CHECKPOINT --protocol slide measures through "
                f"windows of 1024x1024 pixels, 768 apart{own}"
            )
        ]

    def _describe_padding(self) -> list[str]:
        """Say that a frame is padded in another way than edgeseg's."""
        own = take_part(self._preprocessor, "test_cfg")
        steps = [step for step in walk(self._pipeline()) if step.get("type") == "Pad"]
        padded = steps[:1] if steps else [own] if own else []
        return [
            f"{_ORIGIN} pads frames in the test "
            f"({', '.join(f'{key} {part[key]}' for key in _PADDING if key in part)}); edgeseg pads "
            f"below and at the right, to the input's size, with the mean color"
            for part in padded
        ]

    def _pipeline(self) -> object:
        """Find the test pipeline's steps, from a file to the network's input."""
        return (
            self.config.get("test_pipeline")
            or take_part(self.config, "data", "test").get("pipeline")
            or take_part(self.config, "test_dataloader", "dataset").get("pipeline")
            or ()
        )

    def _statistics(
        self, pipeline: tuple[Config, ...], overrides: Overrides
    ) -> tuple[PerChannel | None, PerChannel | None, ChannelOrder | None]:
        """Read mean and std of values in 0..1, and their channel order."""
        new = self._preprocessor
        old = next((step for step in pipeline if step.get("type") == "Normalize"), None)
        if new:
            turned = self._is_turned(new)
            given: Config = new
        else:
            given = old or take_part(self.config, "img_norm_cfg")
            if not given:
                return None, None, None
            turned = self._flag(given, "to_rgb", default=True)
        order = ChannelOrder.RGB if turned else ChannelOrder.BGR
        if given.get("mean") is None:  # 1.x without: bytes as they are
            return (0.0,), _divide_by_255((1.0,)), order
        mean = excuse(lambda: self._values("mean", given["mean"]), given=overrides.mean)
        std = excuse(lambda: self._values("std", given.get("std")), given=overrides.std)
        return mean and _divide_by_255(mean), std and _divide_by_255(std), order

    def _is_turned(self, preprocessor: Config) -> bool:
        """Tell whether channels are reversed; frames are read as BGR, so that makes RGB."""
        flags = [
            self._flag(preprocessor, name, default=False) for name in ("bgr_to_rgb", "rgb_to_bgr")
        ]
        if all(flags):
            raise CheckpointError(
                f"{self._where} says bgr_to_rgb and rgb_to_bgr, which mmsegmentation refuses; "
                f"give the right one with --channel-order"
            )
        return any(flags)

    def _flag(self, part: Config, name: str, *, default: bool) -> bool:
        value = part.get(name, default)
        if not isinstance(value, bool):
            raise CheckpointError(
                f"{self._where} says {name} {value!r}, which is neither True nor False"
            )
        return value

    def _values(self, name: str, value: object) -> PerChannel:
        numbers = [read_finite(one) for one in value] if isinstance(value, (list, tuple)) else []
        known = [number for number in numbers if number is not None]
        if not numbers or len(known) < len(numbers):
            raise CheckpointError(
                f"{self._where} has {name} {value!r}, which is no list of numbers; give the right "
                f"ones with --{name}"
            )
        return tuple(known)

    def _check_loading(self, pipeline: tuple[Config, ...], channels: int) -> None:
        """Refuse images that are read in another way than the network's channels ask for."""
        ours = _COLOR_TYPES.get(channels, "unchanged")
        for loader in pipeline:
            color = loader.get("color_type", "color")
            if loader.get("type") == "LoadImageFromFile" and color != ours:
                raise CheckpointError(
                    f"{self._where} says LoadImageFromFile.color_type {color}, but the weights "
                    f"take {pluralize(channels, 'channel')}, which is {ours}; does it belong to "
                    f"them?"
                )

    def _resizing(
        self, pipeline: tuple[Config, ...]
    ) -> tuple[Resize | None, Aspect | None, tuple[int, int] | None]:
        """Read rule, aspect and input size: the size after resizing, else the crop's size."""
        size = self._find_size()
        step = next((one for one in pipeline if one.get("type") in _RESIZING), None)
        if step is None:
            return None, None, size
        mode = step.get("interpolation", "bilinear")
        if mode != "bilinear":
            self._refuse("Resize.interpolation", value=mode, ours="bilinear")
        backend = step.get("backend", "cv2")
        rule = next((rule for name, rule in _RULES.items() if name == backend), None)
        if rule is None:
            self._refuse("Resize.backend", value=backend, ours="cv2")
        if self._flag(step, "keep_ratio", default=not self._preprocessor):  # 1.x keeps none
            return rule, Aspect.KEEP, size
        scale = next((pair for one in pipeline if (pair := _read_scale(one)) is not None), None)
        return rule, Aspect.SQUASH, (scale[1], scale[0]) if scale else size  # width comes first

    def _find_size(self) -> tuple[int, int] | None:
        """Find the size of the crops that the model was trained on, else of those in the test."""
        given = (
            self.config.get("crop_size"),
            self._preprocessor.get("size"),
            take_part(self._preprocessor, "test_cfg").get("size"),
            self._testing.get("crop_size"),
        )
        return next((pair for value in given if (pair := to_pair(value)) is not None), None)

    def _refuse(self, field: str, *, value: object, ours: object) -> NoReturn:
        raise CheckpointError(f"{self._where} says {field} {value}; edgeseg computes {ours} only")


def read_training(meta: Mapping[str, object], *, origin: str) -> Training | None:
    """Read the configuration in a checkpoint's `meta`; None where none can be read."""
    for key in _KEYS:
        config = _find_config(meta.get(key))
        if config:
            return Training(config=config, origin=origin)
    return None


def find_unread_training(meta: Mapping[str, object]) -> str | None:
    """Find the key of `meta` whose configuration cannot be read; None where there is none."""
    there = {key: meta[key] for key in _KEYS if isinstance(meta.get(key), (str, Inert))}
    return next(
        (key for key, content in there.items() if content and not _find_config(content)), None
    )


def _find_config(content: object) -> Config:
    """Read a configuration; empty where it is absent or holds no plain values."""
    config = read_assignments(content) if isinstance(content, str) else content
    return config if isinstance(config, Mapping) else {}


def _divide_by_255(values: PerChannel) -> PerChannel:
    return tuple(value / 255 for value in values)


def _read_scale(step: Config) -> tuple[int, int] | None:
    return to_pair(step.get("scale") or step.get("img_scale"))
