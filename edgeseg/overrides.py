"""What a user says of a checkpoint's input, in place of what its files say or leave out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from edgeseg.errors import SpecError
from edgeseg.spec import Aspect, ChannelOrder, Resize, Triple

__all__ = ["NO_OVERRIDES", "Overrides", "parse_overrides"]

_BYTE_RANGE: Final = "/255"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Each is None where nothing was said.

    `mean` and `std` are of values in 0..1, in the order in which the network takes its channels.
    """

    mean: Triple | None = None
    std: Triple | None = None
    channel_order: ChannelOrder | None = None
    resize: Resize | None = None
    aspect: Aspect | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options that were given."""
        given = {
            "--mean": self.mean,
            "--std": self.std,
            "--channel-order": self.channel_order,
            "--resize": self.resize,
        }
        return tuple(option for option, value in given.items() if value is not None)


NO_OVERRIDES: Final = Overrides()


def parse_overrides(
    *,
    mean: str | None,
    std: str | None,
    channel_order: ChannelOrder | None,
    resize: str | None,
) -> Overrides:
    """Read the options as they are written on the command line.

    Raises:
        SpecError: one of them is not in its form.
    """
    how, aspect = (None, None) if resize is None else _resize(resize)
    return Overrides(
        mean=None if mean is None else _triple("--mean", mean, "0.485,0.456,0.406"),
        std=None if std is None else _triple("--std", std, "0.229,0.224,0.225", above_zero=True),
        channel_order=channel_order,
        resize=how,
        aspect=aspect,
    )


def _triple(option: str, text: str, example: str, *, above_zero: bool = False) -> Triple:
    """Three numbers; with `/255` behind them they are of values in 0..255."""
    numbers = text.removesuffix(_BYTE_RANGE)
    try:
        first, second, third = (float(part) for part in numbers.split(","))
    except ValueError:
        raise SpecError(
            f"{option} is three numbers of values in 0..1, as {example}, with {_BYTE_RANGE} "
            f"behind them where they are of values in 0..255; got {text!r}"
        ) from None
    values = (first, second, third)
    if not all(map(math.isfinite, values)) or (above_zero and min(values) <= 0):
        what = "numbers above 0" if above_zero else "finite numbers"
        raise SpecError(f"{option} is three {what}; got {text!r}")
    if text.endswith(_BYTE_RANGE):
        return first / 255, second / 255, third / 255
    if max(values) > 1:
        raise SpecError(
            f"{option} {text} has a number above 1: if they are of values in 0..255, "
            f"write {option} {text}{_BYTE_RANGE}"
        )
    return values


def _resize(text: str) -> tuple[Resize, Aspect | None]:
    """`RULE` or `RULE,ASPECT`."""
    rule, comma, aspect = text.partition(",")
    try:
        return Resize(rule), Aspect(aspect) if comma else None
    except ValueError:
        raise SpecError(
            f"--resize is one of {', '.join(one.value for one in Resize)}, perhaps with "
            f"{' or '.join(f',{one.value}' for one in Aspect)} behind it; got {text!r}"
        ) from None
