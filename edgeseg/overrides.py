"""Statements of the user about a checkpoint, which replace what its files say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from edgeseg.errors import SpecError
from edgeseg.spec import Aspect, ChannelOrder, PerChannel, Resize

__all__ = ["NO_OVERRIDES", "Overrides", "parse_overrides"]

_BYTE_RANGE: Final = "/255"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """A field is None if the user says nothing.

    `mean` and `std` are for values in 0..1, in the network's own order of channels; one value is
    for all of them. `threshold` is the probability above which a single logit means the second of
    two classes. `weights_key` says which of several networks in the file is meant, by a part of its
    name there.
    """

    mean: PerChannel | None = None
    std: PerChannel | None = None
    channel_order: ChannelOrder | None = None
    resize: Resize | None = None
    aspect: Aspect | None = None
    threshold: float | None = None
    weights_key: str | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise SpecError(f"--threshold is a probability between 0 and 1; got {self.threshold:g}")

    @property
    def options(self) -> tuple[str, ...]:
        """The options that were given."""
        given = {
            "--mean": self.mean,
            "--std": self.std,
            "--channel-order": self.channel_order,
            "--resize": self.resize,
            "--threshold": self.threshold,
            "--weights-key": self.weights_key,
        }
        return tuple(option for option, value in given.items() if value is not None)


NO_OVERRIDES: Final = Overrides()


def parse_overrides(
    *,
    mean: str | None,
    std: str | None,
    channel_order: ChannelOrder | None,
    resize: str | None,
    threshold: float | None = None,
    weights_key: str | None = None,
) -> Overrides:
    """Parse the options as they are written on the command line.

    Raises:
        SpecError: an option has another form.
    """
    how, aspect = (None, None) if resize is None else _parse_resize(resize)
    return Overrides(
        mean=None if mean is None else _parse_values("--mean", mean, "0.485,0.456,0.406"),
        std=None
        if std is None
        else _parse_values("--std", std, "0.229,0.224,0.225", above_zero=True),
        channel_order=channel_order,
        resize=how,
        aspect=aspect,
        threshold=threshold,
        weights_key=weights_key,
    )


def _parse_values(option: str, text: str, example: str, *, above_zero: bool = False) -> PerChannel:
    """Parse numbers for values in 0..1, or in 0..255 if `/255` follows them."""
    numbers = text.removesuffix(_BYTE_RANGE)
    try:
        values = tuple(float(part) for part in numbers.split(","))
    except ValueError:
        raise SpecError(
            f"{option} is one number for each channel, or one for all, of values in 0..1, as "
            f"{example}, with {_BYTE_RANGE} behind them where they are of values in 0..255; got "
            f"{text!r}"
        ) from None
    if not all(map(math.isfinite, values)) or (above_zero and min(values) <= 0):
        what = "above 0" if above_zero else "finite"
        raise SpecError(f"each number of {option} is {what}; got {text!r}")
    if text.endswith(_BYTE_RANGE):
        return tuple(value / 255 for value in values)
    if max(values) > 1:
        raise SpecError(
            f"{option} {text} has a number above 1: if they are of values in 0..255, "
            f"write {option} {text}{_BYTE_RANGE}"
        )
    return values


def _parse_resize(text: str) -> tuple[Resize, Aspect | None]:
    """Parse `RULE` or `RULE,ASPECT`."""
    rule, comma, aspect = text.partition(",")
    try:
        return Resize(rule), Aspect(aspect) if comma else None
    except ValueError:
        raise SpecError(
            f"--resize is one of {', '.join(one.value for one in Resize)}, perhaps with "
            f"{' or '.join(f',{one.value}' for one in Aspect)} behind it; got {text!r}"
        ) from None
