"""Settles the facts about the network's input: their values and who decided each.

Facts come from several sources: the command line, a preprocessor_config.json, the training
configuration inside a pickle. The first source that gives a fact decides it. A fact that no source
gives takes the framework's usual value, and a line says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.labels import get_known_labels
from edgeseg.overrides import Overrides
from edgeseg.spec import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Aspect,
    ChannelOrder,
    InputSpec,
    Resize,
    Triple,
)

__all__ = ["ASSUMED", "InputFacts", "Settled", "assume_facts", "to_facts", "settle"]

ASSUMED: Final = "assumed"

_COMMAND_LINE: Final = "the command line"

_OPTIONS: Final[Mapping[str, str]] = {
    "size": "--size",
    "resize": "--resize",
    "aspect": "--resize",
    "mean": "--mean",
    "std": "--std",
    "channel_order": "--channel-order",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """Facts about the input from one source, called `origin`; None where it gives none.

    `size` is height and width in pixels; `mean` and `std` are of values in 0..1, in the network's
    channel order. `no_size` is a rule that gives every frame a size of its own.
    """

    origin: str
    size: tuple[int, int] | None = None
    no_size: str | None = None
    resize: Resize | None = None
    aspect: Aspect | None = None
    mean: Triple | None = None
    std: Triple | None = None
    channel_order: ChannelOrder | None = None

    def value_of(self, fact: str) -> object:
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


def assume_facts(classes: int, *, opencv: bool) -> InputFacts:
    """Assume the size that the published models were trained at, and ImageNet's statistics.

    Cityscapes is trained on crops of 1024x1024, everything else on 512x512. NVlabs and
    mmsegmentation resize with OpenCV and keep the aspect; Hugging Face uses Pillow and does not.
    """
    side = 1024 if classes == len(get_known_labels("cityscapes").classes) else 512
    return InputFacts(
        origin=ASSUMED,
        size=(side, side),
        resize=Resize.OPENCV_BILINEAR if opencv else Resize.PILLOW_BILINEAR,
        aspect=Aspect.KEEP if opencv else Aspect.SQUASH,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        channel_order=ChannelOrder.RGB,
    )


def to_facts(overrides: Overrides, size: tuple[int, int] | None) -> InputFacts:
    """Turn the options of the command line into facts."""
    return InputFacts(
        origin=_COMMAND_LINE,
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
    custom: InputFacts,
    *,
    origin: str,
) -> Settled:
    """Take each fact from the first source that gives it: command line, `files`, then `custom`.

    `files` are asked in order. `origin` names the checkpoint in messages.

    Raises:
        CheckpointError: each frame would have a size of its own, and no size was given; or a file
            gives a size or a std that no SegFormer can have.
        SpecError: the command line gives such a size or std.
    """
    said = [to_facts(overrides, size), *files]
    ruled = next((facts for facts in said if facts.size or facts.no_size), None)
    if ruled is not None and ruled.no_size is not None:
        raise CheckpointError(
            f"{ruled.origin} says {ruled.no_size}, so frames of different sizes make inputs of "
            f"different sizes; give the size of your frames, or the one to resize them to: "
            f"edgeseg export --size HEIGHTxWIDTH"
        )
    deciders = {
        fact: next(facts for facts in (*said, custom) if facts.value_of(fact) is not None)
        for fact in _OPTIONS
    }
    merged = InputFacts(
        origin="all together",
        **{fact: facts.value_of(fact) for fact, facts in deciders.items()},  # type: ignore[arg-type]  # each from its own field
    )
    spec = _check_input(merged, deciders, origin)
    return Settled(
        input=spec,
        channel_order=merged.channel_order or ChannelOrder.RGB,
        sources={fact: facts.origin for fact, facts in deciders.items()},
        lines=(
            *_describe_origins(merged, deciders, files),
            *_describe_overruled(said, deciders),
            *(_describe_own_size(facts, spec) for facts in files if facts.no_size is not None),
        ),
    )


def _check_input(merged: InputFacts, deciders: Mapping[str, InputFacts], origin: str) -> InputSpec:
    """Make the input; an error about an impossible value names the file that gives it."""
    if merged.std is not None and min(merged.std) <= 0:
        raise CheckpointError(
            f"{origin}: {deciders['std'].origin} says {_tell('std', merged.std)}, and each number "
            f"must be above 0; correct it, or give --std"
        )
    try:
        return _to_input(merged)
    except SpecError as error:
        if deciders["size"].origin == _COMMAND_LINE:
            raise
        raise CheckpointError(
            f"{origin}: {deciders['size'].origin} says {_tell('size', merged.size)}; {error}"
        ) from None


def _to_input(facts: InputFacts) -> InputSpec:
    """Make the input of a network that takes RGB; facts of a BGR network are reversed."""
    assert facts.size is not None, "custom knows every fact"
    assert facts.resize is not None, "custom knows every fact"
    assert facts.aspect is not None, "custom knows every fact"
    assert facts.mean is not None, "custom knows every fact"
    assert facts.std is not None, "custom knows every fact"
    turn = facts.channel_order is ChannelOrder.BGR
    return InputSpec(
        height=facts.size[0],
        width=facts.size[1],
        resize=facts.resize,
        aspect=facts.aspect,
        mean=_reverse(facts.mean) if turn else facts.mean,
        std=_reverse(facts.std) if turn else facts.std,
    )


def _reverse(values: Triple) -> Triple:
    return values[2], values[1], values[0]


def _describe_origins(
    merged: InputFacts, deciders: Mapping[str, InputFacts], files: Sequence[InputFacts]
) -> list[str]:
    """Say who decided which fact; no lines where one preprocessing file decided all, as usual."""
    origins = dict.fromkeys(facts.origin for facts in deciders.values())
    silent = {facts.origin for facts in files if len(origins) == 1}
    lines = []
    for origin in origins:
        if origin in silent:
            continue
        facts = [fact for fact, decider in deciders.items() if decider.origin == origin]
        told = ", ".join(_tell(fact, merged.value_of(fact)) for fact in facts)
        if origin != ASSUMED:
            lines.append(f"input, by {origin}: {told}")
            continue
        options = ", ".join(dict.fromkeys(_OPTIONS[fact] for fact in facts))
        lines.append(
            f"input, assumed, for nothing that was read says it: {told}; if it was trained "
            f"otherwise, give {options}, or put a preprocessor_config.json beside the file"
        )
    return lines


def _describe_overruled(
    said: Sequence[InputFacts], deciders: Mapping[str, InputFacts]
) -> list[str]:
    """List the facts of a source that another source before it overrules."""
    lines = []
    for facts in said:
        lost = [
            fact
            for fact, decider in deciders.items()
            if decider is not facts
            and facts.value_of(fact) is not None
            and facts.value_of(fact) != decider.value_of(fact)
        ]
        if lost:
            names = ", ".join(_NAMES.get(fact, fact) for fact in lost)
            over = ", ".join(dict.fromkeys(deciders[fact].origin for fact in lost))
            lines.append(f"{facts.origin} says otherwise of {names}; {over} goes before it")
    return lines


def _describe_own_size(facts: InputFacts, spec: InputSpec) -> str:
    return (
        f"{facts.origin} says {facts.no_size}; here every frame is resized to "
        f"{spec.height}x{spec.width} (height x width), by {spec.resize.value}"
    )


def _tell(fact: str, value: object) -> str:
    name = _NAMES.get(fact, fact)
    if isinstance(value, Enum):
        return f"{name} {value.value}"
    assert isinstance(value, tuple), "a size, or a mean or std"
    if fact == "size":
        return f"{name} {value[0]}x{value[1]} (height x width)"
    return f"{name} {','.join(f'{one:.4g}' for one in value)} (of 0..1)"


_NAMES: Final[Mapping[str, str]] = {"channel_order": "channel order", "resize": "resizing rule"}
