"""Reads the transforms that albumentations saves beside weights: what they do with an image.

Models of segmentation_models_pytorch on the hub have them in albumentations_config_eval.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from edgeseg.export.facts import InputFacts
from edgeseg.export.values import read_finite
from edgeseg.spec import Aspect, PerChannel, Resize

__all__ = ["find_unread_transform", "read_transforms"]

Step = Mapping[str, object]

_BILINEAR: Final = 1  # cv2.INTER_LINEAR
_WITHOUT_EFFECT: Final = ("ToTensorV2", "NoOp")


def read_transforms(content: Mapping[str, object], *, origin: str) -> InputFacts | None:
    """Read what the transforms say of the input; None where edgeseg lacks one of them."""
    steps = _list_steps(content)
    if not steps or find_unread_transform(content) is not None:
        return None
    facts = InputFacts(origin=origin)
    for step in steps:
        read = _READERS.get(_name(step))
        facts = facts if read is None else read(step, facts)
    return facts


def find_unread_transform(content: Mapping[str, object]) -> str | None:
    """Find a transform that edgeseg does not have, or not with these values; None without one."""
    for step in _list_steps(content):
        name, always = _name(step), step.get("p", 1.0) == 1.0
        read = _READERS.get(name)
        known = name in _WITHOUT_EFFECT if read is None else read(step, _NOTHING) is not _NOTHING
        if not (known and always):
            return name
    return None


def _read_resize(step: Step, facts: InputFacts) -> InputFacts:
    height, width = step.get("height"), step.get("width")
    plain = step.get("interpolation") == _BILINEAR and step.get("area_for_downscale") is None
    if type(height) is not int or type(width) is not int or not plain:
        return facts
    return replace(facts, size=(height, width), resize=Resize.OPENCV_BILINEAR, aspect=Aspect.SQUASH)


def _read_normalize(step: Step, facts: InputFacts) -> InputFacts:
    """Read mean and std, which are of values from 0 to 1 where 1 is `max_pixel_value`."""
    largest = read_finite(step.get("max_pixel_value", 255.0))
    mean, std = (_read_numbers(step.get(name), largest) for name in ("mean", "std"))
    if step.get("normalization", "standard") != "standard" or mean is None or std is None:
        return facts
    return replace(facts, mean=mean, std=std)


def _read_numbers(value: object, largest: float | None) -> PerChannel | None:
    listed = [read_finite(one) for one in value] if isinstance(value, (list, tuple)) else []
    numbers = [number for number in listed if number is not None]
    if largest is None or not numbers or len(numbers) < len(listed):
        return None
    return tuple(number * largest / 255 for number in numbers)


_NOTHING: Final = InputFacts(origin="")
_READERS: Final = {"Resize": _read_resize, "Normalize": _read_normalize}


def _list_steps(content: Mapping[str, object]) -> list[Step]:
    whole = content.get("transform")
    steps = whole.get("transforms") if isinstance(whole, Mapping) else None
    return [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []


def _name(step: Step) -> str:
    """Name the transform's class, without the modules that older versions put before it."""
    return str(step.get("__class_fullname__")).rpartition(".")[2]
