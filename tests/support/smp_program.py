"""Runs segmentation_models_pytorch in a process of its own.

A line of its input is a command, whose words have tabs between them; "done" follows each.

    segment FOLDER HEIGHT WIDTH FRAME.npy ...   masks of frames, by a saved model: FRAME.mask.npy
    make FOLDER ENCODER                         a model with random weights, as it is saved

The wheel of torchvision is built for the CUDA build of torch, and asks at its import for two
operators that it cannot load beside another build. No Segformer uses them.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch.nn import functional

DONE = "done\n"


def segment(folder: str, height: str, width: str, *frames: str) -> None:
    """Segment as its users do: OpenCV's resizing, ImageNet's statistics, logits resized."""
    import cv2
    import segmentation_models_pytorch as smp

    model = smp.from_pretrained(folder).eval()
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for frame in frames:
        bgr = np.load(frame)
        rgb = cv2.resize(bgr, (int(width), int(height)), interpolation=cv2.INTER_LINEAR)[:, :, ::-1]
        values = ((rgb / 255 - mean) / std).astype(np.float32).transpose(2, 0, 1).copy()
        with torch.inference_mode():
            logits = model(torch.from_numpy(values)[None])
            logits = logits[0] if isinstance(logits, tuple) else logits
            full = functional.interpolate(logits, bgr.shape[:2], mode="bilinear")
        ids = full.argmax(dim=1)[0] if full.shape[1] > 1 else full[0, 0] > 0
        np.save(f"{frame}.mask.npy", ids.numpy().astype(np.uint8))


def make(folder: str, encoder: str) -> None:
    """Save a model with weights that are random, and statistics that are not those of the start."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    model = smp.Segformer(encoder, encoder_weights=None, classes=5)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.is_floating_point() and value.ndim == 1:
                value.add_(0.2 * torch.randn_like(value))
    model.save_pretrained(folder)


if __name__ == "__main__":
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for line in sys.stdin:
        command, *words = line.rstrip("\n").split("\t")
        {"segment": segment, "make": make}[command](*words)
        print(DONE, end="", flush=True)  # noqa: T201  # the answer
