"""Compares config.json of segmentation_models_pytorch with what edgeseg computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgeseg.errors import CheckpointError
from edgeseg.segformer.arch import ModelSpec

__all__ = ["check_config", "describe", "is_smp"]

Config = Mapping[str, object]

# They keep the order of a pixel's logits, so the highest class stays the same.
_HARMLESS: Final = ("identity", "sigmoid", "softmax", "softmax2d", "logsoftmax", "tanh")


def is_smp(config: Config) -> bool:
    """Tell whether `save_pretrained` of segmentation_models_pytorch wrote this config.json."""
    return "_model_class" in config or "encoder_name" in config


def check_config(config: Config, spec: ModelSpec, *, logits: int, origin: str) -> None:
    """Compare what config.json says with the model, whose shapes come from the weights.

    `logits` is the number of the checkpoint's own logits, one where it has one for two classes.

    Raises:
        CheckpointError: the file describes a network that edgeseg does not compute, or one that
            does not fit the weights; the message names the field.
    """
    fixed = {"_model_class": "Segformer", "encoder_depth": 5, "upsampling": 4}
    for field, ours in fixed.items():
        theirs = config.get(field, ours)
        if theirs != ours:
            raise CheckpointError(
                f"{origin} says {field} {theirs!r}; edgeseg computes segmentation_models_pytorch's "
                f"Segformer with {ours!r} only"
            )
    activation = config.get("activation")
    if activation is not None and activation not in _HARMLESS:
        raise CheckpointError(
            f"{origin} says activation {activation!r}, which edgeseg does not compute; it takes "
            f"none, or {', '.join(_HARMLESS)}"
        )
    seen = {
        "encoder_name": f"mit_{spec.name}",
        "in_channels": spec.channels,
        "classes": logits,
        "decoder_segmentation_channels": spec.decoder_width,
    }
    for field, ours in seen.items():
        theirs = config.get(field, ours)
        if theirs != ours:
            raise CheckpointError(
                f"{origin} says {field} {theirs!r}, but the weights have {ours!r}; "
                f"put the config.json that belongs to them beside them"
            )


def describe(config: Config) -> tuple[str, ...]:
    """Describe what was recognized and assumed, a line each."""
    lines = [
        (
            "read as Segformer of segmentation_models_pytorch: LayerNorm eps 1e-06 (1e-05 after "
            "patches and reduction), BatchNorm eps 1e-05; logits are enlarged to the input's size "
            "with align_corners=True, and to the frame's without"
        )
    ]
    if not config:
        lines.append(
            "no config.json beside the weights: no activation and upsampling=4 are assumed, which "
            "the weights do not show"
        )
    activation = config.get("activation")
    if activation not in (None, "identity"):
        lines.append(f"activation {activation} is left out: it does not change the highest class")
    return tuple(lines)
