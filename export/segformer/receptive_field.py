"""Computes effective receptive fields: which pixels of the input a stage and the head depend on.

The method is that of Luo et al. 2016, "Understanding the Effective Receptive Field in Deep
Convolutional Neural Networks" (arXiv:1701.04128). Figure 3 of the SegFormer paper shows such fields
of its stages and its head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgeseg.errors import CheckpointError
from edgeseg.export.segformer.network import Block, SegFormer, Stage, to_image, to_tokens
from edgeseg.export.segformer.rewrites import DeployedSegFormer, rewrite
from edgeseg.pixels import Frame
from edgeseg.progress import SILENT, Progress, track
from edgeseg.segformer.arch import Encoder
from edgeseg.segformer.form import Form
from edgeseg.segformer.receptive_field import HEAD, PARTS, ReceptiveField
from edgeseg.spec import InputSpec

__all__ = ["compute_gradients", "measure_receptive_fields"]

Step = Callable[[Tensor], Tensor]
"""A piece of a stage, from an image (1, C, H, W) to the next."""


def measure_receptive_fields(
    model: SegFormer,
    spec: InputSpec,
    form: Form,
    frames: Sequence[Callable[[], Frame]],
    *,
    progress: Progress = SILENT,
) -> dict[str, ReceptiveField]:
    """Measure the receptive field of each of `PARTS` in a form: the mean gradient of all frames.

    Each of `frames` gives an input of the network, uint8 (1, height, width, C) as `spec` has it.
    There is at least one. See `compute_gradients` for what is differentiated.

    Raises:
        CheckpointError: a gradient is zero everywhere, or not finite.
    """
    network = rewrite(model, mean=spec.mean, std=spec.std, form=form)
    total = {part: np.zeros((spec.height, spec.width)) for part in PARTS}
    for read in track(progress, f"differentiating {form.name}", frames):
        gradients = compute_gradients(network, torch.from_numpy(read().copy()))
        total = {part: total[part] + gradients[part] for part in PARTS}
    for part, mass in total.items():
        if not 0 < mass.sum() < np.inf:  # also true for NaN
            raise CheckpointError(
                f"the gradient of the checkpoint's {part} is {mass.sum():g} in all, which shows "
                f"no receptive field; are its weights trained?"
            )
    centers = _find_centers(network.spec.encoder, spec.height, spec.width)
    return {
        part: ReceptiveField(mass=mass / len(frames), center=centers[part])
        for part, mass in total.items()
    }


def compute_gradients(
    network: DeployedSegFormer, frame: Tensor
) -> dict[str, npt.NDArray[np.float64]]:
    """Differentiate the central position of each stage's feature map, and of the logits.

    `frame` is the network's input, uint8 (1, H, W, C). Of a feature map (1, C, h, w), which is the
    normalized one that the next stage and the head take, the position (h // 2, w // 2) is summed
    over its channels; of the logits (1, classes, h, w) likewise over the classes. The result, for
    each of `PARTS`, is the gradient of this sum with respect to the frame's values in 0..255: the
    sum of its absolute values over the frame's channels, (H, W).

    Gradients pass one block at a time, whose activations are computed again. So the memory is that
    of one block, however deep the network.
    """
    steps = [_split(cast("Stage", stage)) for stage in network.stages]
    inputs, features = _run(
        steps, (frame.to(network.mean.dtype) - network.mean).permute(0, 3, 1, 2)
    )
    passed: dict[str, Tensor] = {}
    of_head = _differentiate_head(network, features)
    for stage in reversed(range(len(steps))):
        passed[HEAD] = of_head[stage] + passed.get(HEAD, 0)
        passed[PARTS[stage]] = _mark_center(features[stage])
        for step, image in zip(reversed(steps[stage]), reversed(inputs[stage]), strict=True):
            passed = _pass_back(step, image, passed)
    return {part: passed[part].abs().sum(dim=1)[0].double().numpy() for part in PARTS}


def _split(stage: Stage) -> list[Step]:
    """Split a stage into its patch embedding, its blocks and its normalization."""

    def embed(image: Tensor) -> Tensor:
        return to_image(*stage.patch_embed(image))

    def make_step(block: Block) -> Step:
        def attend(image: Tensor) -> Tensor:
            size = (image.shape[2], image.shape[3])
            return to_image(block(to_tokens(image), size), size)

        return attend

    def normalize(image: Tensor) -> Tensor:
        return to_image(stage.norm(to_tokens(image)), (image.shape[2], image.shape[3]))

    return [embed, *(make_step(cast("Block", block)) for block in stage.blocks), normalize]


@torch.no_grad()
def _run(steps: Sequence[Sequence[Step]], image: Tensor) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Run the stages; return what each step of each stage is given, and the stages' features."""
    inputs: list[list[Tensor]] = []
    features: list[Tensor] = []
    for stage in steps:
        inputs.append([])
        for step in stage:
            inputs[-1].append(image)
            image = step(image)
        features.append(image)
    return inputs, features


def _differentiate_head(network: DeployedSegFormer, features: Sequence[Tensor]) -> list[Tensor]:
    """Compute the gradient of the logits' central position with respect to each feature."""
    leaves = [feature.detach().requires_grad_() for feature in features]
    logits = network.head(leaves)
    return list(torch.autograd.grad(logits, leaves, _mark_center(logits)))


def _mark_center(image: Tensor) -> Tensor:
    """Make the gradient of the sum over channels at the central position: 1 there, 0 elsewhere."""
    marked = torch.zeros_like(image)
    marked[:, :, image.shape[2] // 2, image.shape[3] // 2] = 1
    return marked


def _pass_back(step: Step, image: Tensor, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn gradients with respect to a step's result into those with respect to its input."""
    leaf = image.detach().requires_grad_()
    result = step(leaf)
    return {
        part: torch.autograd.grad(result, leaf, gradient, retain_graph=True)[0]
        for part, gradient in gradients.items()
    }


def _find_centers(encoder: Encoder, height: int, width: int) -> dict[str, tuple[int, int]]:
    """Find the pixel, (row, column), that the central position of each part's map stands on.

    A patch embedding pads by half its kernel. So the position (i, j) stands on (s i, s j), with the
    product s of all strides so far.
    """
    strides = accumulate(encoder.strides, mul)
    sizes = encoder.compute_sizes(height, width)
    centers = [
        (stride * (rows // 2), stride * (columns // 2))
        for stride, (rows, columns) in zip(strides, sizes, strict=True)
    ]
    # The logits have the first stage's size.
    return dict(zip(PARTS, [*centers, centers[0]], strict=True))
