"""Compares Hugging Face's config.json with what edgeseg computes.

The weights show widths, depths and classes. Only config.json gives heads, activation and strides.
Each such field is honored, or refused by name. Fields that matter in training only may have any
value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.segformer.arch import (
    ATTENTION_HEADS,
    MLP_RATIO,
    PATCH_SIZES,
    PATCH_STRIDES,
    SR_RATIOS,
    ModelSpec,
)

__all__ = ["apply_config", "describe_config", "describe_heads", "is_segformer", "replace_heads"]

_MODEL_TYPE: Final = "segformer"
_CLASS: Final = "SegformerForSemanticSegmentation"

# Both names mean GELU through erf.
_ACTIVATIONS: Final = ("gelu", "gelu_python")

# The values that edgeseg computes with; transformers would take others too.
_FIXED: Final[Mapping[str, object]] = {
    "num_channels": 3,
    "num_encoder_blocks": 4,
    "num_hidden_layers": 4,  # transformers' other name for it
    "patch_sizes": list(PATCH_SIZES),
    "strides": list(PATCH_STRIDES),
    "sr_ratios": list(SR_RATIOS),
    "mlp_ratios": [MLP_RATIO] * 4,
    "reshape_last_stage": True,
}

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


def apply_config(config: Mapping[str, object], spec: ModelSpec, *, origin: str) -> ModelSpec:
    """Complete the model's shapes, read from the weights, by what config.json says.

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
    from_weights = {
        "depths": list(spec.variant.depths),
        "hidden_sizes": list(spec.variant.widths),
        "decoder_hidden_size": spec.decoder_width,
        "num_labels": spec.classes,
    }
    for field, ours in from_weights.items():
        theirs = config.get(field)
        if theirs is not None and theirs != ours:
            raise CheckpointError(
                f"{origin} says {field} {theirs}, but the weights have {ours}; "
                f"put the config.json that belongs to them beside them"
            )
    heads = config.get("num_attention_heads")
    if heads is None:
        return spec
    return replace_heads(spec, heads, field="num_attention_heads", origin=origin)


def is_segformer(config: Mapping[str, object]) -> bool:
    """Tell whether a config.json describes a SegFormer, or at least names no other model."""
    return config.get("model_type", _MODEL_TYPE) == _MODEL_TYPE


def replace_heads(spec: ModelSpec, heads: object, *, field: str, origin: str) -> ModelSpec:
    """Replace the model's numbers of attention heads, one for each stage.

    Raises:
        CheckpointError: the numbers are not possible; the message names the field.
    """
    whole = isinstance(heads, (list, tuple)) and all(type(one) is int for one in heads)
    if not isinstance(heads, (list, tuple)) or not whole or len(heads) != len(ATTENTION_HEADS):
        raise CheckpointError(
            f"{origin} says {field} {heads!r}; give one whole number for each of the four stages"
        )
    first, second, third, fourth = heads
    try:
        return replace(spec, heads=(first, second, third, fourth))
    except SpecError as error:
        raise CheckpointError(f"{origin} says {field} {list(heads)}: {error}") from None


def describe_heads(spec: ModelSpec) -> tuple[str, ...]:
    """Describe attention heads that differ from SegFormer's; no weight shows their number."""
    if spec.heads == ATTENTION_HEADS:
        return ()
    heads, usual = (", ".join(map(str, one)) for one in (spec.heads, ATTENTION_HEADS))
    return (f"attention heads {heads}, as its configuration says (usual: {usual})",)


def describe_config(config: Mapping[str, object]) -> list[str]:
    """List what a user should know, a line each: another model class, and fields without effect."""
    notes = []
    classes = config.get("architectures")
    if isinstance(classes, list) and classes and _CLASS not in classes:
        notes.append(
            f"config.json names the class {', '.join(map(str, classes))}; "
            f"read as transformers' {_CLASS}"
        )
    known = {*_FIXED, *_WITHOUT_EFFECT, "hidden_act", "depths", "hidden_sizes"}
    known |= {"decoder_hidden_size", "num_attention_heads"}
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
