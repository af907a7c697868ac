"""Builds a TensorRT plan (10.3 to 11) from a typed graph, and runs the plan.

This module has not run on hardware yet. It follows NVIDIA's documented API and is tested with a
fake engine; docs/jetson.md lists what was and was not run.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.errors import BackendError
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.checked import check_ends
from edgeseg.runtime.gpu.cuda import Cuda, Pinned

if TYPE_CHECKING:
    import tensorrt

    from edgeseg.pixels import Frame, Output

__all__ = ["TensorRtBackend", "build_plan", "require_tensorrt"]

# A share of the free memory, which a Jetson shares with everything else that runs on it.
WORKSPACE_SHARE: Final = 0.5


class TensorRtBackend:
    """One plan on the first device. Buffers are allocated once, and not for each frame.

    Raises:
        BackendError: the plan is for another TensorRT or device, or damaged.
    """

    def __init__(self, plan: bytes) -> None:
        self._name = f"tensorrt {require_tensorrt()}"
        import tensorrt as trt

        self._errors: list[str] = []
        log = _make_logger(self._errors)
        runtime = trt.Runtime(log)
        engine = runtime.deserialize_cuda_engine(plan)
        context = None if engine is None else engine.create_execution_context()
        if engine is None or context is None:
            raise BackendError(f"{self._name} does not take the plan: {_take_last(self._errors)}")
        self._context = context
        self._engine, self._owners = engine, (runtime, log)  # each must outlive the engine
        self._cuda = Cuda()
        with ExitStack() as stack:
            self._stream = self._cuda.stream()
            stack.callback(self._cuda.destroy, self._stream)
            ends = self._bind(engine, stack)
            inputs = [end for end in ends if end.is_input]
            outputs = [end for end in ends if not end.is_input]
            check_ends("the plan", inputs=len(inputs), outputs=len(outputs))
            self._input, self._output = inputs[0], outputs[0]
            self._release: ExitStack | None = stack.pop_all()
        self.input_shape = self._input.host.array.shape

    reuses_output = True

    @property
    def name(self) -> str:
        """The engine and its version."""
        return self._name

    def infer(self, frame: Frame, /) -> Output:
        """Map a uint8 (1, H, W, C) image to the graph's output."""
        given, made = self._input, self._output
        np.copyto(given.host.array, frame)
        self._cuda.to_device(given.device, given.host.address, given.size, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise BackendError(f"{self._name} failed: {_take_last(self._errors)}")
        self._cuda.to_host(made.host.address, made.device, made.size, self._stream)
        self._cuda.synchronize(self._stream)
        output: Output = made.host.array
        return output

    def close(self) -> None:
        """Release memory, stream and engine."""
        if self._release is not None:
            self._release.close()
            self._release = None
            del self._context, self._engine, self._owners

    def _bind(self, engine: tensorrt.ICudaEngine, stack: ExitStack) -> list[_End]:
        import tensorrt as trt

        ends = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            shape = tuple(engine.get_tensor_shape(name))
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
            host = Pinned(self._cuda, shape, dtype)
            stack.callback(host.free)
            device = self._cuda.malloc(host.array.nbytes)
            stack.callback(self._cuda.free, device)
            if not self._context.set_tensor_address(name, device):
                raise BackendError(
                    f"{self._name} refuses memory for {name}: {_take_last(self._errors)}"
                )
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            ends.append(_End(host, device, is_input=is_input))
        return ends


class _End:
    """An input or output, with its memory on host and device."""

    def __init__(self, host: Pinned, device: int, *, is_input: bool) -> None:
        self.host, self.device, self.is_input = host, device, is_input
        self.size = host.array.nbytes


def build_plan(
    graph: bytes, *, timing_cache: bytes, progress: Progress = SILENT
) -> tuple[bytes, bytes]:
    """Build a strongly typed ONNX graph for this device; return the plan and the new timing cache.

    The builder reports its phases to `progress` as parts, from its own threads. It may use
    `WORKSPACE_SHARE` of the free memory.

    Raises:
        BackendError: TensorRT cannot parse or build the graph; the message says why.
    """
    require_tensorrt()
    import tensorrt as trt

    errors: list[str] = []
    log = _make_logger(errors)
    builder = trt.Builder(log)
    # From TensorRT 11 on every network is strongly typed, and the flag may be absent.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(graph):
        errors += [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise BackendError(
            f"tensorrt {trt.__version__} does not parse the graph: {_take_last(errors)}"
        )
    config = builder.create_builder_config()
    limit = int(WORKSPACE_SHARE * Cuda().free_memory())
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, limit)
    monitor = _monitor(progress)  # the monitor must outlive the build
    config.progress_monitor = monitor
    # A cache of another device or version is refused; an empty cache then takes its place.
    if not config.set_timing_cache(config.create_timing_cache(timing_cache), ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(
            f"tensorrt {trt.__version__} does not build the graph: {_take_last(errors)}"
        )
    cache = config.get_timing_cache()
    return bytes(plan), b"" if cache is None else bytes(cache.serialize())


def require_tensorrt() -> str:
    """Give the version of the installed TensorRT.

    Raises:
        BackendError: TensorRT is not installed; the message says how to use JetPack's in a virtual
            environment.
    """
    try:
        import tensorrt
    except ImportError:
        raise BackendError(
            "this bundle needs TensorRT, which comes with JetPack and not from pip; in a virtual "
            "environment make it visible: python3 -m venv --system-site-packages; "
            "see docs/jetson.md"
        ) from None
    return tensorrt.__version__


def _make_logger(errors: list[str]) -> tensorrt.ILogger:
    """Make a logger that appends to `errors`: TensorRT returns None and logs the reason."""
    import tensorrt as trt

    class Log(trt.ILogger):
        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            kinds = trt.ILogger.Severity
            if severity in {kinds.INTERNAL_ERROR, kinds.ERROR}:
                errors.append(msg)

    return Log()


def _take_last(errors: list[str]) -> str:
    """Take the last error, in one line."""
    return " ".join(errors[-1].split()) if errors else "it gives no reason"


def _monitor(progress: Progress) -> tensorrt.IProgressMonitor:
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):
        """Passes steps on; several threads call it, so each phase keeps its own count."""

        def __init__(self) -> None:
            super().__init__()
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase
            self.steps[phase_name] = num_steps
            progress.part(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress.part(phase_name, step + 1, self.steps.get(phase_name, 0))
            return True  # go on

        def phase_finish(self, phase_name: str) -> None:
            steps = self.steps.pop(phase_name, 0)
            progress.part(phase_name, steps, steps)

    return Monitor()
