"""Runs a checkpoint in segmentation_models_pytorch: its network, and its upsampling.

The package resizes no images. Its users resize them before, and the logits after: so does the check
here, by the checkpoint's rule and by torch's bilinear interpolation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from edgeseg.errors import CheckpointError
from edgeseg.export.contents import read_contents
from edgeseg.export.locating import find_weights
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import ignore
from edgeseg.spec import GRAY, Aspect, ChannelOrder, InputSpec

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["open_smp", "resizes_for_smp"]

# Of a second output, of which the mask knows nothing.
_AUXILIARY: Final = "classification_head."


def resizes_for_smp(spec: InputSpec) -> bool:
    """Tell whether images are resized without padding, as the check does."""
    return spec.aspect is Aspect.SQUASH


def open_smp(source: str, checkpoint: Checkpoint) -> Callable[[Bgr], ClassMap]:
    """Build the package's own model, and load the tensors that the file holds into it.

    Raises:
        CheckpointError: the package does not take the weights.
    """
    import segmentation_models_pytorch as smp
    import torch
    from torch.nn import functional

    from edgeseg.export.reference import normalize, resize

    weights, _ = find_weights(source, say=ignore)
    state = read_contents(weights, key=checkpoint.weights_key).state
    spec = checkpoint.spec
    try:
        model = smp.Segformer(
            f"mit_{spec.name}",
            encoder_weights=None,
            decoder_segmentation_channels=spec.decoder_width,
            in_channels=spec.channels,
            classes=spec.classes if checkpoint.threshold is None else 1,
        )
        model.load_state_dict({k: v for k, v in state.items() if not k.startswith(_AUXILIARY)})
    except (KeyError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{source}: segmentation_models_pytorch does not take it: {reason}"
        ) from None
    model.eval()

    turn = checkpoint.channel_order is ChannelOrder.BGR

    @torch.inference_mode()
    def segment(frame: Bgr) -> ClassMap:
        image = normalize(resize(frame, checkpoint.input)[None], checkpoint.input)
        image = image.flip(1) if turn else image
        logits = model(image[:, :1] if spec.channels == GRAY else image)
        full = functional.interpolate(logits, frame.shape[:2], mode="bilinear")[0]
        threshold = checkpoint.threshold
        mask = full.argmax(dim=0) if threshold is None else full[0].sigmoid() > threshold
        return cast("ClassMap", mask.numpy().astype(np.uint16))

    return segment
