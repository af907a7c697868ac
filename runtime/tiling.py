"""Segments frames larger than the network's input, window by window, with a bundle's engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from edgeseg.bundle.manifest import VariantInfo
from edgeseg.errors import SpecError
from edgeseg.pixels import Bgr, Logits, to_input
from edgeseg.pixels.tiles import find_stride
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.finish import Finish
from edgeseg.runtime.result import Segmentation
from edgeseg.runtime.timing import time_call
from edgeseg.spec import InputSpec

__all__ = [
    "StoppedError",
    "check_gives_logits",
    "check_gives_scores",
    "describe_tiles",
    "segment_tiled",
]

_LOGITS: Final = "logits"


class StoppedError(Exception):
    """Nobody waits for the mask any more."""


def check_gives_logits(variant: VariantInfo) -> None:
    """Refuse a variant whose graph ends in class ids.

    Raises:
        SpecError: it does.
    """
    if variant.output != _LOGITS:
        raise SpecError(
            f"variant {variant.name} ends in class ids, which cannot be averaged where windows "
            f"overlap; show it whole images (without --tile, --protocol ss), or export for a "
            f"target whose graph ends in logits: edgeseg export --target onnxruntime"
        )


def check_gives_scores(variant: VariantInfo) -> None:
    """Refuse a variant whose graph ends in class ids, where probabilities are asked for.

    Raises:
        SpecError: it does.
    """
    if variant.output != _LOGITS:
        raise SpecError(
            f"variant {variant.name} ends in class ids, which have no probabilities; leave out "
            f"--scores and --min-score, or export for a target whose graph ends in logits: "
            f"edgeseg export --target onnxruntime"
        )


def describe_tiles(spec: InputSpec) -> str:
    """Say how large the tiles are and how far apart, for people."""
    down, across = find_stride(spec.height), find_stride(spec.width)
    return (
        f"tiles of {spec.height}x{spec.width} pixels (height x width), {down} apart down and "
        f"{across} across, over each frame at its own size"
    )


def segment_tiled(
    backend: Backend,
    spec: InputSpec,
    frame: Bgr,
    finish: Finish,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Segmentation:
    """Segment one frame through windows of the network's size; times are sums over the windows.

    `finish` says what is made of the logits. `stopped` is asked before each window, for a frame may
    take minutes.

    Raises:
        StoppedError: `stopped` said so.
        BackendError: the engine fails.
    """
    prepare_ms, infer_ms = 0.0, 0.0

    def look(part: Bgr) -> Logits:
        nonlocal prepare_ms, infer_ms
        if stopped():
            raise StoppedError
        network_input, prepared_ms = time_call(to_input, part, spec)
        output, inferred_ms = time_call(backend.infer, network_input)
        prepare_ms += prepared_ms
        infer_ms += inferred_ms
        return cast("Logits", output)

    (mask, scores), total_ms = time_call(finish.make_tiled, look, spec, frame)
    return Segmentation(
        mask=mask,
        scores=scores,
        prepare_ms=prepare_ms,
        infer_ms=infer_ms,
        mask_ms=total_ms - prepare_ms - infer_ms,
    )
