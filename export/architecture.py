"""Compares Hugging Face's config.json with what edgeseg computes.

The weights show widths, depths, kernels and classes. Only config.json gives heads, strides and
activation. Each such field is honored, or refused by name. Fields that matter in training only may
have any value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edgeseg.errors import CheckpointError
from edgeseg.segformer.arch import STAGES, VARIANTS, ModelSpec, PerStage

__all__ = [
    "Unseen",
    "check_config",
    "describe_config",
    "describe_unseen",
    "is_segformer",
    "read_per_stage",
    "read_unseen",
]

_MODEL_TYPE: Final = "segformer"
_CLASS: Final = "SegformerForSemanticSegmentation"

# Both names mean GELU through erf.
_ACTIVATIONS: Final = ("gelu", "gelu_python")

# The values that edgeseg computes with; transformers would take others too.
_FIXED: Final[Mapping[str, object]] = {
    "num_encoder_blocks": STAGES,
    "num_hidden_layers": STAGES,  # transformers' other name for it
    "reshape_last_stage": True,
}
# The fields that weights do not show, with transformers' own default values.
_HEADS: Final = "num_attention_heads"
_STRIDES: Final = "strides"
_MLP_RATIOS: Final = "mlp_ratios"

_SEEN: Final = (
    *("num_channels", "depths", "hidden_sizes", "patch_sizes", "sr_ratios", _MLP_RATIOS),
    *("decoder_hidden_size", "num_labels"),
)

# Fields that only training reads, or programs around the network, or nothing at all.
# LayerNorm's eps is PyTorch's 1e-5 in transformers' SegFormer, whatever layer_norm_eps says.
_WITHOUT_EFFECT: Final = frozenset(
    {
        *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob"),
        *("drop_path_rate", "initializer_range", "semantic_loss_ignore_index", "layer_norm_eps"),
        *("downsampling_rates", "image_size"),  # in published files, and never read
        *("architectures", "model_type", "id2label", "label2id", "num_labels", "problem_type"),
        *("transformers_version", "torch_dtype", "dtype", "_name_or_path", "name_or_path"),
        *("return_dict", "use_return_dict", "output_hidden_states", "output_attentions"),
        *("torchscript", "use_bfloat16", "tie_word_embeddings", "chunk_size_feed_forward"),
        *("is_encoder_decoder", "is_decoder", "add_cross_attention", "cross_attention_hidden_size"),
        *("use_cache", "finetuning_task", "task_specific_params", "tf_legacy_loss"),
        *("_commit_hash", "_attn_implementation", "_attn_implementation_autoset"),
        *("attn_implementation", "pruned_heads", "quantization_config", "auto_map"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """What no weight shows of an encoder; None where nothing says it.

    `origin` names the field that gives the heads.
    """

    heads: PerStage | None = None
    strides: PerStage | None = None
    origin: str = ""


def read_unseen(config: Mapping[str, object], *, origin: str) -> Unseen:
    """Read what the weights do not show; an absent field has transformers' default value.

    Raises:
        CheckpointError: a field is not one whole number for each stage; the message names it.
    """
    published = VARIANTS["b0"].encoder
    return Unseen(
        heads=read_per_stage(config.get(_HEADS, published.heads), field=_HEADS, origin=origin),
        strides=read_per_stage(
            config.get(_STRIDES, published.strides), field=_STRIDES, origin=origin
        ),
        origin=f"{origin} says {_HEADS} {config.get(_HEADS)}",
    )


def check_config(
    config: Mapping[str, object], spec: ModelSpec, *, logits: int, origin: str
) -> None:
    """Compare what config.json says with the model, whose shapes come from the weights.

    `logits` is the number of logits that the weights give for a pixel.

    Raises:
        CheckpointError: the file describes a network that edgeseg does not compute, or one that
            does not fit the weights; the message names the field.
    """
    _check_code(config, origin)
    for field, ours in _FIXED.items():
        theirs = config.get(field)
        if theirs is not None and theirs != ours:
            raise CheckpointError(
                f"{origin} says {field} {theirs}; edgeseg computes SegFormer with {ours} only"
            )
    activation = config.get("hidden_act")
    if activation is not None and activation not in _ACTIVATIONS:
        raise CheckpointError(
            f"{origin} says hidden_act {activation!r}; edgeseg computes SegFormer with 'gelu' only"
        )
    for field, ours in (_list_seen(spec) | {"num_labels": logits}).items():
        theirs = config.get(field)
        if theirs is not None and theirs != ours:
            raise CheckpointError(
                f"{origin} says {field} {theirs}, but the weights have {ours}; "
                f"put the config.json that belongs to them beside them"
            )


def _list_seen(spec: ModelSpec) -> dict[str, object]:
    """List config.json's fields whose values the weights show."""
    encoder = spec.encoder
    return {
        "num_channels": spec.channels,
        "depths": list(encoder.depths),
        "hidden_sizes": list(encoder.widths),
        "patch_sizes": list(encoder.patch_sizes),
        "sr_ratios": list(encoder.reductions),
        _MLP_RATIOS: [
            hidden / width for hidden, width in zip(encoder.ffn_widths, encoder.widths, strict=True)
        ],
        "decoder_hidden_size": spec.decoder_width,
    }


def is_segformer(config: Mapping[str, object]) -> bool:
    """Tell whether a config.json describes a SegFormer, or at least names no other model."""
    return config.get("model_type", _MODEL_TYPE) == _MODEL_TYPE


def read_per_stage(value: object, *, field: str, origin: str) -> PerStage:
    """Read one whole number for each stage.

    Raises:
        CheckpointError: the value is something else; the message names the field.
    """
    whole = isinstance(value, (list, tuple)) and all(type(one) is int for one in value)
    if not isinstance(value, (list, tuple)) or not whole or len(value) != STAGES:
        raise CheckpointError(
            f"{origin} says {field} {value!r}; give one whole number for each of the four stages"
        )
    first, second, third, fourth = value
    return first, second, third, fourth


def describe_unseen(spec: ModelSpec) -> tuple[str, ...]:
    """Describe heads and strides that differ from the published ones; no weight shows them."""
    published = VARIANTS["b0"].encoder
    values = {
        "attention heads": (spec.encoder.heads, published.heads),
        "strides": (spec.encoder.strides, published.strides),
    }
    return tuple(
        f"{name} {', '.join(map(str, own))}, as its configuration says "
        f"(usual: {', '.join(map(str, usual))})"
        for name, (own, usual) in values.items()
        if own != usual
    )


def describe_config(config: Mapping[str, object]) -> list[str]:
    """List what a user should know, a line each: another model class, and fields without effect."""
    notes = []
    classes = config.get("architectures")
    if isinstance(classes, list) and classes and _CLASS not in classes:
        notes.append(
            f"config.json names the class {', '.join(map(str, classes))}; "
            f"read as transformers' {_CLASS}"
        )
    known = {*_FIXED, *_WITHOUT_EFFECT, *_SEEN, _HEADS, _STRIDES, "hidden_act"}
    unknown = sorted(config.keys() - known)
    if unknown:
        more = ", ..." if len(unknown) > 5 else ""
        notes.append(
            f"config.json has {', '.join(unknown[:5])}{more}, which transformers' SegFormer does "
            f"not read; neither does edgeseg"
        )
    return notes


def _check_code(config: Mapping[str, object], origin: str) -> None:
    """Refuse a config.json that does not describe a plain SegFormer."""
    if not is_segformer(config):
        raise CheckpointError(
            f"{origin} says model_type {config['model_type']!r}; edgeseg reads {_MODEL_TYPE!r}. "
            f"If the file does not belong to the weights, move it away"
        )
    if config.get("auto_map"):
        raise CheckpointError(
            f"{origin} says auto_map: the network is code of its own, and edgeseg runs no code "
            f"that a checkpoint brings. If the network is a plain SegFormer, remove the field"
        )
    if config.get("quantization_config"):
        raise CheckpointError(
            f"{origin} says quantization_config: the weights are quantized already; "
            f"give the float checkpoint that they were made from"
        )
    if config.get("pruned_heads"):
        raise CheckpointError(
            f"{origin} says pruned_heads; edgeseg computes whole attention only: give a checkpoint "
            f"without pruned heads"
        )
