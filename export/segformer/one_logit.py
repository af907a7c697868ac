"""Turns a classifier of one logit and a threshold into a classifier of two classes, exactly.

A sigmoid is above a threshold t where its logit z is above log(t / (1 - t)). So the classes' logits
0 and z - log(t / (1 - t)) have the same highest class, at every pixel: resizing is linear, and
keeps the first logit at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeseg.errors import CheckpointError
from edgeseg.export.segformer.layouts import Layout, State, find_source
from edgeseg.labels import Labels, are_placeholders, find_labels

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Threshold", "has_one_logit", "name_classes", "settle_threshold", "split_logit"]

_CLASSIFIER: Final = "head.classifier"
_BACKGROUND: Final = "background"
_FOREGROUND: Final = "foreground"
_PAIR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The probability, 0..1, above which a pixel is of the second class; `origin` is its source."""

    value: float
    origin: str

    def describe(self, labels: Labels) -> str:
        """Describe the two classes in a line."""
        background, foreground = labels.classes
        return (
            f"one logit for each pixel, read as two classes: {foreground} where its sigmoid is "
            f"above {self.value:g} ({self.origin}), else {background}; --threshold sets another"
        )


def settle_threshold(
    said: float | None, trained: float | None, layout: Layout, *, one_logit: bool, origin: str
) -> Threshold | None:
    """Take the threshold of the command line, of the training, or the framework's own.

    Returns None for a network of several logits. `origin` names the checkpoint in messages.

    Raises:
        CheckpointError: the command line gives one for a network of several logits.
    """
    if not one_logit:
        if said is None:
            return None
        raise CheckpointError(
            f"--threshold is for a network with one logit for each pixel, and {origin} has "
            f"one for each class, of which the highest decides; leave --threshold out"
        )
    if said is not None:
        return Threshold(value=said, origin="the command line")
    if trained is not None:
        return Threshold(value=trained, origin="the training configuration")
    return Threshold(
        value=layout.threshold, origin=f"the default of {layout.framework or 'Hugging Face'}"
    )


def has_one_logit(state: State, layout: Layout) -> bool:
    """Tell whether the classifier has a single row."""
    weight = state.get(find_source(layout, f"{_CLASSIFIER}.weight").key)
    return weight is not None and weight.ndim > 0 and len(weight) == 1


def split_logit(state: State, layout: Layout, threshold: Threshold) -> State:
    """Give the classifier a row of zeros first, and make the threshold a part of its bias.

    `state` holds a classifier of one row under the layout's names; the result holds two rows.
    """
    weight, bias = (find_source(layout, f"{_CLASSIFIER}.{leaf}").key for leaf in ("weight", "bias"))
    odds = math.log(threshold.value / (1 - threshold.value))
    shifted = {bias: (state[bias].double() - odds).float()} if bias in state else {}
    split = {weight: state[weight].float(), **shifted}
    return {**state, **{key: _put_zero_before(tensor) for key, tensor in split.items()}}


def name_classes(names: Sequence[str] | None) -> tuple[Labels, str]:
    """Name the two classes that one logit divides, and say where the names come from.

    A single name is that of the second class.

    Raises:
        CheckpointError: there are more than two names.
    """
    if not names or are_placeholders(names):
        labels, _ = find_labels((_BACKGROUND, _FOREGROUND), _PAIR)
        return labels, "assumed, because the checkpoint has no names"
    if len(names) > _PAIR:
        raise CheckpointError(
            f"the checkpoint has one logit for each pixel, which divides two classes, but "
            f"{len(names)} names: {', '.join(names[:5])}{', ...' * (len(names) > 5)}; give two "
            f"with --labels"
        )
    pair = (_BACKGROUND, *names) if len(names) == 1 else names
    return find_labels(pair, _PAIR)


def _put_zero_before(tensor: Tensor) -> Tensor:
    from torch import cat, zeros_like

    if not tensor.ndim:  # a scalar is refused later, by its shape
        return tensor
    return cat([zeros_like(tensor), tensor])
