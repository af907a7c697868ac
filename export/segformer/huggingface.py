"""Writes a checkpoint that transformers loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.export.preprocessing import FILTERS
from edgeseg.export.segformer.layouts import HUGGING_FACE, find_source
from edgeseg.labels import Labels
from edgeseg.segformer.arch import HeadKind
from edgeseg.spec import Aspect, InputSpec

if TYPE_CHECKING:
    from edgeseg.export.segformer.network import SegFormer

__all__ = ["write_huggingface"]


def write_huggingface(
    folder: Path, model: SegFormer, *, labels: Labels, spec: InputSpec, half: bool = False
) -> None:
    """Write weights, config.json and preprocessor_config.json into a new folder.

    `half` stores the weights as FP16, except counters.

    Raises:
        ValueError: transformers does not have the model's head (mmsegmentation's) or the input's
            resizing rule.
    """
    from safetensors.torch import save_file

    if model.spec.head is not HeadKind.LINEAR:
        raise ValueError("transformers cannot load a SegFormer with mmsegmentation's head")
    if spec.resize not in FILTERS.values() or spec.aspect is not Aspect.SQUASH:
        raise ValueError(f"transformers has no {spec.resize.value}, aspect {spec.aspect.value}")
    folder.mkdir(parents=True)
    state = {
        find_source(HUGGING_FACE, ours).key: value.half()
        if half and value.is_floating_point()
        else value
        for ours, value in model.state_dict().items()
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _make_config(model, labels))
    _write_json(folder / "preprocessor_config.json", _make_preprocessor(spec))


def _make_config(model: SegFormer, labels: Labels) -> dict[str, object]:
    encoder = model.spec.encoder
    return {
        "architectures": ["SegformerForSemanticSegmentation"],
        "model_type": "segformer",
        "num_channels": model.spec.channels,
        "hidden_sizes": encoder.widths,
        "depths": encoder.depths,
        "decoder_hidden_size": model.spec.decoder_width,
        "num_attention_heads": encoder.heads,
        "sr_ratios": encoder.reductions,
        "patch_sizes": encoder.patch_sizes,
        "strides": encoder.strides,
        "mlp_ratios": [
            hidden // width if hidden % width == 0 else hidden / width
            for hidden, width in zip(encoder.ffn_widths, encoder.widths, strict=True)
        ],
        "id2label": dict(enumerate(labels.classes)),
        "label2id": {name: index for index, name in enumerate(labels.classes)},
        "semantic_loss_ignore_index": labels.ignore_index,
    }


def _make_preprocessor(spec: InputSpec) -> dict[str, object]:
    return {
        "image_processor_type": "SegformerImageProcessor",
        "do_resize": True,
        "size": {"height": spec.height, "width": spec.width},
        "resample": next(code for code, rule in FILTERS.items() if rule is spec.resize),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": spec.mean,
        "image_std": spec.std,
        "do_reduce_labels": False,
    }


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
