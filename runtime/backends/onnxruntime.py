"""ONNX Runtime on the CPU, and on whatever else the installed build has an execution provider for.

A provider is listed wherever its build is installed, as CUDA's is by the package onnxruntime-gpu,
also on a machine without such a device. ONNX Runtime then takes the CPU without an error, so
sessions are asked what they run on.
"""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from edgeseg.bundle.manifest import Machine
from edgeseg.errors import BackendError, DeviceError, MissingPackageError
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_engine_version
from edgeseg.progress import Progress
from edgeseg.runtime.backends.checked import check_ends, take_last_line
from edgeseg.runtime.backends.placing import Device
from edgeseg.runtime.gpu.cuda import Cuda
from edgeseg.targets import find_target

if TYPE_CHECKING:
    import onnxruntime

    from edgeseg.pixels import Frame, Output

__all__ = ["OrtBackend", "identity", "list_devices", "open_engine", "products_saturate"]

CPU: Final = "cpu"
# The providers of each device, and how they are set. FP32 is FP32: TF32 is the provider's default.
_PROVIDERS: Final[dict[str, list[Any]]] = {
    CPU: ["CPUExecutionProvider"],
    **{
        device: [(provider, options), "CPUExecutionProvider"]
        for device, provider, options in (
            ("cuda", "CUDAExecutionProvider", {"use_tf32": "0"}),
            ("openvino", "OpenVINOExecutionProvider", {}),
            ("qnn", "QNNExecutionProvider", {"backend_type": "htp"}),
            ("coreml", "CoreMLExecutionProvider", {}),
            ("directml", "DmlExecutionProvider", {}),
            ("xnnpack", "XnnpackExecutionProvider", {}),
            ("acl", "ACLExecutionProvider", {}),
        )
    },
}
_NEEDS: Final = {"cuda": "no GPU, or no CUDA and cuDNN of its version"}
_FATAL_ONLY: Final = 4  # of ONNX Runtime's own lines; 2 are warnings, its default


def open_engine(
    path: Path,
    *,
    compute: str,
    device: str,
    threads: int | None,
    keep: bool,
    progress: Progress,
) -> OrtBackend:
    """See `Runner`. The ONNX file decides what it computes in; `compute` has no effect."""
    del compute, keep, progress
    return OrtBackend(path, device=device, threads=threads)


def list_devices() -> tuple[Device, ...]:
    """See `Runner`."""
    try:
        import onnxruntime
    except ImportError:
        return (Device(name=CPU),)
    offered = onnxruntime.get_available_providers()
    return tuple(
        Device(name=device)
        for device, providers in _PROVIDERS.items()
        if device == CPU or providers[0][0] in offered
    )


def identity() -> str:
    """See `Runner`."""
    version = find_engine_version(find_target("onnxruntime"))
    _, *others = (device.name for device in list_devices())
    if not others:
        return f"onnxruntime {version}"
    return f"onnxruntime {version} on {others}, {_identify_gpu()}"


def _identify_gpu() -> str:
    try:
        cuda = Cuda()
        return f"compute capability {cuda.capability()}, driver {cuda.driver()}"
    except BackendError:
        return "no GPU"


def products_saturate(machine: Machine) -> bool:
    """Tell whether the engine's products of uint8 and int8 overflow, as on x86 without VNNI.

    Pairs of products are added in 16 bits there (VPMADDUBSW). Where the processor's features are
    unknown, the answer is yes.
    """
    on_x86 = machine.architecture in {"x86_64", "AMD64"}
    return on_x86 and not {"avx512_vnni", "avx_vnni"} & set(machine.features)


def _describe_model(model: Path | bytes) -> str:
    return "the model" if isinstance(model, bytes) else str(model)


class OrtBackend:
    """One ONNX file, or a serialized model, in an ONNX Runtime session.

    `device` is one of `list_devices`. Where `optimized` is false, nodes are computed one by one, as
    the graph has them.

    Raises:
        DeviceError: the device does not work here.
        BackendError: ONNX Runtime refuses the model.
        MissingPackageError: ONNX Runtime is not installed.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        device: str = CPU,
        threads: int | None = None,
        optimized: bool = True,
    ) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingPackageError(
                "onnxruntime", purpose="running this bundle", command="pip install onnxruntime"
            ) from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: warnings about graphs do not help users
        if products_saturate(describe_machine()):
            # ONNX Runtime's option for exact products of uint8 and uint8; a little slower.
            options.add_session_config_entry("session.x64quantprecision", "1")
        if not optimized:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if threads is not None:
            options.intra_op_num_threads = threads
        engine = f"onnxruntime {onnxruntime.__version__}"
        # ONNX Runtime's default is one thread for each physical core, bound to that core.
        where = "" if device == CPU else f"{device}, "
        self._name = f"{engine} ({where}threads: {threads or 'one per core'})"
        # Exception is the only common base of ONNX Runtime's exceptions.
        self._session: onnxruntime.InferenceSession | None
        source = model if isinstance(model, bytes) else str(model)
        try:
            if device == CPU:
                self._session = onnxruntime.InferenceSession(
                    source, options, providers=_PROVIDERS[CPU]
                )
            else:
                self._session = _open_on(device, source, options)
        except DeviceError:
            raise
        except Exception as error:
            reason = take_last_line(error)
            raise BackendError(f"{engine} refuses {_describe_model(model)}: {reason}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        check_ends(_describe_model(model), inputs=len(inputs), outputs=len(outputs))
        self._input_name: str = inputs[0].name
        self.input_shape = tuple(cast("list[int]", inputs[0].shape))

    reuses_output = False

    @property
    def name(self) -> str:
        """The engine, its version and its settings."""
        return self._name

    def infer(self, frame: Frame, /) -> Output:
        """Map a uint8 (1, H, W, C) image to the graph's output."""
        assert self._session is not None, "it is open"
        (output,) = self._session.run(None, {self._input_name: frame})
        return cast("Output", output)

    def close(self) -> None:
        """Release the session."""
        self._session = None


def _open_on(device: str, model: str | bytes, options: Any) -> Any:  # noqa: ANN401  # no types
    """Open a session on another device than the CPU.

    Raises:
        DeviceError: ONNX Runtime would take the CPU.
    """
    import onnxruntime

    provider = _PROVIDERS[device][0][0]
    # Where its libraries are missing, ONNX Runtime writes many lines, which say no more.
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if hasattr(onnxruntime, "preload_dlls"):  # of pip's packages for CUDA and cuDNN
                onnxruntime.preload_dlls()
            session = onnxruntime.InferenceSession(model, options, providers=_PROVIDERS[device])
    finally:
        onnxruntime.set_default_logger_severity(2)
    if session.get_providers()[0] != provider:
        raise DeviceError(
            f"onnxruntime {onnxruntime.__version__} lists {provider}, but it does not load: "
            f"{_NEEDS.get(device, 'no such device, or no driver of its version')}"
        )
    return session
