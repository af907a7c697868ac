"""Networks of one logit for each pixel, cut from trained weights, and what their frameworks say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from literal import mmseg_logits, mmseg_state
from oracle import open_transformers, small_demo
from torch.nn import functional

from edgeseg.pixels import Bgr, ClassMap

ROAD = 3  # among the demo's classes


def binary_demo(folder: Path, *names: str) -> Path:
    """The demo's checkpoint for an input of 96x128, with one logit: road or not."""
    from transformers import SegformerForSemanticSegmentation

    small_demo(folder)
    model = SegformerForSemanticSegmentation.from_pretrained(folder).float()
    old = model.decode_head.classifier
    new = torch.nn.Conv2d(old.in_channels, 1, 1)
    with torch.no_grad():
        new.weight.copy_(old.weight[ROAD] - old.weight.mean(0))
        new.bias.copy_(old.bias[ROAD] - old.bias.mean())
    model.decode_head.classifier = new
    model.config.id2label = dict(enumerate(names or ("LABEL_0",)))
    model.config.label2id = {name: index for index, name in model.config.id2label.items()}
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)
    return folder


@torch.inference_mode()
def transformers_probabilities(folder: Path, frame: Bgr) -> np.ndarray:
    """Sigmoids of transformers' one logit, resized to the frame: (H, W)."""
    model, processor = open_transformers(folder)
    pixels = processor(np.ascontiguousarray(frame[:, :, ::-1]), return_tensors="pt").pixel_values
    return _to_probabilities(model(pixels).logits, frame)


def binary_mmseg(path: Path, config: str, frame: Bgr, **meta: object) -> np.ndarray:
    """Write mmsegmentation's form of one logit; return its sigmoids for a frame, (H, W).

    `config` says nothing about the input, which is as large as the frame and of ImageNet's colors.
    """
    state = mmseg_state(classes=1)
    values = torch.from_numpy(frame[:, :, ::-1].astype(np.float64)) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    image = ((values - mean) / std).permute(2, 0, 1)[None].float()
    logits = mmseg_logits(state, image)
    factor = 2 / logits.std()  # else all probabilities are near 0.5
    state["decode_head.conv_seg.weight"] *= factor
    state["decode_head.conv_seg.bias"] -= logits.median()
    state["decode_head.conv_seg.bias"] *= factor
    torch.save({"meta": {"cfg": config} | meta, "state_dict": state}, path)
    return _to_probabilities(mmseg_logits(state, image), frame)


def above(probabilities: np.ndarray, threshold: float) -> ClassMap:
    """The mask of 0 and 1, which must have some of each to show anything."""
    mask = (probabilities > threshold).astype(np.uint8)
    assert 0.02 < mask.mean() < 0.98
    return mask


def _to_probabilities(logits: torch.Tensor, frame: Bgr) -> np.ndarray:
    assert logits.shape[1] == 1
    full = functional.interpolate(logits, frame.shape[:2], mode="bilinear", align_corners=False)
    return full.sigmoid()[0, 0].numpy()
