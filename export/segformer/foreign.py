"""Names networks that are not SegFormer's, by the names of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from edgeseg.export.segformer.layouts import SMP, Layout, State

__all__ = ["explain_encoder", "explain_unknown", "is_encoder_alone"]

# Parts of keys, and the encoder of segmentation_models_pytorch that has them.
_SMP_ENCODERS: Final = (
    ("encoder.model.", "an encoder from timm"),
    ("encoder.layer1.", "a ResNet"),
    ("encoder._blocks.", "an EfficientNet"),
    ("encoder.blocks.", "an EfficientNet from timm"),
    ("encoder.features.", "a VGG, DenseNet or MobileNet"),
)

# Parts of keys, and the decoder of segmentation_models_pytorch that has them.
_SMP_DECODERS: Final = (
    ("decoder.blocks.x_0_0.", "UnetPlusPlus"),
    ("decoder.center.top_conv.", "MAnet"),
    ("decoder.blocks.0.conv1.", "Unet"),
    ("decoder.blocks.0.block.", "Linknet"),
    ("decoder.p5.", "FPN"),
    ("decoder.fpa.", "PAN"),
    ("decoder.fpn_lateral_blocks.", "UPerNet"),
    ("decoder.psp.", "PSPNet"),
    ("decoder.aspp.", "DeepLabV3Plus"),
    ("decoder.0.convs.", "DeepLabV3"),
    ("decoder.reassemble_blocks.", "DPT"),
)

# Of each model of that package; transformers' MobileNetV2 has a segmentation_head, too.
_SMP_PARTS: Final = ("encoder.", "decoder.", "segmentation_head.")

# Parts of keys, and the backbone that TAO puts before SegFormer's decoder.
_TAO_BACKBONES: Final = (
    ("backbone.radio.", "C-RADIO"),
    ("backbone.cls_attn_blocks.", "FAN"),
    ("backbone.level_embed", "a ViT (NV-DINOv2 or NVCLIP)"),
)

_DETECTION: Final = (
    *("bbox", "rpn_head", "roi_head", "class_embed"),
    *("class_labels_classifier", ".dfl."),
)

# The last layer of a network that names a whole image's class: a matrix.
_CLASSIFIER: Final = re.compile(r"(?:.*\.)?(?:fc|head|classifier(?:\.\d+)?|head\.fc)\.weight")
_COUNTERS: Final = ("num_batches_tracked", "running_mean", "running_var")
_SHOWN: Final = 5

_ENCODERS: Final = (
    *("segformer.", "patch_embed1.", "backbone.patch_embed1.", "backbone.layers.0.0."),
    "encoder.patch_embed1.",
)


def explain_encoder(state: State, layout: Layout) -> str | None:
    """Explain a decoder of SegFormer's whose encoder is no Mix Transformer; None for any other."""
    known = _SMP_ENCODERS if layout is SMP else _TAO_BACKBONES
    encoder = _find_part(state, known)
    if encoder is None and layout is SMP and not any("encoder.block1." in key for key in state):
        encoder = "another encoder"
    if encoder is not None:
        mine = "mit_b0 to mit_b5"
        return (
            f"has SegFormer's decoder behind {encoder}; edgeseg reads the decoder behind a Mix "
            f"Transformer only ({layout.framework} calls them {mine})"
        )
    if layout is SMP and "decoder.mlp_stage.3.linear.weight" not in state:
        return (
            "is a Segformer of segmentation_models_pytorch with an encoder_depth below 5; edgeseg "
            "computes all four stages: train one with encoder_depth=5"
        )
    return None


def explain_unknown(state: State, config: Mapping[str, object]) -> str:
    """Explain weights of no known layout; `config` is what config.json beside them says."""
    keys = tuple(state)
    kind = config.get("model_type")
    if isinstance(kind, str) and kind != "segformer":
        return (
            f"is of another architecture: config.json beside it says model_type {kind!r}; edgeseg "
            f"takes SegFormer segmentation models"
        )
    if any(word in key for key in keys for word in _DETECTION):
        return "is a detection model; edgeseg takes SegFormer segmentation models"
    if all(any(key.startswith(part) for key in keys) for part in _SMP_PARTS):
        decoder = _find_part(state, _SMP_DECODERS) or "model with another decoder"
        return (
            f"is a {decoder} of segmentation_models_pytorch; edgeseg reads its Segformer only, "
            f"with an encoder mit_b0 to mit_b5"
        )
    if is_encoder_alone(state):
        return (
            "is a classification backbone: it has SegFormer's encoder but no decoder; "
            "give a checkpoint that was trained for segmentation"
        )
    layer = next((k for k in keys if _CLASSIFIER.fullmatch(k) and state[k].ndim == 2), None)
    if layer is not None:
        return (
            f"is a classification network: {layer} gives an image one of {len(state[layer])} "
            f"classes; edgeseg takes SegFormer segmentation models"
        )
    belongs = "; config.json beside it says segformer, but is of other weights" if kind else ""
    return (
        f"has an unknown layout ({len(keys)} weights: {', '.join(_pick_names(keys))}){belongs}; "
        f"edgeseg reads SegFormer from Hugging Face, NVlabs, mmsegmentation, "
        f"segmentation_models_pytorch and NVIDIA TAO"
    )


def _pick_names(keys: Sequence[str]) -> list[str]:
    """Pick names from all parts of a network, and no counters of BatchNorm."""
    telling = [key for key in keys if not key.endswith(_COUNTERS)] or keys
    last = len(telling) - 1
    places = sorted({round(i * last / (_SHOWN - 1)) for i in range(_SHOWN)})
    return [telling[place] for place in places]


def is_encoder_alone(state: State) -> bool:
    """Tell whether these are the weights of SegFormer's encoder, as for classification."""
    return any(key.startswith(_ENCODERS) for key in state) and not any(
        "decode" in key for key in state
    )


def _find_part(state: State, known: tuple[tuple[str, str], ...]) -> str | None:
    return next((name for part, name in known if any(part in key for key in state)), None)
