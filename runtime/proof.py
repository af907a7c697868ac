"""Opens the path of whole frames on a device where its masks are those that the host makes."""

from __future__ import annotations

from contextlib import ExitStack, closing

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.pixels import count_untied, to_frame_mask, to_input
from edgeseg.progress import Say
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.golden import read_golden_frame
from edgeseg.runtime.gpu.lane import Lane
from edgeseg.runtime.gpu.path import FramePath

__all__ = ["open_proven_path"]


def open_proven_path(backend: Backend, bundle: Bundle, *, say: Say) -> FramePath | None:
    """Open an engine's path, and prove it once: on each golden frame, both ways give one mask.

    Pixels at which the logits of two classes tie may differ. None where the engine offers no path,
    or where the host has to make the masks; then `say` gets the reason.

    Raises:
        DeviceLostError: the device is lost.
    """
    manifest = bundle.manifest
    try:
        path = backend.open_path(manifest.input, classes=len(manifest.labels.classes), say=say)
        if path is None:
            return None
        with ExitStack() as stack:
            stack.callback(path.close)
            fault = _find_fault(backend, bundle, path)
            if fault is None:
                stack.pop_all()
                return path
    except DeviceLostError:
        raise
    except BackendError as error:
        fault = str(error)
    say(f"the CPU prepares frames and makes masks: {fault}")
    return None


def _find_fault(backend: Backend, bundle: Bundle, path: FramePath) -> str | None:
    """Explain why the path may not serve; None where its masks are right."""
    spec = bundle.manifest.input
    with closing(Lane(path)) as lane:
        for index, golden in enumerate(bundle.manifest.golden):
            frame = read_golden_frame(bundle, index)
            flight = lane.launch(frame) if lane.fits(frame) else None
            if flight is None:  # which a line has said
                continue
            made = flight.take().mask
            output = backend.infer(to_input(frame, spec))
            mask = to_frame_mask(output, spec, frame)
            wrong = count_untied(output, spec, mask, made)
            if wrong:
                return (
                    f"the GPU's masks differ from the CPU's: {golden.frame} in "
                    f"{100 * wrong / mask.size:.3g} % of the pixels"
                )
    return None
