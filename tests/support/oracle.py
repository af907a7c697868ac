"""Two ways from a checkpoint to a mask: edgeseg's deployed graph, and the framework's own code."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from edgeseg.demo import draw_scene
from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.pixels import Bgr, ClassMap, to_frame_mask, to_input

# Of a mask's pixels: two logits may tie but for rounding.
FEW = 0.0003


def small_demo(folder: Path) -> Path:
    """The demo checkpoint, whose weights are trained, for an input of 96x128."""
    shutil.copytree(find_demo_checkpoint(), folder)
    change(folder / "preprocessor_config.json", size={"height": 96, "width": 128})
    return folder


def change(path: Path, *without: str, **fields: object) -> None:
    """Give a JSON file other fields, and take some away."""
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({k: v for k, v in content.items() if k not in without}))


def street(height: int = 120, width: int = 160, *, seed: int = 11) -> Bgr:
    return draw_scene(seed, 0, height=height, width=width).image


def deployed_mask(source: Path, frame: Bgr, **options: Any) -> ClassMap:
    """What edgeseg's FP32 graph says of a frame."""
    checkpoint = read_checkpoint(str(source), **options)
    spec = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std)
    graph = to_onnx(deployed, height=spec.height, width=spec.width, opset=20)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run(None, {"image": to_input(frame, spec)})
    return to_frame_mask(logits, spec, frame)


def open_transformers(folder: Path) -> tuple[Any, Any]:
    """transformers' network and image processor of a folder, opened once while it is unchanged."""
    stats = ((path.name, path.stat()) for path in sorted(folder.iterdir()))
    return _open(folder, tuple((name, stat.st_ino, stat.st_mtime_ns) for name, stat in stats))


@lru_cache(maxsize=2)
def _open(folder: Path, _state: tuple[tuple[str, int, int], ...]) -> tuple[Any, Any]:
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessorPil

    model = SegformerForSemanticSegmentation.from_pretrained(folder).float().eval()
    return model, SegformerImageProcessorPil.from_pretrained(folder)


@torch.inference_mode()
def transformers_mask(folder: Path, frame: Bgr) -> ClassMap:
    """What transformers says of it, with its own image processor."""
    model, processor = open_transformers(folder)
    rgb = np.ascontiguousarray(frame[:, :, ::-1])
    outputs = model(processor(rgb, return_tensors="pt").pixel_values)
    (mask,) = processor.post_process_semantic_segmentation(outputs, [frame.shape[:2]])
    return mask.numpy().astype(np.uint8)


def differing(one: ClassMap, other: ClassMap) -> float:
    """The share of the pixels with another class."""
    assert one.shape == other.shape
    return float((one != other).mean())
