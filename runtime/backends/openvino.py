"""OpenVINO on the CPU, and on Intel's GPUs and NPUs where their drivers are installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeseg.errors import BackendError, DeviceError
from edgeseg.machine.packages import find_version
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.checked import check_ends, take_last_line
from edgeseg.runtime.backends.openvino_cache import compile_or_recall
from edgeseg.runtime.backends.openvino_devices import (
    CPU,
    identify_device,
    list_all,
    open_core,
    read_float_types,
    to_own_name,
)
from edgeseg.runtime.backends.placing import Device

if TYPE_CHECKING:
    from edgeseg.pixels import Frame, Logits

__all__ = ["OpenVinoBackend", "list_devices", "list_float_types", "identity", "open_engine"]

_TYPE: Final = "INFERENCE_PRECISION_HINT"


def open_engine(
    path: Path,
    *,
    compute: str,
    device: str,
    threads: int | None,
    keep: bool,
    progress: Progress,
) -> OpenVinoBackend:
    """See `Runner`."""
    return OpenVinoBackend(
        path,
        compute=compute,
        device=device,
        threads=threads,
        keep=keep,
        progress=progress,
    )


def list_devices() -> tuple[Device, ...]:
    """See `Runner`."""
    return list_all()


def identity() -> str:
    """See `Runner`: OpenVINO, and the other devices than the CPU with their drivers."""
    version = f"openvino {find_version('openvino')}"
    _, *others = list_all()
    if not others:
        return version
    core = open_core()
    return " ".join([version, *(identify_device(core, one) for one in others)])


def list_float_types() -> tuple[str, ...]:
    """List the float types that this CPU computes in natively: f32, perhaps bf16 or f16.

    Raises:
        MissingPackageError: openvino is not installed.
    """
    return read_float_types(open_core(), CPU)


class OpenVinoBackend:
    """One model, .xml or .onnx, compiled for the lowest latency of a single frame.

    `compute` is the type that float parts compute in. It is always set, because OpenVINO's default
    is BF16 where the CPU has it, and "FP32" would then not be FP32. With `keep`, what is
    compiled stays in the user's cache, and `progress` hears where it cannot.

    Raises:
        DeviceError: the device is not here.
        BackendError: OpenVINO or the device refuses the model.
        MissingPackageError: openvino is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        compute: str = "f32",
        device: str = CPU,
        threads: int | None = None,
        keep: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        core = open_core()
        import openvino

        engine = f"openvino {openvino.__version__.partition('-')[0]} {compute}"
        options = _plan_options(core, compute=compute, device=device, threads=threads)
        try:
            if keep:
                model = compile_or_recall(core, path, device, options, progress=progress)
            else:
                model = core.compile_model(str(path), to_own_name(device), options)
        except RuntimeError as error:
            raise BackendError(f"{engine} refuses {path}: {take_last_line(error)}") from error
        check_ends(str(path), inputs=len(model.inputs), outputs=len(model.outputs))
        self._name = f"{engine} ({_describe_use(core, model, device)})"
        self._request = model.create_infer_request()
        self.input_shape = tuple(model.input(0).get_shape())

    reuses_output = True

    @property
    def name(self) -> str:
        """The engine, its version, the type of its float parts, its device, and its settings."""
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


def _plan_options(
    core: Any,  # noqa: ANN401  # openvino has no types
    *,
    compute: str,
    device: str,
    threads: int | None,
) -> Mapping[str, str]:
    """Plan how a model is compiled.

    Raises:
        DeviceError: the device is not here, or does not answer.
        BackendError: the CPU does not compute in that type.
    """
    try:
        able = read_float_types(core, device)
    except RuntimeError as error:
        raise DeviceError(f"{device} cannot be used: {take_last_line(error)}") from error
    if device == CPU and compute not in able:
        raise BackendError(f"this CPU does not compute in {compute}; run: edgeseg build BUNDLE")
    options = {"PERFORMANCE_HINT": "LATENCY", _TYPE: compute}
    if device == CPU and threads is not None:
        options["INFERENCE_NUM_THREADS"] = str(threads)
    return options


def _describe_use(core: Any, model: Any, device: str) -> str:  # noqa: ANN401  # as above
    if device == CPU:
        return f"latency hint, threads: {model.get_property('INFERENCE_NUM_THREADS')}"
    return f"{device}, {core.get_property(to_own_name(device), 'FULL_DEVICE_NAME')}, latency hint"
