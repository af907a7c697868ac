"""Builds a plan from a typed graph, with TensorRT (10.3 to 11) or TensorRT-RTX, and runs it.

This module has not run on hardware yet. It follows NVIDIA's documented API and is tested with a
fake engine; docs/jetson.md lists what was and was not run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.errors import BackendError
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.checked import check_ends
from edgeseg.runtime.backends.trt_library import TENSORRT, Library
from edgeseg.runtime.gpu.cuda import Cuda, Pinned
from edgeseg.runtime.gpu.opening import open_path

if TYPE_CHECKING:
    import tensorrt

    from edgeseg.pixels import Frame, Output
    from edgeseg.progress import Say
    from edgeseg.runtime.backends.trt_library import Api
    from edgeseg.runtime.gpu.path import FramePath
    from edgeseg.spec import InputSpec

__all__ = ["TensorRtBackend", "build_plan"]

# A share of the free memory, which a Jetson shares with everything else that runs on it.
WORKSPACE_SHARE: Final = 0.5


class TensorRtBackend:
    """One plan on the first device. Buffers are allocated once, and not for each frame.

    It works in `stream`, which outlives it, or in one of its own. Where the library compiles
    kernels just in time, `kernels` are those of an earlier run, and `keep` receives all that this
    one has when it closes.

    Raises:
        BackendError: the plan is for another library or device, or damaged.
    """

    def __init__(
        self,
        plan: bytes,
        *,
        library: Library = TENSORRT,
        stream: int | None = None,
        kernels: bytes = b"",
        keep: Callable[[bytes], None] | None = None,
    ) -> None:
        self._trt = library.load()
        self._name = library.full_name
        self._errors: list[str] = []
        log = _make_logger(self._trt, self._errors)
        runtime = self._trt.Runtime(log)
        engine = runtime.deserialize_cuda_engine(plan)
        self._kernels = None
        if engine is not None and library.just_in_time:
            config, self._kernels = _configure(engine, kernels)
            context = engine.create_execution_context(config)
        else:
            context = None if engine is None else engine.create_execution_context()
        if engine is None or context is None:
            raise BackendError(f"{self._name} does not take the plan: {_take_last(self._errors)}")
        self._context, self._keep = context, keep
        self._engine, self._owners = engine, (runtime, log)  # each must outlive the engine
        self.cuda = Cuda()
        with ExitStack() as stack:
            if stream is None:
                stream = self.cuda.stream()
                stack.callback(self.cuda.destroy, stream)
            self.stream = stream
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
        self.cuda.to_device(given.device, given.host.address, given.size, self.stream)
        try:
            self.enqueue()
        except BackendError:
            self.cuda.synchronize(self.stream)  # says whether the device is lost
            raise
        self.cuda.to_host(made.host.address, made.device, made.size, self.stream)
        self.cuda.synchronize(self.stream)
        output: Output = made.host.array
        return output

    def enqueue(self) -> None:
        """Queue one inference in the stream, from memory of the device to memory of the device.

        Raises:
            BackendError: TensorRT refuses.
        """
        if not self._context.execute_async_v3(self.stream):
            raise BackendError(f"{self._name} failed: {_take_last(self._errors)}")

    def open_path(self, spec: InputSpec, *, classes: int, say: Say) -> FramePath:
        """See `WholeFrames`."""
        return open_path(self, spec, self._output.host.array, classes=classes, say=say)

    @property
    def ends(self) -> dict[str, int]:
        """Where "input" and "output" lie on the device."""
        return {"input": self._input.device, "output": self._output.device}

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of "input" and "output"."""
        return {"input": self._input.size, "output": self._output.size}

    def close(self) -> None:
        """Release memory, stream and engine."""
        if self._release is not None:
            self._release.close()
            self._release = None
            if self._kernels is not None and self._keep is not None:
                self._keep(bytes(self._kernels.serialize()))
            del self._context, self._kernels, self._engine, self._owners

    def _bind(self, engine: tensorrt.ICudaEngine, stack: ExitStack) -> list[_End]:
        ends = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            shape = tuple(engine.get_tensor_shape(name))
            dtype = np.dtype(self._trt.nptype(engine.get_tensor_dtype(name)))
            host = Pinned(self.cuda, shape, dtype)
            stack.callback(host.free)
            device = self.cuda.malloc(host.array.nbytes)
            stack.callback(self.cuda.free, device)
            if not self._context.set_tensor_address(name, device):
                raise BackendError(
                    f"{self._name} refuses memory for {name}: {_take_last(self._errors)}"
                )
            is_input = engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT
            ends.append(_End(host, device, is_input=is_input))
        return ends


class _End:
    """An input or output, with its memory on host and device."""

    def __init__(self, host: Pinned, device: int, *, is_input: bool) -> None:
        self.host, self.device, self.is_input = host, device, is_input
        self.size = host.array.nbytes


def build_plan(
    graph: bytes,
    *,
    timing_cache: bytes,
    cuda: Cuda | None,
    library: Library = TENSORRT,
    progress: Progress = SILENT,
) -> tuple[bytes, bytes]:
    """Build a strongly typed ONNX graph for the device; return the plan and the new timing cache.

    The builder reports its phases to `progress` as parts, from its own threads. It may use
    `WORKSPACE_SHARE` of the free memory. Without `cuda` a just-in-time library builds for all
    devices that it builds for by itself.

    Raises:
        BackendError: the library cannot parse or build the graph; the message says why.
    """
    trt, name = library.load(), library.full_name
    errors: list[str] = []
    log = _make_logger(trt, errors)
    builder = trt.Builder(log)
    # From TensorRT 11 on every network is strongly typed, and the flag may be absent.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(graph):
        errors += [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise BackendError(f"{name} does not parse the graph: {_take_last(errors)}")
    config = builder.create_builder_config()
    if cuda is not None:
        limit = int(WORKSPACE_SHARE * cuda.free_memory())
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, limit)
        if library.just_in_time:
            _aim_at(cuda.capability(), trt, config)
    monitor = _monitor(trt, progress)  # the monitor must outlive the build
    config.progress_monitor = monitor
    # A cache of another device or version is refused; an empty cache then takes its place.
    if not config.set_timing_cache(config.create_timing_cache(timing_cache), ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f"{name} does not build the graph: {_take_last(errors)}")
    cache = config.get_timing_cache()
    return bytes(plan), b"" if cache is None else bytes(cache.serialize())


def _aim_at(capability: str, trt: Api, config: tensorrt.IBuilderConfig) -> None:
    """Build for one compute capability alone: by itself, TensorRT-RTX leaves some GPUs out."""
    kinds = trt.ComputeCapability
    config.num_compute_capabilities = 1
    config.set_compute_capability(
        getattr(kinds, f"SM{capability.replace('.', '')}", kinds.CURRENT), 0
    )


def _configure(
    engine: tensorrt.ICudaEngine, kernels: bytes
) -> tuple[tensorrt.IRuntimeConfig, tensorrt.IRuntimeCache]:
    """Configure an engine so that its kernels come from `kernels`, where those still fit."""
    config = engine.create_runtime_config()
    cache = config.create_runtime_cache()
    if kernels:
        cache.deserialize(kernels)  # what does not fit here is left out, and compiled again
    config.set_runtime_cache(cache)
    return config, cache


def _make_logger(trt: Api, errors: list[str]) -> tensorrt.ILogger:
    """Make a logger that appends to `errors`: TensorRT returns None and logs the reason."""

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]  # the class of whichever library
        def log(self, severity: tensorrt.ILogger.Severity, msg: str) -> None:
            kinds = trt.ILogger.Severity
            if severity in {kinds.INTERNAL_ERROR, kinds.ERROR}:
                errors.append(msg)

    return Log()


def _take_last(errors: list[str]) -> str:
    """Take the last error, in one line."""
    return " ".join(errors[-1].split()) if errors else "it gives no reason"


def _monitor(trt: Api, progress: Progress) -> tensorrt.IProgressMonitor:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]  # as above
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
