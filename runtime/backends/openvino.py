"""OpenVINO on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeseg.errors import BackendError, MissingPackageError
from edgeseg.machine.packages import find_version
from edgeseg.progress import Progress
from edgeseg.runtime.backends.checked import check_ends, take_last_line

if TYPE_CHECKING:
    from edgeseg.pixels import Frame, Logits

__all__ = ["OpenVinoBackend", "list_devices", "list_float_types", "identity", "open_engine"]

# From the manifest's names of float types to those of OpenVINO's capabilities.
_CAPABILITIES: Final = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}


def open_engine(
    path: Path, *, compute: str, device: str, threads: int | None, progress: Progress
) -> OpenVinoBackend:
    """See `Runner`."""
    del device, progress
    return OpenVinoBackend(path, compute=compute, threads=threads)


def list_devices() -> tuple[str, ...]:
    """See `Runner`."""
    return ("cpu",)


def identity() -> str:
    """See `Runner`."""
    return f"openvino {find_version('openvino')}"


def list_float_types() -> tuple[str, ...]:
    """List the float types that this CPU computes in natively: f32, perhaps bf16 or f16.

    Raises:
        MissingPackageError: openvino is not installed.
    """
    return _read_float_types(_open_core())


def _read_float_types(core: Any) -> tuple[str, ...]:  # noqa: ANN401  # openvino has no types
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, capability in _CAPABILITIES.items() if capability in able)


class OpenVinoBackend:
    """One model, .xml or .onnx, compiled for the lowest latency of a single frame.

    `compute` is the type that float parts compute in. It is always set, because OpenVINO's default
    is BF16 where the CPU has it, and "FP32" would then not be FP32.
    """

    def __init__(self, path: Path, *, compute: str = "f32", threads: int | None = None) -> None:
        core = _open_core()
        import openvino

        if compute not in _read_float_types(core):
            raise BackendError(f"this CPU does not compute in {compute}; run: edgeseg build BUNDLE")
        engine = f"openvino {openvino.__version__.partition('-')[0]} {compute}"
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": compute}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            model = core.compile_model(str(path), "CPU", options)
        except RuntimeError as error:
            raise BackendError(f"{engine} refuses {path}: {take_last_line(error)}") from error
        check_ends(str(path), inputs=len(model.inputs), outputs=len(model.outputs))
        used = model.get_property("INFERENCE_NUM_THREADS")
        self._name = f"{engine} (latency hint, threads: {used})"
        self._request = model.create_infer_request()
        self.input_shape = tuple(model.input(0).get_shape())

    reuses_output = True

    @property
    def name(self) -> str:
        """The engine, its version, the type of its float parts, and its settings."""
        return self._name

    def infer(self, frame: Frame, /) -> Logits:
        """Map a uint8 (1, H, W, C) image to (1, classes, h, w) logits."""
        # Shared memory avoids copies of input and output; the next frame overwrites the output.
        self._request.infer({0: frame}, share_inputs=True, share_outputs=True)
        logits: Logits = self._request.get_output_tensor(0).data
        return logits

    def close(self) -> None:
        """Release the compiled model."""
        self._request = None


def _open_core() -> Any:  # noqa: ANN401  # openvino has no types
    try:
        import openvino
    except ImportError:
        raise MissingPackageError(
            "openvino",
            purpose="running this bundle",
            command="pip install 'edgeseg[openvino]' -c constraints.txt",
        ) from None
    return openvino.Core()
