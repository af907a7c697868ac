"""Computes what the checkpoint's own framework computes, to check every export against it.

This module uses torch, Pillow and OpenCV only. It does not use `edgeseg.pixels`, so it cannot
share a mistake with the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgeseg.bundle.manifest import Parity
from edgeseg.errors import ExportError, MissingPackageError
from edgeseg.runtime.backends.checked import name_failures
from edgeseg.segformer.arch import LUMA_RGB
from edgeseg.spec import GRAY, RGB, Aspect, InputSpec, Resize, Upsampling

if TYPE_CHECKING:
    from edgeseg.export.segformer.network import SegFormer
    from edgeseg.export.segformer.rewrites import DeployedSegFormer
    from edgeseg.pixels import Bgr, ClassMap, Frame, Logits

__all__ = [
    "MAX_ABS_DIFF",
    "check_parity",
    "compute_logits",
    "compute_reference_mask",
    "count_threads",
    "limit_threads",
    "normalize",
    "resize",
    "run_deployed",
    "run_published",
]

# Logits of trained models span tens; FP32 rounding through 50 layers stays below 1e-4 of that.
MAX_ABS_DIFF: Final = 1e-3


@torch.inference_mode()
def compute_reference_mask(model: SegFormer, spec: InputSpec, frame: Bgr) -> ClassMap:
    """Compute the mask of a frame by the published network, in float32.

    The frame is uint8 BGR (H, W, 3) of any size, or (H, W, C) of a network that takes other
    channels than a camera's. The mask is (H, W) at the frame's own size, uint8
    up to 256 classes, else uint16.

    Raises:
        MissingPackageError: the checkpoint resizes with OpenCV, which is not installed.
    """
    height, width = frame.shape[:2]
    pixels = resize(_turn(frame), spec)
    if spec.upsampling is Upsampling.ALIGN_CORNERS:
        logits = _align_corners(model, pixels, spec)
    else:
        logits = _segment(model, _standardize(pixels, spec))
    full = functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
    ids = full.argmax(dim=1)[0].numpy()
    return ids.astype(np.uint8 if logits.shape[1] <= 256 else np.uint16)


@torch.inference_mode()
def compute_logits(model: SegFormer, spec: InputSpec, image: Bgr) -> Logits:
    """Compute the published network's logits for an image, which is not resized.

    The image is uint8, as in `compute_reference_mask`; the logits are float32 (1, classes,
    ceil(H/4), ceil(W/4)).
    """
    logits: Logits = _segment(model, normalize(image[None], spec)).numpy()
    return logits


def count_threads() -> int:
    """Count the threads that PyTorch computes with."""
    return torch.get_num_threads()


def limit_threads(count: int) -> None:
    """Limit PyTorch to `count` threads, in the whole process: PyTorch has no smaller scope."""
    torch.set_num_threads(count)


def normalize(frame: Frame, spec: InputSpec) -> Tensor:
    """Turn the uint8 (1, H, W, C) input into normalized channels, float32 (1, C, H, W).

    BGR becomes RGB.
    """
    return _standardize(_turn(frame[0]), spec)


def run_published(model: SegFormer, spec: InputSpec) -> Callable[[Frame], Logits]:
    """Return what computes the published network's logits for an input, uint8 (1, H, W, C)."""
    return lambda frame: _segment(model, normalize(frame, spec)).numpy()


def run_deployed(network: DeployedSegFormer) -> Callable[[Frame], Logits]:
    """Return what computes the deployed network's logits for an input, uint8 (1, H, W, C)."""
    return lambda frame: cast("Logits", network(torch.from_numpy(frame.copy())).numpy())


@torch.inference_mode()
def check_parity(
    graph: Path,
    compute: Callable[[Frame], Logits],
    frames: Iterable[Frame],
    *,
    image_source: str,
) -> Parity:
    """Compare a float graph in ONNX Runtime with PyTorch, on the same inputs.

    `frames` are inputs of the network, uint8 (1, H, W, C), of which `compute` makes the logits in
    PyTorch. `image_source` names where they come from, for the manifest.

    Raises:
        ExportError: a logit differs by more than `MAX_ABS_DIFF`, or is NaN; or there is no frame.
        BackendError: the engine fails.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    (graph_input,) = session.get_inputs()
    largest = 0.0
    count = 0
    for frame in frames:
        with name_failures("onnxruntime"):
            (logits,) = session.run(None, {graph_input.name: frame})
        expected = compute(frame)
        difference = float(np.abs(cast("Any", logits) - expected).max())
        if not difference <= MAX_ABS_DIFF:  # also true for NaN
            raise ExportError(
                f"the exported graph's logits differ from the checkpoint's by {difference:.2e}, "
                f"the limit is {MAX_ABS_DIFF:.0e}; nothing was written; please report this"
            )
        largest = max(largest, difference)
        count += 1
    if not count:
        raise ExportError(
            "there is no image to compare the exported graph on; give images with --data"
        )
    return Parity(max_abs_diff=largest, images=count, image_source=image_source)


def _turn(frame: Bgr) -> Bgr:
    """Turn BGR (H, W, 3) into RGB; the channels of other frames stay in their order."""
    return np.ascontiguousarray(frame[:, :, ::-1]) if frame.shape[2] == RGB else frame


def _segment(model: SegFormer, rgb: Tensor) -> Tensor:
    """Run the network on normalized channels (1, C, H, W), or on RGB's luma if it takes gray."""
    if model.spec.channels == GRAY:
        rgb = (rgb * torch.tensor(LUMA_RGB).reshape(1, RGB, 1, 1)).sum(dim=1, keepdim=True)
    return cast("Tensor", model(rgb))


def _align_corners(model: SegFormer, rgb: Bgr, spec: InputSpec) -> Tensor:
    """Make logits at the pixels' own size, as segmentation_models_pytorch does.

    That framework takes no input of any size. So the pixels are padded with the mean color, and the
    padding's logits are cut off after the first upsampling.
    """
    height, width = rgb.shape[:2]
    mean = np.rint(255 * np.array(spec.mean))
    padded = np.full((spec.height, spec.width, rgb.shape[2]), mean, np.uint8)
    padded[:height, :width] = rgb
    logits = _segment(model, _standardize(padded, spec))
    full = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=True)
    return full[:, :, :height, :width]


def resize(rgb: Bgr, spec: InputSpec) -> Bgr:
    """Resize uint8 RGB (H, W, 3) by the checkpoint's own rule, unpadded: torch takes any size.

    Other channels, (H, W, C), are resized one after the other.
    """
    if rgb.shape[2] != RGB:
        bands = [_resize_image(rgb[:, :, band].copy(), spec) for band in range(rgb.shape[2])]
        return np.stack(bands, axis=2)
    return _resize_image(rgb, spec)


def _resize_image(rgb: Bgr, spec: InputSpec) -> Bgr:
    """Resize uint8 RGB (H, W, 3), or one channel (H, W)."""
    height, width = spec.height, spec.width
    if spec.aspect is Aspect.KEEP:
        factor = min(height / rgb.shape[0], width / rgb.shape[1])
        height, width = (int(side * factor + 0.5) for side in rgb.shape[:2])
    if spec.resize is not Resize.OPENCV_BILINEAR:
        from PIL import Image

        filters = {
            Resize.PILLOW_NEAREST: Image.Resampling.NEAREST,
            Resize.PILLOW_BILINEAR: Image.Resampling.BILINEAR,
            Resize.PILLOW_BICUBIC: Image.Resampling.BICUBIC,
            Resize.PILLOW_LANCZOS: Image.Resampling.LANCZOS,
        }
        return np.asarray(Image.fromarray(rgb).resize((width, height), filters[spec.resize]))
    try:
        import cv2
    except ImportError:
        raise MissingPackageError(
            "OpenCV",
            purpose="this checkpoint's resizing",
            command="pip install 'edgeseg[export]' -c constraints.txt",
        ) from None
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _standardize(rgb: Bgr, spec: InputSpec) -> Tensor:
    """Turn uint8 RGB (H, W, 3), or other channels, into normalized float32 (1, 3, H, W)."""
    values = torch.from_numpy(rgb.astype(np.float32) / np.float32(255))
    normalized = (values - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    return normalized.permute(2, 0, 1)[None]
