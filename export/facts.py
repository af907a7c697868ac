"""Settles the facts about the network's input: their values, and which source gives each.

Facts come from several sources: the command line, a preprocessor_config.json, the training
configuration inside a pickle. The first source that gives a fact decides it. A fact that no source
gives is assumed: it takes the framework's usual value, and a line says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.export.habits import Habits
from edgeseg.labels import get_known_labels
from edgeseg.overrides import Overrides
from edgeseg.spec import (
    Aspect,
    ChannelOrder,
    InputSpec,
    Resize,
    Triple,
)

__all__ = [
    "ASSUMED",
    "InputFacts",
    "Settled",
    "assume_facts",
    "read_finite",
    "settle",
    "to_facts",
]

ASSUMED: Final = "assumed"

COMMAND_LINE: Final = "the command line"

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

    `size` is height and width in pixels; `mean` and `std` are of values in 0..1, in the network's
    channel order. `size_rule` describes a rule that gives every frame a size of its own.
    """

    origin: str
    size: tuple[int, int] | None = None
    size_rule: str | None = None
    resize: Resize | None = None
    aspect: Aspect | None = None
    mean: Triple | None = None
    std: Triple | None = None
    channel_order: ChannelOrder | None = None

    def get(self, fact: str) -> object:
        """Look up the fact by name; None where the source does not give it."""
        value: object = getattr(self, fact)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The final input, the source of each of its facts, and lines that tell the user of both.

    `sources` has the keys `size`, `resize`, `aspect`, `mean`, `std` and `channel_order`.
    """

    input: InputSpec
    channel_order: ChannelOrder
    sources: Mapping[str, str]
    lines: tuple[str, ...]


def assume_facts(classes: int, habits: Habits) -> InputFacts:
    """Assume the framework's habits, and the size that the published models were trained at.

    Cityscapes is trained on crops of 1024x1024, everything else on 512x512.
    """
    published = 1024 if classes == len(get_known_labels("cityscapes").classes) else 512
    side = habits.side or published
    return InputFacts(
        origin=ASSUMED,
        size=(side, side),
        resize=habits.resize,
        aspect=habits.aspect,
        mean=habits.mean,
        std=habits.std,
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
    origin: str,
) -> Settled:
    """Take each fact from the first source that gives it: command line, `files`, `assumed`.

    `files` are asked in their order. `assumed` gives every fact. `origin` names the checkpoint in
    messages.

    Raises:
        CheckpointError: each frame would have a size of its own, and no size was given; or a file
            gives a size or a std that no SegFormer can have.
        SpecError: the command line gives such a size or std.
    """
    given = [to_facts(overrides, size), *files]
    sizing = next((facts for facts in given if facts.size or facts.size_rule), None)
    if sizing is not None and sizing.size_rule is not None:
        raise CheckpointError(
            f"{sizing.origin} says {sizing.size_rule}, so frames of different sizes make inputs of "
            f"different sizes; give the size of your frames, or the one to resize them to: "
            f"edgeseg export --size HEIGHTxWIDTH"
        )
    deciders = {
        fact: next(facts for facts in (*given, assumed) if facts.get(fact) is not None)
        for fact in _OPTIONS
    }
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
            *_describe_origins(merged, deciders, files),
            *_describe_overruled(given, deciders),
            *(_describe_own_size(facts, spec) for facts in files if facts.size_rule is not None),
        ),
    )


def read_finite(value: object) -> float | None:
    """Read a finite number from a file's value; None where the value is anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond float's range
        return None
    return number if math.isfinite(number) else None


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
    """Make the input of a network that takes RGB; facts of a BGR network are reversed."""
    assert facts.size is not None, "what is assumed covers every fact"
    assert facts.resize is not None, "what is assumed covers every fact"
    assert facts.aspect is not None, "what is assumed covers every fact"
    assert facts.mean is not None, "what is assumed covers every fact"
    assert facts.std is not None, "what is assumed covers every fact"
    is_bgr = facts.channel_order is ChannelOrder.BGR
    return InputSpec(
        height=facts.size[0],
        width=facts.size[1],
        resize=facts.resize,
        aspect=facts.aspect,
        mean=_reverse(facts.mean) if is_bgr else facts.mean,
        std=_reverse(facts.std) if is_bgr else facts.std,
    )


def _reverse(values: Triple) -> Triple:
    return values[2], values[1], values[0]


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
