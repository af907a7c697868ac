"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgeseg.bundle.manifest import Machine
from edgeseg.errors import BackendError, MissingPackageError
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_version
from edgeseg.progress import Progress
from edgeseg.runtime.backends.checked import check_ends, take_last_line

if TYPE_CHECKING:
    import onnxruntime

    from edgeseg.pixels import Frame, Output

__all__ = ["OrtBackend", "identity", "open_engine", "products_saturate"]


def open_engine(path: Path, *, compute: str, threads: int | None, progress: Progress) -> OrtBackend:
    """See `Runner`. The ONNX file decides what it computes in; `compute` has no effect."""
    del compute, progress
    return OrtBackend(path, threads=threads)


def identity() -> str:
    """See `Runner`."""
    return f"onnxruntime {find_version('onnxruntime')}"


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

    Where `optimized` is false, nodes are computed one by one, as the graph has them.
    """

    def __init__(
        self, model: Path | bytes, *, threads: int | None = None, optimized: bool = True
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
        self._name = f"{engine} (threads: {threads or 'one per core'})"
        # Exception is the only common base of ONNX Runtime's exceptions.
        self._session: onnxruntime.InferenceSession | None
        try:
            self._session = onnxruntime.InferenceSession(
                model if isinstance(model, bytes) else str(model),
                options,
                providers=["CPUExecutionProvider"],
            )
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
