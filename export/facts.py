"""Settles the facts about the network's input: their values, and which source gives each.

Facts come from several sources: the command line, a preprocessor_config.json, the training
configuration inside a pickle. The first source that gives a fact decides it. A fact that no source
gives is assumed: it takes the framework's usual value, and a line says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.export.habits import Habits
from edgeseg.labels import get_known_labels
from edgeseg.overrides import Overrides
from edgeseg.segformer.arch import LUMA_RGB
from edgeseg.spec import (
    GRAY,
    RGB,
    Aspect,
    ChannelOrder,
    InputSpec,
    PerChannel,
    Resize,
)
from edgeseg.text import pluralize

__all__ = [
    "ASSUMED",
    "InputFacts",
    "Settled",
    "assume_facts",
    "settle",
    "to_facts",
]

ASSUMED: Final = "assumed"

COMMAND_LINE: Final = "the command line"

# The facts of each channel.
_NORMALIZATION: Final = ("mean", "std")

_OPTIONS: Final[Mapping[str, str]] = {
    "size": "--size",
    "resize": "--resize",
    "aspect": "--resize",
    "mean": "--mean",
    "std": "--std",
    "channel_order": "--channel-order",
}

# Names of facts in messages, where they differ.
_NAMES: Final[Mapping[str, str]] = {"channel_order": "channel order", "resize": "resizing rule"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """Facts about the input from one source, called `origin`; None where it gives none.

    `size` is height and width in pixels; `mean` and `std` are of values in 0..1, one for each of
    the network's channels in its own order, or one for all. `size_rule` describes a rule that gives
    every frame a size of its own.
    """

    origin: str
    size: tuple[int, int] | None = None
    size_rule: str | None = None
    resize: Resize | None = None
    aspect: Aspect | None = None
    mean: PerChannel | None = None
    std: PerChannel | None = None
    channel_order: ChannelOrder | None = None

    def get(self, fact: str) -> object:
        """Look up the fact by name; None where the source does not give it."""
        value: object = getattr(self, fact)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The final input, the source of each of its facts, and lines that tell the user of both.

    `sources` has the keys `size`, `resize`, `aspect`, `mean` and `std`, and for a color network
    `channel_order`.
    """

    input: InputSpec
    channel_order: ChannelOrder
    sources: Mapping[str, str]
    lines: tuple[str, ...]


def assume_facts(classes: int, habits: Habits, *, channels: int) -> InputFacts:
    """Assume the framework's habits, and the size that the published models were trained at.

    Cityscapes is trained on crops of 1024x1024, everything else on 512x512. The habits' mean and
    std are of color images: for other networks none are assumed.
    """
    published = 1024 if classes == len(get_known_labels("cityscapes").classes) else 512
    side = habits.side or published
    return InputFacts(
        origin=ASSUMED,
        size=(side, side),
        resize=habits.resize,
        aspect=habits.aspect,
        mean=habits.mean if channels == RGB else None,
        std=habits.std if channels == RGB else None,
        channel_order=ChannelOrder.RGB,
    )


def to_facts(overrides: Overrides, size: tuple[int, int] | None) -> InputFacts:
    """Turn the options of the command line into facts."""
    return InputFacts(
        origin=COMMAND_LINE,
        size=size,
        resize=overrides.resize,
        aspect=overrides.aspect,
        mean=overrides.mean,
        std=overrides.std,
        channel_order=overrides.channel_order,
    )


def settle(
    overrides: Overrides,
    size: tuple[int, int] | None,
    files: Sequence[InputFacts],
    assumed: InputFacts,
    *,
    channels: int,
    origin: str,
) -> Settled:
    """Take each fact from the first source that gives it: command line, `files`, `assumed`.

    `files` are asked in their order. `channels` are those that the network takes. `origin` names
    the checkpoint in messages.

    Raises:
        CheckpointError: each frame would have a size of its own, and no size was given; or a file
            gives a size or a std that no SegFormer can have; or mean and std are not those of the
            network's channels, or nothing gives them.
        SpecError: the command line gives such a size or std.
    """
    if channels != RGB and overrides.channel_order is not None:
        raise CheckpointError(
            f"--channel-order is for networks of color images, and {origin} takes "
            f"{pluralize(channels, 'channel')}; leave it out"
        )
    given = [_fit_channels(facts, channels) for facts in (to_facts(overrides, size), *files)]
    sizing = next((facts for facts in given if facts.size or facts.size_rule), None)
    if sizing is not None and sizing.size_rule is not None:
        raise CheckpointError(
            f"{sizing.origin} says {sizing.size_rule}, so frames of different sizes make inputs of "
            f"different sizes; give the size of your frames, or the one to resize them to: "
            f"edgeseg export --size HEIGHTxWIDTH"
        )
    deciders = _find_deciders((*given, assumed), channels, origin)
    merged = InputFacts(
        origin="all together",
        **{fact: facts.get(fact) for fact, facts in deciders.items()},  # type: ignore[arg-type]  # each from its own field
    )
    spec = _check_input(merged, deciders, origin)
    return Settled(
        input=spec,
        channel_order=merged.channel_order or ChannelOrder.RGB,
        sources={fact: facts.origin for fact, facts in deciders.items()},
        lines=(
            *_describe_channels(channels),
            *_describe_origins(merged, deciders, files),
            *_describe_overruled(given, deciders),
            *(_describe_own_size(facts, spec) for facts in files if facts.size_rule is not None),
        ),
    )


def _fit_channels(facts: InputFacts, channels: int) -> InputFacts:
    """Give each channel its value, where one is for all. Only color has an order of channels."""

    def spread(values: PerChannel | None) -> PerChannel | None:
        return values * channels if values is not None and len(values) == 1 else values

    order = facts.channel_order if channels == RGB else None
    return replace(facts, mean=spread(facts.mean), std=spread(facts.std), channel_order=order)


def _find_deciders(
    sources: Sequence[InputFacts], channels: int, origin: str
) -> dict[str, InputFacts]:
    """Find the first source of each fact; refuse mean and std that are not of these channels."""
    deciders = {
        fact: facts
        for fact in _OPTIONS
        for facts in reversed(sources)  # the first one is written last
        if facts.get(fact) is not None and (channels == RGB or fact != "channel_order")
    }
    missing = [fact for fact in _NORMALIZATION if fact not in deciders]
    several = "one value" if channels == 1 else f"one value or {channels}"
    if missing:
        raise CheckpointError(
            f"{origin} takes images of {pluralize(channels, 'channel')}, and no file says how they "
            f"are normalized; give {' and '.join(f'--{fact}' for fact in missing)}, {several} of "
            f"pixels in 0..1"
        )
    for fact in _NORMALIZATION:
        values = deciders[fact].get(fact)
        assert isinstance(values, tuple), "a mean or std"
        if len(values) != channels:
            raise CheckpointError(
                f"{origin}: {deciders[fact].origin} gives {len(values)} values of {fact}, and the "
                f"weights take {pluralize(channels, 'channel')}; give {several} with --{fact}"
            )
    return deciders


def _check_input(merged: InputFacts, deciders: Mapping[str, InputFacts], origin: str) -> InputSpec:
    """Make the input; refuse impossible values by the name of the file that gives them."""
    if merged.std is not None and min(merged.std) <= 0:
        raise CheckpointError(
            f"{origin}: {deciders['std'].origin} says {_describe_fact('std', merged.std)}, and "
            f"each number must be above 0; correct it, or give --std"
        )
    try:
        return _to_input(merged)
    except SpecError as error:
        if deciders["size"].origin == COMMAND_LINE:
            raise
        raise CheckpointError(
            f"{origin}: {deciders['size'].origin} says {_describe_fact('size', merged.size)}; "
            f"{error}"
        ) from None


def _to_input(facts: InputFacts) -> InputSpec:
    """Make the input of a network that takes RGB; facts of a BGR network are reversed.

    A gray network takes color frames, so that its values are those of all three channels.
    """
    assert facts.size is not None, "what is assumed covers every fact"
    assert facts.resize is not None, "what is assumed covers every fact"
    assert facts.aspect is not None, "what is assumed covers every fact"
    assert facts.mean is not None, "what is assumed covers every fact"
    assert facts.std is not None, "what is assumed covers every fact"
    mean, std = (_fit_frame(one, facts.channel_order) for one in (facts.mean, facts.std))
    return InputSpec(
        height=facts.size[0],
        width=facts.size[1],
        resize=facts.resize,
        aspect=facts.aspect,
        mean=mean,
        std=std,
    )


def _fit_frame(values: PerChannel, order: ChannelOrder | None) -> PerChannel:
    if len(values) == GRAY:
        return values * RGB
    return values[::-1] if order is ChannelOrder.BGR else values


def _describe_channels(channels: int) -> list[str]:
    """Say what images a network takes that are not of color."""
    if channels == RGB:
        return []
    if channels != GRAY:
        return [
            (
                f"the network takes images of {channels} channels, in the order of their files: "
                f"TIFF, PNG or .npy"
            )
        ]
    red, green, blue = LUMA_RGB
    return [
        (
            f"the network takes gray images; a color frame is turned to gray by its luma "
            f"({red} red, {green} green, {blue} blue)"
        )
    ]


def _describe_origins(
    merged: InputFacts, deciders: Mapping[str, InputFacts], files: Sequence[InputFacts]
) -> list[str]:
    """Say which source gives which facts; no lines where one file gives all, as usual."""
    origins = dict.fromkeys(facts.origin for facts in deciders.values())
    usual = {facts.origin for facts in files if len(origins) == 1}
    lines = []
    for origin in origins:
        if origin in usual:
            continue
        facts = [fact for fact, decider in deciders.items() if decider.origin == origin]
        described = ", ".join(_describe_fact(fact, merged.get(fact)) for fact in facts)
        if origin != ASSUMED:
            lines.append(f"input, by {origin}: {described}")
            continue
        options = ", ".join(dict.fromkeys(_OPTIONS[fact] for fact in facts))
        lines.append(
            f"input, assumed because no file says it: {described}; if the model was trained "
            f"otherwise, give {options}, or put a preprocessor_config.json beside the file"
        )
    return lines


def _describe_overruled(
    given: Sequence[InputFacts], deciders: Mapping[str, InputFacts]
) -> list[str]:
    """List the facts that an earlier source gives otherwise, a line for each source."""
    lines = []
    for facts in given:
        lost = [
            fact
            for fact, decider in deciders.items()
            if decider is not facts
            and facts.get(fact) is not None
            and facts.get(fact) != decider.get(fact)
        ]
        if lost:
            names = ", ".join(_NAMES.get(fact, fact) for fact in lost)
            over = ", ".join(dict.fromkeys(deciders[fact].origin for fact in lost))
            lines.append(f"{facts.origin} gives other values of {names}; {over} overrides them")
    return lines


def _describe_own_size(facts: InputFacts, spec: InputSpec) -> str:
    return (
        f"{facts.origin} says {facts.size_rule}; here every frame is resized to "
        f"{spec.height}x{spec.width} (height x width), by {spec.resize.value}"
    )


def _describe_fact(fact: str, value: object) -> str:
    name = _NAMES.get(fact, fact)
    if isinstance(value, Enum):
        return f"{name} {value.value}"
    assert isinstance(value, tuple), "a size, or a mean or std"
    if fact == "size":
        return f"{name} {value[0]}x{value[1]} (height x width)"
    return f"{name} {','.join(f'{one:.4g}' for one in value)} (of 0..1)"
